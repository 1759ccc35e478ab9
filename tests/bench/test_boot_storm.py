"""The boot storm: small ones hold, its report has the promised shape, and every target can be missed."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from bench.stand import nodes as simulated
from bench.stand.deployment import Stand, standing
from bench.stand.nodes import Node, boot, pause
from bench.stand.storm import EVENTS_LIMIT, Outcome, Storm, best_seconds, checks, observe

from bench import boot_storm
from localcloud.errors import ConnectionLost
from localcloud.wire import Headers, Response

STORM = Storm(nodes=8, limit=4, concurrency=3, keyed=True)


@dataclass
class Stood:
    """A stack that a small storm has gone over."""

    stand: Stand
    nodes: list[Node]
    since: int

    def outcome(self, nodes: list[Node] | None = None) -> Outcome:
        return observe(self.stand, STORM, nodes or self.nodes, since=self.since)


@pytest.fixture(scope="module")
def stood() -> Iterator[Stood]:
    parameters = {"DefaultPoolRegistrationLimit": str(STORM.limit), "ApiConcurrency": str(STORM.concurrency)}
    with standing(parameters=parameters) as stand:
        since = len(stand.cloud.world.calls)
        nodes = list(boot(stand, count=STORM.nodes, keyed=True, losing=0.0, seed=0))
        assert stand.cloud.functions.wait_for_events(EVENTS_LIMIT)
        yield Stood(stand, nodes, since)


def test_a_small_storm_misses_no_target(stood: Stood) -> None:
    outcome = stood.outcome()

    assert [check.text for check in checks(outcome) if check.holds is False] == []
    assert (outcome.registered, outcome.issued) == (8, 8)
    assert outcome.environments <= 3


def test_calls_are_those_of_both_functions_and_no_others(stood: Stood) -> None:
    calls = stood.outcome().calls

    assert calls["dynamodb:PutItem"] == STORM.nodes
    assert calls["dynamodb:UpdateItem"] > STORM.nodes
    assert not [name for name in calls if name.startswith("logs:")]


def test_nodes_that_share_a_slot_are_seen(stood: Stood) -> None:
    """As if the product had handed one activation to more nodes than its limit."""
    first = stood.nodes[0].activation_id

    outcome = stood.outcome([replace(node, activation_id=first) for node in stood.nodes])

    assert outcome.over_issued == 4
    assert outcome.doubled > 0


def test_a_node_that_registered_with_another_grant_than_its_keys_is_seen(stood: Stood) -> None:
    strayed = replace(stood.nodes[0], activation_id="another")

    assert stood.outcome([strayed, *stood.nodes[1:]]).doubled == 2


def test_the_report_has_the_promised_shape(stood: Stood) -> None:
    run = boot_storm.as_json(stood.outcome())

    assert set(run) == {
        *("nodes", "keyed", "registered", "over_issued", "activations_created", "calls_per_vend"),
        *("p50", "p95", "p99"),
    }
    assert run["nodes"] == 8
    assert 0 < run["p50"] <= run["p95"] <= run["p99"]


def _outcome(**changed: Any) -> Outcome:
    storm = Storm(nodes=100, limit=1_000, concurrency=50, keyed=True)
    good: dict[str, Any] = {
        **{"storm": storm, "registered": 100, "over_issued": 0, "issued": 100, "doubled": 0, "activations": 2},
        **{"unpublished": 0, "environments": 50, "calls": {"dynamodb:UpdateItem": 320}, "late_waits": 0},
        "latencies": tuple(number / 100 for number in range(1, 101)),
    }
    return Outcome(**{**good, **changed})


def test_an_outcome_within_all_targets_passes() -> None:
    assert {check.holds for check in checks(_outcome())} == {True}


@pytest.mark.parametrize(
    "flaw",
    [
        {"registered": 99},
        {"over_issued": 1},
        {"activations": 3, "unpublished": 1},
        {"calls": {"dynamodb:UpdateItem": 321}},
        {"doubled": 1},
        {"late_waits": 1},
    ],
    ids=lambda flaw: next(iter(flaw)),
)
def test_each_target_can_be_missed(flaw: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    outcome = _outcome(**flaw)
    assert [check.holds for check in checks(outcome)].count(False) == 1

    monkeypatch.setattr(boot_storm, "run", lambda _: outcome)

    assert boot_storm.main(["--nodes", "100", "--json"]) == 1
    assert set(json.loads(capsys.readouterr().out)) == {"runs"}
    assert boot_storm.main(["--nodes", "100"]) == 1
    assert "MISSED" in capsys.readouterr().out


def test_percentiles_are_latencies_that_were_seen() -> None:
    outcome = _outcome()

    assert [outcome.percentile(share) for share in (0.5, 0.95, 0.99, 1.0)] == [0.5, 0.95, 0.99, 1.0]
    assert _outcome(latencies=()).percentile(0.5) == 0.0


def test_the_best_time_is_that_of_the_narrowest_throttle() -> None:
    assert best_seconds(Storm(nodes=1_000, limit=10, concurrency=50)) == 49.0
    assert best_seconds(Storm(nodes=1_000, limit=1_000, concurrency=50)) == 0.0


@dataclass
class _Api:
    """Answers in the order given; None breaks the connection."""

    answers: list[Response | None]
    asked: list[Any] = field(default_factory=list)

    def ask(self, method: str, route: str, body: Any, *, source_ip: str) -> Response:
        self.asked.append(body)
        answer = self.answers.pop(0)
        if answer is None:
            raise ConnectionLost("on purpose")
        return answer


def _busy(status: int, retry_after: str = "") -> Response:
    return Response(status=status, headers=Headers.of({"Retry-After": retry_after} if retry_after else {}))


def test_a_node_asks_again_as_the_script_does_with_the_same_key(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(simulated.time, "sleep", waited.append)
    api = _Api([_busy(503, "5"), _busy(429), None, _busy(403)])
    node = Node(number=1, keyed=True, rng=random.Random(1), key="k")

    node.enrol(api, "")  # type: ignore[arg-type]

    assert [body["key"] for body in api.asked] == ["k"] * 4
    assert 5 <= waited[0] <= 6
    assert 0 <= waited[1] <= 2
    assert 0 <= waited[2] <= 4
    assert (node.activation_id, node.registered) == ("", False)


def test_pauses_are_those_of_the_bootstrap_script() -> None:
    assert (simulated.RETRY_BASE, simulated.RETRY_CAP, simulated.DEADLINE) == (1.0, 20.0, 900.0)
    assert max(pause(30, 0, rng=random.Random(seed)) for seed in range(200)) <= 20.0
