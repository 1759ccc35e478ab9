"""AWS::IAM: roles, inline policies of roles, managed policies."""

import json
from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import DOCUMENT, INTEGER, TAGS, TEXT, ListOf, Struct
from localcloud.aws.cloudformation.tags import retag, tag_pairs, tags_of
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType

Properties = Mapping[str, Any]


def _dumps(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))


class Role(ResourceType):
    """A role with its trust, inline and managed policies; what is put on it from outside goes with it."""

    name = "AWS::IAM::Role"
    properties = Struct(
        {
            "RoleName": TEXT,
            "Path": TEXT,
            "Description": TEXT,
            "AssumeRolePolicyDocument": DOCUMENT,
            "MaxSessionDuration": INTEGER,
            "PermissionsBoundary": TEXT,
            "ManagedPolicyArns": ListOf(TEXT),
            "Policies": ListOf(
                Struct({"PolicyName": TEXT, "PolicyDocument": DOCUMENT}, required=("PolicyName", "PolicyDocument"))
            ),
            "Tags": TAGS,
        },
        required=("AssumeRolePolicyDocument",),
    )
    replaced_by = frozenset({"RoleName", "Path"})
    attributes = frozenset({"Arn", "RoleId"})
    needs_capability = True
    named_by = "RoleName"

    def create(self, place: Place, properties: Properties) -> Made:
        client = place.client("iam")
        name = properties.get("RoleName") or place.name()
        arguments = {
            key: properties[key]
            for key in ("Path", "Description", "MaxSessionDuration", "PermissionsBoundary")
            if key in properties
        }
        role = client.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=_dumps(properties["AssumeRolePolicyDocument"]),
            Tags=tag_pairs(tags_of(properties)),
            **arguments,
        )["Role"]
        made = Made(id=name, attributes={"Arn": role["Arn"], "RoleId": role["RoleId"]})
        try:
            self._policies(client, name, {}, properties)
        except Exception:
            self.delete(place, made, properties)
            raise
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        client = place.client("iam")
        if old["AssumeRolePolicyDocument"] != new["AssumeRolePolicyDocument"]:
            client.update_assume_role_policy(RoleName=made.id, PolicyDocument=_dumps(new["AssumeRolePolicyDocument"]))
        if any(old.get(key) != new.get(key) for key in ("Description", "MaxSessionDuration")):
            client.update_role(
                RoleName=made.id,
                Description=new.get("Description", ""),
                MaxSessionDuration=new.get("MaxSessionDuration", 3600),
            )
        if old.get("PermissionsBoundary") != new.get("PermissionsBoundary"):
            if "PermissionsBoundary" in new:
                client.put_role_permissions_boundary(RoleName=made.id, PermissionsBoundary=new["PermissionsBoundary"])
            else:
                client.delete_role_permissions_boundary(RoleName=made.id)
        self._policies(client, made.id, old, new)
        retag(
            old,
            new,
            untag=lambda keys: client.untag_role(RoleName=made.id, TagKeys=keys),
            tag=lambda tags: client.tag_role(RoleName=made.id, Tags=tag_pairs(tags)),
        )
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("iam")
        try:
            attached = client.list_attached_role_policies(RoleName=made.id)["AttachedPolicies"]
        except client.exceptions.NoSuchEntityException:
            return
        for policy in attached:
            client.detach_role_policy(RoleName=made.id, PolicyArn=policy["PolicyArn"])
        for name in client.list_role_policies(RoleName=made.id)["PolicyNames"]:
            client.delete_role_policy(RoleName=made.id, PolicyName=name)
        client.delete_role(RoleName=made.id)

    def _policies(self, client: Any, name: str, old: Properties, new: Properties) -> None:
        inline = {one["PolicyName"]: one["PolicyDocument"] for one in new.get("Policies", [])}
        had = {one["PolicyName"]: one["PolicyDocument"] for one in old.get("Policies", [])}
        for policy, document in inline.items():
            if had.get(policy) != document:
                client.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=_dumps(document))
        for policy in set(had) - set(inline):
            client.delete_role_policy(RoleName=name, PolicyName=policy)
        attached, before = set(new.get("ManagedPolicyArns", [])), set(old.get("ManagedPolicyArns", []))
        for arn in sorted(attached - before):
            client.attach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in sorted(before - attached):
            client.detach_role_policy(RoleName=name, PolicyArn=arn)


class Policy(ResourceType):
    """An inline policy put on roles of this or another stack."""

    name = "AWS::IAM::Policy"
    properties = Struct(
        {"PolicyName": TEXT, "PolicyDocument": DOCUMENT, "Roles": ListOf(TEXT)},
        required=("PolicyName", "PolicyDocument"),
    )
    replaced_by = frozenset({"PolicyName"})
    needs_capability = True

    def create(self, place: Place, properties: Properties) -> Made:
        if not properties.get("Roles"):
            raise Failed("At least one of [Groups,Roles,Users] must be non-empty.")
        self._put(place, properties)
        return Made(id=place.name())

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        self._put(place, new)
        self._remove(place, old, set(old.get("Roles", [])) - set(new.get("Roles", [])))
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        self._remove(place, properties, set(properties.get("Roles", [])))

    def _put(self, place: Place, properties: Properties) -> None:
        for role in properties["Roles"]:
            place.client("iam").put_role_policy(
                RoleName=role,
                PolicyName=properties["PolicyName"],
                PolicyDocument=_dumps(properties["PolicyDocument"]),
            )

    def _remove(self, place: Place, properties: Properties, roles: set[str]) -> None:
        client = place.client("iam")
        for role in sorted(roles):
            try:
                client.delete_role_policy(RoleName=role, PolicyName=properties["PolicyName"])
            except client.exceptions.NoSuchEntityException:
                continue


class ManagedPolicy(ResourceType):
    """A managed policy of the account, attached to roles."""

    name = "AWS::IAM::ManagedPolicy"
    properties = Struct(
        {
            "ManagedPolicyName": TEXT,
            "Path": TEXT,
            "Description": TEXT,
            "PolicyDocument": DOCUMENT,
            "Roles": ListOf(TEXT),
        },
        required=("PolicyDocument",),
    )
    replaced_by = frozenset({"ManagedPolicyName", "Path", "Description"})
    attributes = frozenset({"PolicyArn"})
    needs_capability = True
    named_by = "ManagedPolicyName"

    def create(self, place: Place, properties: Properties) -> Made:
        client = place.client("iam")
        arguments = {key: properties[key] for key in ("Path", "Description") if key in properties}
        policy = client.create_policy(
            PolicyName=properties.get("ManagedPolicyName") or place.name(limit=128),
            PolicyDocument=_dumps(properties["PolicyDocument"]),
            **arguments,
        )["Policy"]
        for role in properties.get("Roles", []):
            client.attach_role_policy(RoleName=role, PolicyArn=policy["Arn"])
        return Made(id=policy["Arn"], attributes={"PolicyArn": policy["Arn"]})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        client = place.client("iam")
        if old["PolicyDocument"] != new["PolicyDocument"]:
            client.create_policy_version(
                PolicyArn=made.id, PolicyDocument=_dumps(new["PolicyDocument"]), SetAsDefault=True
            )
            for version in client.list_policy_versions(PolicyArn=made.id)["Versions"]:
                if not version["IsDefaultVersion"]:
                    client.delete_policy_version(PolicyArn=made.id, VersionId=version["VersionId"])
        wanted, had = set(new.get("Roles", [])), set(old.get("Roles", []))
        for role in sorted(wanted - had):
            client.attach_role_policy(RoleName=role, PolicyArn=made.id)
        for role in sorted(had - wanted):
            client.detach_role_policy(RoleName=role, PolicyArn=made.id)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("iam")
        try:
            holders = client.list_entities_for_policy(PolicyArn=made.id)["PolicyRoles"]
            for role in holders:
                client.detach_role_policy(RoleName=role["RoleName"], PolicyArn=made.id)
            client.delete_policy(PolicyArn=made.id)
        except client.exceptions.NoSuchEntityException:
            return


TYPES: tuple[ResourceType, ...] = (Role(), Policy(), ManagedPolicy())
