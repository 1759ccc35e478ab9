"""The operations on documents: create, read, list, update, delete."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.ssm import attachments, document_content
from localcloud.aws.ssm.document_answers import described, filters_of, identified, listed, passes
from localcloud.aws.ssm.document_model import COMMAND, DocumentVersion
from localcloud.aws.ssm.documents import Documents
from localcloud.aws.ssm.paging import page
from localcloud.aws.ssm.tags import require_tags
from localcloud.world import World

DEFAULT_PAGE = 50


class DocumentCalls:
    """CreateDocument, GetDocument and the others, over the world's `Documents`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._documents = world.part(Documents)

    def create(self, call: Call) -> Mapping[str, Any]:
        """CreateDocument; a Command document if the type is not given."""
        params = call.params
        kind = params.get("DocumentType", COMMAND)
        first = self._version(call, kind=kind, target_type=params.get("TargetType", ""))
        tags = require_tags(params.get("Tags") or (), code="ValidationException")
        made = self._documents.create(first, region=call.region, tags=tags)
        return {"DocumentDescription": described(made, made.latest, status="Creating")}

    def get(self, call: Call) -> Mapping[str, Any]:
        """GetDocument: in JSON unless another format is asked for."""
        params = call.params
        document = self._documents.get(params["Name"], region=call.region)
        version = document.version(params.get("DocumentVersion", ""), version_name=params.get("VersionName", ""))
        wanted = "TEXT" if version.format == "TEXT" else params.get("DocumentFormat", "JSON")
        answer = {
            "Name": document.name,
            "CreatedDate": version.created_at,
            "DocumentVersion": str(version.number),
            "Status": "Active",
            "Content": document_content.write(version.text, stored=version.format, wanted=wanted),
            "DocumentType": version.kind,
            "DocumentFormat": wanted,
            "AttachmentsContent": [
                {"Name": one.name, "Size": len(one.content), "Hash": one.sha256, "HashType": "Sha256"}
                for one in version.attachments
            ],
        }
        optional = {"DisplayName": version.display_name, "VersionName": version.version_name}
        requires = [dict(one) for one in version.requires]
        return answer | {k: v for k, v in optional.items() if v} | ({"Requires": requires} if requires else {})

    def describe(self, call: Call) -> Mapping[str, Any]:
        """DescribeDocument."""
        params = call.params
        document = self._documents.get(params["Name"], region=call.region)
        version = document.version(params.get("DocumentVersion", ""), version_name=params.get("VersionName", ""))
        return {"Document": described(document, version)}

    def list(self, call: Call) -> Mapping[str, Any]:
        """ListDocuments: one's own and those of AWS, by name."""
        filters = filters_of(call.params)
        shown, token = page(
            [one for one in self._documents.all(call.region) if passes(one, filters)],
            key=lambda document: document.name,
            size=call.params.get("MaxResults", DEFAULT_PAGE),
            token=call.params.get("NextToken", ""),
            question=["ListDocuments", call.region, [[key, sorted(values)] for key, values in filters]],
        )
        return {"DocumentIdentifiers": [identified(one) for one in shown]} | ({"NextToken": token} if token else {})

    def versions(self, call: Call) -> Mapping[str, Any]:
        """ListDocumentVersions: the newest first."""
        document = self._documents.get(call.params["Name"], region=call.region)
        shown, token = page(
            document.versions,
            key=lambda version: f"{10**9 - version.number}",
            size=call.params.get("MaxResults", DEFAULT_PAGE),
            token=call.params.get("NextToken", ""),
            question=["ListDocumentVersions", call.region, document.name],
        )
        return {"DocumentVersions": [listed(document, one) for one in shown]} | ({"NextToken": token} if token else {})

    def update(self, call: Call) -> Mapping[str, Any]:
        """UpdateDocument: a further version; the default stays as it is."""
        params = call.params
        present = self._documents.get(params["Name"], region=call.region)
        version = self._version(call, kind=present.kind, target_type=params.get("TargetType", ""))
        changed = self._documents.add_version(version, of=params.get("DocumentVersion", ""), region=call.region)
        return {"DocumentDescription": described(changed, changed.latest, status="Updating")}

    def set_default(self, call: Call) -> Mapping[str, Any]:
        """UpdateDocumentDefaultVersion."""
        params = call.params
        changed = self._documents.set_default(params["Name"], params["DocumentVersion"], region=call.region)
        named = changed.version().version_name
        answer = {"Name": changed.name, "DefaultVersion": str(changed.default)}
        return {"Description": answer | ({"DefaultVersionName": named} if named else {})}

    def delete(self, call: Call) -> Mapping[str, Any]:
        """DeleteDocument: all versions, or the one that is named."""
        params = call.params
        self._documents.delete(
            params["Name"],
            region=call.region,
            version=params.get("DocumentVersion", ""),
            version_name=params.get("VersionName", ""),
        )
        return {}

    def _version(self, call: Call, *, kind: str, target_type: str) -> DocumentVersion:
        params = call.params
        written = params.get("DocumentFormat", "JSON")
        content = document_content.read(params["Content"], format=written)
        document_content.check(kind, content)
        return DocumentVersion(
            name=params["Name"],
            number=1,
            kind=kind,
            format=written,
            text=params["Content"],
            content=content,
            created_at=call.now,
            version_name=params.get("VersionName", ""),
            display_name=params.get("DisplayName", ""),
            target_type=target_type,
            attachments=attachments.fetch(self._world, call, content),
            requires=tuple(params.get("Requires") or ()),
        )
