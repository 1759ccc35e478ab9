"""A room's runbook as CloudFormation includes it: its document as JSON, with the stack's own resources as defaults.

The YAML in the room is a document of its own, which runs without a stack if whoever starts it gives these parameters.
In a stack they default to what the stack made. JSON, because CloudFormation takes no short forms of functions in a part
that it includes, and so that every value is of the type that the YAML says.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import moorings
from moorings.errors import Misconfigured

PATCH_AZURE = "patching/runbooks/Azure-PatchVMWithRollback.yaml"
LARGEST = 64 * 1024  # bytes of a document. Source: Systems Manager quotas

_NAMES_UNLESS_FEDERATED = "Federated"
# Parameter of the runbook → its default in the stack, as an intrinsic function. With federation the names stay empty:
# a run that names parameters all the same uses them.
DEFAULTS: Mapping[str, Any] = {
    "AutomationAssumeRole": {"Fn::GetAtt": ["AutomationRole", "Arn"]},
    "FunctionName": {"Ref": "AzureManagedDiskSnapshots"},
    "clientid": {"Fn::If": [_NAMES_UNLESS_FEDERATED, "", {"Ref": "ClientID"}]},
    "tenantid": {"Fn::If": [_NAMES_UNLESS_FEDERATED, "", {"Ref": "TenantID"}]},
    "clientsecret": {"Fn::If": [_NAMES_UNLESS_FEDERATED, "", {"Ref": "ClientSecret"}]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedRunbook:
    """A runbook as an artifact."""

    name: str
    content: bytes = field(repr=False)
    digest: str  # SHA-256, hexadecimal

    @property
    def file_name(self) -> str:
        """What it is called wherever it lies: new content, new name."""
        return f"{self.name}-{self.digest}.json"


def rendered(path: str = PATCH_AZURE, *, text: str | None = None) -> RenderedRunbook:
    """The runbook at `path` below the package (or `text` in its place) for the stack of its room.

    Misconfigured if it has no such parameters as the stack fills in, or is too large for Systems Manager.
    """
    source = (Path(moorings.__file__).parent / path).read_text(encoding="utf-8") if text is None else text
    document = yaml.safe_load(source)
    parameters = document.get("parameters", {})
    missing = sorted(DEFAULTS.keys() - parameters.keys())
    if missing:
        raise Misconfigured(
            f"{path} has no parameters {', '.join(missing)}, which its stack fills in",
            remedy="install moorings again, completely",
        )
    for name, default in DEFAULTS.items():
        parameters[name] = {**parameters[name], "default": default}
    content = json.dumps(document, indent=1, ensure_ascii=False).encode()
    if len(content) > LARGEST:
        raise Misconfigured(f"{path} has {len(content):,} bytes; a document has {LARGEST:,}", remedy="shorten it")
    return RenderedRunbook(name=Path(path).stem, content=content, digest=hashlib.sha256(content).hexdigest())
