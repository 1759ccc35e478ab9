"""A stage for interleavings: actors run one at a time, and each stops before every call until it is told how to go on.

Deterministic: only one thread runs at any moment, and the script alone says which.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from tests.enrolment.rig import Crash

PATIENCE = 60  # seconds that an actor may compute between two calls before the test gives up on it


class Fate(Enum):
    """How an actor's next call goes."""

    GO = "go"
    LOSE = "its answer is lost"
    THROTTLE = "refused as too many"
    CRASH_BEFORE = "the actor dies before it"
    CRASH_AFTER = "the actor dies after it"


@dataclass(eq=False)
class Actor:
    """One invocation of a function."""

    name: str
    act: Callable[[], Any]
    ends: datetime  # Lambda cuts it off then
    fate: Fate = Fate.GO
    done: bool = False
    crashed: bool = False
    result: Any = None
    error: Exception | None = None
    bug: BaseException | None = None
    faults: int = 0
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _stopped: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self, stage: "Stage") -> None:
        """Run to the first call, or to the end."""
        threading.Thread(target=self._run, args=(stage,), daemon=True).start()
        self._wait()

    def resume(self, fate: Fate) -> None:
        """Carry out the call that it stands before, and run to the next one, or to the end."""
        self.fate = fate
        if fate is not Fate.GO:
            self.faults += 1
        self._go.release()
        self._wait()

    def pause(self) -> Fate:
        """Called by the actor itself: stop here until told to go on."""
        self._stopped.release()
        self._go.acquire()
        return self.fate

    def _wait(self) -> None:
        if not self._stopped.acquire(timeout=PATIENCE):
            raise AssertionError(f"{self.name} does not come to its next call")

    def _run(self, stage: "Stage") -> None:
        stage.enter(self)
        try:
            self.result = self.act()
        except Crash:
            self.crashed = True
        except Exception as error:  # told apart by whoever looks at the actor
            self.error = error
        except BaseException as error:
            self.bug = error
        finally:
            self.done = True
            self._stopped.release()


class Stage:
    """All actors of one test."""

    def __init__(self) -> None:
        self._here = threading.local()
        self.actors: list[Actor] = []

    def enter(self, actor: Actor) -> None:
        """Called by an actor's thread at its beginning."""
        self._here.actor = actor

    def start(self, name: str, act: Callable[[], Any], *, now: datetime, lives: timedelta) -> Actor:
        """A new actor, stopped before its first call."""
        actor = Actor(name=name, act=act, ends=now + lives)
        self.actors.append(actor)
        actor.start(self)
        return actor

    def waiting(self) -> list[Actor]:
        """The actors that stand before a call, oldest first."""
        return [actor for actor in self.actors if not actor.done]

    def pause(self) -> Fate:
        """Stop the calling thread's actor; who is no actor goes on."""
        actor = getattr(self._here, "actor", None)
        return actor.pause() if actor else Fate.GO

    def cut_off(self, now: datetime) -> None:
        """Whoever has run for too long dies where it stands."""
        for actor in self.waiting():
            if actor.ends <= now:
                self.crash(actor)

    def crash(self, actor: Actor) -> None:
        """Let `actor` die before its next call, whatever it tries in its last breath."""
        while not actor.done:
            actor.resume(Fate.CRASH_BEFORE)

    def finish(self, actor: Actor) -> None:
        """Let `actor` go on to its end."""
        while not actor.done:
            actor.resume(Fate.GO)
