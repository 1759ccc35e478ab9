"""What lives on outside a stack: its activations and their codes. Found by the stack's name, whoever made them.

Nothing in CloudFormation knows them, so they must go by themselves once the stack is gone.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from moorings.clouds.aws import Aws, calling
from moorings.clouds.aws_errors import code_of

_GONE = frozenset({"InvalidActivation", "InvalidActivationId", "ParameterNotFound"})
_TELL_EVERY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How much was deleted."""

    activations: int
    codes: int


def sweep(stack: str, *, aws: Aws, on_progress: Callable[[str], None]) -> Swept:
    """Delete all activations and codes of every stack of this name, deleted ones included. The stack must be gone."""
    ssm = aws.client("ssm")
    activations = codes = 0
    for activation_id in list(_activations(ssm, stack)):
        _delete(ssm.delete_activation, "ssm:DeleteActivation", ActivationId=activation_id)
        activations += 1
        if not activations % _TELL_EVERY:
            on_progress(f"deleted {activations} activations")
    for name in list(_codes(ssm, stack)):
        _delete(ssm.delete_parameter, "ssm:DeleteParameter", Name=name)
        codes += 1
        if not codes % _TELL_EVERY:
            on_progress(f"deleted {codes} codes")
    return Swept(activations=activations, codes=codes)


def _activations(ssm: Any, stack: str) -> Iterator[str]:
    ours = re.compile(rf"moorings stack={re.escape(stack)}-[0-9a-f]{{8}} .*")
    with calling("ssm:DescribeActivations"):
        for page in ssm.get_paginator("describe_activations").paginate(PaginationConfig={"PageSize": 50}):
            for each in page["ActivationList"]:
                if ours.fullmatch(each.get("Description", "")):
                    yield each["ActivationId"]


def _codes(ssm: Any, stack: str) -> Iterator[str]:
    ours = re.compile(rf"/moorings/{re.escape(stack)}-[0-9a-f]{{8}}/[^/]+")
    begins = [{"Key": "Name", "Option": "BeginsWith", "Values": [f"/moorings/{stack}-"]}]
    with calling("ssm:DescribeParameters"):
        for page in ssm.get_paginator("describe_parameters").paginate(
            ParameterFilters=begins, PaginationConfig={"PageSize": 50}
        ):
            for each in page["Parameters"]:
                if ours.fullmatch(each["Name"]):
                    yield each["Name"]


def _delete(operation: Callable[..., Any], call: str, **what: str) -> None:
    with calling(call):
        try:
            operation(**what)
        except ClientError as error:
            if code_of(error) not in _GONE:  # somebody was faster
                raise
