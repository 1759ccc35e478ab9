"""One command from its first step to its last: order, skipping, exit codes that end it early, and its replies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from localcloud.machines.agent.commands import results as outcome
from localcloud.machines.agent.commands.documents import Document, Step
from localcloud.machines.agent.commands.plugin import Ended, Place, Plugin, Stop
from localcloud.machines.agent.commands.results import Reply, StepResult
from localcloud.machines.agent.commands.states import Record

REBOOT_CODES = {"Linux": 194, "Windows": 3010}
SUCCEED_AND_LEAVE = 168
FAIL_AND_LEAVE = 169
# Plugins that exist, but not on every platform: such a step is skipped, not failed.
ELSEWHERE = frozenset({"aws:runShellScript", "aws:runPowerShellScript"})
_LEAVES = "Further document steps will be skipped."


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a node has to run documents with."""

    platform: str  # Linux | Windows
    plugins: Mapping[str, Plugin]
    environment: Mapping[str, str]
    time_scale: float


class Execution:
    """Runs one document; `tell` gets each reply, `keep` is called whenever the record has changed."""

    def __init__(
        self,
        document: Document,
        record: Record,
        surroundings: Surroundings,
        *,
        place: Place,
        tell: Callable[[Reply], None],
        keep: Callable[[], None],
    ) -> None:
        self._document = document
        self._record = record
        self._around = surroundings
        self._place = place
        self._tell = tell
        self._keep = keep

    def run(self, stop: Stop) -> str:
        """Run what is left of it; the document's status. AgentStopped if the agent went down meanwhile."""
        left = False
        for step in self._document.steps:
            known = self._record.results.get(step.name)
            if known is None or known.status == outcome.REBOOT:
                result = self._skipped(step) if left and not step.always else self._step(step, known, stop)
                self._record.results[step.name] = result
                self._keep()
                self._reply(outcome.IN_PROGRESS, {step.name: result})
                if result.status == outcome.REBOOT:
                    break
            left = left or self._leaves(step)
        status = outcome.document_status(self._record.results)
        # With several steps the last reply repeats none of them.
        self._reply(status, self._record.results if len(self._document.steps) == 1 else {})
        return status

    def _reply(self, status: str, steps: Mapping[str, StepResult]) -> None:
        record = self._record
        self._tell(
            Reply(
                job_id=record.job_id,
                topic="aws.ssm.sendCommand",
                status=status,
                steps=dict(steps),
                counts=outcome.counted(record.results),
            )
        )

    def _skipped(self, step: Step) -> StepResult:
        text = f"Plugin with name {step.action} and id {step.name} skipped due to prior step with an exit condition"
        return outcome.without_run(step.action, outcome.SKIPPED, text)

    def _step(self, step: Step, before: StepResult | None, stop: Stop) -> StepResult:
        if stop.cancelled.is_set():
            return outcome.without_run(step.action, outcome.CANCELLED, "")
        unmet = step.unmet(self._around.platform)
        if unmet.startswith("unrecognized"):
            text = f"{unmet}, please update agent to latest version. Step name: {step.name}"
            return outcome.without_run(step.action, outcome.FAILED, text[0].upper() + text[1:], code=1)
        if unmet:
            text = f"Step execution skipped due to {unmet}. Step name: {step.name}"
            return outcome.without_run(step.action, outcome.SKIPPED, text)
        plugin = self._around.plugins.get(step.action)
        if plugin is None:
            return _without_plugin(step)
        started = before.started if before is not None else outcome.stamp()
        return self._ended(step, self._all_runs(step, plugin, stop), started)

    def _all_runs(self, step: Step, plugin: Plugin, stop: Stop) -> Ended:
        """Old schemas may hold several runs in one step: their outputs are joined, the first that fails ends it."""
        output = errors = ""
        ended = Ended(code=0)
        for number in range(len(step.runs)):
            ended = plugin.run(step, number, self._place, stop)
            output, errors = output + ended.output, errors + ended.errors
            if ended.code != 0 or ended.stopped:
                break
        return replace(ended, output=output, errors=errors)

    def _ended(self, step: Step, ended: Ended, started: str) -> StepResult:
        status, remark = self._judge(step, ended)
        return outcome.of_streams(
            step.action,
            status,
            code=ended.code,
            output=ended.output,
            errors=ended.errors,
            started=started,
            remark=remark,
        )

    def _judge(self, step: Step, ended: Ended) -> tuple[str, str]:
        rebooting = ended.code == REBOOT_CODES[self._around.platform]
        if ended.stopped or rebooting:
            return ended.stopped or outcome.REBOOT, ""
        if ended.code in {SUCCEED_AND_LEAVE, FAIL_AND_LEAVE}:
            status = outcome.SUCCESS if ended.code == SUCCEED_AND_LEAVE else outcome.FAILED
            word = "succeeded" if status == outcome.SUCCESS else "failed"
            return status, f"Step exited with code {ended.code}. Therefore, marking step as {word}. {_LEAVES}"
        if ended.code != 0 and not step.on_failure:
            return outcome.FAILED, ""
        if ended.code != 0:
            status = outcome.SUCCESS if step.on_failure == "successAndExit" else outcome.FAILED
            return status, f"Step was found to have onFailure property. {_LEAVES}"
        if step.on_success == "exit":
            return outcome.SUCCESS, f"Step was found to have onSuccess property. {_LEAVES}"
        return outcome.SUCCESS, ""

    def _leaves(self, step: Step) -> bool:
        result = self._record.results[step.name]
        if result.code in {SUCCEED_AND_LEAVE, FAIL_AND_LEAVE}:
            return True
        if result.status in {outcome.SKIPPED, outcome.CANCELLED}:
            return False
        if result.code != 0:
            return bool(step.on_failure)
        return step.on_success == "exit"


def _without_plugin(step: Step) -> StepResult:
    if step.action in ELSEWHERE:
        text = f"Plugin with name {step.action} is not supported in current platform. Step name: {step.name}"
        return outcome.without_run(step.action, outcome.SKIPPED, text)
    text = (
        f"Plugin with name {step.action} is not supported by this version of ssm agent, "
        f"please update to latest version. Step name: {step.name}"
    )
    return outcome.without_run(step.action, outcome.FAILED, text, code=1)
