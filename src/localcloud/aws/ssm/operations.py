"""The operations of Systems Manager that the local cloud carries out itself; the endpoint asks `operations`."""

from collections.abc import Mapping

from localcloud.aws.agent.channels import ControlChannels
from localcloud.aws.agent.heartbeat import HeartbeatCalls
from localcloud.aws.agent.messages import MessageCalls
from localcloud.aws.agent.registration import RegistrationCalls
from localcloud.aws.call import Operation
from localcloud.aws.ssm.activation_calls import ActivationCalls
from localcloud.aws.ssm.automation.calls import AutomationCalls
from localcloud.aws.ssm.commands.calls import CommandCalls
from localcloud.aws.ssm.compliance_calls import ComplianceCalls
from localcloud.aws.ssm.document_calls import DocumentCalls
from localcloud.aws.ssm.inventory import InventoryCalls
from localcloud.aws.ssm.node_calls import NodeCalls
from localcloud.aws.ssm.parameter_calls import ParameterCalls
from localcloud.aws.ssm.patch_calls import PatchCalls
from localcloud.aws.ssm.setting_calls import SettingCalls
from localcloud.aws.ssm.tags import TagCalls
from localcloud.world import World


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """All of them for one world, by (service, operation)."""
    ours = _public(world) | _documents(world) | _automation(world) | _commands(world) | _patching(world)
    return ours | _of_the_agent(world)


def _public(world: World) -> dict[tuple[str, str], Operation]:
    activations, nodes, settings, tags = ActivationCalls(world), NodeCalls(world), SettingCalls(world), TagCalls(world)
    return {
        ("ssm", "CreateActivation"): activations.create,
        ("ssm", "DescribeActivations"): activations.describe,
        ("ssm", "DeleteActivation"): activations.delete,
        ("ssm", "DescribeInstanceInformation"): nodes.describe,
        ("ssm", "DeregisterManagedInstance"): nodes.deregister,
        ("ssm", "PutParameter"): ParameterCalls(world).put,
        ("ssm", "GetParameter"): ParameterCalls(world).get,
        ("ssm", "GetServiceSetting"): settings.get,
        ("ssm", "UpdateServiceSetting"): settings.update,
        ("ssm", "ResetServiceSetting"): settings.reset,
        ("ssm", "ListTagsForResource"): tags.list,
        ("ssm", "AddTagsToResource"): tags.add,
        ("ssm", "RemoveTagsFromResource"): tags.remove,
    }


def _documents(world: World) -> dict[tuple[str, str], Operation]:
    documents = DocumentCalls(world)
    return {
        ("ssm", "CreateDocument"): documents.create,
        ("ssm", "GetDocument"): documents.get,
        ("ssm", "DescribeDocument"): documents.describe,
        ("ssm", "ListDocuments"): documents.list,
        ("ssm", "ListDocumentVersions"): documents.versions,
        ("ssm", "UpdateDocument"): documents.update,
        ("ssm", "UpdateDocumentDefaultVersion"): documents.set_default,
        ("ssm", "DeleteDocument"): documents.delete,
    }


def _commands(world: World) -> dict[tuple[str, str], Operation]:
    commands = CommandCalls(world)
    return {
        ("ssm", "SendCommand"): commands.send,
        ("ssm", "CancelCommand"): commands.cancel,
        ("ssm", "GetCommandInvocation"): commands.invocation,
        ("ssm", "ListCommands"): commands.commands,
        ("ssm", "ListCommandInvocations"): commands.invocations,
    }


def _patching(world: World) -> dict[tuple[str, str], Operation]:
    inventory, patches, compliance = InventoryCalls(world), PatchCalls(world), ComplianceCalls(world)
    return {
        ("ssm", "PutInventory"): inventory.put,
        ("ssm", "GetInventory"): inventory.get,
        ("ssm", "DescribeInstancePatchStates"): patches.states,
        ("ssm", "DescribeInstancePatches"): patches.patches,
        ("ssm", "PutComplianceItems"): compliance.put,
        ("ssm", "ListComplianceItems"): compliance.items,
        ("ssm", "ListComplianceSummaries"): compliance.summaries,
        ("ssm", "ListResourceComplianceSummaries"): compliance.of_resources,
    }


def _automation(world: World) -> dict[tuple[str, str], Operation]:
    automation = AutomationCalls(world)
    return {
        ("ssm", "StartAutomationExecution"): automation.start,
        ("ssm", "GetAutomationExecution"): automation.get,
        ("ssm", "DescribeAutomationExecutions"): automation.describe,
        ("ssm", "DescribeAutomationStepExecutions"): automation.describe_steps,
        ("ssm", "StopAutomationExecution"): automation.stop,
        ("ssm", "SendAutomationSignal"): automation.signal,
    }


def _of_the_agent(world: World) -> dict[tuple[str, str], Operation]:
    registration, heartbeat, messages = RegistrationCalls(world), HeartbeatCalls(world), MessageCalls(world)
    channels = world.part(ControlChannels)
    return {
        ("ssm", "RegisterManagedInstance"): registration.register,
        ("ssm", "RequestManagedInstanceRoleToken"): registration.role_token,
        ("ssm", "UpdateManagedInstancePublicKey"): registration.change_key,
        ("ssm", "UpdateInstanceInformation"): heartbeat.update,
        ("ssm", "ListInstanceAssociations"): heartbeat.instance_associations,
        ("ssm", "ListAssociations"): heartbeat.associations,
        ("ec2messages", "GetMessages"): messages.poll,
        ("ec2messages", "AcknowledgeMessage"): messages.acknowledge,
        ("ec2messages", "SendReply"): messages.reply,
        ("ec2messages", "FailMessage"): messages.fail,
        ("ec2messages", "DeleteMessage"): messages.delete,
        ("ssmmessages", "CreateControlChannel"): channels.create,
        ("ssmmessages", "OpenControlChannel"): channels.upgrade,
    }
