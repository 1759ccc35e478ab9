"""What the page about costs takes from the templates and from the runbook."""

from docs.generator.runbook import patch_azure
from docs.generator.tables import table
from docs.generator.templates import of_type, template

from moorings.deploy import templates as texts

_HOURS = 730  # of a month, as AWS counts
_A_MONTH = {"rate(5 minutes)": _HOURS * 12, "rate(1 minute)": _HOURS * 60}
_STACKS = (texts.STACK, texts.PATCHING)
_MEMORY = {texts.STACK: ("ApiMemory", "KeeperMemory"), texts.PATCHING: ("FunctionMemory", "FunctionMemory")}


def inputs() -> str:
    """What each stack has that costs by being there, as its template says."""
    rows = []
    for what, of in (
        ("alarms", lambda stack: len(of_type("AWS::CloudWatch::Alarm", stack=stack))),
        ("dashboards", lambda stack: len(of_type("AWS::CloudWatch::Dashboard", stack=stack))),
        (
            "KMS keys (enrolment: unless you give one; patching: with a topic of outcomes)",
            lambda stack: len(of_type("AWS::KMS::Key", stack=stack)),
        ),
        ("keeper's runs in a month of 730 hours", _keeper_runs),
        ("memory of function and keeper, GB", _memory),
        ("days that logs are kept", lambda stack: template(stack)["Parameters"]["LogRetentionDays"]["Default"]),
    ):
        told = (f"{number:,}" if isinstance(number := of(stack), int) else number for stack in _STACKS)
        rows.append((what, *told))
    return table(("", "enrolment", "patching"), rows)


def rounds() -> str:
    """How many steps a round of each of the runbook's loops is; of two for two systems, one."""
    loops = {
        step.name: sum(not each.name.endswith("Windows") for each in step.inside)
        for step in patch_azure().steps
        if step.inside
    }
    return table(("loop", "steps a round, at most"), [(f"`{name}`", str(steps)) for name, steps in loops.items()])


def _keeper_runs(stack: str) -> int:
    [rule] = [each for each in of_type("AWS::Events::Rule", stack=stack).values() if "ScheduleExpression" in each]
    return _A_MONTH[rule["ScheduleExpression"]]


def _memory(stack: str) -> str:
    parameters = template(stack)["Parameters"]
    return " and ".join(f"{parameters[name]['Default'] / 1024:g}" for name in _MEMORY[stack])
