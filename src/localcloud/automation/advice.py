"""What is legal in a runbook and yet hardly meant: the service says nothing at create, and the run goes astray.

For whoever checks a document before it is used; nothing here refuses anything.
"""

from collections.abc import Iterator

from localcloud.automation import java_patterns, references, selectors
from localcloud.automation.action_inputs import SCRIPT
from localcloud.automation.document import Runbook, Step
from localcloud.automation.references import AUTOMATION, GLOBALS, Kind, Reference


def advice(runbook: Runbook) -> list[str]:
    """One sentence for each doubtful place, in the document's order."""
    return [
        *_about_parameters(runbook),
        *(line for step in runbook.all_steps().values() for line in _of(step, runbook)),
    ]


def _about_parameters(runbook: Runbook) -> Iterator[str]:
    for parameter in runbook.parameters.values():
        if parameter.allowed_pattern and java_patterns.compiled(parameter.allowed_pattern) is None:
            yield f"Parameter {parameter.name}: its allowedPattern cannot be checked here and is not enforced."


def _of(step: Step, runbook: Runbook) -> Iterator[str]:
    script = step.inputs.get("Script") if step.action == SCRIPT else None
    if isinstance(script, str):
        for found in dict.fromkeys(references.in_text(script)):
            if _meaning(found, runbook) == "":
                yield f"Step {step.name}: {{{{ {found.text} }}}} in a script is not replaced; use InputPayload."
    for found in dict.fromkeys(
        references.in_value({key: each for key, each in step.inputs.items() if key != "Script"})
    ):
        doubt = _meaning(found, runbook)
        if doubt:
            yield f"Step {step.name}: {{{{ {found.text} }}}} {doubt}, so it stays as it is written."
    for output in step.outputs:
        try:
            selectors.parse(output.selector)
        except selectors.UnknownSelector:
            yield f"Step {step.name}: {output.name} has a selector that is not understood: {output.selector}"


def _meaning(found: Reference, runbook: Runbook) -> str:
    """Why a reference has no meaning; "" if it has one."""
    match found.kind:
        case Kind.OUTPUT if found.step not in runbook.all_steps():
            return f"names a step {found.step} that there is not"
        case Kind.GLOBAL if found.name not in GLOBALS:
            return f"is none of global:{', global:'.join(GLOBALS)}"
        case Kind.AUTOMATION if found.name not in AUTOMATION:
            return f"is none of automation:{', automation:'.join(AUTOMATION)}"
        case Kind.PARAMETER if found.text not in {**runbook.parameters, **runbook.variables}:
            return "is not declared"
        case Kind.OTHER:
            return "has a prefix that Automation does not know"
    return ""
