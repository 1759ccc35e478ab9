"""AWS::SSM: documents, parameters (String and StringList; CloudFormation cannot make a SecureString)."""

import json
from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import CONTENT, TAGS, TEXT, ListOf, MapOf, Struct
from localcloud.aws.cloudformation.tags import retag, tag_pairs, tags_of
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType, picked

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


class Document(ResourceType):
    """A document. A changed one is a new version and the default, which has to be asked for by UpdateMethod."""

    name = "AWS::SSM::Document"
    properties = Struct(
        {
            "Name": TEXT,
            "Content": CONTENT,
            "Attachments": ListOf(Struct({"Key": TEXT, "Name": TEXT, "Values": ListOf(TEXT)})),
            "DocumentFormat": TEXT,
            "DocumentType": TEXT,
            "TargetType": TEXT,
            "UpdateMethod": TEXT,
            "VersionName": TEXT,
            "Tags": TAGS,
        },
        required=("Content",),
    )
    replaced_by = frozenset({"Name", "DocumentType"})

    def create(self, place: Place, properties: Properties) -> Made:
        arguments = picked(properties, {"DocumentType": "DocumentType"})
        if pairs := tag_pairs(tags_of(properties)):
            arguments["Tags"] = pairs
        name = properties.get("Name") or place.name(limit=128)
        place.client("ssm").create_document(Name=name, **_version(properties), **arguments)
        return Made(id=name)

    def refuse_update(self, old: Properties, new: Properties) -> None:
        changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        if changed - {"Tags", "UpdateMethod"} and new.get("UpdateMethod", "Replace") != "NewVersion":
            # The service makes another document instead, which a name of its own rules out.
            raise Failed(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename the"
                " document and update the stack again, or set UpdateMethod to NewVersion."
            )

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        client = place.client("ssm")
        if _version(old) != _version(new):
            try:
                answer = client.update_document(Name=made.id, DocumentVersion="$LATEST", **_version(new))
            except client.exceptions.DuplicateDocumentContent:
                answer = None  # only what is no part of a version was changed
            if answer:
                latest = answer["DocumentDescription"]["DocumentVersion"]
                client.update_document_default_version(Name=made.id, DocumentVersion=latest)
        retag(
            old,
            new,
            untag=lambda keys: client.remove_tags_from_resource(
                ResourceType="Document", ResourceId=made.id, TagKeys=keys
            ),
            tag=lambda tags: client.add_tags_to_resource(
                ResourceType="Document", ResourceId=made.id, Tags=tag_pairs(tags)
            ),
        )
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("ssm")
        try:
            client.delete_document(Name=made.id)
        except client.exceptions.InvalidDocument:
            return


def _version(properties: Properties) -> dict[str, Any]:
    """What makes up a version of a document; an object becomes its JSON text."""
    content = properties["Content"]
    text = content if isinstance(content, str) else json.dumps(content)
    names = ("Attachments", "DocumentFormat", "TargetType", "VersionName")
    return {"Content": text, **picked(properties, {name: name for name in names})}


def _settings(properties: Properties) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if key not in {"Name", "Tags"}}


def _made(name: str, properties: Properties) -> Made:
    return Made(id=name, attributes={"Type": properties["Type"], "Value": properties["Value"]})


TYPES: tuple[ResourceType, ...] = (Parameter(), Document())
