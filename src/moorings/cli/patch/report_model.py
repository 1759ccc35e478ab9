"""What a report tells of each node: spans of time by lane, what the node printed, and the story. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moorings.cli.patch.rows import outcome_word
from moorings.cli.patch.story import Story, step_name, story_json
from moorings.cli.terminal import clean
from moorings.patching.executions import StepRun

LONGEST_OUTPUT = 4_000  # characters of one command that are shown: the last ones, where errors are
# Lane → steps of the runbook that belong to it, by the beginning of their names.
LANES: Mapping[str, tuple[str, ...]] = {
    "identity": ("ResolveNode", "ExtractVMDetails", "DescribeVM"),
    "health before": ("HealthBefore",),
    "checkpoint": ("TakeCheckpoint", "WaitForCheckpoint"),
    "patching": ("PrePatch", "InstallPatches", "WatchPatches", "ScanOnly"),
    "looking": ("Scan", "LookAfterwards", "Judge"),
    "restoring": ("StopPatching", "RestoreCheckpoint", "VerifyRestored"),
    "report": ("ReleaseCheckpoint", "Report", "Cancelled"),
}
_NO_LANE = frozenset({"aws:branch"})
# Steps whose printed text helps a person; identity is left out: it is long, and signed.
_PRINTING = ("HealthBefore", "PrePatch", "ScanOnly", "Scan", "HealthAfter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One step on a lane."""

    lane: str
    name: str
    status: str
    began_at: datetime
    ended_at: datetime

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended_at - self.began_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a command printed on the node. `cut`: characters before it that are left out."""

    title: str
    text: str
    cut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One node."""

    story: Story
    spans: tuple[Span, ...] = ()
    printed: tuple[Printed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Some executions with all their nodes. `detailed` of them have their steps; the record tells of the others."""

    made_at: datetime
    stack: str
    region: str
    document: str
    executions: tuple[str, ...]
    nodes: tuple[NodeReport, ...]
    stopped: str = ""
    detailed: int = 0

    @property
    def wrong(self) -> bool:
        """Whether anything is wrong with any node."""
        return bool(self.stopped) or any(node.story.standing.wrong for node in self.nodes)

    @property
    def counts(self) -> dict[str, int]:
        """Nodes by outcome, most frequent first."""
        return dict(Counter(outcome_word(node.story.standing) for node in self.nodes).most_common())

    @property
    def began_at(self) -> datetime | None:
        """When the first node began."""
        return min((each for node in self.nodes if (each := node.story.standing.began_at)), default=None)

    @property
    def ended_at(self) -> datetime | None:
        """When the last one ended, or this was made while one goes on."""
        ends = [node.story.standing.ended_at or self.made_at for node in self.nodes if node.story.standing.began_at]
        return max(ends, default=None)


def spans_of(steps: Iterable[StepRun], *, until: datetime) -> tuple[Span, ...]:
    """The steps as spans on their lanes; rounds of loops are inside of their loop's span."""
    return tuple(
        Span(
            lane=lane,
            name=step.name,
            status=step.status,
            began_at=step.began_at,
            ended_at=max(step.ended_at or until, step.began_at),
        )
        for step in steps
        if step.began_at is not None
        and not step.within
        and step.action not in _NO_LANE
        and (lane := lane_of(step.name))
    )


def lane_of(name: str) -> str:
    """The lane that a step belongs to, by the longest beginning that fits; empty for none."""
    found = [(len(start), lane) for lane, starts in LANES.items() for start in starts if name.startswith(start)]
    return max(found)[1] if found else ""


def printed_by(steps: Iterable[StepRun]) -> tuple[Printed, ...]:
    """What the steps' commands printed, the last round of a loop alone."""
    texts = {
        step.name: (step_name(step), step.outputs["Output"])
        for step in steps
        if step.name.startswith(_PRINTING) and step.outputs.get("Output", "").strip()
    }
    return tuple(printed(title, text) for title, text in texts.values())


def printed(title: str, text: str) -> Printed:
    """A node's output made harmless and short."""
    whole = clean(text.strip("\n"))
    cut = max(0, len(whole) - LONGEST_OUTPUT)
    return Printed(title=title, text=whole[cut:], cut=cut)


def install_command(steps: Sequence[StepRun]) -> str:
    """The id of the command that installed; empty if there was none."""
    found = (step.outputs.get("CommandId", "") for step in steps if step.name == "InstallPatches")
    return next((command for command in found if command and "{{" not in command), "")


def report_json(report: Report) -> dict[str, Any]:
    """The report as an object."""
    return {
        "made_at": report.made_at,
        "stack": report.stack,
        "region": report.region,
        "document": report.document,
        "executions": list(report.executions),
        "wrong": report.wrong,
        "stopped": report.stopped,
        "counts": report.counts,
        "nodes": [_node_json(node, report.made_at) for node in report.nodes],
    }


def _node_json(node: NodeReport, now: datetime) -> dict[str, Any]:
    return {
        **story_json(node.story, now),
        "steps": [
            {
                "lane": span.lane,
                "step": span.name,
                "status": span.status,
                "began_at": span.began_at,
                "seconds": round(span.seconds, 1),
            }
            for span in node.spans
        ],
        "printed": [{"step": each.title, "text": each.text, "cut": each.cut} for each in node.printed],
    }
