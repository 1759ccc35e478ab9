"""The documents of a world, by Region: stored, versioned, found; those of AWS itself stand beside them everywhere.

`Documents(world).find(name, version)` is what Run Command and the Automation engine ask.
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from localcloud.aws.ssm import choices
from localcloud.aws.ssm.activations import Tags
from localcloud.aws.ssm.document_model import AMAZON, LATEST, Document, DocumentVersion
from localcloud.aws.ssm.owned_documents import OWNED
from localcloud.errors import ServiceError
from localcloud.world import World

_ARN = re.compile(r"arn:[^:]+:ssm:([^:]+):([^:]*):document/([^/]+)")
_RESERVED = re.compile(r"(?i:aws|amazon|amzn)")

Change = Callable[[Document], Document]


class Documents:
    """All documents of a world. Threads may share it; documents are values, changed by replacement."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stored: dict[tuple[str, str], Document] = {}
        self._lock = threading.Lock()

    def find(self, name: str, version: str = "", *, region: str | None = None) -> DocumentVersion:
        """The version that a request means: `name` may be an ARN, `version` a number, $LATEST, $DEFAULT or "".

        Raises ServiceError InvalidDocument or InvalidDocumentVersion.
        """
        return self.get(name, region=region).version(version)

    def get(self, name: str, *, region: str | None = None) -> Document:
        """The document with all its versions; raises ServiceError InvalidDocument if there is none."""
        region = region or self._world.region
        plain = self._plain_name(name, region)
        found = self._owned(plain, region) or self._stored.get((region, plain))
        if found is None:
            raise no_document(name)
        return found

    def all(self, region: str) -> list[Document]:
        """Every document that can be seen in a Region, those of AWS too, by name."""
        with self._lock:
            own = [document for (place, _), document in self._stored.items() if place == region]
        owned = [found for name in OWNED if (found := self._owned(name, region))]
        return sorted([*own, *owned], key=lambda document: document.name)

    def arn(self, document: Document) -> str:
        """The document's ARN; a document of AWS has no account in it."""
        account = "" if document.owner == AMAZON else document.owner
        return f"arn:aws:ssm:{document.region}:{account}:document/{document.name}"

    def create(self, first: DocumentVersion, *, region: str, tags: Tags = ()) -> Document:
        """A new document with its first version.

        Raises ServiceError: ValidationException (reserved name), DocumentAlreadyExists, DocumentLimitExceeded,
        MaxDocumentSizeExceeded.
        """
        if _RESERVED.match(first.name):
            raise ServiceError("ValidationException", f"Document name {first.name} begins with a reserved prefix.")
        _require_size(first)
        made = Document(
            name=first.name,
            region=region,
            owner=self._world.account,
            created_at=first.created_at,
            versions=(first,),
            tags=tags,
        )
        with self._lock:
            if (region, first.name) in self._stored:
                raise ServiceError("DocumentAlreadyExists", f"Document with name {first.name} already exists.")
            if sum(place == region for place, _ in self._stored) >= choices.MAX_DOCUMENTS:
                raise ServiceError("DocumentLimitExceeded", f"There are {choices.MAX_DOCUMENTS} documents already.")
            self._stored[region, first.name] = made
        return made

    def add_version(self, version: DocumentVersion, *, of: str, region: str) -> Document:
        """The document with a further version, whose number is given here; the default stays.

        `of` is the version that the caller believes to be the latest ("" or $LATEST: whichever it is). Raises
        ServiceError as UpdateDocument does.
        """
        _require_size(version)
        return self._change(version.name, region, lambda document: _extended(document, version, of))

    def set_default(self, name: str, number: str, *, region: str) -> Document:
        """The document with another default version; raises ServiceError InvalidDocument(Version)."""
        return self._change(name, region, lambda it: replace(it, default=it.version(number).number))

    def change_tags(self, name: str, change: Callable[[Tags], Tags], *, region: str) -> None:
        """Replace all tags of a document by `change` of the present ones; `change` may refuse by raising."""
        self._change(name, region, lambda it: replace(it, tags=change(it.tags)))

    def delete(self, name: str, *, region: str, version: str = "", version_name: str = "") -> None:
        """Forget a document, or one version of it, which cannot be the default.

        Raises ServiceError InvalidDocument(Version), InvalidDocumentOperation.
        """
        with self._lock:
            document = self._own(name, region)
            if not version and not version_name:
                del self._stored[region, document.name]
                return
            gone = document.version(version, version_name=version_name)
            if gone.number == document.default:
                raise ServiceError("InvalidDocumentOperation", "The default version of a document cannot be deleted.")
            rest = tuple(one for one in document.versions if one is not gone)
            self._stored[region, document.name] = replace(document, versions=rest)

    def _change(self, name: str, region: str, change: Change) -> Document:
        with self._lock:
            document = self._own(name, region)
            changed = change(document)
            self._stored[region, document.name] = changed
        return changed

    def _own(self, name: str, region: str) -> Document:
        plain = self._plain_name(name, region)
        if plain in OWNED:
            raise ServiceError("InvalidDocumentOperation", f"{plain} is owned by Amazon.")
        found = self._stored.get((region, plain))
        if found is None:
            raise no_document(name)
        return found

    def _plain_name(self, name: str, region: str) -> str:
        found = _ARN.fullmatch(name)
        if not found:
            return name
        place, account, plain = found.groups()
        mine = account == ("" if plain in OWNED else self._world.account)
        return plain if place == region and mine else name

    def _owned(self, name: str, region: str) -> Document | None:
        version = OWNED.get(name)
        if version is None:
            return None
        return Document(
            name=name, region=region, owner=AMAZON, created_at=version.created_at, versions=(version,), default=1
        )


def no_document(name: str) -> ServiceError:
    """The refusal of a name that no document bears."""
    return ServiceError("InvalidDocument", f"Document with name {name} does not exist.")


def _require_size(version: DocumentVersion) -> None:
    if len(version.text.encode()) > choices.MAX_DOCUMENT_BYTES:
        raise ServiceError(
            "MaxDocumentSizeExceeded", f"The size limit of a document is {choices.MAX_DOCUMENT_BYTES} bytes."
        )


def _extended(document: Document, version: DocumentVersion, of: str) -> Document:
    latest = document.latest
    if of not in ("", LATEST) and of != str(latest.number):
        raise ServiceError("InvalidDocumentVersion", "The document version is not valid or does not exist.")
    if len(document.versions) >= choices.MAX_DOCUMENT_VERSIONS:
        raise ServiceError(
            "DocumentVersionLimitExceeded", f"A document has at most {choices.MAX_DOCUMENT_VERSIONS} versions."
        )
    if any(_same(one, version) for one in document.versions):
        raise ServiceError(
            "DuplicateDocumentContent",
            "The content of the document matches another version of it. Change the content and try again.",
        )
    if version.version_name and any(one.version_name == version.version_name for one in document.versions):
        raise ServiceError("DuplicateDocumentVersionName", f"The version name {version.version_name} is used already.")
    added = replace(
        version,
        number=document.numbers + 1,
        kind=latest.kind,
        display_name=version.display_name or latest.display_name,
        target_type=version.target_type or latest.target_type,
        requires=latest.requires,
    )
    return replace(document, versions=(*document.versions, added), numbers=added.number)


def _same(one: DocumentVersion, other: DocumentVersion) -> bool:
    return one.text == other.text and _files(one) == _files(other)


def _files(version: DocumentVersion) -> Mapping[str, Any]:
    return {one.name: one.sha256 for one in version.attachments}
