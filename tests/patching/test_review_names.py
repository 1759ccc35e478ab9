"""Names that a node tells us go into addresses: only what can be a name does."""

import pytest

from moorings.patching.model import vm_ref

SUBSCRIPTION = "11111111-2222-4333-8444-555555555555"


def resource(group: str = "rg", name: str = "web-1", subscription: str = SUBSCRIPTION) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"


@pytest.mark.parametrize(
    "odd",
    [
        "..",
        ".",
        "x?api-version=1",
        "x#y",
        "x y",
        "%2e%2e",
        "x\ny",
        "x;y",
        "x\\y",
        "x@y",
        "x:y",
        "\u202e1",
        "x" * 200,
        "",
    ],
)
def test_what_can_be_no_name_is_no_vm(odd: str) -> None:
    assert vm_ref(resource(name=odd)) is None
    assert vm_ref(resource(group=odd)) is None
    assert vm_ref(resource(subscription=odd)) is None


@pytest.mark.parametrize(
    ("group", "name"), [("rg_1.a(b)-c", "web_1.a-b"), ("Gruppe-Süd", "web-1"), ("(prod)", "0"), ("RG", "x" * 64)]
)
def test_what_azure_takes_as_names_is_a_vm(group: str, name: str) -> None:
    found = vm_ref(resource(group=group, name=name).upper())

    assert found is not None
    assert (found.group, found.name) == (group.upper(), name.upper())
