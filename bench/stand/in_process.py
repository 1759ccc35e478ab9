"""Patching's functions without processes: invocations are answered in this process, by rooms that are made beforehand.

Everything up to the function is as deployed (Invoke, its rights, the function's own settings), and so is everything
behind it: AWS under the function's role by botocore's own bytes without a socket, Azure over TLS. What is left out is
the zip, the runtime client and the process.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

from bench.stand.patching import PatchStand

from localcloud.aws.functions.model import Deployed, Outcome, Work, error_document
from localcloud.aws.functions.service import Functions
from localcloud.aws.seam import attach
from moorings.clock import SystemClock
from moorings.errors import MooringsError
from moorings.patching.assembly import PatchingRoom
from moorings.patching.function import LONGEST_CALL, CallFailed
from moorings.patching.keeper import LONGEST_RUN
from moorings.patching.outside import Deadline
from moorings.patching.service import Patching
from moorings.patching.upkeep import Upkeep
from moorings.settings import patching_settings


class _Silent:
    """A journal that nobody reads."""

    def record(self, event: str, **facts: object) -> None:
        """Nothing."""

    def count(self, metric: str, value: float = 1) -> None:
        """Nothing."""


class InProcess:
    """Stands where the environments of functions are. `rooms` answer at once; whoever comes next waits for one."""

    def __init__(self, stand: PatchStand, *, rooms: int) -> None:
        self._clock = SystemClock()
        self._rooms = {
            name: _rooms(stand, name, count) for name, count in ((stand.deployed.function, rooms), (stand.keeper, 1))
        }
        self._keeper = stand.keeper

    def run(self, function: Deployed, work: Work) -> Outcome:
        """One invocation, as the function's handler and the runtime client would answer it."""
        rooms = self._rooms[function.name]
        room = rooms.get()
        try:
            answer = self._answered(room, json.loads(work.payload), keeps=function.name == self._keeper)
            return Outcome(payload=json.dumps(answer).encode(), error=False)
        except MooringsError as error:
            told = error_document(CallFailed.__name__, f"{error.message}; {error.remedy}")
            return Outcome(payload=told, error=True)
        except Exception as error:  # the outermost door: a function that raises is an answer too
            return Outcome(payload=error_document(type(error).__name__, str(error)), error=True)
        finally:
            rooms.put(room)

    def _answered(self, room: PatchingRoom, event: Any, *, keeps: bool) -> Any:
        if keeps:
            return {"seen": room.keep(Deadline(self._clock, LONGEST_RUN))}
        return room.answer(event, Deadline(self._clock, LONGEST_CALL - timedelta(seconds=3)))


@contextmanager
def in_process(stand: PatchStand, *, rooms: int) -> Iterator[None]:
    """Meanwhile the stack's functions are answered in this process."""
    fleet = stand.cloud.world.part(Functions)._fleet
    fleet.run = InProcess(stand, rooms=rooms).run  # type: ignore[method-assign]
    try:
        yield
    finally:
        del fleet.run


def _rooms(stand: PatchStand, name: str, count: int) -> SimpleQueue[PatchingRoom]:
    session = stand.cloud.session(stand.role_session(name))
    attach(session, stand.cloud.world.endpoint.dispatch)
    settings = replace(patching_settings(stand.variables(name)), anchors=stand.anchors)
    rooms: SimpleQueue[PatchingRoom] = SimpleQueue()
    for _ in range(count):
        room = PatchingRoom(settings, session=session)
        room.outside = replace(room.outside, journal=_Silent())
        room.calls, room.upkeep = Patching(room.outside), Upkeep(room.outside)
        rooms.put(room)
    return rooms
