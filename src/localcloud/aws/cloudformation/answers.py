"""Stacks, events and change sets in the shapes of CloudFormation's answers."""

from typing import Any

from localcloud.aws.cloudformation.model import Change, ChangeSet, Event, Stack, StackResource
from localcloud.aws.cloudformation.parameters import is_hidden, shown
from localcloud.aws.cloudformation.template import Template

PAGE = 100  # events a page


def _without_empty(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if value is not None and value != ""}


def stack(one: Stack) -> dict[str, Any]:
    """A stack of DescribeStacks."""
    return _without_empty(
        {
            "StackId": one.id,
            "StackName": one.name,
            "Description": one.wanted.template.description,
            "Parameters": shown(one.wanted.template, one.wanted.values),
            "CreationTime": one.created,
            "LastUpdatedTime": one.updated,
            "DeletionTime": one.deleted,
            "StackStatus": one.status,
            "StackStatusReason": one.reason,
            "DisableRollback": one.on_failure == "DO_NOTHING",
            "NotificationARNs": [],
            "Capabilities": list(one.wanted.capabilities),
            "Outputs": list(one.outputs),
            "Tags": [{"Key": key, "Value": value} for key, value in one.wanted.tags.items()],
            "EnableTerminationProtection": one.protected,
            "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        }
    )


def summary(one: Stack) -> dict[str, Any]:
    """A stack of ListStacks."""
    return _without_empty(
        {
            "StackId": one.id,
            "StackName": one.name,
            "TemplateDescription": one.wanted.template.description,
            "CreationTime": one.created,
            "LastUpdatedTime": one.updated,
            "DeletionTime": one.deleted,
            "StackStatus": one.status,
            "StackStatusReason": one.reason,
            "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        }
    )


def event(owner: Stack, one: Event) -> dict[str, Any]:
    """An event of DescribeStackEvents."""
    return _without_empty(
        {
            "StackId": owner.id,
            "EventId": one.id,
            "StackName": owner.name,
            "LogicalResourceId": one.logical_id,
            "PhysicalResourceId": one.physical_id,
            "ResourceType": one.type,
            "Timestamp": one.at,
            "ResourceStatus": one.status,
            "ResourceStatusReason": one.reason,
            "ClientRequestToken": one.token,
        }
    )


def resource(owner: Stack, one: StackResource) -> dict[str, Any]:
    """A resource of DescribeStackResources."""
    return _without_empty(
        {
            "StackName": owner.name,
            "StackId": owner.id,
            "LogicalResourceId": one.logical_id,
            "PhysicalResourceId": one.made.id if one.made else "",
            "ResourceType": one.definition.type,
            "Timestamp": one.at,
            "ResourceStatus": one.status,
            "ResourceStatusReason": one.reason,
            "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
        }
    )


def resource_summary(one: StackResource) -> dict[str, Any]:
    """A resource of ListStackResources."""
    return _without_empty(
        {
            "LogicalResourceId": one.logical_id,
            "PhysicalResourceId": one.made.id if one.made else "",
            "ResourceType": one.definition.type,
            "LastUpdatedTimestamp": one.at,
            "ResourceStatus": one.status,
            "ResourceStatusReason": one.reason,
            "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
        }
    )


def resource_detail(owner: Stack, one: StackResource) -> dict[str, Any]:
    """The resource of DescribeStackResource."""
    return {"StackName": owner.name, "StackId": owner.id, **resource_summary(one)}


def template_parameters(template: Template) -> dict[str, Any]:
    """What ValidateTemplate and GetTemplateSummary tell of a template's parameters."""
    return {
        "Description": template.description,
        "Parameters": [
            _without_empty(
                {
                    "ParameterKey": name,
                    "DefaultValue": str(entry["Default"]) if "Default" in entry else None,
                    "NoEcho": is_hidden(entry),
                    "Description": entry.get("Description"),
                }
            )
            for name, entry in template.parameters.items()
        ],
    }


def template_summary(template: Template) -> dict[str, Any]:
    """`template_parameters` with the types that GetTemplateSummary adds."""
    told = template_parameters(template)
    for entry in told["Parameters"]:
        entry["ParameterType"] = str(template.parameters[entry["ParameterKey"]].get("Type", "String"))
    return told


def change_set_summary(owner: Stack, one: ChangeSet) -> dict[str, Any]:
    """A change set of ListChangeSets."""
    return _without_empty(
        {
            "StackId": owner.id,
            "StackName": owner.name,
            "ChangeSetId": one.id,
            "ChangeSetName": one.name,
            "ExecutionStatus": one.execution,
            "Status": one.status,
            "StatusReason": one.reason,
            "CreationTime": one.created,
            "Description": one.description,
        }
    )


def change_set(owner: Stack, one: ChangeSet) -> dict[str, Any]:
    """The answer of DescribeChangeSet."""
    return {
        **change_set_summary(owner, one),
        "Parameters": shown(one.wanted.template, one.wanted.values),
        "Capabilities": list(one.wanted.capabilities),
        "Tags": [{"Key": key, "Value": value} for key, value in one.wanted.tags.items()],
        "Changes": [_change(entry) for entry in one.changes] if one.status != "FAILED" else [],
    }


def _change(one: Change) -> dict[str, Any]:
    details = [
        {
            "Target": {"Attribute": "Properties", "Name": name},
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
        for name in one.properties
    ]
    return {
        "Type": "Resource",
        "ResourceChange": _without_empty(
            {
                "Action": one.action,
                "LogicalResourceId": one.logical_id,
                "PhysicalResourceId": one.physical_id,
                "ResourceType": one.type,
                "Replacement": one.replacement,
                "Scope": ["Properties"] if details else [],
                "Details": details,
            }
        ),
    }
