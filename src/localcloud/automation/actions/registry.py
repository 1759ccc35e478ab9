"""All actions of schema 0.3 by name, but for those that the engine brings itself (flow, waiting, people, children)."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from localcloud.automation import choices
from localcloud.automation.actions.assert_property import AssertProperty
from localcloud.automation.actions.create_tags import CreateTags
from localcloud.automation.actions.execute_aws_api import ExecuteAwsApi
from localcloud.automation.actions.execute_script import ExecuteScript
from localcloud.automation.actions.invoke_function import InvokeFunction
from localcloud.automation.actions.protocol import Action
from localcloud.automation.actions.run_command import RunCommand
from localcloud.automation.actions.throttling import RetriesThrottling
from localcloud.automation.actions.unsupported import UNSUPPORTED, Unsupported
from localcloud.automation.actions.wait_property import WaitForProperty


def actions(
    *,
    throttled_retry: Callable[[], timedelta] = timedelta,
    cancel_commands: bool = choices.CANCEL_COMMANDS,
) -> Mapping[str, Action]:
    """Name → action. `throttled_retry`: how long throttled calls are repeated (the account's setting; none, if unset).

    What the engine cannot carry out is in there too, and refuses by its name once a step of it is reached.
    """
    callers: tuple[Action, ...] = (
        AssertProperty(),
        CreateTags(),
        ExecuteAwsApi(),
        InvokeFunction(),
        RunCommand(cancels=cancel_commands),
        WaitForProperty(),
    )
    carried_out: list[Action] = [RetriesThrottling(each, limit=throttled_retry) for each in callers]
    carried_out.append(ExecuteScript())
    carried_out += [Unsupported(name) for name in UNSUPPORTED]
    return {action.name: action for action in carried_out}
