"""Rights of the calls on Systems Manager documents.

Source: Service Authorization Reference, "AWS Systems Manager" (document: `arn:…:ssm:region:account:document/Name`,
without the account for the documents of AWS; CreateDocument: aws:RequestTag, aws:TagKeys; ListDocuments: no resource
types). Tags given to CreateDocument ask for AddTagsToResource beside it; attachments are read with the caller's rights.
"""

from collections.abc import Mapping, Sequence

from localcloud.aws.call import Call
from localcloud.aws.iam.policy import Values
from localcloud.aws.iam.rights.model import (
    Directory,
    Entry,
    Right,
    arn,
    partition,
    request_tags,
    resource_tags,
    simple,
)

_OWNED = ("aws", "amazon", "amzn")  # in any case; nobody else's document may begin so. Source: CreateDocument
_TAG_SPELLING = "ssm:resourceTag"


def is_owned(name: str) -> bool:
    """Whether a document of that name is one of AWS: then its ARN names no account."""
    return name.lower().startswith(_OWNED)


def document_arn(call: Call, name: str) -> str:
    """The ARN of a document that a call names, by name or by ARN."""
    if is_owned(name):
        return f"arn:{partition(call.region)}:ssm:{call.region}::document/{name}"
    return arn(call, "ssm", name if name.startswith("arn:") else f"document/{name}")


def document_tags(directory: Directory, name: str) -> Mapping[str, Values]:
    """The keys that the document's own tags bring along."""
    return resource_tags(directory.document_tags(name.rpartition("document/")[2]), also=_TAG_SPELLING)


def _create(call: Call, _: Directory) -> Sequence[Right]:
    resource, tags = document_arn(call, call.params["Name"]), request_tags(call.params.get("Tags"))
    needed = [Right(action="ssm:CreateDocument", resource=resource, keys=tags)]
    if tags:
        needed.append(Right(action="ssm:AddTagsToResource", resource=resource, keys=tags))
    return needed


def _on_document(operation: str) -> Entry:
    action = f"ssm:{operation}"

    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        name = call.params["Name"]
        keys = document_tags(directory, name)
        return [Right(action=action, resource=document_arn(call, name), keys=keys)]

    return Entry(actions=(action,), rights=rights)


_ON_DOCUMENT = (
    "GetDocument",
    "DescribeDocument",
    "ListDocumentVersions",
    "UpdateDocument",
    "UpdateDocumentDefaultVersion",
    "DeleteDocument",
)

ENTRIES: Mapping[tuple[str, str], Entry] = {
    ("ssm", "CreateDocument"): Entry(actions=("ssm:CreateDocument", "ssm:AddTagsToResource"), rights=_create),
    **{("ssm", operation): _on_document(operation) for operation in _ON_DOCUMENT},
    ("ssm", "ListDocuments"): simple("ssm:ListDocuments"),
}
