"""How long a command may take: what its document says of its steps, for the service's own clock.

Source: Systems Manager User Guide, "Understanding command timeout values": total timeout = delivery timeout
(TimeoutSeconds) + execution timeout of the document.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from localcloud.aws.ssm.document_model import CommandStep, DocumentVersion, steps_of

DEFAULT_DELIVERY = timedelta(hours=1)
DEFAULT_EXECUTION = timedelta(hours=1)  # of one step; the agent takes it for values out of bounds too
SHORTEST_SECONDS, LONGEST_SECONDS = 5, 172_800

_REFERENCE = re.compile(r"\{\{\s*([a-zA-Z0-9]+)\s*\}\}")


def execution_timeout(document: DocumentVersion, parameters: Mapping[str, Any]) -> timedelta:
    """The document's execution timeout with these (typed) parameters.

    Chosen here: the steps' timeouts added up; of steps that demand a platform only those of one platform count,
    whichever takes longest, since they exclude each other.
    """
    values = {name: declared.get("default") for name, declared in document.parameters.items()} | dict(parameters)
    steps = steps_of(document.content)
    platforms = {step.on_one_platform for step in steps} - {""}
    return max(_sum((step for step in steps if step.on_one_platform in ("", one)), values) for one in platforms or {""})


def _sum(steps: Iterable[CommandStep], values: Mapping[str, Any]) -> timedelta:
    return sum((_of_step(step, values) for step in steps), timedelta())


def _of_step(step: CommandStep, values: Mapping[str, Any]) -> timedelta:
    given = step.inputs.get("timeoutSeconds")
    if isinstance(given, str) and (found := _REFERENCE.fullmatch(given.strip())):
        given = values.get(found[1])
    text = str(given).strip() if given is not None else ""
    if text.isdigit() and SHORTEST_SECONDS <= int(text) <= LONGEST_SECONDS:
        return timedelta(seconds=int(text))
    return DEFAULT_EXECUTION
