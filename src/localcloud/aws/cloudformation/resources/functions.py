"""AWS::Lambda: functions, layers, permissions, event invoke configurations."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import INTEGER, TAGS, TEXT, ListOf, MapOf, Struct
from localcloud.aws.cloudformation.tags import retag, tags_of
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType, picked

Properties = Mapping[str, Any]

_CONFIGURATION = {
    name: name
    for name in (
        "Description", "Handler", "Runtime", "Role", "Timeout", "MemorySize", "Environment", "Layers", "LoggingConfig",
        "TracingConfig", "EphemeralStorage",
    )
}  # fmt: skip
_CONFIGURATION["KmsKeyArn"] = "KMSKeyArn"
# What a property that is no longer in the template goes back to.
_DEFAULTS: Properties = {
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "Environment": {"Variables": {}},
    "Layers": [],
    "LoggingConfig": {"LogFormat": "Text"},
    "TracingConfig": {"Mode": "PassThrough"},
    "EphemeralStorage": {"Size": 512},
    "KmsKeyArn": "",
}


class Function(ResourceType):
    """A function from a zip in S3 or from inline source (Python only: it becomes index.py)."""

    name = "AWS::Lambda::Function"
    properties = Struct(
        {
            "Code": Struct({"S3Bucket": TEXT, "S3Key": TEXT, "ZipFile": TEXT}),
            "FunctionName": TEXT,
            "Description": TEXT,
            "Handler": TEXT,
            "Runtime": TEXT,
            "Role": TEXT,
            "Timeout": INTEGER,
            "MemorySize": INTEGER,
            "Environment": Struct({"Variables": MapOf(TEXT)}),
            "Layers": ListOf(TEXT),
            "Architectures": ListOf(TEXT),
            "PackageType": TEXT,
            "EphemeralStorage": Struct({"Size": INTEGER}),
            "LoggingConfig": Struct(
                {"LogFormat": TEXT, "LogGroup": TEXT, "ApplicationLogLevel": TEXT, "SystemLogLevel": TEXT}
            ),
            "ReservedConcurrentExecutions": INTEGER,
            "TracingConfig": Struct({"Mode": TEXT}),
            "KmsKeyArn": TEXT,
            "Tags": TAGS,
        },
        required=("Code", "Role"),
    )
    replaced_by = frozenset({"FunctionName", "PackageType"})
    attributes = frozenset({"Arn"})

    def create(self, place: Place, properties: Properties) -> Made:
        if properties.get("PackageType", "Zip") != "Zip":
            raise Failed(f"Unsupported value {properties['PackageType']} of PackageType: only Zip is made")
        client = place.client("lambda")
        made = client.create_function(
            FunctionName=properties.get("FunctionName") or place.name(),
            Code=_code(properties),
            Tags=tags_of(properties),
            **picked(properties, {**_CONFIGURATION, "Architectures": "Architectures"}),
        )
        name = made["FunctionName"]
        if "ReservedConcurrentExecutions" in properties:
            try:
                self._reserve(client, name, properties)
            except Exception:
                client.delete_function(FunctionName=name)
                raise
        return Made(id=name, attributes={"Arn": made["FunctionArn"]})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        client = place.client("lambda")
        if old.get("Code") != new.get("Code") or old.get("Architectures") != new.get("Architectures"):
            architectures = {"Architectures": new.get("Architectures", ["x86_64"])}
            client.update_function_code(FunctionName=made.id, **_code(new), **architectures)
        changed = {
            argument: new.get(name, _DEFAULTS.get(name))
            for name, argument in _CONFIGURATION.items()
            if old.get(name) != new.get(name)
        }
        if changed:
            client.update_function_configuration(FunctionName=made.id, **changed)
        if old.get("ReservedConcurrentExecutions") != new.get("ReservedConcurrentExecutions"):
            self._reserve(client, made.id, new)
        _retag(client, made.attributes["Arn"], old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("lambda")
        try:
            client.delete_function(FunctionName=made.id)
        except client.exceptions.ResourceNotFoundException:
            return

    def _reserve(self, client: Any, name: str, properties: Properties) -> None:
        if "ReservedConcurrentExecutions" in properties:
            client.put_function_concurrency(
                FunctionName=name, ReservedConcurrentExecutions=properties["ReservedConcurrentExecutions"]
            )
        else:
            client.delete_function_concurrency(FunctionName=name)


def _code(properties: Properties) -> dict[str, Any]:
    code = properties["Code"]
    if "ZipFile" in code:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            entry = zipfile.ZipInfo("index.py", date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, code["ZipFile"])
        return {"ZipFile": packed.getvalue()}
    return dict(code)


def _retag(client: Any, arn: str, old: Properties, new: Properties) -> None:
    retag(
        old,
        new,
        untag=lambda keys: client.untag_resource(Resource=arn, TagKeys=keys),
        tag=lambda tags: client.tag_resource(Resource=arn, Tags=tags),
    )


class LayerVersion(ResourceType):
    """A version of a layer from a zip in S3; every change makes a new one."""

    name = "AWS::Lambda::LayerVersion"
    properties = Struct(
        {
            "Content": Struct({"S3Bucket": TEXT, "S3Key": TEXT}, required=("S3Bucket", "S3Key")),
            "LayerName": TEXT,
            "Description": TEXT,
            "LicenseInfo": TEXT,
            "CompatibleRuntimes": ListOf(TEXT),
            "CompatibleArchitectures": ListOf(TEXT),
        },
        required=("Content",),
    )
    replaced_by = frozenset(properties.members)
    attributes = frozenset({"LayerVersionArn"})

    def create(self, place: Place, properties: Properties) -> Made:
        names = ("Content", "Description", "LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures")
        made = place.client("lambda").publish_layer_version(
            LayerName=properties.get("LayerName") or place.name(), **picked(properties, {name: name for name in names})
        )
        arn = made["LayerVersionArn"]
        return Made(id=arn, attributes={"LayerVersionArn": arn})

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        layer, _, version = made.id.rpartition(":")
        client = place.client("lambda")
        try:
            client.delete_layer_version(LayerName=layer.rpartition(":")[2], VersionNumber=int(version))
        except client.exceptions.ResourceNotFoundException:
            return


class Permission(ResourceType):
    """A statement of a function's resource policy."""

    name = "AWS::Lambda::Permission"
    properties = Struct(
        {"FunctionName": TEXT, "Action": TEXT, "Principal": TEXT, "SourceArn": TEXT, "SourceAccount": TEXT},
        required=("FunctionName", "Action", "Principal"),
    )
    replaced_by = frozenset(properties.members)
    attributes = frozenset({"Id"})

    def create(self, place: Place, properties: Properties) -> Made:
        statement = place.name(limit=100)
        names = {name: name for name in properties}
        place.client("lambda").add_permission(StatementId=statement, **picked(properties, names))
        return Made(id=statement, attributes={"Id": statement})

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("lambda")
        try:
            client.remove_permission(FunctionName=properties["FunctionName"], StatementId=made.id)
        except client.exceptions.ResourceNotFoundException:
            return


class EventInvokeConfig(ResourceType):
    """Retries and age of asynchronous invocations."""

    name = "AWS::Lambda::EventInvokeConfig"
    properties = Struct(
        {
            "FunctionName": TEXT,
            "Qualifier": TEXT,
            "MaximumRetryAttempts": INTEGER,
            "MaximumEventAgeInSeconds": INTEGER,
        },
        required=("FunctionName", "Qualifier"),
    )
    replaced_by = frozenset({"FunctionName", "Qualifier"})

    def create(self, place: Place, properties: Properties) -> Made:
        # The service puts nothing in the place of what the template does not say: two retries, six hours.
        if properties["Qualifier"] != "$LATEST":
            raise Failed("Unsupported value of Qualifier: only $LATEST is made")
        place.client("lambda").put_function_event_invoke_config(
            FunctionName=properties["FunctionName"],
            MaximumRetryAttempts=properties.get("MaximumRetryAttempts", 2),
            MaximumEventAgeInSeconds=properties.get("MaximumEventAgeInSeconds", 21_600),
        )
        return Made(id=f"{properties['FunctionName']}|{properties['Qualifier']}")

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        return self.create(place, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("lambda")
        try:
            client.delete_function_event_invoke_config(FunctionName=properties["FunctionName"])
        except client.exceptions.ResourceNotFoundException:
            return


TYPES: tuple[ResourceType, ...] = (Function(), LayerVersion(), Permission(), EventInvokeConfig())
