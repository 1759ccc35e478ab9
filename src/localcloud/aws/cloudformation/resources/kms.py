"""AWS::KMS: keys and aliases."""

import json
from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import BOOLEAN, DOCUMENT, INTEGER, TAGS, TEXT, Struct
from localcloud.aws.cloudformation.tags import retag, tag_pairs, tags_of
from localcloud.aws.cloudformation.types import Place, ResourceType, picked

Properties = Mapping[str, Any]

_SETTINGS = ("Description", "KeySpec", "KeyUsage")


class Key(ResourceType):
    """A symmetric key; deleting it schedules the deletion, as in the service."""

    name = "AWS::KMS::Key"
    properties = Struct(
        {
            "Description": TEXT,
            "Enabled": BOOLEAN,
            "EnableKeyRotation": BOOLEAN,
            "KeyPolicy": DOCUMENT,
            "KeySpec": TEXT,
            "KeyUsage": TEXT,
            "PendingWindowInDays": INTEGER,
            "Tags": TAGS,
        }
    )
    replaced_by = frozenset({"KeySpec", "KeyUsage"})
    attributes = frozenset({"Arn", "KeyId"})

    def create(self, place: Place, properties: Properties) -> Made:
        client = place.client("kms")
        # moto knows no default of its own for the usage.
        arguments = {"KeyUsage": "ENCRYPT_DECRYPT", **picked(properties, {name: name for name in _SETTINGS})}
        if "KeyPolicy" in properties:
            arguments["Policy"] = json.dumps(properties["KeyPolicy"])
        key = client.create_key(Tags=tag_pairs(tags_of(properties), key="TagKey", value="TagValue"), **arguments)[
            "KeyMetadata"
        ]
        made = Made(id=key["KeyId"], attributes={"Arn": key["Arn"], "KeyId": key["KeyId"]})
        self._switch(client, made.id, {}, properties)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        client = place.client("kms")
        if old.get("Description") != new.get("Description"):
            client.update_key_description(KeyId=made.id, Description=new.get("Description", ""))
        if old.get("KeyPolicy") != new.get("KeyPolicy") and "KeyPolicy" in new:
            client.put_key_policy(KeyId=made.id, PolicyName="default", Policy=json.dumps(new["KeyPolicy"]))
        self._switch(client, made.id, old, new)
        retag(
            old,
            new,
            untag=lambda keys: client.untag_resource(KeyId=made.id, TagKeys=keys),
            tag=lambda tags: client.tag_resource(KeyId=made.id, Tags=tag_pairs(tags, key="TagKey", value="TagValue")),
        )
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("kms")
        state = client.describe_key(KeyId=made.id)["KeyMetadata"]["KeyState"]
        if state != "PendingDeletion":
            client.schedule_key_deletion(KeyId=made.id, PendingWindowInDays=properties.get("PendingWindowInDays", 30))

    def _switch(self, client: Any, key: str, old: Properties, new: Properties) -> None:
        if old.get("EnableKeyRotation", False) != new.get("EnableKeyRotation", False):
            change = client.enable_key_rotation if new.get("EnableKeyRotation") else client.disable_key_rotation
            change(KeyId=key)
        if old.get("Enabled", True) != new.get("Enabled", True):
            change = client.enable_key if new.get("Enabled", True) else client.disable_key
            change(KeyId=key)


class Alias(ResourceType):
    """Another name for a key."""

    name = "AWS::KMS::Alias"
    properties = Struct({"AliasName": TEXT, "TargetKeyId": TEXT}, required=("AliasName", "TargetKeyId"))
    replaced_by = frozenset({"AliasName"})

    def create(self, place: Place, properties: Properties) -> Made:
        place.client("kms").create_alias(AliasName=properties["AliasName"], TargetKeyId=properties["TargetKeyId"])
        return Made(id=properties["AliasName"])

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        place.client("kms").update_alias(AliasName=made.id, TargetKeyId=new["TargetKeyId"])
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("kms")
        try:
            client.delete_alias(AliasName=made.id)
        except client.exceptions.NotFoundException:
            return


TYPES: tuple[ResourceType, ...] = (Key(), Alias())
