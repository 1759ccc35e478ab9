"""Recorded traffic of the real SSM agent as values: requests to replay, and what a service answered."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from localcloud.wire import Headers, Request

RECORDINGS = Path(__file__).resolve().parents[3] / "../shared/data/agent"
needs_recordings = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recorded agent traffic is not at hand")


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One recorded request, with the stand-in's answer if it was recorded too."""

    scenario: str
    number: int
    channel: str
    request: Request
    status: int | None
    answer: Any

    @property
    def target(self) -> str:
        """`RegisterManagedInstance`, or the path for the control channel."""
        return self.request.headers.get("X-Amz-Target").rpartition(".")[2] or self.request.path

    @property
    def body(self) -> Any:
        return json.loads(self.request.body)

    @property
    def stamped(self) -> datetime | None:
        """The node's clock when it signed; None for an unsigned request."""
        sent = self.request.headers.get("X-Amz-Date")
        return datetime.strptime(sent, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if sent else None

    @property
    def credential(self) -> str:
        """The node id or access key that signed, or ""."""
        return self.request.headers.get("Authorization").partition("Credential=")[2].partition("/")[0]


def scenarios() -> list[str]:
    """The names of all recordings; none if they are not at hand."""
    return sorted(folder.name for folder in RECORDINGS.iterdir() if folder.is_dir()) if RECORDINGS.is_dir() else []


@cache
def facts(scenario: str) -> dict[str, Any]:
    """What scenario.json tells: nodes, role tokens, activation."""
    found: dict[str, Any] = json.loads((RECORDINGS / scenario / "scenario.json").read_text())
    return found


@cache
def exchanges(scenario: str) -> tuple[Exchange, ...]:
    """The HTTP exchanges of a recording in the order of their requests (WebSocket frames left out)."""
    lines = [json.loads(line) for line in (RECORDINGS / scenario / "exchange.jsonl").read_text().splitlines()]
    http = [line for line in lines if line["channel"] != "ssmmessages-ws"]
    answers = {line["exchange"]: line for line in http if line["direction"] == "service->agent"}
    return tuple(
        _exchange(scenario, line, answers.get(line["exchange"], {}))
        for line in http
        if line["direction"] == "agent->service"
    )


def everything() -> list[Exchange]:
    """Every exchange of every recording."""
    return [exchange for scenario in scenarios() for exchange in exchanges(scenario)]


def _exchange(scenario: str, asked: dict[str, Any], answered: dict[str, Any]) -> Exchange:
    path, _, query = asked["path"].partition("?")
    return Exchange(
        scenario=scenario,
        number=asked["exchange"],
        channel=asked["channel"],
        request=Request(
            method=asked["method"],
            path=path,
            query=query,
            headers=Headers.of([(name, value) for name, value in asked["headers"]]),
            body=asked.get("body_raw", "").encode(),
        ),
        status=answered.get("status"),
        answer=answered.get("body"),
    )
