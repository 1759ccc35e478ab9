"""Which inputs each `aws:` action of schema 0.3 takes, and what CreateDocument says about others.

Names are checked when a document is made; types only for aws:runCommand, as in the service: other actions look at their
inputs when the step starts (`inputs` of an API call are open: they are the API's own members).
Source: Systems Manager User Guide, "Systems Manager Automation actions reference", one page an action.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.automation import references
from localcloud.automation.document import Parameter, ValueType

BRANCH, LOOP, SCRIPT, RUN_COMMAND = "aws:branch", "aws:loop", "aws:executeScript", "aws:runCommand"
UPDATE_VARIABLE = "aws:updateVariable"


@dataclass(frozen=True, slots=True)
class Taken:
    """What an action takes. `required`: each of them. `known` None: any name. `one_of`: at least one of each group."""

    required: tuple[str, ...] = ()
    known: tuple[str, ...] | None = ()
    one_of: tuple[tuple[str, ...], ...] = ()


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_API = Taken(required=_names("Service Api"), known=None)
_PROPERTY = Taken(required=_names("Service Api PropertySelector DesiredValues"), known=None)

ACTIONS: Mapping[str, Taken] = {
    "aws:approve": Taken(
        known=_names("Approvers MinRequiredApprovals NotificationArn Message EnhancedApprovals"),
        one_of=(_names("Approvers EnhancedApprovals"),),
    ),
    "aws:assertAwsResourceProperty": _PROPERTY,
    BRANCH: Taken(required=_names("Choices"), known=_names("Choices Default")),
    "aws:changeInstanceState": Taken(
        required=_names("InstanceIds DesiredState"),
        known=_names("InstanceIds CheckStateOnly DesiredState Force AdditionalInfo"),
    ),
    "aws:copyImage": Taken(
        required=_names("SourceImageId SourceRegion ImageName"),
        known=_names("SourceImageId SourceRegion ImageName ImageDescription Encrypted KmsKeyId ClientToken"),
    ),
    "aws:createImage": Taken(
        required=_names("InstanceId ImageName"),
        known=_names("InstanceId ImageName ImageDescription NoReboot BlockDeviceMappings"),
    ),
    "aws:createStack": Taken(
        required=_names("StackName"),
        known=_names(
            "StackName Capabilities ClientRequestToken DisableRollback NotificationARNs OnFailure Parameters"
            " ResourceTypes RoleARN StackPolicyBody StackPolicyURL Tags TemplateBody TemplateURL TimeoutInMinutes"
            " EnableTerminationProtection"
        ),
        one_of=(_names("TemplateBody TemplateURL"),),
    ),
    "aws:createTags": Taken(required=_names("ResourceIds Tags"), known=_names("ResourceIds ResourceType Tags")),
    "aws:deleteImage": Taken(required=_names("ImageId"), known=_names("ImageId")),
    "aws:deleteStack": Taken(
        required=_names("StackName"), known=_names("StackName ClientRequestToken RetainResources RoleARN")
    ),
    "aws:executeAutomation": Taken(
        required=_names("DocumentName"),
        known=_names(
            "DocumentName DocumentVersion RuntimeParameters MaxConcurrency MaxErrors Tags TargetLocations TargetMaps"
            " TargetParameterName Targets"
        ),
    ),
    "aws:executeAwsApi": _API,
    SCRIPT: Taken(
        required=_names("Runtime"),
        known=_names("Runtime Handler InputPayload Script Attachment"),
        one_of=(_names("Script Attachment"),),
    ),
    "aws:executeStateMachine": Taken(required=_names("stateMachineArn"), known=_names("stateMachineArn input name")),
    "aws:invokeLambdaFunction": Taken(
        required=_names("FunctionName"),
        known=_names("FunctionName Qualifier InvocationType LogType ClientContext InputPayload Payload"),
    ),
    "aws:invokeWebhook": Taken(required=_names("IntegrationName"), known=_names("IntegrationName Body")),
    LOOP: Taken(
        required=_names("Steps"),
        known=_names("Steps Iterators IteratorDataType LoopCondition MaxIterations"),
    ),
    "aws:pause": Taken(known=None),
    RUN_COMMAND: Taken(
        required=_names("DocumentName"),
        known=_names(
            "Comment MaxErrors Parameters DocumentHashType ServiceRoleArn MaxConcurrency Targets TimeoutSeconds"
            " OutputS3KeyPrefix CloudWatchOutputConfig NotificationConfig DocumentVersion InstanceIds"
            " OutputS3BucketName DocumentName DocumentHash"
        ),
    ),
    "aws:runInstances": Taken(
        required=_names("ImageId"),
        known=_names(
            "ImageId AdditionalInfo BlockDeviceMappings ClientToken CpuOptions CreditSpecification"
            " DisableApiTermination EbsOptimized HibernationOptions IamInstanceProfileArn IamInstanceProfileName"
            " InstanceInitiatedShutdownBehavior InstanceMarketOptions InstanceType Ipv6AddressCount Ipv6Addresses"
            " KernelId KeyName LaunchTemplate LicenseSpecifications MaxInstanceCount MetadataOptions MinInstanceCount"
            " Monitoring NetworkInterfaces Placement PrivateIpAddress RamdiskId SecurityGroupIds SecurityGroups"
            " SubnetId TagSpecifications UserData"
        ),
    ),
    "aws:sleep": Taken(known=_names("Duration Timestamp"), one_of=(_names("Duration Timestamp"),)),
    UPDATE_VARIABLE: Taken(required=_names("Name Value"), known=_names("Name Value")),
    "aws:waitForAwsResourceProperty": _PROPERTY,
}
# The inputs whose parameters must agree in type when the document is made.
_COMMAND_TYPES: Mapping[str, ValueType] = {
    "DocumentName": ValueType.STRING,
    "DocumentVersion": ValueType.STRING,
    "Comment": ValueType.STRING,
    "InstanceIds": ValueType.STRING_LIST,
    "Targets": ValueType.MAP_LIST,
    "Parameters": ValueType.STRING_MAP,
    "NotificationConfig": ValueType.STRING_MAP,
    "CloudWatchOutputConfig": ValueType.STRING_MAP,
    "OutputS3BucketName": ValueType.STRING,
    "OutputS3KeyPrefix": ValueType.STRING,
    "ServiceRoleArn": ValueType.STRING,
}


def faults(action: str, inputs: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> Iterator[str]:
    """What CreateDocument refuses in the inputs of a known action."""
    taken = ACTIONS[action]
    lacking = [name for name in taken.required if name not in inputs]
    lacking += [group[0] for group in taken.one_of if not any(name in inputs for name in group)]
    if lacking:
        required = taken.required + tuple(" or ".join(group) for group in taken.one_of)
        yield f"Missing required input names. Required=[ {_list(required)} ], Provided =[ {_list(inputs)} ]."
    elif taken.known is not None and not set(inputs) <= set(taken.known):
        yield f"Unknown input names provided. Known=[ {_list(taken.known)} ], Provided=[ {_list(inputs)} ]."
    if action == RUN_COMMAND:
        yield from _type_faults(inputs, parameters)


def _list(names: Mapping[str, Any] | tuple[str, ...]) -> str:
    return f"[{', '.join(names)}]"


def _type_faults(inputs: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> Iterator[str]:
    for name, wanted in _COMMAND_TYPES.items():
        value = inputs.get(name)
        whole = references.whole(value) if isinstance(value, str) else None
        parameter = parameters.get(whole.text) if whole else None
        if parameter is not None and parameter.type is not wanted:
            yield f"Input {value} is of type {parameter.type.value}, but expected type is {wanted.value}."
