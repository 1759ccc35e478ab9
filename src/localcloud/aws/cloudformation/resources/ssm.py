"""AWS::SSM: parameters (String and StringList; CloudFormation cannot make a SecureString)."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import TEXT, MapOf, Struct
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType

Properties = Mapping[str, Any]


class Parameter(ResourceType):
    """A parameter of Parameter Store."""

    name = "AWS::SSM::Parameter"
    properties = Struct(
        {
            "Name": TEXT,
            "Type": TEXT,
            "Value": TEXT,
            "Description": TEXT,
            "AllowedPattern": TEXT,
            "Tier": TEXT,
            "Tags": MapOf(TEXT),
        },
        required=("Type", "Value"),
    )
    replaced_by = frozenset({"Name"})
    attributes = frozenset({"Type", "Value"})

    def create(self, place: Place, properties: Properties) -> Made:
        if properties["Type"] not in {"String", "StringList"}:
            raise Failed(f"#/Type: {properties['Type']} is not a valid enum value: String, StringList")
        name = properties.get("Name") or place.name(limit=255)
        tags = properties.get("Tags", {})
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        place.client("ssm").put_parameter(
            Name=name, **_settings(properties), Overwrite=False, **({"Tags": pairs} if pairs else {})
        )
        return _made(name, properties)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        client = place.client("ssm")
        client.put_parameter(Name=made.id, **_settings(new), Overwrite=True)
        wanted, had = new.get("Tags", {}), old.get("Tags", {})
        if gone := sorted(set(had) - set(wanted)):
            client.remove_tags_from_resource(ResourceType="Parameter", ResourceId=made.id, TagKeys=gone)
        if wanted and wanted != had:
            pairs = [{"Key": key, "Value": value} for key, value in wanted.items()]
            client.add_tags_to_resource(ResourceType="Parameter", ResourceId=made.id, Tags=pairs)
        return _made(made.id, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("ssm")
        try:
            client.delete_parameter(Name=made.id)
        except client.exceptions.ParameterNotFound:
            return


def _settings(properties: Properties) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if key not in {"Name", "Tags"}}


def _made(name: str, properties: Properties) -> Made:
    return Made(id=name, attributes={"Type": properties["Type"], "Value": properties["Value"]})


TYPES: tuple[ResourceType, ...] = (Parameter(),)
