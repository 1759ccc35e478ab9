"""What of a valid runbook this engine cannot carry out: told before it runs, and refused by name when it is reached."""

import shutil
from collections.abc import Iterator

from localcloud.automation.actions.api import why_not_callable
from localcloud.automation.actions.unsupported import UNSUPPORTED
from localcloud.automation.document import Runbook, Step
from localcloud.automation.references import in_text

_APIS = frozenset({"aws:executeAwsApi", "aws:assertAwsResourceProperty", "aws:waitForAwsResourceProperty"})


def unsupported(runbook: Runbook) -> list[str]:
    """One sentence for each step that will fail when it is reached, in the document's order."""
    return [f"Step {step.name}: {what}" for step in runbook.all_steps().values() for what in _of(step)]


def _of(step: Step) -> Iterator[str]:
    if step.action in UNSUPPORTED:
        yield f"the action {step.action} is not supported by this engine."
    if step.action == "aws:executeAutomation" and step.inputs.get("TargetLocations"):
        yield "TargetLocations (other accounts or Regions) are not supported by this engine."
    runtime = str(step.inputs.get("Runtime", ""))
    if step.action == "aws:executeScript" and runtime.startswith("PowerShell") and not shutil.which("pwsh"):
        yield f"the Runtime {runtime} needs pwsh, which this computer does not have."
    if step.action in _APIS:
        service, api = str(step.inputs.get("Service", "")), str(step.inputs.get("Api", ""))
        fault = "" if any(map(_refers, (service, api))) else why_not_callable(service, api)
        if fault:
            yield f"{fault}."


def _refers(text: str) -> bool:
    return any(True for _ in in_text(text))
