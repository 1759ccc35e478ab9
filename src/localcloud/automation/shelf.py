"""Runbooks from files: a document, those that it calls beside it, and whatever else the service keeps.

A file's attachments lie beside it too, under the names that its `files` gives them.
"""

import hashlib
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.automation import parsing, validation
from localcloud.automation.document import Runbook
from localcloud.automation.errors import DocumentNotFound, DocumentVersionNotFound
from localcloud.automation.ports import FoundDocument
from localcloud.automation.refusals import InvalidDocument

SUFFIXES = (".yaml", ".yml", ".json")
ATTACHMENT_LIMIT = 256 * 1024**2  # bytes

_NEWEST = frozenset({"", "$DEFAULT", "$LATEST", "1"})
_FETCH_LIMIT = 25  # seconds


class Shelf:
    """Finds documents in a folder by their file's name, else in Systems Manager. A `DocumentSource`."""

    def __init__(self, folder: Path, *, first: FoundDocument, service: Callable[[], Any]) -> None:
        """`first` is read already. `service` gives the client of Systems Manager, asked for what the folder lacks."""
        self._folder = folder
        self._first = first
        self._service = service

    def find(self, name: str, version: str) -> FoundDocument:
        """See `ports.DocumentSource.find`."""
        for suffix in SUFFIXES:
            file = self._folder / f"{name}{suffix}"
            if "/" not in name and file.is_file():
                if version not in _NEWEST:
                    raise DocumentVersionNotFound(
                        f"{file} is the only version of {name}; there is no version {version}."
                    )
                return read_document(file)
        return self._stored(name, version)

    def _stored(self, name: str, version: str) -> FoundDocument:
        asked = {"Name": name, **({"DocumentVersion": version} if version else {})}
        try:
            answer = self._service().get_document(**asked)
        except ClientError as error:
            kind = DocumentVersionNotFound if "Version" in error.response["Error"]["Code"] else DocumentNotFound
            raise kind(f"{name} is not beside the runbook, and Systems Manager says: {error}") from error
        except BotoCoreError as error:
            raise DocumentNotFound(f"{name} is not beside the runbook, and the service: {error}") from error
        try:
            runbook = validation.runbook(parsing.load(answer["Content"], format=answer.get("DocumentFormat", "JSON")))
        except InvalidDocument as error:
            raise DocumentNotFound(f"{name} is no runbook: {error}") from error
        return FoundDocument(
            name=str(answer["Name"]),
            version=str(answer["DocumentVersion"]),
            runbook=runbook,
            attachments={each["Name"]: _fetched(each, runbook) for each in answer.get("AttachmentsContent", ())},
        )


def read_document(file: Path) -> FoundDocument:
    """The runbook in a file, with its attachments; raises InvalidDocument, as CreateDocument refuses it."""
    runbook = validation.runbook(read_content(file))
    return FoundDocument(
        name=file.stem,
        version="1",
        runbook=runbook,
        attachments={name: _attachment(file.parent, name, runbook) for name in runbook.files},
    )


def read_content(file: Path) -> dict[str, Any]:
    """What a file of JSON or YAML says; raises InvalidDocument if it cannot be read, or is neither."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidDocument(f"{file} cannot be read: {why}") from error
    return parsing.load(text, format="JSON" if file.suffix == ".json" else "auto")


def _attachment(folder: Path, name: str, runbook: Runbook) -> bytes:
    if Path(name).name != name:
        raise InvalidDocument(f"{name} is no name of an attachment.")
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise InvalidDocument(f"The attachment {name} is not beside the runbook: {error}") from error
    return _checked(name, content, runbook)


def _fetched(listed: Mapping[str, Any], runbook: Runbook) -> bytes:
    name, url = str(listed["Name"]), str(listed.get("Url", ""))
    if not url.startswith(("https://", "http://")):
        raise DocumentNotFound(f"The attachment {name} has no address from which it could be had.")
    try:
        with urllib.request.urlopen(url, timeout=_FETCH_LIMIT) as answer:  # noqa: S310 - only http, see above
            content = answer.read(ATTACHMENT_LIMIT + 1)
    except (URLError, OSError) as error:
        raise DocumentNotFound(f"The attachment {name} cannot be had: {error}") from error
    try:
        return _checked(name, content, runbook)
    except InvalidDocument as error:
        raise DocumentNotFound(str(error)) from error


def _checked(name: str, content: bytes, runbook: Runbook) -> bytes:
    wanted = (runbook.files.get(name, {}).get("checksums") or {}).get("sha256")
    if wanted and hashlib.sha256(content).hexdigest() != str(wanted).lower():
        raise InvalidDocument(f"The attachment {name} has another checksum than the document says.")
    return content
