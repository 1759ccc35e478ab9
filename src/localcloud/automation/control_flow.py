"""Which step may follow which, and whether a document's flow can come back to a step: the service refuses that.

Backward jumps are fine as long as they form no cycle. A jump out of a loop leaves from the loop's own step.
Source: Systems Manager User Guide, "Automation runbook: validation"; onCancel does not count, as a cancelled run ends.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from localcloud.automation.action_inputs import BRANCH
from localcloud.automation.document import Step

_JUMP = "step:"


def jump(rule: str) -> str:
    """The step that an onFailure or onCancel names; "" for Abort and Continue."""
    return rule.removeprefix(_JUMP) if rule.startswith(_JUMP) else ""


def cycles(steps: Sequence[Step]) -> Iterator[str]:
    """One sentence with the trace for a cycle of the document, and one for a cycle of each loop's body."""
    for inner in (step.steps for step in steps if step.steps):
        yield from _cycle(_edges(inner))
    yield from _cycle(_edges(steps))


def targets(step: Step) -> tuple[str, ...]:
    """The steps that a step names as those to go on with, onCancel left out."""
    choices = step.inputs.get("Choices", ()) if step.action == BRANCH else ()
    named = [choice["NextStep"] for choice in choices]
    named += [step.inputs.get("Default") or "" if step.action == BRANCH else "", step.next_step, jump(step.on_failure)]
    return tuple(name for name in named if name)


def _edges(steps: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    edges = {}
    for step, following in zip(steps, (*(after.name for after in steps[1:]), ""), strict=True):
        names = [*targets(step), *(name for inner in step.steps for name in targets(inner))]
        if following and _falls_through(step):
            names.append(following)
        edges[step.name] = tuple(dict.fromkeys(names))
    return {name: tuple(each for each in found if each in edges) for name, found in edges.items()}


def _falls_through(step: Step) -> bool:
    """Whether the next step of the list may follow."""
    if step.is_end or step.next_step:
        return False
    return not (step.action == BRANCH and step.inputs.get("Default")) or step.on_failure == "Continue"


def _cycle(edges: Mapping[str, Iterable[str]]) -> Iterator[str]:
    done: set[str] = set()
    for start in edges:
        trace = _back(start, edges, done)
        if trace:
            yield f"Cycle detected in the steps of the document: {' -> '.join(trace)}"
            return


def _back(start: str, edges: Mapping[str, Iterable[str]], done: set[str]) -> list[str]:
    """The way from a step back to itself that can be reached from `start`; [] if there is none. Not recursive."""
    path: list[str] = []
    waiting: list[tuple[str, Iterator[str]]] = []
    if start not in done:
        path, waiting = [start], [(start, iter(edges[start]))]
    while waiting:
        name, onward = waiting[-1]
        following = next(onward, None)
        if following is None:
            waiting.pop()
            path.pop()
            done.add(name)
        elif following in path:
            return [*path[path.index(following) :], following]
        elif following not in done:
            path.append(following)
            waiting.append((following, iter(edges[following])))
    return []
