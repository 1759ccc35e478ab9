"""The patching runbook as a picture: boxes, arrows and their words are those of the YAML; only the places are ours."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from docs.generator.drawing import LINE, Box, Drawing
from docs.generator.runbook import Runbook, Step, patch_azure

WIDTH = 960
LEFT, MIDDLE, RIGHT = 172, 462, 752
LEFT_RAIL, INNER_RAIL, RIGHT_RAIL = 22, 630, 938
# Step → (middle of its column, row). A step that is missing here cannot be drawn: a test says so.
PLACES: Mapping[str, tuple[int, int]] = {
    "ResolveNode": (MIDDLE, 0),
    "ChoosePlatform": (MIDDLE, 1),
    "ExtractVMDetailsLinux": (LEFT, 2),
    "ExtractVMDetailsWindows": (RIGHT, 2),
    "DescribeVM": (MIDDLE, 3),
    "MayGoOn": (MIDDLE, 4),
    "HealthBeforeLinux": (LEFT, 5),
    "HealthBeforeWindows": (MIDDLE, 5),
    "ScanOnly": (RIGHT, 5),
    "TakeCheckpoint": (MIDDLE, 6),
    "CheckpointBegun": (MIDDLE, 7),
    "WaitForCheckpoint": (MIDDLE, 8),
    "CheckpointUsable": (MIDDLE, 9),
    "HasPrePatch": (MIDDLE, 10),
    "PrePatchLinux": (LEFT, 11),
    "PrePatchWindows": (RIGHT, 11),
    "InstallPatches": (MIDDLE, 12),
    "WatchPatches": (MIDDLE, 13),
    "AfterInstall": (MIDDLE, 14),
    "Scan": (MIDDLE, 15),
    "LookAfterwards": (MIDDLE, 16),
    "Judge": (MIDDLE, 17),
    "AfterVerdict": (MIDDLE, 18),
    "ReleaseCheckpoint": (LEFT, 19),
    "StopPatching": (RIGHT, 19),
    "RestoreCheckpoint": (RIGHT, 20),
    "VerifyRestored": (RIGHT, 21),
    "Report": (MIDDLE, 22),
    "IsItWell": (MIDDLE, 23),
    "Cancelled": (LEFT, 23),
    "FailIfWrong": (RIGHT, 24),
}
SUCCESS, FAILED = "Success", "Failed"
ENDS = {SUCCESS: (MIDDLE, 24), FAILED: (RIGHT, 25)}
# Ways that would run through boxes if they went straight: (step, next step) → where they run down.
RAILS: Mapping[tuple[str, str], int] = {
    ("MayGoOn", "Report"): RIGHT_RAIL,
    ("ScanOnly", "Report"): RIGHT_RAIL,
    ("CheckpointBegun", "Report"): RIGHT_RAIL,
    ("CheckpointUsable", "ReleaseCheckpoint"): LEFT_RAIL,
    ("AfterInstall", "Judge"): INNER_RAIL,
}
KINDS = {"invokeLambdaFunction": "ours", "loop": "loop", "branch": "plain"}


@dataclass(frozen=True, slots=True)
class Way:
    """An arrow: from a step to the next one, with what must hold for it."""

    source: str
    target: str
    words: tuple[str, ...] = ()


def runbook_flow() -> Drawing:
    """The whole flow."""
    runbook = patch_azure()
    strange = unplaced(step.name for step in runbook.steps)
    if strange:
        raise ValueError(f"PLACES and the runbook's steps differ: {', '.join(sorted(strange))}")
    ways = list(_ways(runbook))
    boxes, height = _boxes(runbook, ways)
    made = Drawing(
        WIDTH,
        height,
        "Runbook Azure-PatchVMWithRollback",
        "From the node's proof of its VM over health check, checkpoint, patches and evidence to the verdict: the "
        "checkpoint is released, or the VM is put back; a report always ends the run, and it fails if something is "
        "wrong.",
    )
    _legend(made)
    for way in ways:
        _arrow(made, boxes, way)
    for step in runbook.steps:
        _draw(made, boxes[step.name], step)
    for name, kind in ((SUCCESS, "good"), (FAILED, "over")):
        made.box(boxes[name], f"ends: {name}", kind=kind, round_=16)
    made.text((LEFT, boxes["Cancelled"].y - 30), "from whichever step", anchor="middle")
    made.text((LEFT, boxes["Cancelled"].y - 12), "is cancelled", anchor="middle")
    return made


def _ways(runbook: Runbook) -> Iterator[Way]:
    for step in runbook.steps:
        if step.action == "branch":
            yield from (Way(step.name, choice.target, choice.words) for choice in step.choices)
            otherwise = step.default or (SUCCESS if step.end else "")
            if otherwise:
                yield Way(step.name, otherwise, ("else",))
        elif step.name == "FailIfWrong":
            yield Way(step.name, FAILED)
        elif step.next:
            yield Way(step.name, step.next)


def _lines(step: Step) -> list[str]:
    lines = [] if step.action == "branch" else [step.what, *step.inside_lines]
    if step.on_failure not in {"", step.next, "Continue", "Abort"}:
        lines.append(f"fails → {step.on_failure}")
    return lines


def _boxes(runbook: Runbook, ways: Sequence[Way]) -> tuple[dict[str, Box], int]:
    """Where everything stands: rows are as high as their highest box, with room for the words above it."""
    texts = {step.name: _lines(step) for step in runbook.steps}
    places = {**PLACES, **ENDS}
    rows = max(row for _, row in places.values()) + 1
    boxes: dict[str, Box] = {}
    y = 76
    for row in range(rows):
        here = [name for name, (_, its) in places.items() if its == row]
        words = max((len(way.words) for way in ways if way.target in here and _falls(way)), default=0)
        y += 26 + (LINE * words if words else 0) + (8 if words else 0) if row else 0
        for name in here:
            lines = len(texts.get(name, ())) + 1
            width = 150 if name in ENDS else 286 if name in texts and runbook.step(name).action == "loop" else 264
            boxes[name] = Box(places[name][0] - width // 2, y, width, 16 + LINE * lines)
        y += max(boxes[name].height for name in here)
    return boxes, y + 30


def _falls(way: Way) -> bool:
    return (way.source, way.target) not in RAILS


def _draw(made: Drawing, box: Box, step: Step) -> None:
    kind = "over" if step.critical else KINDS.get(step.action, "plain")
    made.box(box, step.name, _lines(step), kind=kind, round_=22 if step.action == "branch" else 8)


def _arrow(made: Drawing, boxes: Mapping[str, Box], way: Way) -> None:
    source, target = boxes[way.source], boxes[way.target]
    rail = RAILS.get((way.source, way.target))
    if rail is not None:
        _by_rail(made, source, target, rail, way.words)
        return
    if source.bottom[0] == target.top[0]:
        made.arrow(source.bottom, target.top)
    elif target.y - (source.y + source.height) > 3 * LINE + 60:
        # Down first, so that the bend is just above where it leads.
        bend = target.y - 16
        made.arrow(source.bottom, (source.bottom[0], bend), (target.top[0], bend), target.top)
    else:
        bend = source.y + source.height + 13
        made.arrow(source.bottom, (source.bottom[0], bend), (target.top[0], bend), target.top)
    _say(made, target.top, way.words)


def _by_rail(made: Drawing, source: Box, target: Box, rail: int, words: tuple[str, ...]) -> None:
    leave, arrive = (source.left, target.left) if rail < source.x else (source.right, target.right)
    made.arrow(leave, (rail, leave[1]), (rail, arrive[1]), arrive)
    side = "end" if rail < source.x else "start"
    at = (leave[0] - 8, leave[1] - 6) if side == "end" else (leave[0] + 8, leave[1] - 6)
    for number, line in enumerate(words):
        made.text((at[0], at[1] - LINE * (len(words) - 1 - number)), line, anchor=side)


def _say(made: Drawing, top: tuple[int, int], words: tuple[str, ...]) -> None:
    for number, line in enumerate(words):
        made.text((top[0] + 9, top[1] - 12 - LINE * (len(words) - 1 - number)), line, anchor="start")


def _legend(made: Drawing) -> None:
    kinds = (
        ("function", "ours", 8),
        ("loop", "loop", 8),
        ("choice", "plain", 12),
        ("node or service", "plain", 6),
        ("gives the status", "over", 8),
    )
    x = 30
    for name, kind, round_ in kinds:
        made.box(Box(x, 22, 26, 24), "", kind=kind, round_=round_)
        made.text((x + 34, 39), name, anchor="start")
        x += 80 + 7 * len(name)


def unplaced(steps: Iterable[str]) -> set[str]:
    """The steps that have no place in the picture, and the places that have no step."""
    return set(steps) ^ set(PLACES)


def overlaps() -> list[tuple[str, str]]:
    """Boxes that lie on each other: none may."""
    runbook = patch_azure()
    boxes, _ = _boxes(runbook, list(_ways(runbook)))
    return [(one, other) for one, other in combinations(boxes, 2) if _overlap(boxes[one], boxes[other])]


def _overlap(one: Box, other: Box) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return not (beside or one.y + one.height <= other.y or other.y + other.height <= one.y)
