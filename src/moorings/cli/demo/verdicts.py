"""How each scenario of the demo has ended, and whether that is how it has to end."""

from dataclasses import dataclass
from typing import Any

from moorings.cli.demo.harbour import concluded
from moorings.cli.demo.scenarios import Play, Scenario
from moorings.clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How a scenario ended. `disk` tells whether the VM was started from the files of its checkpoint; None if nobody
    put it back."""

    node: str
    name: str
    scenario: Scenario
    outcome: str  # empty: none by the deadline
    reason: str
    disk: bool | None
    seconds: float
    power: str
    as_told: bool  # whether everything about it is as the scenario says

    @property
    def row(self) -> dict[str, Any]:
        """The row of `--json`."""
        return {
            "node": self.node,
            "scenario": self.scenario.title,
            "outcome": self.outcome,
            "expected": self.scenario.expected.value,
            "disk_equals_checkpoint": self.disk,
            "seconds": round(self.seconds, 1),
        }


def over(play: Play) -> bool:
    """Whether all runs of a scenario are over."""
    standings = [play.standing, *([play.first_standing] if play.scenario.twice else [])]
    return all(standing is not None and concluded(standing) for standing in standings)


def played(play: Play) -> Played:
    """How a scenario has ended, and whether that is how it should: the outcome, the disk, and a VM that runs."""
    standing, scenario = play.standing, play.scenario
    outcome = standing.outcome if standing is not None and concluded(standing) else ""
    disk = play.harbour.equals_checkpoint(play.berth)
    power = play.berth.vm.power
    well = (
        outcome == scenario.expected.value
        and standing is not None
        and standing.wrong is scenario.wrong
        and (not scenario.warns or bool(standing.warnings))
        and (disk is True or not scenario.put_back)
        and (play.acted or not scenario.meanwhile)
        and power == "running"
    )
    return Played(
        node=play.berth.node,
        name=play.berth.name,
        scenario=scenario,
        outcome=outcome,
        reason=standing.reason if standing is not None else "it was not started",
        disk=disk,
        seconds=lasted(play),
        power=power,
        as_told=well,
    )


def lasted(play: Play) -> float:
    """Seconds from the start of the run to its record's last entry."""
    standing = play.standing
    if standing is None or standing.began_at is None:
        return 0.0
    ends = [standing.ended_at or SystemClock().now()]
    if standing.run is not None and standing.run.timeline:
        ends.append(standing.run.timeline[-1].at)
    return (max(ends) - standing.began_at).total_seconds()
