"""Actions called as the engine calls them, one attempt at a time, on a local cloud or a client that answers as told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from localcloud.automation.actions.protocol import Action, Again, Finished, StepCall
from localcloud.automation.document import Step
from localcloud.clock import Clock, SteppedClock


@dataclass(kw_only=True)
class FakeSurroundings:
    """Surroundings whose clients are those of `clients`, by service."""

    clients: Mapping[str, Any] = field(default_factory=dict)
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    script_environment: Mapping[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=SteppedClock)
    execution_id: str = "5f2c9e31-0000-4000-8000-000000000001"
    account: str = "111122223333"
    region: str = "us-east-1"
    partition: str = "aws"

    def client(self, service: str) -> Any:
        return self.clients[service]


def a_call(action: str, inputs: Mapping[str, Any], around: FakeSurroundings | None = None) -> StepCall:
    """The first attempt of a step `Do`."""
    return StepCall(
        step=Step(name="Do", action=action, inputs=inputs),
        inputs=inputs,
        attempt=1,
        deadline=None,
        surroundings=around or FakeSurroundings(),
    )


def finish(action: Action, inputs: Mapping[str, Any], around: FakeSurroundings | None = None) -> Finished:
    """Carry an attempt out; between two turns the clock moves on as the action asks."""
    call = a_call(action.name, inputs, around)
    clock = call.surroundings.clock
    assert isinstance(clock, SteppedClock)
    action.check(inputs)
    turn = action.begin(call)
    for _ in range(1_000):
        if not isinstance(turn, Again):
            assert isinstance(turn, Finished)
            return turn
        clock.step(turn.after)
        turn = action.resume(call, turn.state)
    raise AssertionError("the action does not come to an end")


def waited(clock: SteppedClock, since: Any) -> timedelta:
    return clock.now() - since


def client_error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} happened"}}, operation)


class Scripted:
    """A client of a few operations: each call takes the next of its answers (the last one stays), errors are raised."""

    def __init__(self, **answers: list[Any]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._answers = answers
        self.meta = SimpleNamespace(
            method_to_api_mapping={name: name.title().replace("_", "") for name in answers},
            service_model=SimpleNamespace(operation_model=_Plain),
        )

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_") or method not in self._answers:
            raise AttributeError(method)

        def call(**arguments: Any) -> Any:
            self.calls.append((method, arguments))
            left = self._answers[method]
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def named(self, method: str) -> list[dict[str, Any]]:
        """The arguments of each call of one operation."""
        return [arguments for name, arguments in self.calls if name == method]


@dataclass
class _Plain:
    name: str
    has_streaming_input: bool = False
    has_streaming_output: bool = False
    has_event_stream_input: bool = False
    has_event_stream_output: bool = False
