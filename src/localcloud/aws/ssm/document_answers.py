"""Documents as the service shows them: descriptions, listings, and the filters of ListDocuments."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localcloud.aws.ssm.document_model import AMAZON, AUTOMATION, COMMAND, Document, DocumentVersion
from localcloud.aws.ssm.tags import wire_tags
from localcloud.errors import ServiceError

# DocumentParameter knows only these two types; whatever is not a list is shown as text.
_LISTS = frozenset({"StringList", "MapList"})

Filter = tuple[str, tuple[str, ...]]


def described(document: Document, version: DocumentVersion, *, status: str = "Active") -> dict[str, Any]:
    """A version as DescribeDocument shows it."""
    return {
        "Hash": version.hash,
        "HashType": "Sha256",
        "Name": document.name,
        "Owner": document.owner,
        "CreatedDate": version.created_at,
        "Status": status,
        "DocumentVersion": str(version.number),
        "Parameters": [_parameter(name, declared) for name, declared in version.parameters.items()],
        "DocumentType": version.kind,
        "LatestVersion": str(document.latest.number),
        "DefaultVersion": str(document.default),
        "DocumentFormat": version.format,
        "Tags": wire_tags(document.tags),
        "AttachmentsInformation": [{"Name": one.name} for one in version.attachments],
        **_platforms(version),
        **_given(
            DisplayName=version.display_name,
            VersionName=version.version_name,
            Description=version.description,
            SchemaVersion=version.schema_version,
            TargetType=version.target_type,
            Requires=[dict(one) for one in version.requires],
        ),
    }


def identified(document: Document) -> dict[str, Any]:
    """A document as ListDocuments shows it: its default version."""
    version = document.version()
    return {
        "Name": document.name,
        "CreatedDate": document.created_at,
        "Owner": document.owner,
        "DocumentVersion": str(version.number),
        "DocumentType": version.kind,
        "DocumentFormat": version.format,
        "Tags": wire_tags(document.tags),
        **_platforms(version),
        **_given(
            DisplayName=version.display_name,
            VersionName=version.version_name,
            SchemaVersion=version.schema_version,
            TargetType=version.target_type,
        ),
    }


def listed(document: Document, version: DocumentVersion) -> dict[str, Any]:
    """A version as ListDocumentVersions shows it."""
    return {
        "Name": document.name,
        "DocumentVersion": str(version.number),
        "CreatedDate": version.created_at,
        "IsDefaultVersion": version.number == document.default,
        "DocumentFormat": version.format,
        "Status": "Active",
        **_given(DisplayName=version.display_name, VersionName=version.version_name),
    }


def filters_of(params: Mapping[str, Any]) -> list[Filter]:
    """The filters of ListDocuments, from either list; raises ServiceError InvalidFilterKey."""
    filters = [(one["Key"], tuple(one.get("Values") or ())) for one in params.get("Filters") or ()]
    filters += [(one["key"], (one["value"],)) for one in params.get("DocumentFilterList") or ()]
    for key, _ in filters:
        if key not in _PASSES and not key.startswith("tag:"):
            raise ServiceError("InvalidFilterKey", f"{key} is not a filter key")
    return filters


def passes(document: Document, filters: Sequence[Filter]) -> bool:
    """Whether a document passes every filter: any value of a key is enough."""
    return all(_passes(document, key, values) for key, values in filters)


def _passes(document: Document, key: str, values: tuple[str, ...]) -> bool:
    if key.startswith("tag:"):
        return any(tag == key.removeprefix("tag:") and value in values for tag, value in document.tags)
    return any(_PASSES[key](document, value) for value in values)


def _is_owner(document: Document, value: str) -> bool:
    amazon = document.owner == AMAZON
    return {"Amazon": amazon, "Public": amazon, "Self": not amazon, "Private": not amazon, "All": True}.get(
        value, False
    )


_PASSES: Mapping[str, Callable[[Document, str], bool]] = {
    "Name": lambda document, value: document.name.startswith(value),
    "Owner": _is_owner,
    "PlatformTypes": lambda document, value: value in document.version().platform_types,
    "DocumentType": lambda document, value: document.kind == value,
    "TargetType": lambda document, value: document.version().target_type == value,
    "SearchKeyword": lambda document, value: value.lower() in document.name.lower(),
}


def _platforms(version: DocumentVersion) -> dict[str, Any]:
    return {"PlatformTypes": list(version.platform_types)} if version.kind in (COMMAND, AUTOMATION) else {}


def _parameter(name: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(declared.get("type", ""))
    shown = {
        "Name": name,
        "Type": "StringList" if kind in _LISTS or kind.startswith("List<") else "String",
        "Description": str(declared.get("description", "")),
    }
    if "default" in declared:
        default = declared["default"]
        shown["DefaultValue"] = default if isinstance(default, str) else json.dumps(default)
    return shown


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}
