"""Every action of schema 0.3 has an owner; what is not carried out is refused by its name, and only when reached."""

import pytest
from tests.localcloud.automation.surroundings import a_call

from localcloud.automation import library
from localcloud.automation.actions.protocol import ActionFailed
from localcloud.automation.actions.registry import actions
from localcloud.automation.actions.unsupported import UNSUPPORTED

SCHEMA_0_3 = {
    "approve", "assertAwsResourceProperty", "branch", "changeInstanceState", "copyImage", "createImage", "createStack",
    "createTags", "deleteImage", "deleteStack", "executeAutomation", "executeAwsApi", "executeScript",
    "executeStateMachine", "invokeLambdaFunction", "invokeWebhook", "loop", "pause", "runCommand", "runInstances",
    "sleep", "updateVariable", "waitForAwsResourceProperty",
}  # fmt: skip


def test_every_action_of_the_schema_is_known() -> None:
    assert set(actions()) | library.OWN_NAMES == {f"aws:{name}" for name in SCHEMA_0_3}
    assert not set(actions()) & library.OWN_NAMES


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_carried_out_is_refused_by_name(name: str) -> None:
    action, inputs = actions()[name], dict.fromkeys(UNSUPPORTED[name], "given")
    action.check(inputs)

    with pytest.raises(ActionFailed, match=f"Step Do has the action {name}, which this engine does not support"):
        action.begin(a_call(name, inputs))


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_carried_out_is_validated_all_the_same(name: str) -> None:
    with pytest.raises(ActionFailed, match="Missing required input"):
        actions()[name].check({})
