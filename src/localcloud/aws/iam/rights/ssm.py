"""Rights of Systems Manager calls.

Sources: Service Authorization Reference, "AWS Systems Manager" (CreateActivation, DeleteActivation, Describe…: no
resource types; CreateActivation: aws:RequestTag, aws:TagKeys). PassRole and AddTagsToResource behind CreateActivation:
AWS Fault Injection Service User Guide, ECS tasks ("ssm:CreateActivation, ssm:AddTagsToResource, iam:PassRole").
KMS behind SecureStrings: Systems Manager User Guide, "AWS KMS encryption for Parameter Store SecureString parameters":
Encrypt for a standard parameter, GenerateDataKey for an advanced one, Decrypt for both, with PARAMETER_ARN as context.
"""

from collections.abc import Callable, Mapping, Sequence

from localcloud.aws.call import Call
from localcloud.aws.iam.policy import Values
from localcloud.aws.iam.rights.model import (
    Directory,
    Entry,
    Right,
    StoredParameter,
    arn,
    partition,
    request_tags,
    resource_tags,
    simple,
)

DEFAULT_KEY = "alias/aws/ssm"
_STANDARD_BYTES = 4096
_TAG_SPELLING = "ssm:resourceTag"
# ResourceType of the tagging calls → the word in the ARN.
_TAGGED = {
    "Association": "association",
    "Automation": "automation-execution",
    "Document": "document",
    "MaintenanceWindow": "maintenancewindow",
    "ManagedInstance": "managed-instance",
    "OpsItem": "opsitem",
    "OpsMetadata": "opsmetadata",
    "PatchBaseline": "patchbaseline",
}


def parameter_arn(call: Call, name: str) -> str:
    """The ARN of a parameter or path; a selector (`:3`, `:label`) is no part of it."""
    if name.startswith("arn:"):
        return ":".join(name.split(":")[:6])
    # A hierarchical name keeps its slashes but the first: parameter/a/b for /a/b.
    return arn(call, "ssm", f"parameter/{name.split(':', maxsplit=1)[0].removeprefix('/')}")


def _plain_name(name: str) -> str:
    """The name by which a stored parameter is found: without selector, an ARN turned back into the name."""
    if name.startswith("arn:"):
        tail = name.split(":")[5].removeprefix("parameter/")
        return f"/{tail}" if "/" in tail else tail
    return name.split(":", maxsplit=1)[0]


def _on_parameter(call: Call, directory: Directory, action: str, name: str, keys: Mapping[str, Values]) -> Right:
    stored = directory.parameter(_plain_name(name))
    tags = resource_tags(stored.tags, also=_TAG_SPELLING) if stored else {}
    return Right(action=action, resource=parameter_arn(call, name), keys={**tags, **keys})


def _kms(call: Call, directory: Directory, action: str, key_id: str, name: str) -> Right:
    # A key that does not exist has no ARN of its own; the check of the key's policy then names it.
    key = directory.key_arn(key_id) or arn(call, "kms", f"key/{key_id}")
    return Right(
        action=action, resource=key, keys=encryption_keys({"PARAMETER_ARN": parameter_arn(call, name)}), via="ssm"
    )


def encryption_keys(context: Mapping[str, str]) -> dict[str, Values]:
    """The condition keys of an encryption context. Source: KMS Developer Guide, "AWS KMS condition keys"."""
    keys: dict[str, Values] = {f"kms:EncryptionContext:{key}": value for key, value in context.items()}
    return {**keys, "kms:EncryptionContextKeys": tuple(context)} if context else {}


def _reads(action: str) -> Entry:
    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        given = call.params.get("Names") or [call.params["Name"]]
        needed = [_on_parameter(call, directory, action, name, {}) for name in given]
        if call.params.get("WithDecryption"):
            stored = [found for name in given if (found := directory.parameter(_plain_name(name)))]
            needed += _decrypt(call, directory, stored)
        return needed

    return Entry(actions=(action, "kms:Decrypt"), rights=rights)


def _decrypt(call: Call, directory: Directory, stored: Sequence[StoredParameter]) -> list[Right]:
    return [_kms(call, directory, "kms:Decrypt", one.key_id, one.name) for one in stored if one.secure]


def _read_path(call: Call, directory: Directory) -> Sequence[Right]:
    path, recursive = call.params["Path"], bool(call.params.get("Recursive"))
    needed = [
        Right(
            action="ssm:GetParametersByPath",
            resource=parameter_arn(call, path),
            keys={"ssm:Recursive": str(recursive).lower()},
        )
    ]
    if call.params.get("WithDecryption"):
        needed += _decrypt(call, directory, directory.parameters_below(path, recursive=recursive))
    return needed


def _put(call: Call, directory: Directory) -> Sequence[Right]:
    name, tags = call.params["Name"], call.params.get("Tags")
    overwrite = str(bool(call.params.get("Overwrite"))).lower()
    keys: dict[str, Values] = {"ssm:Overwrite": overwrite, **request_tags(tags)}
    needed = [_on_parameter(call, directory, "ssm:PutParameter", name, keys)]
    if tags:
        needed.append(_on_parameter(call, directory, "ssm:AddTagsToResource", name, request_tags(tags)))
    stored = directory.parameter(_plain_name(name))
    secure = call.params["Type"] == "SecureString" if "Type" in call.params else bool(stored and stored.secure)
    if secure:
        action = "kms:GenerateDataKey" if _advanced(call) else "kms:Encrypt"
        # Without KeyId the AWS managed key is used, even when the parameter had another key before.
        needed.append(_kms(call, directory, action, call.params.get("KeyId") or DEFAULT_KEY, name))
    return needed


def _advanced(call: Call) -> bool:
    tier = call.params.get("Tier", "Standard")
    too_big = len(str(call.params.get("Value", "")).encode()) > _STANDARD_BYTES
    return tier == "Advanced" or (tier == "Intelligent-Tiering" and (too_big or bool(call.params.get("Policies"))))


def _delete(action: str) -> Callable[[Call, Directory], Sequence[Right]]:
    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        given = call.params.get("Names") or [call.params["Name"]]
        return [_on_parameter(call, directory, action, name, {}) for name in given]

    return rights


def _tagging(action: str) -> Entry:
    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        kind, identifier = call.params["ResourceType"], call.params["ResourceId"]
        keys = request_tags(call.params.get("Tags"))
        if removed := call.params.get("TagKeys"):
            keys["aws:TagKeys"] = tuple(removed)
        if kind == "Parameter":
            return [_on_parameter(call, directory, action, identifier, keys)]
        if kind == "ManagedInstance":
            keys = {**resource_tags(directory.node_tags(identifier), also=_TAG_SPELLING), **keys}
        # A kind that this table does not know is asked for by its own name: no policy of ours can mean it by mistake.
        return [Right(action=action, resource=arn(call, "ssm", f"{_TAGGED.get(kind, kind)}/{identifier}"), keys=keys)]

    return Entry(actions=(action,), rights=rights)


def _create_activation(call: Call, directory: Directory) -> Sequence[Right]:
    tags = request_tags(call.params.get("Tags"))
    role = call.params["IamRole"]
    needed = [Right(action="ssm:CreateActivation", keys=tags)]
    if tags:
        # The reference knows no ARN for an activation, so the tags are asked for on `*`.
        needed.append(Right(action="ssm:AddTagsToResource", keys=tags))
    passed = directory.role_arn(role) or f"arn:{partition(call.region)}:iam::{call.account}:role/{role}"
    needed.append(Right(action="iam:PassRole", resource=passed, keys={"iam:PassedToService": "ssm.amazonaws.com"}))
    return needed


def _on_node(action: str) -> Entry:
    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        node = call.params["InstanceId"]
        tags = resource_tags(directory.node_tags(node), also=_TAG_SPELLING)
        return [Right(action=action, resource=arn(call, "ssm", f"managed-instance/{node}"), keys=tags)]

    return Entry(actions=(action,), rights=rights)


def _new_node_role(call: Call, directory: Directory) -> Sequence[Right]:
    role = call.params["IamRole"]
    passed = directory.role_arn(role) or f"arn:{partition(call.region)}:iam::{call.account}:role/{role}"
    return [
        *_on_node("ssm:UpdateManagedInstanceRole").rights(call, directory),
        Right(action="iam:PassRole", resource=passed, keys={"iam:PassedToService": "ssm.amazonaws.com"}),
    ]


def _setting(call: Call) -> str:
    return arn(call, "ssm", f"servicesetting/{str(call.params['SettingId']).removeprefix('/')}")


ENTRIES: Mapping[tuple[str, str], Entry] = {
    ("ssm", "GetParameter"): _reads("ssm:GetParameter"),
    ("ssm", "GetParameters"): _reads("ssm:GetParameters"),
    ("ssm", "GetParameterHistory"): _reads("ssm:GetParameterHistory"),
    ("ssm", "GetParametersByPath"): Entry(actions=("ssm:GetParametersByPath", "kms:Decrypt"), rights=_read_path),
    ("ssm", "PutParameter"): Entry(
        actions=("ssm:PutParameter", "ssm:AddTagsToResource", "kms:Encrypt", "kms:GenerateDataKey"), rights=_put
    ),
    ("ssm", "DeleteParameter"): Entry(actions=("ssm:DeleteParameter",), rights=_delete("ssm:DeleteParameter")),
    ("ssm", "DeleteParameters"): Entry(actions=("ssm:DeleteParameters",), rights=_delete("ssm:DeleteParameters")),
    ("ssm", "DescribeParameters"): simple("ssm:DescribeParameters"),
    ("ssm", "AddTagsToResource"): _tagging("ssm:AddTagsToResource"),
    ("ssm", "RemoveTagsFromResource"): _tagging("ssm:RemoveTagsFromResource"),
    ("ssm", "ListTagsForResource"): _tagging("ssm:ListTagsForResource"),
    ("ssm", "CreateActivation"): Entry(
        actions=("ssm:CreateActivation", "ssm:AddTagsToResource", "iam:PassRole"), rights=_create_activation
    ),
    ("ssm", "DeleteActivation"): simple("ssm:DeleteActivation"),
    ("ssm", "DescribeActivations"): simple("ssm:DescribeActivations"),
    ("ssm", "DescribeInstanceInformation"): simple("ssm:DescribeInstanceInformation"),
    ("ssm", "DeregisterManagedInstance"): _on_node("ssm:DeregisterManagedInstance"),
    ("ssm", "UpdateManagedInstanceRole"): Entry(
        actions=("ssm:UpdateManagedInstanceRole", "iam:PassRole"), rights=_new_node_role
    ),
    ("ssm", "GetServiceSetting"): simple("ssm:GetServiceSetting", _setting),
    ("ssm", "UpdateServiceSetting"): simple("ssm:UpdateServiceSetting", _setting),
}
