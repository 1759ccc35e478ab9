"""What the local cloud simulates, chose and refuses, from its own tables."""

import re

from docs.generator.tables import code, table

from localcloud.automation import choices as automation_choices
from localcloud.automation.action_inputs import ACTIONS
from localcloud.automation.actions.unsupported import UNSUPPORTED
from localcloud.aws.cloudformation.registry import registry
from localcloud.aws.notifications import PROTOCOLS
from localcloud.aws.refusals import REFUSED, SERVICES
from localcloud.aws.ssm import choices
from localcloud.azure import choices as azure_choices
from localcloud.machines.images import IMAGES, Image
from localcloud.machines.shims.texts import SIMULATED


def simulated() -> str:
    """What stands in for the real thing inside a simulated server."""
    return table(("in a machine", "what it does"), [(code(name), what) for name, what in SIMULATED.items()])


def images() -> str:
    """The operating systems that a machine can show."""
    rows = [(code(image.name), f"{image.label} {image.version}", _package_manager(image)) for image in IMAGES.values()]
    return table(("image", "says it is", "package manager"), rows)


def _package_manager(image: Image) -> str:
    if image.replayed:
        return "none: scripts are answered from recordings"
    return "real dpkg" if image.real_packages else "simulated"


def ssm_choices() -> str:
    """Where Systems Manager's behaviour is not published: the choices, from the table in their module."""
    return "\n".join(re.findall(r"^\|.*\|$", choices.__doc__ or "", re.MULTILINE)) + "\n"


def automation_choice_table() -> str:
    """The same of the Automation engine."""
    return "\n".join(re.findall(r"^\|.*\|$", automation_choices.__doc__ or "", re.MULTILINE)) + "\n"


def automation_actions() -> str:
    """Every action that a runbook may name, what it must be given, and whether the engine carries it out."""
    rows = [
        (code(name), ", ".join(map(code, taken.required)), "refused when reached" if name in UNSUPPORTED else "yes")
        for name, taken in sorted(ACTIONS.items())
    ]
    return table(("action", "must be given", "carried out"), rows)


def azure_choice_list() -> str:
    """Where Azure's behaviour is not known for certain: the fixed choices, from the list in their module."""
    return "\n".join(re.findall(r"^(?:- |  )\S.*$", azure_choices.__doc__ or "", re.MULTILINE)) + "\n"


def resource_types() -> str:
    """The CloudFormation types that templates may use."""
    return ", ".join(code(name) for name in sorted(registry())) + ".\n"


def refused_operations() -> str:
    """Operations that moto answers, but wrongly, and that are refused by name."""
    rows = [(code(f"{service}:{operation}"), why) for (service, operation), why in sorted(REFUSED.items())]
    return table(("refused", "why"), rows)


def services() -> str:
    """The AWS services that have an answer here at all."""
    return ", ".join(code(name) for name in sorted(SERVICES)) + ".\n"


def protocols() -> str:
    """What may subscribe to a topic."""
    return ", ".join(code(name) for name in sorted(PROTOCOLS)) + ".\n"
