"""AWS::DynamoDB: tables."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import BOOLEAN, INTEGER, TAGS, TEXT, ListOf, Struct
from localcloud.aws.cloudformation.tags import retag, tag_pairs, tags_of
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType, picked

Properties = Mapping[str, Any]

_KEYS = ListOf(Struct({"AttributeName": TEXT, "KeyType": TEXT}, required=("AttributeName", "KeyType")))
_PROJECTION = Struct({"ProjectionType": TEXT, "NonKeyAttributes": ListOf(TEXT)})
_THROUGHPUT = Struct({"ReadCapacityUnits": INTEGER, "WriteCapacityUnits": INTEGER})


class Table(ResourceType):
    """A table with its expiry, backups and protection."""

    name = "AWS::DynamoDB::Table"
    properties = Struct(
        {
            "TableName": TEXT,
            "BillingMode": TEXT,
            "KeySchema": _KEYS,
            "AttributeDefinitions": ListOf(Struct({"AttributeName": TEXT, "AttributeType": TEXT})),
            "GlobalSecondaryIndexes": ListOf(
                Struct({"IndexName": TEXT, "KeySchema": _KEYS, "Projection": _PROJECTION})
            ),
            "ProvisionedThroughput": _THROUGHPUT,
            "TimeToLiveSpecification": Struct({"AttributeName": TEXT, "Enabled": BOOLEAN}, required=("Enabled",)),
            "PointInTimeRecoverySpecification": Struct(
                {"PointInTimeRecoveryEnabled": BOOLEAN, "RecoveryPeriodInDays": INTEGER}
            ),
            "DeletionProtectionEnabled": BOOLEAN,
            "SSESpecification": Struct({"SSEEnabled": BOOLEAN, "SSEType": TEXT, "KMSMasterKeyId": TEXT}),
            "Tags": TAGS,
        },
        required=("KeySchema", "AttributeDefinitions"),
    )
    replaced_by = frozenset({"TableName", "KeySchema"})
    attributes = frozenset({"Arn"})

    def create(self, place: Place, properties: Properties) -> Made:
        client = place.client("dynamodb")
        name = properties.get("TableName") or place.name(limit=255)
        arguments = picked(properties, {key: key for key in ("KeySchema", "AttributeDefinitions", "BillingMode")})
        for key in ("GlobalSecondaryIndexes", "ProvisionedThroughput", "DeletionProtectionEnabled"):
            if key in properties:
                arguments[key] = properties[key]
        if "SSESpecification" in properties:
            arguments["SSESpecification"] = _encryption(properties["SSESpecification"])
        tags = tag_pairs(tags_of(properties))
        made = client.create_table(TableName=name, **arguments, **({"Tags": tags} if tags else {}))
        try:
            self._extras(client, name, {}, properties)
        except Exception:
            if not properties.get("DeletionProtectionEnabled"):
                client.delete_table(TableName=name)
            raise
        return Made(id=name, attributes={"Arn": made["TableDescription"]["TableArn"]})

    def refuse_update(self, old: Properties, new: Properties) -> None:
        former, wanted = _indexes(old), _indexes(new)
        if any(former[name] != wanted[name] for name in former.keys() & wanted.keys()):
            raise Failed(f"Unsupported update of property: GlobalSecondaryIndexes of {self.name}")
        if len(former.keys() ^ wanted.keys()) > 1:
            raise Failed("Cannot perform more than one GSI creation or deletion in a single update")
        if former == wanted and old.get("AttributeDefinitions") != new.get("AttributeDefinitions"):
            raise Failed(f"Unsupported update of property: AttributeDefinitions of {self.name}")
        before, after = old.get("TimeToLiveSpecification", {}), new.get("TimeToLiveSpecification", {})
        if before.get("Enabled") and after.get("Enabled") and before != after:
            raise Failed("TimeToLive must be disabled before its attribute can be changed")

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        client = place.client("dynamodb")
        changed: dict[str, Any] = {}
        if old.get("DeletionProtectionEnabled") != new.get("DeletionProtectionEnabled"):
            changed["DeletionProtectionEnabled"] = new.get("DeletionProtectionEnabled", False)
        if old.get("BillingMode") != new.get("BillingMode") or old.get("ProvisionedThroughput") != new.get(
            "ProvisionedThroughput"
        ):
            changed["BillingMode"] = new.get("BillingMode", "PROVISIONED")
            changed |= picked(new, {"ProvisionedThroughput": "ProvisionedThroughput"})
        if old.get("SSESpecification") != new.get("SSESpecification"):
            changed["SSESpecification"] = _encryption(new.get("SSESpecification", {"SSEEnabled": False}))
        changed |= _index_changes(old, new)
        if changed:
            client.update_table(TableName=made.id, **changed)
        self._extras(client, made.id, old, new)
        _retag(client, made, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("dynamodb")
        try:
            client.delete_table(TableName=made.id)
        except client.exceptions.ResourceNotFoundException:
            return

    def _extras(self, client: Any, name: str, old: Properties, new: Properties) -> None:
        expiry = new.get("TimeToLiveSpecification")
        before = old.get("TimeToLiveSpecification")
        if expiry != before:
            if expiry and expiry["Enabled"]:
                client.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
            elif before and before["Enabled"]:
                client.update_time_to_live(TableName=name, TimeToLiveSpecification={**before, "Enabled": False})
        backups = new.get("PointInTimeRecoverySpecification")
        if backups != old.get("PointInTimeRecoverySpecification"):
            client.update_continuous_backups(
                TableName=name,
                PointInTimeRecoverySpecification=backups or {"PointInTimeRecoveryEnabled": False},
            )


def _encryption(given: Properties) -> dict[str, Any]:
    named = {"SSEEnabled": "Enabled", "SSEType": "SSEType", "KMSMasterKeyId": "KMSMasterKeyId"}
    return picked(given, named)


def _retag(client: Any, made: Made, old: Properties, new: Properties) -> None:
    arn = made.attributes["Arn"]
    retag(
        old,
        new,
        untag=lambda keys: client.untag_resource(ResourceArn=arn, TagKeys=keys),
        tag=lambda tags: client.tag_resource(ResourceArn=arn, Tags=tag_pairs(tags)),
    )


TYPES: tuple[ResourceType, ...] = (Table(),)


def _indexes(properties: Properties) -> dict[str, Any]:
    return {index["IndexName"]: index for index in properties.get("GlobalSecondaryIndexes", ())}


def _index_changes(old: Properties, new: Properties) -> dict[str, Any]:
    """The arguments that make an index, or remove one."""
    former, wanted = _indexes(old), _indexes(new)
    changes = [{"Create": wanted[name]} for name in wanted if name not in former]
    changes += [{"Delete": {"IndexName": name}} for name in former if name not in wanted]
    if not changes:
        return {}
    return {"GlobalSecondaryIndexUpdates": changes, "AttributeDefinitions": new["AttributeDefinitions"]}
