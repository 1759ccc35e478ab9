"""AttachmentsSource: the files that CreateDocument and UpdateDocument fetch from S3, with the caller's own rights.

Source: AttachmentsSource in the service's model; Systems Manager User Guide, "Creating runbooks" (five files, 256 MB).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.aws import catalogue, sessions
from localcloud.aws.call import Call
from localcloud.aws.seam import attach
from localcloud.aws.ssm import choices
from localcloud.aws.ssm.document_content import invalid
from localcloud.aws.ssm.document_model import Attachment
from localcloud.aws.ssm.documents import Documents
from localcloud.errors import ServiceError
from localcloud.world import World

_S3 = "s3://"


def fetch(world: World, call: Call, content: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """The attachments that a call's `Attachments` name, checked against the checksums in the content's `files`.

    Raises ServiceError ValidationException (not there, not allowed, too many, too big) or InvalidDocumentContent (a
    checksum that differs, a file that the content names and nothing brings).
    """
    sources: Sequence[Mapping[str, Any]] = call.params.get("Attachments") or ()
    files = content.get("files")
    declared: Mapping[str, Any] = files if isinstance(files, Mapping) else {}
    found = [one for source in sources for one in _from_source(world, call, source, tuple(declared))]
    if len(found) > choices.MAX_ATTACHMENTS:
        raise ServiceError("ValidationException", f"A document has at most {choices.MAX_ATTACHMENTS} attachments.")
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        raise ServiceError("ValidationException", "Attachment names must be unique.")
    for name in declared:
        if name not in names:
            raise invalid(f'The file "{name}" is not among the attachments.')
    for one in found:
        _require_checksum(one, declared.get(one.name))
    return tuple(found)


def _from_source(
    world: World, call: Call, source: Mapping[str, Any], declared: tuple[str, ...]
) -> Iterator[Attachment]:
    (value,) = source.get("Values") or ("",)
    kind = source.get("Key")
    if kind == "AttachmentReference":
        yield _of_other_document(world, call, value, source.get("Name"))
    elif kind == "S3FileUrl":
        bucket, key = _location(value)
        yield Attachment(name=source.get("Name") or key.rsplit("/", 1)[-1], content=_object(world, call, bucket, key))
    else:
        bucket, folder = _location(value)
        for name in declared:
            key = f"{folder.rstrip('/')}/{name}" if folder else name
            yield Attachment(name=name, content=_object(world, call, bucket, key))


def _of_other_document(world: World, call: Call, value: str, name: str | None) -> Attachment:
    document, _, rest = value.rpartition("/")[0].rpartition("/")
    file = value.rpartition("/")[2]
    found = world.part(Documents).find(document, rest, region=call.region).files
    if file not in found:
        raise ServiceError("ValidationException", f"There is no attachment {value}.")
    return Attachment(name=name or file, content=found[file])


def _location(value: str) -> tuple[str, str]:
    bucket, _, key = value.removeprefix(_S3).partition("/")
    if not value.startswith(_S3) or not bucket:
        raise ServiceError("ValidationException", f"Attachment source {value} is not an s3:// location.")
    return bucket, key


def _object(world: World, call: Call, bucket: str, key: str) -> bytes:
    client = _as_caller(world, call)
    try:
        size = client.head_object(Bucket=bucket, Key=key)["ContentLength"]
        if size > choices.MAX_ATTACHMENT_BYTES:
            raise ServiceError("ValidationException", f"Attachment s3://{bucket}/{key} is bigger than 256 MB.")
        return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise ServiceError("ValidationException", f"Attachment s3://{bucket}/{key} cannot be read ({code}).") from error


def _as_caller(world: World, call: Call) -> Any:
    """An S3 client with the credentials that signed the call."""
    scope = catalogue.scope_of(call.request)
    who = world.credentials.find(scope.access_key) if scope else None
    if who is None:
        raise ServiceError("ValidationException", "Attachments are fetched for signed calls only.")
    client = sessions.session(who, region=call.region).client(
        "s3", config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    )
    attach(client, world.endpoint.dispatch)
    return client


def _require_checksum(one: Attachment, declared: Any) -> None:
    if declared is None:
        return
    wanted = (declared.get("checksums") or {}).get("sha256") if isinstance(declared, Mapping) else None
    if wanted and str(wanted).lower() != hashlib.sha256(one.content).hexdigest():
        raise invalid(f'The checksum of the attachment "{one.name}" is not the one in "files".')
