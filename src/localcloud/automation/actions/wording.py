"""How the service words the failures of actions."""

from localcloud.automation.actions.protocol import ActionFailed, FailureStage, FailureType

_GUIDE = "Please refer to Automation Service Troubleshooting Guide for more diagnosis details."


def told(doing: str, what: str) -> str:
    """A step's failure: what the service was doing, what went wrong, and where to read on."""
    return f"Step fails when it is {doing}. {what.rstrip().removesuffix('.')}. {_GUIDE}"


def executing(what: str) -> str:
    """The failure of an API call that an action makes."""
    return told("executing/canceling action", what)


def invalid_input(what: str) -> ActionFailed:
    """An input that the service refuses when the step starts."""
    return ActionFailed(
        told("validating and resolving the step inputs", what),
        stage=FailureStage.INPUT_VALIDATION,
        kind=FailureType.VERIFICATION,
    )
