"""The patching runbook as its YAML has it: steps, ways, parameters, outputs, and the tables of the reference page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml
from docs.generator.tables import code, table

import moorings
from moorings.deploy.runbooks import DEFAULTS, PATCH_AZURE

_COMPARISONS = frozenset({"StringEquals", "BooleanEquals"})


@dataclass(frozen=True, slots=True)
class Choice:
    """One way out of a branch, and what must hold for it."""

    target: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A step as the document has it; `next` is where it goes by itself, `""` if it ends."""

    wire: Mapping[str, Any] = field(repr=False)
    next: str
    inside: tuple["Step", ...] = ()

    @property
    def name(self) -> str:
        return str(self.wire["name"])

    @property
    def action(self) -> str:
        """Without its `aws:`."""
        return str(self.wire["action"]).partition(":")[2]

    @property
    def inputs(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.wire.get("inputs", {})
        return found

    @property
    def critical(self) -> bool:
        return bool(self.wire.get("isCritical", True))

    @property
    def end(self) -> bool:
        return bool(self.wire.get("isEnd", False))

    @property
    def on_failure(self) -> str:
        """`Continue`, `Abort` or the step that a failure leads to."""
        return str(self.wire.get("onFailure", "Abort")).removeprefix("step:")

    @property
    def default(self) -> str:
        return str(self.inputs.get("Default", ""))

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The ways out of a branch, in the order in which they are tried."""
        return tuple(Choice(each["NextStep"], tuple(_condition(each))) for each in self.inputs.get("Choices", ()))

    @property
    def what(self) -> str:
        """What it carries out, in a few words."""
        match self.action:
            case "invokeLambdaFunction":
                return f"function: {self.inputs['InputPayload']['call']}"
            case "runCommand":
                return str(self.inputs["DocumentName"])
            case "executeAwsApi":
                document = self.inputs.get("DocumentName")
                return f"{self.inputs['Api']}" + (f": {document}" if document else "")
            case "loop":
                return f"↻ at most {self.inputs['MaxIterations']} rounds, until {until(self)}"
            case "sleep":
                return f"sleep {self.inputs['Duration']}"
            case other:
                return other

    @property
    def inside_lines(self) -> list[str]:
        """The steps of a loop, a few to a line."""
        lines: list[str] = []
        for step in self.inside:
            if lines and len(lines[-1]) + len(step.name) < 38:
                lines[-1] += f" · {step.name}"
            else:
                lines.append(step.name)
        return lines


@dataclass(frozen=True, slots=True)
class Runbook:
    """The whole document."""

    wire: Mapping[str, Any]
    steps: tuple[Step, ...]

    def step(self, name: str) -> Step:
        """The step of this name."""
        return next(step for step in self.steps if step.name == name)


@cache
def patch_azure() -> Runbook:
    """The runbook of the patching room."""
    wire = yaml.safe_load((Path(moorings.__file__).parent / PATCH_AZURE).read_text(encoding="utf-8"))
    return Runbook(wire, tuple(_steps(wire["mainSteps"])))


def _steps(wires: list[Mapping[str, Any]]) -> Iterator[Step]:
    for wire, following in zip_longest(wires, wires[1:]):
        goes = wire.get("nextStep") or ("" if wire.get("isEnd") or following is None else following["name"])
        if wire["action"] == "aws:branch":
            goes = ""
        yield Step(wire, goes, tuple(_steps(wire["inputs"].get("Steps", []))))


def _condition(found: Mapping[str, Any], *, negated: bool = False) -> Iterator[str]:
    """A condition as lines of words; negation is pushed inward where it is a simple comparison."""
    if "And" in found or "Or" in found:
        joined = "And" in found
        lines = [line for each in found["And" if joined else "Or"] for line in _condition(each)]
        word = "and" if joined else "or"
        text = [lines[0], *(f"{word} {line}" for line in lines[1:])]
        yield from [f"not ({text[0]}", *text[1:-1], f"{text[-1]})"] if negated else text
    elif "Not" in found:
        yield from _condition(found["Not"], negated=not negated)
    else:
        yield _comparison(found, negated=negated)


def _comparison(found: Mapping[str, Any], *, negated: bool) -> str:
    operator = next(key for key in found if key in _COMPARISONS)
    value, name = found[operator], str(found["Variable"]).strip("{} ").rpartition(".")[2]
    if isinstance(value, bool):
        return f"not {name}" if negated == value else name
    return f"{name} {'≠' if negated else '='} {value}"


def until(step: Step) -> str:
    """When a loop ends, which is the opposite of the condition under which it goes on."""
    return " ".join(_condition({"Not": step.inputs["LoopCondition"]}))


def parameters() -> str:
    """Every parameter of the runbook."""
    rows = []
    for name, each in patch_azure().wire["parameters"].items():
        needed, _, meaning = each["description"].partition(") ")
        rows.append((code(name), each["type"], _default(name, each, needed), _values(each), meaning))
    return table(("parameter", "type", "default", "values", "meaning"), rows)


def _default(name: str, parameter: Mapping[str, Any], needed: str) -> str:
    if needed == "(Required":
        return "required"
    if name in DEFAULTS:
        return "the stack's own"
    default = parameter["default"]
    if isinstance(default, bool):
        return code(str(default).lower())
    return "none" if default in ("", []) else code(str(default))


def _values(parameter: Mapping[str, Any]) -> str:
    if "allowedValues" in parameter:
        return ", ".join(map(code, parameter["allowedValues"]))
    return code(parameter["allowedPattern"]) if "allowedPattern" in parameter else ""


def steps() -> str:
    """Every step; those of a loop below it."""
    rows: list[tuple[str, ...]] = []
    for step in patch_azure().steps:
        rows.append(_row(step))
        rows += [_row(inner, mark="↳ ", over="the round ends") for inner in step.inside]
    return table(("step", "does", "limit", "if it fails", "then"), rows)


def _row(step: Step, *, mark: str = "", over: str = "the end") -> tuple[str, ...]:
    failure = {"Continue": "goes on", "Abort": "ends the run"}.get(step.on_failure, code(step.on_failure))
    does = [f"*{_does(step)}*", *filter(None, [step.wire.get("description", "")])]
    return f"{mark}{code(step.name)}", ". ".join(does), _limit(step), failure, _then(step, over=over)


def _limit(step: Step) -> str:
    """How long one attempt may take, and how many there are where there may be more than one."""
    timeout, attempts = step.wire.get("timeoutSeconds"), step.wire.get("maxAttempts", 1)
    return (f"{attempts} × {timeout:,} s" if attempts > 1 else f"{timeout:,} s") if timeout else ""


def _does(step: Step) -> str:
    if step.action in {"invokeLambdaFunction", "executeAwsApi", "runCommand", "sleep"}:
        return step.what.replace("{{ ", "").replace(" }}", "")
    return {"branch": "chooses", "loop": step.what, "executeScript": "raises an error"}[step.action]


def _then(step: Step, *, over: str) -> str:
    if step.action == "branch":
        ways = [f"{code(each.target)} if {' '.join(each.words)}" for each in step.choices]
        ways += [f"else {code(step.default)}"] if step.default else [f"else {over}" if step.end else "else the next"]
        return "; ".join(ways)
    return code(step.next) if step.next else over


OUTPUTS: Mapping[str, str] = {
    "Outcome": "`PATCHED`, `UNCHANGED`, `ROLLED_BACK`, `ROLLBACK_FAILED` or `UNDECIDED`",
    "Reason": "one sentence: why",
    "Remedy": "what to do next; empty if nothing is to be done",
    "Snapshots": "ARM ids of the snapshots that are kept",
    "RestoredDisk": "ARM id of the OS disk that was made from the checkpoint, after a rollback",
    "FailedDisk": "ARM id of the OS disk that it replaced, after a rollback",
    "Evidence": "one line of JSON: what was seen, the verdict, warnings",
}


def outputs() -> str:
    """Every output of an execution."""
    types = {each["Name"]: each["Type"] for each in patch_azure().step("Report").wire["outputs"]}
    names = [each.partition(".")[2] for each in patch_azure().wire["outputs"]]
    return table(
        ("output", "type", "meaning"), [(code(f"Report.{name}"), types[name], OUTPUTS[name]) for name in names]
    )
