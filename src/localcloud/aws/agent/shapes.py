"""The shapes of calls that botocore's models lack: what the SSM agent says to `ssm`, `ec2messages`, `ssmmessages`.

Written in botocore's own JSON form, so that the endpoint parses, validates and serialises them with the same code as
every public operation. The endpoint asks `operation_model`; tests hold the shapes to recordings of the real agent.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from moto.core.model import OperationModel, ServiceModel

CONTROL_CHANNEL_PREFIX = "/v1/control-channel/"

_PUBLIC_KEY = {
    "type": "string",
    "min": 392,
    "max": 4096,
}  # base64 of a SubjectPublicKeyInfo; RSA-2048 has 392 characters
_PUBLIC_KEY_TYPE = {"type": "string", "enum": ["Rsa"]}


def _structure(*required: str, **members: str) -> dict[str, Any]:
    return {
        "type": "structure",
        "required": list(required),
        "members": {name: {"shape": shape} for name, shape in members.items()},
    }


def _operations(*names: str) -> dict[str, Any]:
    return {
        name: {
            "name": name,
            "http": {"method": "POST", "requestUri": "/"},
            "input": {"shape": f"{name}Request"},
            "output": {"shape": f"{name}Result"},
        }
        for name in names
    }


_SCALARS: dict[str, Any] = {
    "Boolean": {"type": "boolean"},
    "Integer": {"type": "integer"},
    "String": {"type": "string"},
    "Timestamp": {"type": "timestamp"},
    # mi-… only: neither registration nor the node's key exist for an EC2 instance.
    "NodeId": {"type": "string", "pattern": "^mi-[0-9a-f]{17}$"},
}

_SSM: dict[str, Any] = {
    "version": "2.0",
    "metadata": {
        "apiVersion": "2014-11-06",
        "endpointPrefix": "ssm",
        "jsonVersion": "1.1",
        "protocol": "json",
        "serviceFullName": "Amazon Simple Systems Manager (SSM), calls of the agent",
        "serviceId": "SSM",
        "signatureVersion": "v4",
        "targetPrefix": "AmazonSSM",
        "uid": "ssm-agent-2014-11-06",
    },
    "operations": _operations(
        "RegisterManagedInstance",
        "RequestManagedInstanceRoleToken",
        "UpdateManagedInstancePublicKey",
        "UpdateInstanceInformation",
        "ListInstanceAssociations",
    ),
    "shapes": _SCALARS
    | {
        "ActivationCode": {"type": "string", "min": 20, "max": 250, "sensitive": True},
        "ActivationId": {
            "type": "string",
            "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        },
        "AssociationMaxResults": {"type": "integer", "min": 1, "max": 20},
        "Associations": {"type": "list", "member": {"shape": "Association"}},
        "Association": _structure(AssociationId="String", Name="String", InstanceId="NodeId"),
        "Fingerprint": {"type": "string", "min": 1, "max": 128},
        "PlatformType": {"type": "string", "enum": ["Windows", "Linux", "MacOS"]},
        "PublicKey": _PUBLIC_KEY,
        "PublicKeyType": _PUBLIC_KEY_TYPE,
        "RegisterManagedInstanceRequest": _structure(
            "ActivationCode",
            "ActivationId",
            "Fingerprint",
            "PublicKey",
            "PublicKeyType",
            ActivationCode="ActivationCode",
            ActivationId="ActivationId",
            Fingerprint="Fingerprint",
            PublicKey="PublicKey",
            PublicKeyType="PublicKeyType",
        ),
        "RegisterManagedInstanceResult": _structure("InstanceId", InstanceId="NodeId"),
        "RequestManagedInstanceRoleTokenRequest": _structure("Fingerprint", Fingerprint="Fingerprint"),
        "RequestManagedInstanceRoleTokenResult": _structure(
            # All five are required: an agent that misses UpdateKeyPair panics.
            "AccessKeyId",
            "SecretAccessKey",
            "SessionToken",
            "TokenExpirationDate",
            "UpdateKeyPair",
            AccessKeyId="String",
            SecretAccessKey="String",
            SessionToken="String",
            TokenExpirationDate="Timestamp",
            UpdateKeyPair="Boolean",
        ),
        "UpdateManagedInstancePublicKeyRequest": _structure(
            "NewPublicKey", "NewPublicKeyType", NewPublicKey="PublicKey", NewPublicKeyType="PublicKeyType"
        ),
        "UpdateManagedInstancePublicKeyResult": _structure(),
        "UpdateInstanceInformationRequest": _structure(
            "InstanceId",
            AgentName="String",
            AgentStatus="String",
            AgentVersion="String",
            AvailabilityZone="String",
            AvailabilityZoneId="String",
            ComputerName="String",
            IPAddress="String",
            InstanceId="NodeId",
            PlatformName="String",
            PlatformType="PlatformType",
            PlatformVersion="String",
            SSMConnectionChannel="String",
        ),
        "UpdateInstanceInformationResult": _structure(),
        "ListInstanceAssociationsRequest": _structure(
            "InstanceId", InstanceId="NodeId", MaxResults="AssociationMaxResults", NextToken="String"
        ),
        "ListInstanceAssociationsResult": _structure(Associations="Associations", NextToken="String"),
    },
}

_EC2MESSAGES: dict[str, Any] = {
    "version": "2.0",
    "metadata": {
        "apiVersion": "2015-06-19",
        "endpointPrefix": "ec2messages",
        "jsonVersion": "1.1",
        "protocol": "json",
        "serviceFullName": "EC2 message delivery, calls of the agent",
        "serviceId": "ec2messages",
        "signatureVersion": "v4",
        "targetPrefix": "EC2WindowsMessageDeliveryService",
        "uid": "ec2messages-2015-06-19",
    },
    "operations": _operations("GetMessages", "AcknowledgeMessage", "SendReply", "FailMessage", "DeleteMessage"),
    "shapes": _SCALARS
    | {
        # 10 from the agent as recorded; the bounds are ours.
        "VisibilityTimeout": {"type": "integer", "min": 0, "max": 3600},
        "Message": _structure(
            "CreatedDate",
            "Destination",
            "MessageId",
            "Topic",
            CreatedDate="String",
            Destination="NodeId",
            MessageId="String",
            Topic="String",
            Payload="String",
            PayloadDigest="String",
        ),
        "Messages": {"type": "list", "member": {"shape": "Message"}},
        "GetMessagesRequest": _structure(
            "Destination",
            "MessagesRequestId",
            Destination="NodeId",
            MessagesRequestId="String",
            VisibilityTimeoutInSeconds="VisibilityTimeout",
        ),
        "GetMessagesResult": _structure(Destination="NodeId", MessagesRequestId="String", Messages="Messages"),
        "AcknowledgeMessageRequest": _structure("MessageId", MessageId="String"),
        "AcknowledgeMessageResult": _structure(),
        "SendReplyRequest": _structure(
            "MessageId", "Payload", "ReplyId", MessageId="String", Payload="String", ReplyId="String"
        ),
        "SendReplyResult": _structure(MessageId="String", ReplyId="String", ReplyStatus="String", Description="String"),
        "FailMessageRequest": _structure("MessageId", "FailureType", MessageId="String", FailureType="FailureType"),
        "FailMessageResult": _structure(),
        "DeleteMessageRequest": _structure("MessageId", MessageId="String"),
        "DeleteMessageResult": _structure(),
        "FailureType": {"type": "string", "enum": ["InternalHandlerException", "NoHandlerExists"]},
    },
}

_CHANNEL_INPUT: dict[str, Any] = {
    "type": "structure",
    "required": ["ChannelId"],
    "members": {
        "ChannelId": {"shape": "String", "location": "uri", "locationName": "ChannelId"},
        "MessageSchemaVersion": {"shape": "String"},
        "RequestId": {"shape": "String"},
        "role": {"shape": "String", "location": "querystring", "locationName": "role"},
        "stream": {"shape": "String", "location": "querystring", "locationName": "stream"},
    },
}

_SSMMESSAGES: dict[str, Any] = {
    "version": "2.0",
    "metadata": {
        "apiVersion": "2017-10-18",
        "endpointPrefix": "ssmmessages",
        "protocol": "rest-json",
        "serviceFullName": "Message gateway, calls of the agent",
        "serviceId": "ssmmessages",
        "signatureVersion": "v4",
        "uid": "ssmmessages-2017-10-18",
    },
    "operations": {
        name: {
            "name": name,
            "http": {"method": method, "requestUri": CONTROL_CHANNEL_PREFIX + "{ChannelId}"},
            "input": {"shape": "ChannelRequest"},
            "output": {"shape": "ChannelResult"},
        }
        for name, method in (("CreateControlChannel", "POST"), ("OpenControlChannel", "GET"))
    },
    "shapes": _SCALARS | {"ChannelRequest": _CHANNEL_INPUT, "ChannelResult": _structure()},
}

_MODELS: Mapping[str, dict[str, Any]] = {"ssm": _SSM, "ec2messages": _EC2MESSAGES, "ssmmessages": _SSMMESSAGES}


@cache
def service_model(service: str) -> ServiceModel:
    """The agent's side of `service`: `ssm` (without the public operations), `ec2messages` or `ssmmessages`."""
    return ServiceModel(_MODELS[service], service)


def operation_model(service: str, operation: str) -> OperationModel | None:
    """The model of a call that only the agent makes, or None if it is not one of those."""
    if service not in _MODELS or operation not in _MODELS[service]["operations"]:
        return None
    found: OperationModel = service_model(service).operation_model(operation)
    return found


def service_of_path(method: str, path: str) -> tuple[str, str] | None:
    """(service, operation) of a control-channel request, which names neither; None for any other path."""
    operation = {"POST": "CreateControlChannel", "GET": "OpenControlChannel"}.get(method)
    if operation is None or not path.startswith(CONTROL_CHANNEL_PREFIX):
        return None
    return "ssmmessages", operation
