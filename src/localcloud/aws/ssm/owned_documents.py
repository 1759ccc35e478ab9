"""The documents of AWS that the local cloud brings along. Names, parameters and steps are AWS's; the texts are ours.

AWS-RunPatchBaseline runs the simulated servers' own patch program; on a real server, which has none, it says so and
fails with exit code 18, as the real one does on a system that it cannot patch.
Source: Systems Manager User Guide, "SSM Command document for patching: AWS-RunPatchBaseline"; the published parameters
of AWS-RunShellScript and AWS-RunPowerShellScript.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.ssm.document_model import COMMAND, DocumentVersion

PATCH_PROGRAM = "/usr/libexec/localcloud/patch"
CANNOT_PATCH = 18  # the exit code of AWS-RunPatchBaseline for a system that it does not support

_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_SECONDS = "([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800)"  # 1 to 172800
_GUID = "(^$)|^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
# Neither quotes nor blanks: these values stand in a shell's argument list.
_LOCATION = r"(^$)|^https://[^\s'\"`$\\;|&<>]+$|^s3://[^\s'\"`$\\;|&<>/]+/[^\s'\"`$\\;|&<>]+$"

_NO_PROGRAM = (
    "This AWS-RunPatchBaseline belongs to the local cloud, which patches its simulated servers only: "
    f"there is no {PATCH_PROGRAM} here. Nothing was changed."
)


def _script(plugin: str, what: str) -> dict[str, Any]:
    return {
        "schemaVersion": "1.2",
        "description": what,
        "parameters": {
            "commands": {
                "type": "StringList",
                "description": "(Required) The lines of the script.",
                "minItems": 1,
                "displayType": "textarea",
            },
            "workingDirectory": {
                "type": "String",
                "default": "",
                "description": "(Optional) The folder in which the script runs.",
                "maxChars": 4096,
            },
            "executionTimeout": {
                "type": "String",
                "default": "3600",
                "description": "(Optional) Seconds until the script is ended; at most 172800.",
                "allowedPattern": _SECONDS,
            },
        },
        "runtimeConfig": {
            plugin: {
                "properties": [
                    {
                        "id": f"0.{plugin}",
                        "runCommand": "{{ commands }}",
                        "workingDirectory": "{{ workingDirectory }}",
                        "timeoutSeconds": "{{ executionTimeout }}",
                    }
                ]
            }
        },
    }


def _choice(default: str | None, description: str, *allowed: str) -> dict[str, Any]:
    declared: dict[str, Any] = {"type": "String", "description": description, "allowedValues": list(allowed)}
    return declared if default is None else declared | {"default": default}


def _text(default: str, description: str, pattern: str) -> dict[str, Any]:
    return {"type": "String", "default": default, "description": description, "allowedPattern": pattern}


_PATCH_PARAMETERS: Mapping[str, Any] = {
    "Operation": _choice(
        None, "(Required) Scan: look for missing patches. Install: install them, then look again.", "Scan", "Install"
    ),
    "AssociationId": _text("", "(Optional) The association for which this runs.", _GUID),
    "SnapshotId": _text("", "(Optional) The patch baseline snapshot's id.", _GUID),
    "InstallOverrideList": _text("", "(Optional) A list of the patches to install, by https or s3 URL.", _LOCATION),
    "BaselineOverride": _text("", "(Optional) Patch baselines to use instead, by https or s3 URL.", _LOCATION),
    "RebootOption": _choice(
        "RebootIfNeeded",
        "(Optional) Whether the node may be restarted after an installation.",
        "RebootIfNeeded",
        "NoReboot",
    ),
    "StepTimeoutSeconds": _text(
        "10800",
        "(Optional) Seconds until a step is ended, 1 to 36000.",
        "^([1-9][0-9]{0,3}|[12][0-9]{4}|3[0-5][0-9]{3}|36000)$",
    ),
}
_LINUX = (
    "#!/bin/sh",
    f"program={PATCH_PROGRAM}",
    'if [ ! -x "$program" ]; then',
    f'  echo "{_NO_PROGRAM}" >&2',
    f"  exit {CANNOT_PATCH}",
    "fi",
    "exec \"$program\" --operation '{{ Operation }}' --reboot-option '{{ RebootOption }}' "
    "--snapshot-id '{{ SnapshotId }}' --association-id '{{ AssociationId }}' "
    "--install-override-list '{{ InstallOverrideList }}' --baseline-override '{{ BaselineOverride }}' "
    "--step-timeout-seconds '{{ StepTimeoutSeconds }}'",
)
_ELSEWHERE = {
    "PatchWindows": (
        "Windows",
        "aws:runPowerShellScript",
        (f"[Console]::Error.WriteLine('{_NO_PROGRAM}')", f"exit {CANNOT_PATCH}"),
    ),
    "PatchMacOS": ("MacOS", "aws:runShellScript", (f"echo '{_NO_PROGRAM}' >&2", f"exit {CANNOT_PATCH}")),
}


def _patch_step(name: str, platform: str, plugin: str, lines: tuple[str, ...]) -> dict[str, Any]:
    return {
        "precondition": {"StringEquals": ["platformType", platform]},
        "action": plugin,
        "name": name,
        "inputs": {"timeoutSeconds": "{{ StepTimeoutSeconds }}", "runCommand": list(lines)},
    }


def _patching() -> dict[str, Any]:
    windows, mac = (_patch_step(name, *_ELSEWHERE[name]) for name in ("PatchWindows", "PatchMacOS"))
    return {
        "schemaVersion": "2.2",
        "description": "Scans for or installs patches, as the node's patch baseline says.",
        "parameters": dict(_PATCH_PARAMETERS),
        "mainSteps": [windows, _patch_step("PatchLinux", "Linux", "aws:runShellScript", _LINUX), mac],
    }


def _owned(name: str, content: Mapping[str, Any]) -> DocumentVersion:
    return DocumentVersion(
        name=name,
        number=1,
        kind=COMMAND,
        format="JSON",
        text=json.dumps(content, indent=2),
        content=content,
        created_at=_SINCE,
    )


OWNED: Mapping[str, DocumentVersion] = {
    made.name: made
    for made in (
        _owned("AWS-RunShellScript", _script("aws:runShellScript", "Run a shell script.")),
        _owned("AWS-RunPowerShellScript", _script("aws:runPowerShellScript", "Run a PowerShell script.")),
        _owned("AWS-RunPatchBaseline", _patching()),
    )
}
"""The documents of AWS by name, each in one version."""
