"""A Systems Manager document and its versions as values, and what follows from a version's content."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.aws.ssm.activations import Tags
from localcloud.errors import ServiceError

AMAZON = "Amazon"  # the owner of the documents that the service brings along
LATEST = "$LATEST"
DEFAULT = "$DEFAULT"

COMMAND = "Command"
AUTOMATION = "Automation"

ALL_PLATFORMS = ("Windows", "Linux", "MacOS")
_UNIX = ("Linux", "MacOS")
# Which platforms the agent has a plugin for; a plugin that is not named here runs on all of them.
_PLUGIN_PLATFORMS: Mapping[str, tuple[str, ...]] = {
    "aws:applications": ("Windows",),
    "aws:cloudWatch": ("Windows",),
    "aws:domainJoin": ("Windows", "Linux"),
    "aws:psModule": ("Windows",),
    "aws:runShellScript": _UNIX,
}
_OLD_SCHEMA = "1."


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that travels with a document version."""

    name: str
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """The checksum by which documents name their attachments."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentVersion:
    """One version. `content` is what `text` says; a TEXT document's is empty."""

    name: str
    number: int
    kind: str  # DocumentType
    format: str  # JSON, YAML or TEXT
    text: str = field(repr=False)
    content: Mapping[str, Any] = field(repr=False)
    created_at: datetime
    version_name: str = ""
    display_name: str = ""
    target_type: str = ""
    attachments: tuple[Attachment, ...] = ()
    requires: tuple[Mapping[str, str], ...] = ()

    @property
    def hash(self) -> str:
        """SHA-256 of the text as it was given."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def schema_version(self) -> str:
        return str(self.content.get("schemaVersion", ""))

    @property
    def description(self) -> str:
        return str(self.content.get("description", ""))

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        """The declared parameters by name."""
        found: Mapping[str, Mapping[str, Any]] = self.content.get("parameters") or {}
        return found

    @property
    def files(self) -> Mapping[str, bytes]:
        """The attachments' content by name."""
        return {one.name: one.content for one in self.attachments}

    @property
    def platform_types(self) -> tuple[str, ...]:
        """Where it runs: a Command's from its steps' plugins and preconditions, all platforms for other types."""
        if self.kind != COMMAND:
            return ALL_PLATFORMS
        found = {platform for step in steps_of(self.content) for platform in step.platforms}
        return tuple(platform for platform in ALL_PLATFORMS if platform in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document with all its versions, oldest first; numbers of deleted versions are not used again."""

    name: str
    region: str
    owner: str  # the account, or AMAZON
    created_at: datetime
    versions: tuple[DocumentVersion, ...]
    default: int = 1
    numbers: int = 1  # that were given to versions, deleted ones too
    tags: Tags = ()

    @property
    def latest(self) -> DocumentVersion:
        return self.versions[-1]

    @property
    def kind(self) -> str:
        return self.latest.kind

    def version(self, wanted: str = "", *, version_name: str = "") -> DocumentVersion:
        """The version that a request means: a number, $LATEST, $DEFAULT or "" (the default).

        Raises ServiceError InvalidDocumentVersion if there is none, or if `version_name` names another one.
        """
        found = [one for one in self.versions if self._is(one, wanted, version_name)]
        if not found:
            raise ServiceError(
                "InvalidDocumentVersion",
                f"Document version {wanted or version_name} of {self.name} is not valid or does not exist.",
            )
        return found[0]

    def _is(self, one: DocumentVersion, wanted: str, version_name: str) -> bool:
        if version_name and one.version_name != version_name:
            return False
        if not wanted and version_name:
            return True
        numbers = {LATEST: str(self.latest.number), DEFAULT: str(self.default), "": str(self.default)}
        return str(one.number) == numbers.get(wanted, wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandStep:
    """One step of a Command document, whatever its schema. `name` is what replies and GetCommandInvocation call it."""

    name: str
    plugin: str
    inputs: Mapping[str, Any]
    platforms: tuple[str, ...]
    on_one_platform: str = ""  # the platformType that its precondition demands


def steps_of(content: Mapping[str, Any]) -> Sequence[CommandStep]:
    """The steps of a valid Command document: its mainSteps, or its runtimeConfig, whose plugins are the names."""
    if str(content.get("schemaVersion", "")).startswith(_OLD_SCHEMA):
        return [_old_step(plugin, settings) for plugin, settings in content.get("runtimeConfig", {}).items()]
    return [_step(step) for step in content.get("mainSteps", [])]


def _old_step(plugin: str, settings: Mapping[str, Any]) -> CommandStep:
    properties = settings.get("properties", [])
    first = properties[0] if isinstance(properties, list) and properties else properties
    inputs = first if isinstance(first, Mapping) else {}
    platforms = _PLUGIN_PLATFORMS.get(plugin, ALL_PLATFORMS)
    return CommandStep(name=plugin, plugin=plugin, inputs=inputs, platforms=platforms)


def _step(step: Mapping[str, Any]) -> CommandStep:
    demanded = (step.get("precondition") or {}).get("StringEquals", [])
    only = str(demanded[1]) if len(demanded) > 1 and demanded[0] == "platformType" else ""
    platforms = _PLUGIN_PLATFORMS.get(step["action"], ALL_PLATFORMS)
    return CommandStep(
        name=step["name"],
        plugin=step["action"],
        inputs=step.get("inputs") or {},
        platforms=tuple(one for one in platforms if only in ("", one)),
        on_one_platform=only,
    )
