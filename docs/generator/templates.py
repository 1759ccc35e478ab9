"""What the CloudFormation templates say about themselves."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml
from docs.generator.tables import code, table

from moorings.deploy import templates as texts


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags as their long form; resolves nothing."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _function)


@cache
def template(name: str) -> Mapping[str, Any]:
    """A template as plain data."""
    loaded: Mapping[str, Any] = yaml.load(texts.read(name), _Loader)  # noqa: S506 - a SafeLoader
    return loaded


def stack_parameters() -> str:
    """The parameters of stack.yaml, in the groups of the console."""
    return _parameters(texts.STACK)


def endpoint_parameters() -> str:
    """The parameters of endpoint.yaml."""
    return _parameters(texts.ENDPOINT)


def stack_outputs() -> str:
    """The outputs of stack.yaml."""
    return _outputs(texts.STACK)


def endpoint_outputs() -> str:
    """The outputs of endpoint.yaml."""
    return _outputs(texts.ENDPOINT)


def patching_parameters() -> str:
    """The parameters of patching's stack, in the groups of the console."""
    return _parameters(texts.PATCHING)


def patching_outputs() -> str:
    """The outputs of patching's stack."""
    return _outputs(texts.PATCHING)


def _parameters(name: str) -> str:
    whole = template(name)
    groups = whole["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    parts = []
    for group in groups:
        rows = [_parameter(each, whole["Parameters"][each]) for each in group["Parameters"]]
        parts.append(
            f"**{group['Label']['default']}**\n\n" + table(("parameter", "default", "values", "meaning"), rows)
        )
    return "\n".join(parts)


def _parameter(name: str, parameter: Mapping[str, Any]) -> tuple[str, str, str, str]:
    default = "required" if "Default" not in parameter else code(str(parameter["Default"])) or "empty"
    return (code(name), default, _values(parameter), parameter["Description"])


def _values(parameter: Mapping[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(code(str(each)) for each in parameter["AllowedValues"])
    if "MinValue" in parameter:
        return f"{parameter['MinValue']:,} to {parameter['MaxValue']:,}"
    return str(parameter["Type"]).replace("AWS::EC2::", "").replace("::Id", " id")


def _outputs(name: str) -> str:
    return table(
        ("output", "meaning"), [(code(key), each["Description"]) for key, each in template(name)["Outputs"].items()]
    )


def of_type(type_: str, *, stack: str = texts.STACK) -> dict[str, Mapping[str, Any]]:
    """The properties of a stack's resources of one type, by their logical ids."""
    return {key: each["Properties"] for key, each in template(stack)["Resources"].items() if each["Type"] == type_}


_COMPARED = {"GreaterThanOrEqualToThreshold": "≥", "LessThanThreshold": "<"}


def alarms() -> str:
    """Every alarm of enrolment: what it looks at, when it rings, and what it says."""
    return _alarms(texts.STACK)


def patching_alarms() -> str:
    """Every alarm of patching."""
    return _alarms(texts.PATCHING)


def _alarms(stack: str) -> str:
    rows = []
    for name, alarm in of_type("AWS::CloudWatch::Alarm", stack=stack).items():
        periods = f"{alarm['EvaluationPeriods']} × {alarm['Period'] // 60} min"
        when = f"{alarm['Statistic']} {_COMPARED[alarm['ComparisonOperator']]} {alarm['Threshold']}, {periods}"
        if "InsufficientDataActions" in alarm:
            when += ", or no data"
        rows.append((code(name), code(f"{alarm['Namespace']} {alarm['MetricName']}"), when, alarm["AlarmDescription"]))
    return table(("alarm", "metric", "rings at", "meaning"), rows)


def gateway_responses() -> str:
    """What API Gateway answers by itself."""
    rows = []
    for answer in of_type("AWS::ApiGateway::GatewayResponse").values():
        message = re.search(r'"error":"(\w+)","message":"([^"]+)"', answer["ResponseTemplates"]["application/json"])
        assert message
        retry = answer.get("ResponseParameters", {}).get("gatewayresponse.header.Retry-After", "").strip("'")
        rows.append(
            (
                code(answer["ResponseType"]),
                str(answer.get("StatusCode", "the gateway's own")),
                code(message[1]),
                message[2],
                retry,
            )
        )
    return table(("the gateway's case", "status", "`error`", "`message`", "`Retry-After`"), rows)


def api_function_rights() -> str:
    """What the API's function may do."""
    return _rights(texts.STACK, "ApiFunctionRole")


def keeper_rights() -> str:
    """What enrolment's keeper may do."""
    return _rights(texts.STACK, "KeeperRole")


def automation_rights() -> str:
    """What an execution of the runbook may do."""
    return _rights(texts.PATCHING, "AutomationRole")


def runs_rights() -> str:
    """What patching's function and its keeper both may do."""
    return _rights(texts.PATCHING, "RunsPolicy")


def patching_function_rights() -> str:
    """What patching's function may do besides."""
    return _rights(texts.PATCHING, "FunctionRole")


def patching_keeper_rights() -> str:
    """What patching's keeper may do besides."""
    return _rights(texts.PATCHING, "KeeperRole")


def roles() -> str:
    """Every role of every template: who takes it on, and of which services it may use how many actions."""
    rows = []
    for stack in (texts.ENDPOINT, texts.STACK, texts.PATCHING):
        for name, role in of_type("AWS::IAM::Role", stack=stack).items():
            [trusted] = role["AssumeRolePolicyDocument"]["Statement"]
            by = code(trusted["Principal"]["Service"]) + (", of this account alone" if "Condition" in trusted else "")
            rows.append((ROOM[stack], code(name), by, _services(stack, role)))
    return table(("stack", "role", "taken on by", "may use"), rows)


def _services(stack: str, role: Mapping[str, Any]) -> str:
    """How many actions of each service a role's policies allow; AWS's own policies by their names."""
    documents = [each["PolicyDocument"] for each in role.get("Policies", [])]
    named = []
    for arn in role.get("ManagedPolicyArns", []):
        if "Ref" in arn:
            documents.append(template(stack)["Resources"][arn["Ref"]]["Properties"]["PolicyDocument"])
        else:
            named.append(code(arn["Fn::Sub"].rpartition("/")[2]))
    statements = [each["Fn::If"][1] if "Fn::If" in each else each for it in documents for each in it["Statement"]]
    listed = [each["Action"] for each in statements]
    actions = {action for each in listed for action in (each if isinstance(each, list) else [each])}
    counts = Counter(action.partition(":")[0] for action in actions)
    return ", ".join([*named, *(f"{service} ({number})" for service, number in sorted(counts.items()))])


def _rights(stack: str, role: str) -> str:
    properties = template(stack)["Resources"][role]["Properties"]
    document = properties.get("PolicyDocument") or properties["Policies"][0]["PolicyDocument"]
    rows = []
    for each in document["Statement"]:
        statement, only_if = (each["Fn::If"][1], each["Fn::If"][0]) if "Fn::If" in each else (each, "")
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        conditions = ", ".join(key for kind in statement.get("Condition", {}).values() for key in kind)
        on = ON[stack, statement["Sid"]]
        rows.append((", ".join(map(code, actions)), on, conditions, ONLY_IF.get(only_if, only_if)))
    return table(("actions", "on", "conditions", "only if"), rows)


ROOM = {texts.ENDPOINT: "endpoint", texts.STACK: "enrolment", texts.PATCHING: "patching"}
ONLY_IF = {
    "Deregistration": "`AllowDeregistration` is yes",
    "GivenKey": "`CredentialKmsKeyId` is given",
    "Federated": "the stack is federated",
}
ON: Mapping[tuple[str, str], str] = {
    (texts.STACK, "Ledger"): "the stack's table",
    (texts.STACK, "Codes"): "parameters below the stack's own path",
    (texts.STACK, "CodesAtRest"): "keys of the account and Region",
    (texts.STACK, "Activations"): "`*` (these know no resources)",
    (texts.STACK, "StaleNodes"): "managed nodes of the account and Region",
    (texts.STACK, "NodeRoles"): "the stack's node role and `NodeRoleArns`",
    (texts.STACK, "Keeper"): "the keeper function",
    (texts.STACK, "Log"): "the function's own log group",
    (texts.PATCHING, "Commands"): "three documents of AWS; managed nodes of the account and Region",
    (texts.PATCHING, "Nodes"): "`*` (these know no resources)",
    (texts.PATCHING, "Function"): "the stack's function",
    (texts.PATCHING, "Records"): "the stack's table",
    (texts.PATCHING, "Credentials"): "parameters below `CredentialPrefix`",
    (texts.PATCHING, "CredentialsAtRest"): "that key",
    (texts.PATCHING, "Federation"): "`*` (a token of one's own)",
    (texts.PATCHING, "Executions"): "executions of the account and Region",
    (texts.PATCHING, "Outcomes"): "the stack's event bus",
    (texts.PATCHING, "Evidence"): "`*` (these know no resources)",
    (texts.PATCHING, "Due"): "the index of what is due in that table",
    (texts.PATCHING, "Log"): "the function's own log group",
}
