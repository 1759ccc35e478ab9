"""`moorings version`: what is installed here, what it runs on, and for which Lambda runtime it builds."""

import json
import platform
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from moorings.cli.options import Json
from moorings.cli.output import Results
from moorings.settings import deploy_settings

DEPENDENCIES = ("boto3", "botocore", "azure-identity", "azure-mgmt-compute", "cryptography", "rich", "typer")
_OBJECT_ID = 40  # characters of a commit's name, hexadecimal


def version(json: Json = False) -> None:
    """Show the version, and what it runs on and builds for.

    What a report of a problem should say. The commit is known of an installation from a repository.

    \b
    Examples:
      moorings version
      moorings version --json
    """
    results, told = Results(as_json=json), _told()
    if json:
        results.json(told)
        return
    results.line(f"moorings {told['version']}", style="bold")
    rows = [
        (name.replace("_", " "), text) for name, text in told.items() if isinstance(text, str) and name != "version"
    ]
    results.table(("", ""), [*rows, *((name, text or "not installed") for name, text in told["dependencies"].items())])


def _told() -> dict[str, Any]:
    from moorings.deploy.package import function_platform

    return {
        "version": installed("moorings"),
        "commit": commit_of(distribution("moorings")) or "not known",
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "executable": sys.executable,
        "builds_for": str(function_platform(deploy_settings().function_platform)),
        "dependencies": {name: _version_of(name) for name in DEPENDENCIES},
    }


def commit_of(found: Distribution) -> str:
    """The commit that was installed, if pip was given a repository, or works in a checkout; else empty.

    Source: PyPA, recording the direct URL origin of installed distributions.
    """
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return ""
    if commit := origin.get("vcs_info", {}).get("commit_id"):
        return str(commit)
    url = urlsplit(str(origin.get("url", "")))
    return _checked_out(Path(unquote(url.path)) / ".git") if url.scheme == "file" else ""


def _checked_out(git: Path) -> str:
    """What HEAD stands for, read without git, which need not be there."""
    try:
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        name = head.removeprefix("ref: ")
        loose = git / name
        if name == head:
            commit = head
        elif loose.is_file():
            commit = loose.read_text(encoding="ascii").strip()
        else:
            packed = (line.split() for line in (git / "packed-refs").read_text(encoding="ascii").splitlines())
            commit = next((parts[0] for parts in packed if parts[1:] == [name]), "")
    except (OSError, UnicodeDecodeError):
        return ""
    return commit if len(commit) == _OBJECT_ID else ""


def _version_of(name: str) -> str:
    try:
        return installed(name)
    except PackageNotFoundError:
        return ""
