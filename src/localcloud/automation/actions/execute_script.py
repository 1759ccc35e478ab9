"""aws:executeScript: a Python or PowerShell script in a process of its own; `$` is `{"Payload": what it returned}`."""

import json
import re
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from localcloud.automation.actions.inputs import only, require, text
from localcloud.automation.actions.protocol import REAL_WORK, ActionFailed, FailureStage, Finished, StepCall, Turn
from localcloud.automation.actions.single import SingleTurn
from localcloud.automation.actions.wording import executing, invalid_input, told
from localcloud.automation.sandbox import (
    OUTPUT_LIMIT,
    Processes,
    Script,
    ScriptEnded,
    ScriptStopped,
    run_powershell,
    run_python,
)

_INPUTS = ("Runtime", "Handler", "InputPayload", "Script", "Attachment")
_PYTHON = re.compile(r"python3\.\d{1,2}")
_POWERSHELL = re.compile(r"PowerShell( Core)? \d+\.\d+")
_POLLING = "Poll action status for completion"


class ExecuteScript(SingleTurn):
    """Runs the script with the host's Python, whichever version 3 the runbook names."""

    name = "aws:executeScript"
    default_timeout: timedelta | None = REAL_WORK[name]

    def __init__(self) -> None:
        self._processes = Processes()

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Runtime, a script or attachment, and for Python a handler."""
        require(inputs, "Runtime")
        only(inputs, _INPUTS)
        runtime = text(inputs, "Runtime")
        if not inputs.get("Script") and not inputs.get("Attachment"):
            raise invalid_input("Missing required input: Script or Attachment")
        for name in ("Script", "Attachment", "Handler"):
            text(inputs, name)
        if not isinstance(inputs.get("InputPayload") or {}, Mapping):
            raise invalid_input("Input InputPayload must be a StringMap")
        if _PYTHON.fullmatch(runtime):
            require(inputs, "Handler")
        elif not _POWERSHELL.fullmatch(runtime):
            raise invalid_input(f"Unsupported Runtime: {runtime}")

    def begin(self, call: StepCall) -> Turn:
        """The script, from start to end."""
        runtime = text(call.inputs, "Runtime")
        script = Script(
            text=text(call.inputs, "Script"),
            handler=text(call.inputs, "Handler"),
            events=dict(call.inputs.get("InputPayload") or {}),
            context=_context(call),
            attachment=_attachment(call),
        )
        try:
            ended = self._python(call, script) if _PYTHON.fullmatch(runtime) else self._powershell(call, script)
        except ScriptStopped as error:
            raise ActionFailed(told(_POLLING, str(error)), timed_out=True) from error
        return _judged(ended)

    def cancel(self, call: StepCall, state: Any) -> None:
        """Kill the script."""
        self._processes.kill(id(call))

    def close(self) -> None:
        """Kill every script: the engine ends, and nothing of it stays behind."""
        self._processes.close()

    def _python(self, call: StepCall, script: Script) -> ScriptEnded:
        return run_python(
            script,
            environment=call.surroundings.script_environment,
            timeout=REAL_WORK[self.name].total_seconds(),
            processes=self._processes,
            key=id(call),
        )

    def _powershell(self, call: StepCall, script: Script) -> ScriptEnded:
        pwsh = shutil.which("pwsh")
        if pwsh is None:
            runtime = text(call.inputs, "Runtime")
            raise ActionFailed(
                executing(f"Step {call.step.name} has the Runtime {runtime}, which this engine supports only with pwsh")
            )
        return run_powershell(
            script,
            environment=call.surroundings.script_environment,
            timeout=REAL_WORK[self.name].total_seconds(),
            processes=self._processes,
            key=id(call),
            pwsh=pwsh,
        )


def _context(call: StepCall) -> dict[str, str]:
    around = call.surroundings
    return {
        "global:REGION": around.region,
        "global:ACCOUNT_ID": around.account,
        "global:AWS_PARTITION": around.partition,
        "automation:EXECUTION_ID": around.execution_id,
    }


def _attachment(call: StepCall) -> tuple[str, bytes] | None:
    name = text(call.inputs, "Attachment")
    if not name:
        return None
    content = call.surroundings.attachments.get(name)
    if content is None:
        raise invalid_input(f"The document has no attachment {name}")
    if PurePosixPath(name).name != name or not name.endswith((".py", ".zip")):
        raise invalid_input(f"Attachment {name} must be a .py or .zip file")
    return name, content


def _judged(ended: ScriptEnded) -> Finished:
    if ended.error:
        raise ActionFailed(told(_POLLING, ended.error))
    payload = json.dumps(ended.payload)
    if len(payload.encode()) > OUTPUT_LIMIT:
        raise ActionFailed(
            told(_POLLING, f"The script returned more than {OUTPUT_LIMIT} bytes"), stage=FailureStage.POST_VERIFICATION
        )
    root = {"Payload": ended.payload}
    return Finished(root=root, outputs={**root, "OutputPayload": json.dumps(root)})
