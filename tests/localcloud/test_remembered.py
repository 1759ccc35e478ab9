"""The names under which moto looks for an answer's member are those that it finds itself, asked once or often."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from botocore.model import Shape
from moto.core.serialize import AttributePickerContext, XFormedAttributePicker
from moto.core.utils import get_service_model

from localcloud.aws import remembered


class Parameter:
    """An object that moto would answer with."""


class Aliased:
    """One that brings aliases of its own."""

    class Meta:
        serialization_aliases: ClassVar = {"Name": "title"}


def _members() -> Iterator[tuple[str, Any]]:
    for operation in ("GetParameter", "DescribeActivations", "GetCommandInvocation"):
        shape = get_service_model("ssm").operation_model(operation).output_shape
        for key, member in shape.members.items():
            member.parent = shape
            yield key, member
    for described in ({}, {"locationName": "parameterName"}, {"locationName": "label"}):
        yield "Name", Shape("Text", {"type": "string", **described})


@pytest.mark.parametrize("answer", [{}, Parameter(), Aliased(), ValueError("no")], ids=lambda one: type(one).__name__)
def test_a_member_is_looked_for_where_moto_looks(answer: Any) -> None:
    remembered.install()
    picker = XFormedAttributePicker()

    for key, member in _members():
        context = AttributePickerContext(obj=answer, key=key, shape=member)
        own = list(dict.fromkeys(remembered._ask_moto(picker, context)))
        for _ in range(2):
            assert list(dict.fromkeys(picker.get_possible_keys(context))) == own
