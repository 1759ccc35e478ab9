"""Who gets in: tokens, rights, linked rights, locks, versions, rates; in the order of Resource Manager."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.localcloud.azure.ground import Arm, copy_of

from localcloud.azure.rbac import Permission
from localcloud.azure.service import Azure
from localcloud.azure.tokens import Tokens
from localcloud.azure.vms import Vm
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud

AUDIENCE = "https://management.azure.com"
SNAPSHOT_RIGHTS = ["Microsoft.Compute/snapshots/write", "Microsoft.Compute/disks/beginGetAccess/action"]


@pytest.fixture
def vm(azure: Azure) -> Vm:
    return azure.vms.create(
        "web", identities=("/subscriptions/s/resourceGroups/g/providers/M/userAssignedIdentities/i",)
    )


@pytest.fixture
def someone(stepped_cloud: LocalCloud, azure: Azure, stepped: SteppedClock) -> Arm:
    """An application without any right."""
    token = stepped_cloud.world.part(Tokens).issue("the-object", "the-app", AUDIENCE)
    return Arm(azure, stepped, token=token)


def allow(azure: Azure, *actions: str, scope: str = "", without: tuple[str, ...] = ()) -> None:
    azure.rbac.assign(
        principal="the-object",
        role={"Name": "a role", "Actions": list(actions), "NotActions": list(without)},
        scope=scope or f"/subscriptions/{azure.subscription_id}",
    )


# -- tokens and versions


def test_a_request_without_a_good_token_gets_nothing(
    arm: Arm, vm: Vm, stepped: SteppedClock, stepped_cloud: LocalCloud
) -> None:
    tokens = stepped_cloud.world.part(Tokens)
    old = tokens.issue("the-object", "the-app", AUDIENCE)
    stepped.step(timedelta(hours=2))
    elsewhere = tokens.issue("the-object", "the-app", "https://vault.azure.net")

    answers = [
        arm.send("GET", vm.id, headers={"Authorization": value})
        for value in ("", "Basic abc", "Bearer abc", f"Bearer {old}", f"Bearer {elsewhere}")
    ]

    assert [each.status for each in answers] == [401] * 5
    assert [each.code for each in answers[2:]] == [
        "InvalidAuthenticationToken", "ExpiredAuthenticationToken", "InvalidAuthenticationToken"
    ]  # fmt: skip
    assert all("WWW-Authenticate" in each.headers for each in answers)


def test_the_version_is_required_and_known(arm: Arm, vm: Vm) -> None:
    assert arm.send("GET", vm.id, version="none").code == "MissingApiVersionParameter"
    assert arm.send("GET", vm.id, version="2019-13-13").code == "InvalidApiVersionParameter"


def test_bodies_are_json(arm: Arm, vm: Vm) -> None:
    assert arm.send("PATCH", vm.id, {"tags": {}}, headers={"Content-Type": "text/plain"}).status == 415
    assert arm.send("PUT", vm.id, ["x"]).code == "InvalidRequestContent"
    assert arm.send("PUT", arm.id("disks", "d")).code == "InvalidRequestContent"


def test_paths_are_matched_without_case_and_ids_keep_theirs(arm: Arm, vm: Vm) -> None:
    for spelling in (vm.id.upper().replace("/SUBSCRIPTIONS", "/subscriptions"), vm.id.lower()):
        assert arm.get(spelling)["id"] == vm.id


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nowhere", 404, "NotFound"),
        ("{group}/providers/Microsoft.Compute/disks/missing", 404, "ResourceNotFound"),
        ("{subscription}/resourceGroups/missing/providers/Microsoft.Compute/disks/d", 404, "ResourceGroupNotFound"),
        ("/subscriptions/other/resourceGroups/g/providers/Microsoft.Compute/disks/d", 404, "SubscriptionNotFound"),
        ("{group}/providers/Microsoft.Compute/restorePointCollections/c", 501, "NotSupportedByLocalCloud"),
        ("{group}/providers/Microsoft.Network/networkInterfaces/n", 501, "NotSupportedByLocalCloud"),
    ],
)
def test_what_is_not_there_is_named(arm: Arm, vm: Vm, path: str, status: int, code: str) -> None:
    subscription = f"/subscriptions/{arm.azure.subscription_id}"

    answer = arm.send("GET", path.format(subscription=subscription, group=f"{subscription}/resourceGroups/servers"))

    assert (answer.status, answer.code) == (status, code)


def test_subscription_and_group_are_shown(arm: Arm, vm: Vm) -> None:
    subscription = f"/subscriptions/{arm.azure.subscription_id}"

    assert arm.send("GET", subscription, version="2022-12-01").body["tenantId"] == arm.azure.tenant_id
    group = arm.send("GET", f"{subscription}/resourceGroups/SERVERS", version="2022-09-01").body
    assert (group["name"], group["location"]) == ("servers", "eastus")


# -- rights


def test_without_the_right_nobody_learns_what_is_there(someone: Arm, vm: Vm) -> None:
    answers = [someone.send("GET", target) for target in (vm.id, someone.id("virtualMachines", "never"))]

    assert [(each.status, each.code) for each in answers] == [(403, "AuthorizationFailed")] * 2
    assert "'Microsoft.Compute/virtualMachines/read'" in answers[0].body["error"]["message"]
    assert "'the-app' with object id 'the-object'" in answers[0].body["error"]["message"]


@pytest.mark.parametrize(
    ("actions", "without", "allowed"),
    [
        (("Microsoft.Compute/virtualMachines/read",), (), True),
        (("microsoft.compute/VIRTUALMACHINES/Read",), (), True),
        (("Microsoft.Compute/*/read",), (), True),
        (("*",), (), True),
        (("*/read",), ("Microsoft.Compute/*",), False),
        (("Microsoft.Compute/virtualMachines/*/read",), (), False),
        (("Microsoft.Compute/disks/read",), (), False),
        ((), (), False),
    ],
)
def test_actions_have_wildcards_and_exceptions(
    someone: Arm, azure: Azure, vm: Vm, actions: tuple[str, ...], without: tuple[str, ...], allowed: bool
) -> None:
    allow(azure, *actions, without=without)

    assert (someone.send("GET", vm.id).status == 200) == allowed


def test_an_exception_of_one_role_takes_nothing_from_another(someone: Arm, azure: Azure, vm: Vm) -> None:
    allow(azure, "*", without=("*/read",))
    allow(azure, "Microsoft.Compute/virtualMachines/read")

    assert someone.send("GET", vm.id).status == 200


def test_a_role_reaches_down_from_its_scope_and_not_up(someone: Arm, azure: Azure, vm: Vm) -> None:
    azure.vms.create("web2", resource_group="servers2")
    allow(azure, "*/read", scope=vm.id.rpartition("/providers/")[0])

    assert someone.send("GET", vm.id).status == 200
    assert someone.send("GET", someone.id("virtualMachines", "web2", "servers2")).status == 403
    assert (
        someone.send("GET", f"/subscriptions/{azure.subscription_id}/providers/Microsoft.Compute/disks").status == 403
    )


def test_a_role_is_assigned_within_its_assignable_scopes_only(azure: Azure) -> None:
    role = {"Actions": ["*"], "AssignableScopes": ["/subscriptions/other"]}

    with pytest.raises(ValueError, match="assignable scopes"):
        azure.rbac.assign(principal="p", role=role, scope=f"/subscriptions/{azure.subscription_id}")


def test_both_forms_of_a_role_definition_mean_the_same(azure: Azure) -> None:
    scope = f"/subscriptions/{azure.subscription_id}"
    flat = {"Name": "r", "Actions": ["a/read"], "NotActions": ["b/*"], "AssignableScopes": [scope]}
    nested = {
        "properties": {
            "roleName": "r",
            "permissions": [{"actions": ["a/read"], "notActions": ["b/*"]}],
            "assignableScopes": [scope],
        }
    }

    made = [azure.rbac.assign(principal="p", role=role, scope=scope) for role in (flat, nested)]

    assert {each.permissions for each in made} == {(Permission(actions=("a/read",), not_actions=("b/*",)),)}
    assert {each.role for each in made} == {"r"}


def test_a_snapshot_needs_access_to_its_source(someone: Arm, azure: Azure, vm: Vm) -> None:
    allow(azure, SNAPSHOT_RIGHTS[0])
    refused = someone.send("PUT", someone.id("snapshots", "s"), copy_of(vm.os_disk_id))
    allow(azure, SNAPSHOT_RIGHTS[1], scope=vm.os_disk_id)

    assert (refused.status, refused.code) == (403, "LinkedAuthorizationFailed")
    assert "'Microsoft.Compute/disks/beginGetAccess/action'" in refused.body["error"]["message"]
    assert someone.send("PUT", someone.id("snapshots", "s"), copy_of(vm.os_disk_id)).status == 202


def test_a_machines_put_needs_its_interfaces_and_identities_and_a_patch_only_what_it_names(
    someone: Arm, arm: Arm, azure: Azure, vm: Vm
) -> None:
    allow(azure, "Microsoft.Compute/virtualMachines/write", "Microsoft.Compute/locations/operations/read")

    refused = someone.send("PUT", vm.id, arm.get(vm.id))

    assert refused.code == "LinkedAuthorizationFailed"
    for action in ("networkInterfaces/join/action", "userAssignedIdentities/assign/action"):
        assert action in refused.body["error"]["message"]
    assert someone.send("PATCH", vm.id, {"tags": {}}).status == 200


def test_attaching_a_disk_needs_to_write_it(someone: Arm, arm: Arm, azure: Azure, vm: Vm) -> None:
    allow(azure, "Microsoft.Compute/virtualMachines/*")
    arm.do(
        "PUT", arm.id("disks", "d"), {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}}}
    )
    body = {"dataDisksToAttach": [{"diskId": arm.id("disks", "d")}]}

    assert (
        "Microsoft.Compute/disks/write"
        in someone.send("POST", f"{vm.id}/attachDetachDataDisks", body).body["error"]["message"]
    )


def test_monitors_are_read_with_the_right_at_any_scope(someone: Arm, azure: Azure, vm: Vm) -> None:
    allow(azure, "Microsoft.Compute/virtualMachines/powerOff/action", scope=vm.id)
    monitor = someone.send("POST", f"{vm.id}/powerOff").headers.get("Azure-AsyncOperation")

    assert someone.send("GET", monitor).code == "AuthorizationFailed"
    allow(azure, "Microsoft.Compute/locations/operations/read", scope=vm.id)
    assert someone.send("GET", monitor).status == 200


def test_permissions_tell_what_the_caller_has_at_a_scope(someone: Arm, azure: Azure, vm: Vm) -> None:
    allow(azure, "Microsoft.Authorization/*/read")
    allow(azure, "Microsoft.Compute/disks/*", without=("*/delete",), scope=vm.id.rpartition("/providers/")[0])
    allow(azure, "*", scope=vm.os_disk_id)

    answer = someone.send("GET", f"{vm.id}/providers/Microsoft.Authorization/permissions", version="2022-04-01")

    assert [(each["actions"], each["notActions"]) for each in answer.body["value"]] == [
        (["Microsoft.Authorization/*/read"], []),
        (["Microsoft.Compute/disks/*"], ["*/delete"]),
    ]


# -- locks


@pytest.mark.parametrize("where", ["vm", "group", "subscription"])
@pytest.mark.parametrize("level", ["CanNotDelete", "ReadOnly"])
def test_locks_bind_everything_below(arm: Arm, azure: Azure, vm: Vm, where: str, level: Any) -> None:
    group = vm.id.rpartition("/providers/")[0]
    scope = {"vm": vm.id, "group": group, "subscription": group.rpartition("/resourceGroups/")[0]}[where]
    lock = azure.locks.add(scope, level)

    answers = [
        arm.send("GET", vm.id), arm.send("PATCH", vm.id, {"tags": {}}), arm.send("POST", f"{vm.id}/start"),
        arm.send("DELETE", vm.id),
    ]  # fmt: skip

    if level == "ReadOnly":
        assert [each.code for each in answers] == [""] + ["ScopeLocked"] * 3
    else:
        # The PATCH runs, so the start meets a conflict and only the deletion a lock.
        assert [each.code for each in answers] == ["", "", "Conflict", "ScopeLocked"]
    azure.locks.remove(lock)
    assert arm.send("DELETE", vm.id).code != "ScopeLocked"


def test_locks_are_listed_at_above_and_below_a_scope(arm: Arm, azure: Azure, vm: Vm) -> None:
    group = vm.id.rpartition("/providers/")[0]
    azure.locks.add(vm.id, "ReadOnly", name="on-the-vm", notes="why")
    azure.locks.add(group, name="on-the-group")

    def names(scope: str, query: str = "") -> list[str]:
        answer = arm.send("GET", f"{scope}/providers/Microsoft.Authorization/locks{query}", version="2016-09-01")
        return [each["name"] for each in answer.body["value"]]

    assert names(group) == ["on-the-vm", "on-the-group"]
    assert names(group, "?$filter=atScope()") == ["on-the-group"]
    assert names(vm.id, "?$filter=atScope()") == ["on-the-vm", "on-the-group"]
    assert names(vm.os_disk_id) == ["on-the-group"]


# -- rates


def test_a_machine_may_be_updated_twelve_times_at_once_and_four_times_a_minute(
    arm: Arm, vm: Vm, azure: Azure, stepped: SteppedClock
) -> None:
    durations = azure.choices.durations
    durations.update = durations.start = timedelta(0)
    answers = [arm.send("PATCH", vm.id, {"tags": {}}) for _ in range(13)]

    refused = answers[-1]
    assert [each.status for each in answers] == [200] * 12 + [429]
    assert refused.body["code"] == "OperationNotAllowed", "compute throttles without the wrapper"
    assert refused.body["details"][0]["code"] == "TooManyRequests"
    assert json.loads(refused.body["details"][0]["message"])["operationGroup"] == "UpdateVM"
    assert refused.headers.get("Retry-After") == "15"
    assert refused.headers.get("x-ms-ratelimit-remaining-resource") == "Microsoft.Compute/UpdateVM;0"
    assert arm.send("POST", f"{vm.id}/deallocate").status == 202, "another bucket"
    stepped.step(timedelta(minutes=2))
    assert arm.send("POST", f"{vm.id}/start").status == 202


def test_the_headers_tell_what_is_left(arm: Arm, vm: Vm) -> None:
    first, second = (arm.send("GET", vm.id) for _ in range(2))

    assert first.headers.get("x-ms-ratelimit-remaining-subscription-reads") == "249"
    assert second.headers.get("x-ms-ratelimit-remaining-resource") == (
        "Microsoft.Compute/LowCostGet;34,Microsoft.Compute/LowCostGetSubscription;23998"
    )


def test_one_principal_does_not_use_up_the_buckets_of_another(arm: Arm, someone: Arm, azure: Azure, vm: Vm) -> None:
    allow(azure, "*")
    disk = vm.os_disk_id

    answers = [arm.send("GET", disk).status for _ in range(251)]

    assert answers == [200] * 250 + [429]
    assert someone.send("GET", disk).status == 200


def test_rates_can_be_switched_off(arm: Arm, azure: Azure, vm: Vm) -> None:
    azure.choices.throttling = False

    assert {arm.send("GET", vm.os_disk_id).status for _ in range(300)} == {200}
