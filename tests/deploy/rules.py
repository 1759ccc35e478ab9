"""The rules that the policy set consists of, as `test_policy_set.py` holds them against all templates.

Models: the security standards of AWS (Foundational Security Best Practices) and checkov's checks for CloudFormation,
named at each rule.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.deploy.cfn import leaves

from moorings.deploy import templates

Template = Mapping[str, Any]
Findings = Iterator[str]

# What checkov asks for and we do not do, with what would be gained and lost. A resource skips these alone.
SKIPPED = {
    "CKV_AWS_59": "authorisation at the gateway: the API is private, and its function judges the proof",
    "CKV_AWS_73": "X-Ray: one function behind one API; both logs share a request id",
    "CKV_AWS_76": "access log: it is there whenever the account lets APIs log, which checkov cannot see",
    "CKV_AWS_115": "reserved concurrency of a keeper: two at once do no harm, and it would be taken from the account",
    "CKV_AWS_116": "dead letters: whoever asks gets the error, and a keeper's next run does it again",
    "CKV_AWS_117": "functions in a VPC: they call public APIs alone, and would need a way out of it",
    "CKV_AWS_119": "own key of a table: it holds no secret, and a key costs money and can be lost",
    "CKV_AWS_120": "caching: every answer is a secret of one server",
    "CKV_AWS_158": "own key of a log group: no log holds a secret",
    "CKV_AWS_173": "own key of the environment: no variable holds a secret",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `breaks` makes a template of ours break it, which shows that the rule can fail."""

    id: str
    what: str
    why: str
    remedy: str
    model: str
    found: Callable[[Template], Findings]
    on: str  # the template that `breaks` is tried on
    breaks: Callable[[dict[str, Any]], object]


def _each(template: Template, *types: str) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource["Type"].removeprefix("AWS::") in types:
            yield name, resource, resource.get("Properties", {})


def _bare(value: Any) -> Any:
    """An optional part as it is when it is there."""
    return value["Fn::If"][1] if isinstance(value, Mapping) and "Fn::If" in value else value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements_of(template: Template) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Place, kind (identity, trust or resource) and statement of every policy."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        documents = [("trust", properties.get("AssumeRolePolicyDocument"))]
        kind = "identity" if resource["Type"] == "AWS::IAM::ManagedPolicy" else "resource"
        documents += [(kind, properties.get(key)) for key in ("PolicyDocument", "KeyPolicy", "Policy")]
        documents += [("identity", each["PolicyDocument"]) for each in properties.get("Policies", ())]
        for kind, document in documents:
            for statement in document["Statement"] if document else ():
                yield name, kind, _bare(statement)


def _tables(template: Template) -> Findings:
    for name, resource, table in _each(template, "DynamoDB::Table"):
        if not table.get("SSESpecification", {}).get("SSEEnabled"):
            yield f"{name} is encrypted under a key that nobody can watch"
        if not table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
            yield f"{name} cannot be brought back"
        if resource.get("UpdateReplacePolicy") != "Retain" or "DeletionProtectionEnabled" not in table:
            yield f"{name} can be lost"


def _keys(template: Template) -> Findings:
    for name, _, key in _each(template, "KMS::Key"):
        if key.get("EnableKeyRotation") is not True:
            yield f"{name} is never rotated"


def _logs(template: Template) -> Findings:
    for name, _, group in _each(template, "Logs::LogGroup"):
        if "RetentionInDays" not in group:
            yield f"{name} is kept for ever"
    groups = {name for name, _, _ in _each(template, "Logs::LogGroup")}
    for name, _, function in _each(template, "Lambda::Function"):
        if function.get("LoggingConfig", {}).get("LogGroup", {}).get("Ref") not in groups:
            yield f"{name} would make a log group of its own, which stays"


def _topics(template: Template) -> Findings:
    closed = {topic["Ref"] for _, _, policy in _each(template, "SNS::TopicPolicy") for topic in policy["Topics"]}
    for name, _, topic in _each(template, "SNS::Topic"):
        if "KmsMasterKeyId" not in topic:
            yield f"{name} is not encrypted"
        if name not in closed:
            yield f"{name} has no policy"


def _actions(template: Template) -> Findings:
    for name, kind, statement in statements_of(template):
        if {"NotAction", "NotResource", "NotPrincipal"} & statement.keys():
            yield f"{name}: a statement by what it is not"
        wide = [action for action in _listed(statement["Action"]) if "*" in action]
        # In a key's policy it is the usual delegation to the account, for that key.
        if kind != "resource" and wide and statement["Effect"] == "Allow":
            yield f"{name}: {', '.join(wide)}"


def _resources(template: Template) -> Findings:
    """`*` only for calls that know no resources; which those are is `UNLIMITED` in the tests of each template."""
    for name, kind, statement in statements_of(template):
        if kind == "identity" and statement.get("Resource") == "*" and not statement.get("Sid"):
            yield f"{name}: everything, for no reason that is told"


def _strangers(template: Template) -> Findings:
    for name, kind, statement in statements_of(template):
        if statement["Effect"] != "Allow" or kind == "identity":
            continue
        if statement["Principal"] == "*" and not _is_guarded(template["Resources"][name], statement):
            yield f"{name}: everybody, under no condition"
        service = isinstance(statement["Principal"], Mapping) and statement["Principal"].get("Service")
        # A function's own role is passed to it by name; everywhere else a service could be sent by another account.
        known = service in (False, None, "lambda.amazonaws.com", "apigateway.amazonaws.com")
        if not known and not _asks(statement) and not _is_asked_by_the_topic(template, name, service):
            yield f"{name}: {service} on behalf of whatever account"


def _asks(statement: Mapping[str, Any]) -> bool:
    return bool({"aws:SourceAccount", "aws:SourceArn"} & set(leaves(statement.get("Condition", {}))))


def _is_asked_by_the_topic(template: Template, key: str, service: object) -> bool:
    """EventBridge does not tell the key of a topic on whose behalf it comes, only the topic; which has to ask, then."""
    encrypted = [
        name for name, _, topic in _each(template, "SNS::Topic") if topic.get("KmsMasterKeyId") == {"Ref": key}
    ]
    let_in = [
        statement
        for _, _, policy in _each(template, "SNS::TopicPolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and any({"Ref": name} in policy["Topics"] for name in encrypted)
    ]
    return service == "events.amazonaws.com" and bool(let_in) and all(map(_asks, let_in))


def _is_guarded(resource: Mapping[str, Any], statement: Mapping[str, Any]) -> bool:
    """An endpoint's policy is bound by its resource; that of a private API by the denial beside it."""
    if resource["Type"] == "AWS::EC2::VPCEndpoint":
        return "${AWS::AccountId}" in json.dumps(statement["Resource"])
    if resource["Type"] == "AWS::ApiGateway::RestApi":
        beside = resource["Properties"]["Policy"]["Statement"]
        return any(each["Effect"] == "Deny" and "aws:SourceVpce" in set(leaves(each)) for each in beside)
    return bool(statement.get("Condition"))


def _invoked(template: Template) -> Findings:
    for name, _, permission in _each(template, "Lambda::Permission"):
        if permission["Principal"] == "*" or "SourceArn" not in permission:
            yield f"{name}: {permission['Principal']} on behalf of whatever"
    for name, _, _ in _each(template, "Lambda::Url"):
        yield f"{name}: a function that the internet can call"


def _runtimes(template: Template) -> Findings:
    for name, _, function in _each(template, "Lambda::Function"):
        if function.get("Runtime") != "python3.13":  # until June 2029
            yield f"{name}: {function.get('Runtime')}"


def _apis(template: Template) -> Findings:
    for name, _, api in _each(template, "ApiGateway::RestApi"):
        if api["EndpointConfiguration"]["Types"] != ["PRIVATE"]:
            yield f"{name} is reached from the internet"
    for name, _, stage in _each(template, "ApiGateway::Stage"):
        if "AccessLogSetting" not in stage:
            yield f"{name} has no access log"
        for setting in stage.get("MethodSettings", ()):
            if setting.get("DataTraceEnabled") is not False:
                yield f"{name} logs bodies"
            if "ThrottlingRateLimit" not in setting:
                yield f"{name} lets everything through"


def _networks(template: Template) -> Findings:
    for name, _, group in _each(template, "EC2::SecurityGroup"):
        for rule in (*group.get("SecurityGroupIngress", ()), *group.get("SecurityGroupEgress", ())):
            if "0.0.0.0/0" in (rule.get("CidrIp"), rule.get("CidrIpv6")) or rule.get("IpProtocol") in ("-1", -1):
                yield f"{name} is open to everybody"
            if not rule.get("Description"):
                yield f"{name}: a rule without a word"
        if "SecurityGroupEgress" not in group:
            yield f"{name} lets everything out"


def _secrets(template: Template) -> Findings:
    """A secret would be a value that looks like one, or a parameter that is to be hidden."""
    for name, parameter in template.get("Parameters", {}).items():
        if parameter.get("NoEcho") and "Default" in parameter:
            yield f"{name}: a secret with a default"
    for name, _, function in _each(template, "Lambda::Function"):
        for key, value in function.get("Environment", {}).get("Variables", {}).items():
            hidden = [leaf for leaf in leaves(value) if template["Parameters"].get(str(leaf), {}).get("NoEcho")]
            if hidden or re.search(r"SECRET|PASSWORD|TOKEN|_CODE$", key):
                yield f"{name}: {key} in the environment"


def _fates(template: Template) -> Findings:
    for name, resource, _ in _each(template, "DynamoDB::Table", "KMS::Key", "Logs::LogGroup", "S3::Bucket"):
        if not {"DeletionPolicy", "UpdateReplacePolicy"} <= resource.keys():
            yield f"{name}: what happens to its data is left to a default"


def _watched(template: Template) -> Findings:
    alarms = [alarm for _, _, alarm in _each(template, "CloudWatch::Alarm")]
    for name, _, _ in _each(template, "Lambda::Function"):
        seen = {alarm["MetricName"] for alarm in alarms if {"Ref": name} in (d["Value"] for d in alarm["Dimensions"])}
        for metric in {"Errors", "Throttles"} - seen:
            yield f"{name}: nobody hears of {metric}"
    for name, _, alarm in _each(template, "CloudWatch::Alarm"):
        if "AlarmActions" not in alarm or not alarm.get("AlarmDescription"):
            yield f"{name} tells nobody, or nothing"


def _outputs(template: Template) -> Findings:
    for name, output in template.get("Outputs", {}).items():
        if not output.get("Description"):
            yield f"{name}: what is it?"


def _reasons(template: Template) -> Findings:
    """A check that is skipped has a reason where the resource stands; cfn-lint's are not ignored at all."""
    if "cfn-lint" in template.get("Metadata", {}):
        yield "a rule of cfn-lint is ignored for the whole template"
    for name, resource in template["Resources"].items():
        metadata = resource.get("Metadata", {})
        if "cfn-lint" in metadata:
            yield f"{name}: a rule of cfn-lint is ignored"
        for skipped in metadata.get("checkov", {}).get("skip", ()):
            if skipped["id"] not in SKIPPED or not skipped.get("comment"):
                yield f"{name}: {skipped['id']} is skipped"


def _first(type_: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def of(template: dict[str, Any]) -> dict[str, Any]:
        return next(each for each in template["Resources"].values() if each["Type"] == f"AWS::{type_}")

    return of


def _property(type_: str, path: str, value: Any) -> Callable[[dict[str, Any]], object]:
    """Sets a property of the first resource of a type; None takes it away."""

    def change(template: dict[str, Any]) -> None:
        at = _first(type_)(template)["Properties"]
        *way, last = path.split("/")
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at[step]
        if value is None:
            del at[last]
        else:
            at[last] = value

    return change


def _allowed(**statement: str) -> Callable[[dict[str, Any]], object]:
    """Gives the first role a statement on everything."""
    allowed = {"Effect": "Allow", "Resource": "*", **statement}
    return _property("IAM::Role", "Policies", [{"PolicyDocument": {"Statement": [allowed]}}])


RULES = (
    Rule(
        id="table-kept", what="a table is encrypted under a KMS key, can be recovered, and survives its replacement",
        why="it holds who got which activation, and which VM is half-way", model="DynamoDB.2, CKV_AWS_28, CKV_AWS_119",
        remedy="SSESpecification, PointInTimeRecoverySpecification, DeletionProtectionEnabled, Retain on replacement",
        found=_tables, on=templates.STACK, breaks=_property("DynamoDB::Table", "SSESpecification", None),
    ),
    Rule(
        id="key-rotated", what="a key is rotated by AWS", why="a key that leaks opens what comes after it, too",
        remedy="EnableKeyRotation: true", model="KMS.4, CKV_AWS_7",
        found=_keys, on=templates.STACK, breaks=_property("KMS::Key", "EnableKeyRotation", False),
    ),
    Rule(
        id="log-ends", what="a log ends some day, and is the stack's own", model="CloudWatch.16, CKV_AWS_66",
        why="what is kept for ever is paid for ever, and a log that Lambda makes outlives the stack",
        remedy="RetentionInDays, and LoggingConfig with a group of the template",
        found=_logs, on=templates.PATCHING, breaks=_property("Lambda::Function", "LoggingConfig", {}),
    ),
    Rule(
        id="topic-encrypted", what="a topic is encrypted and says who may publish", why="outcomes name servers",
        remedy="KmsMasterKeyId and an AWS::SNS::TopicPolicy", model="SNS.1, CKV_AWS_26",
        found=_topics, on=templates.PATCHING, breaks=_property("SNS::Topic", "KmsMasterKeyId", None),
    ),
    Rule(
        id="actions-named", what="every action is named", why="a service's next action would be allowed as well",
        remedy="list the actions", model="IAM.21, CKV_AWS_107 to 111",
        found=_actions, on=templates.STACK,
        breaks=_allowed(Action="ssm:*", Sid="All"),
    ),
    Rule(
        id="resources-named", what="a statement on everything has a name, and so a reason", model="CKV_AWS_111",
        why="what a role may do is what whoever gets its credentials may do",
        remedy="name the resource, or the statement in the tests' list of reasons",
        found=_resources, on=templates.PATCHING,
        breaks=_allowed(Action="ssm:ListCommands"),
    ),
    Rule(
        id="no-strangers", what="nobody outside the account is let in", model="CKV_AWS_33, CKV_AWS_60, confused deputy",
        why="a service works for everybody: it must say on whose behalf it comes",
        remedy="a condition on aws:SourceAccount or aws:SourceArn, or on the way that is taken",
        found=_strangers, on=templates.PATCHING,
        breaks=_property("IAM::Role", "AssumeRolePolicyDocument/Statement",
                         [{"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"},
                           "Action": "sts:AssumeRole"}]),
    ),
    Rule(
        id="invoked-by-name", what="a function is invoked by one rule or one API", why="any other could send it events",
        remedy="SourceArn; no function URL", model="Lambda.1, CKV_AWS_364, CKV_AWS_258",
        found=_invoked, on=templates.STACK, breaks=_property("Lambda::Permission", "SourceArn", None),
    ),
    Rule(
        id="runtime-supported", what="the runtime gets security updates", why="AWS blocks functions of an old one",
        remedy="the newest runtime that the zips are built for", model="Lambda.2, CKV_AWS_363",
        found=_runtimes, on=templates.STACK, breaks=_property("Lambda::Function", "Runtime", "python3.9"),
    ),
    Rule(
        id="api-private", what="an API is private, throttled, logged, and its bodies are in no log",
        why="its answers are secrets", remedy="PRIVATE, AccessLogSetting, DataTraceEnabled: false, throttles",
        model="APIGateway.1, APIGateway.9, CKV_AWS_76",
        found=_apis, on=templates.STACK,
        breaks=_property("ApiGateway::RestApi", "EndpointConfiguration/Types", ["REGIONAL"]),
    ),
    Rule(
        id="network-closed", what="a security group opens what is needed and says why", why="no more is needed",
        remedy="one port, given ranges, a Description; an egress that allows nothing", model="EC2.2, CKV_AWS_23 to 25",
        found=_networks, on=templates.ENDPOINT,
        breaks=_property("EC2::SecurityGroup", "SecurityGroupIngress/0/CidrIp", "0.0.0.0/0"),
    ),
    Rule(
        id="no-secret-shown", what="no secret is in a parameter's default or a function's environment",
        why="whoever may look at a function reads its environment", remedy="a SecureString, read when it is needed",
        model="CKV_AWS_45, CKV_AWS_149",
        found=_secrets, on=templates.PATCHING,
        breaks=_property("Lambda::Function", "Environment/Variables/AZURE_CLIENT_SECRET", "x"),
    ),
    Rule(
        id="fate-stated", what="what becomes of data is said for deletion and for replacement",
        why="the defaults differ by type, and one of them loses data", remedy="DeletionPolicy and UpdateReplacePolicy",
        model="cfn-lint I3011",
        found=_fates, on=templates.STACK,
        breaks=lambda template: _first("Logs::LogGroup")(template).pop("UpdateReplacePolicy"),
    ),
    Rule(
        id="watched", what="errors and throttles of every function ring", why="nobody reads logs", model="CKV_AWS_319",
        remedy="an alarm with a description and the topic",
        found=_watched, on=templates.PATCHING, breaks=_property("CloudWatch::Alarm", "AlarmActions", None),
    ),
    Rule(
        id="outputs-told", what="each output says what it is", why="it is all that whoever has the console alone sees",
        remedy="a Description", model="cfn-lint W6001",
        found=_outputs, on=templates.STACK, breaks=lambda template: template["Outputs"]["ApiId"].pop("Description"),
    ),
    Rule(
        id="skips-reasoned", what="a check that is skipped says why, where it is skipped", why="nobody knows later",
        remedy="Metadata: checkov: skip: id and comment; and a line in SKIPPED", model="checkov's own form",
        found=_reasons, on=templates.STACK,
        breaks=lambda template: _first("DynamoDB::Table")(template).update(
            Metadata={"checkov": {"skip": [{"id": "CKV_AWS_28", "comment": "too dear"}]}}
        ),
    ),
)  # fmt: skip
