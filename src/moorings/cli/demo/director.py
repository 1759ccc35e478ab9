"""Plays the scenarios of patching: all at the same time, each on its VM, until every run is over."""

import time
from collections.abc import Callable, Sequence

from moorings.cli.demo.harbour import Harbour
from moorings.cli.demo.scenarios import Play
from moorings.cli.demo.verdicts import Played, over, played

DEADLINE_SECONDS = 120.0
LOOK_EVERY = 0.4  # seconds
START_EVERY = 0.4  # seconds between two starts: the service takes few in a second

Watcher = Callable[[float], None]


class Director:
    """One performance of some scenarios in a harbour."""

    def __init__(self, harbour: Harbour, plays: Sequence[Play]) -> None:
        self._harbour = harbour
        self._plays = plays
        self._waiting = list(plays)

    def run(self, on_look: Watcher, *, deadline: float = DEADLINE_SECONDS) -> list[Played]:
        """Play all; how each ended, in their order. `on_look` is told the seconds since the beginning after each look;
        who has not ended by the `deadline` (seconds) has no outcome."""
        for play in self._plays:
            if play.scenario.before:
                play.scenario.before(play)
        began = time.monotonic()
        while time.monotonic() - began < deadline:
            self._start_next()
            self._look()
            on_look(time.monotonic() - began)
            if not self._waiting and all(over(play) for play in self._plays):
                break
            time.sleep(START_EVERY if self._waiting else LOOK_EVERY)
        return [played(play) for play in self._plays]

    def _start_next(self) -> None:
        """Start the next scenario whose VM is ready; the second of two runs once the first holds the VM."""
        for play in self._waiting:
            ready = play.scenario.ready
            if ready and not ready(play):
                continue
            if play.scenario.twice and not play.first:
                play.first = self._start(play)
                return
            if play.scenario.twice and not (play.first_standing and play.first_standing.vm):
                continue
            play.execution = self._start(play)
            self._waiting.remove(play)
            if play.scenario.begun:
                play.scenario.begun(play)
            return

    def _start(self, play: Play) -> str:
        return self._harbour.start(play.berth.node, parameters=play.scenario.parameters)

    def _look(self) -> None:
        runs = {each: play.berth.node for play in self._plays for each in (play.first, play.execution) if each}
        standings = self._harbour.standings(runs)
        for play in self._plays:
            play.standing = standings.get(play.execution)
            play.first_standing = standings.get(play.first)
            if play.scenario.meanwhile:
                play.scenario.meanwhile(play)
