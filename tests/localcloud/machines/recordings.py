"""The recorded traffic of the real agent, as the tests of the simulated one read it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[3] / "../shared/data/agent"


@cache
def exchange(scenario: str) -> list[dict[str, Any]]:
    """Every line of one scenario; skips the test where the recordings are not there."""
    path = DATA / scenario / "exchange.jsonl"
    if not path.is_file():
        pytest.skip(f"no recordings of the real agent at {DATA}")
    return [json.loads(line) for line in path.read_text().splitlines()]


@cache
def facts(scenario: str) -> dict[str, Any]:
    """What happened around a scenario."""
    exchange(scenario)
    loaded: dict[str, Any] = json.loads((DATA / scenario / "scenario.json").read_text())
    return loaded


def disk_of(scenario: str) -> list[dict[str, Any]]:
    """The node's files after a scenario."""
    exchange(scenario)
    loaded: list[dict[str, Any]] = json.loads((DATA / scenario / "files.json").read_text())
    return loaded


def requests(scenario: str) -> list[dict[str, Any]]:
    """What the real agent sent over HTTP, in order, but for the WebSocket upgrade."""
    return [
        line for line in exchange(scenario) if line["direction"] == "agent->service" and line.get("method") == "POST"
    ]


def target(request: dict[str, Any]) -> str:
    """The operation, or the path where there is none."""
    return dict(request["headers"]).get("X-Amz-Target", "").rpartition(".")[2] or request["path"]


def shape(method: str, headers: list[Any], body: dict[str, Any]) -> dict[str, Any]:
    """What must not vary between two agents: header names and order, fixed values, the body's fields in order."""
    fixed = {"Content-Type", "X-Amz-Target", "User-Agent", "Accept-Encoding", "Transfer-Encoding"}
    found = dict(tuple(header) for header in headers)
    signed = found.get("Authorization", "").partition("SignedHeaders=")[2].partition(",")[0]
    return {
        "method": method,
        "headers": [name for name, _ in headers],
        "values": {name: value for name, value in found.items() if name in fixed},
        "signed": signed,
        "fields": [(name, type(value).__name__) for name, value in body.items()],
    }
