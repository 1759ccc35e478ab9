"""Templates before anything is made: structure, parameters, functions, conditions, rules."""

from typing import Any

import pytest

from localcloud.aws.cloudformation.functions import Resolver, check_rules
from localcloud.aws.cloudformation.parameters import given_values, shown, usable
from localcloud.aws.cloudformation.template import parse
from localcloud.errors import ServiceError

RESOURCES = "\nResources: {R: {Type: 'AWS::SNS::Topic'}}\n"


def resolver(text: str = "", **parameters: Any) -> Resolver:
    pseudo = {"AWS::Region": "us-east-1", "AWS::AccountId": "111122223333"}
    made = {"Topic": {"": "arn:topic", "TopicName": "topic"}}
    return Resolver(
        parse(text + RESOURCES),
        parameters,
        pseudo,
        lookup=lambda name, attribute: made[name][attribute],
        imports=lambda name: f"imported {name}",
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "P"}, "p"),
        ({"Ref": "Topic"}, "arn:topic"),
        ({"Fn::GetAtt": ["Topic", "TopicName"]}, "topic"),
        ({"Fn::GetAtt": "Topic.TopicName"}, "topic"),
        ({"Fn::Sub": "${P}-${AWS::Region}-${Topic.TopicName}-${!Literal}"}, "p-us-east-1-topic-${Literal}"),
        ({"Fn::Sub": ["${A}${P}", {"A": {"Ref": "Topic"}}]}, "arn:topicp"),
        ({"Fn::Join": ["-", ["a", {"Ref": "P"}, 3, True]]}, "a-p-3-true"),
        ({"Fn::Select": ["1", {"Fn::Split": ["/", "a/b"]}]}, "b"),
        ({"Fn::FindInMap": ["M", "us-east-1", "k"]}, "mapped"),
        ({"Fn::ImportValue": {"Fn::Sub": "${P}-x"}}, "imported p-x"),
        ({"Fn::Base64": "a"}, "YQ=="),
        ({"Fn::ToJsonString": {"a": {"Ref": "P"}}}, '{"a":"p"}'),
        ({"Fn::If": ["Yes", "then", "else"]}, "then"),
        ({"a": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, "b": 2}, {"b": 2}),
        ([{"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, 2], [2]),
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, ["10.0.0.0/24", "10.0.1.0/24"]),
        ({"Fn::Length": {"Fn::Split": [",", "a,b,c"]}}, 3),
    ],
)
def test_functions_come_to_their_values(value: Any, expected: Any) -> None:
    """As the user guide's reference says."""
    text = """
Mappings: {M: {us-east-1: {k: mapped}}}
Conditions:
  Yes: !Equals [a, a]
  No: !Not [!Condition Yes]
"""
    assert resolver(text, P="p").resolve(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"Fn::Transform": {}},
        {"Fn::Select": [3, ["a"]]},
        {"Fn::Select": ["x", ["a"]]},
        {"Fn::Select": "0"},
        {"Fn::Split": ["/"]},
        {"Fn::Cidr": ["no network", 2]},
        {"Ref": ["A"]},
        {"Fn::FindInMap": ["M", "a", "b"]},
        {"Fn::Join": ["", "text"]},
        "{{resolve:ssm:name}}",
    ],
    ids=str,
)
def test_what_cannot_be_resolved_is_refused(value: Any) -> None:
    """No value is passed on half resolved."""
    with pytest.raises(ServiceError) as caught:
        resolver().resolve(value)

    assert caught.value.code == "ValidationError"


def test_short_tags_and_json_mean_the_same() -> None:
    """YAML's tags are the long functions; dates stay text."""
    yaml_text = """
AWSTemplateFormatVersion: 2010-09-09
Parameters: {P: {Type: String}}
Resources:
  R:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: !Sub "${P}", TopicName: !If [C, !GetAtt Q.TopicName, !Ref AWS::NoValue]}
  Q: {Type: "AWS::SNS::Topic"}
Conditions: {C: !Equals [!Ref P, 2012-10-17]}
"""
    template = parse(yaml_text)

    assert template.resources["R"].properties == {
        "DisplayName": {"Fn::Sub": "${P}"},
        "TopicName": {"Fn::If": ["C", {"Fn::GetAtt": ["Q", "TopicName"]}, {"Ref": "AWS::NoValue"}]},
    }
    assert template.conditions["C"] == {"Fn::Equals": [{"Ref": "P"}, "2012-10-17"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "not well-formed"),
        ("text", "unsupported structure"),
        ("Resources: {}", "At least one Resources member"),
        ("Resource: {R: {Type: A}}", r"Invalid template property or properties \[Resource\]"),
        ("Transform: AWS::Serverless-2016-10-31" + RESOURCES, "Transform"),
        ("Resources: {R: {Typ: A}}", "must contain a Type member"),
        ("Resources: {R: {Type: A, Propertys: {}}}", "Propertys"),
        ("Resources: {R-1: {Type: A}}", "non alphanumeric"),
        ("Resources: {R: {Type: A, DeletionPolicy: Snapshot}}", "DeletionPolicy"),
        ("Resources: {R: {Type: A, DependsOn: Q}}", r"Unresolved resource dependencies \[Q\]"),
        ("Resources: {R: {Type: A, Properties: {p: !Sub '${Q.Arn}'}}}", r"Unresolved resource dependencies \[Q\]"),
        ("Resources: {R: {Type: A, Condition: C}}", "Unresolved condition dependency C"),
        ("Resources: {R: {Type: A, Properties: {p: !If [C, 1, 2]}}}", "Unresolved condition dependency C"),
        ("Outputs: {O: {Value: !Ref Q}}" + RESOURCES, "Outputs block"),
    ],
)
def test_malformed_templates_are_refused(text: str, told: str) -> None:
    """Before anything exists, in CloudFormation's words."""
    with pytest.raises(ServiceError, match=told):
        parse(text)


def values(definition: str, given: dict[str, str | None], *, exists: bool = True) -> dict[str, str]:
    template = parse(f"Parameters: {{P: {{{definition}}}}}{RESOURCES}")
    return given_values(template, given, {"P": "before"}, exists=lambda kind, value: exists)


@pytest.mark.parametrize(
    ("definition", "given", "value"),
    [
        ("Type: String, Default: d", {}, "d"),
        ("Type: String", {"P": None}, "before"),
        ("Type: Number, MinValue: 1, MaxValue: 3", {"P": "2"}, "2"),
        ("Type: String, AllowedPattern: '[a-z0-9]+'", {"P": "live1"}, "live1"),
        ("Type: String, AllowedValues: [true, false]", {"P": "true"}, "true"),
        ("Type: CommaDelimitedList, AllowedValues: [a, b]", {"P": "a, b"}, "a, b"),
        ("Type: 'List<AWS::EC2::Subnet::Id>'", {"P": "subnet-1,subnet-2"}, "subnet-1,subnet-2"),
    ],
)
def test_parameters_take_what_their_constraints_allow(definition: str, given: dict[str, Any], value: str) -> None:
    """Given, kept from before, or the default."""
    assert values(definition, given) == {"P": value}


@pytest.mark.parametrize(
    ("definition", "given", "told"),
    [
        ("Type: String", {}, r"Parameters: \[P\] must have values"),
        ("Type: String", {"Q": "1"}, r"Parameters: \[Q\] do not exist in the template"),
        ("Type: String, AllowedPattern: '[a-z]+'", {"P": "a1"}, r"Parameter 'P' must match pattern \[a-z\]\+"),
        (
            "Type: String, AllowedPattern: '[a-z]+', ConstraintDescription: must be letters",
            {"P": "1"},
            "Parameter 'P' must be letters",
        ),
        ("Type: String, AllowedValues: [a, b]", {"P": "c"}, r"must be one of AllowedValues \[a, b\]"),
        ("Type: String, MinLength: 2", {"P": "c"}, "at least 2 characters"),
        ("Type: String, MaxLength: 2", {"P": "ccc"}, "at most 2 characters"),
        ("Type: Number", {"P": "x"}, "must be a number"),
        ("Type: Number, MinValue: 5", {"P": "4"}, "not less than 5"),
        ("Type: Number, MaxValue: 5", {"P": "6"}, "not greater than 5"),
        ("Type: 'AWS::EC2::VPC::Id'", {"P": "vpc-1"}, "does not exist"),
        ("Type: Text", {"P": "vpc-1"}, "Unrecognized parameter type: Text"),
    ],
)
def test_parameters_outside_their_constraints_are_refused(definition: str, given: dict[str, Any], told: str) -> None:
    """The message names the parameter and the rule, or says the template's own words."""
    with pytest.raises(ServiceError, match=told):
        values(definition, given, exists=False)


def test_hidden_parameters_are_masked_and_lists_are_split() -> None:
    """NoEcho values are never shown; list types yield lists."""
    template = parse("Parameters: {P: {Type: String, NoEcho: true}, L: {Type: CommaDelimitedList}}" + RESOURCES)

    assert shown(template, {"P": "secret"}) == [{"ParameterKey": "P", "ParameterValue": "****"}]
    assert usable(template, {"P": "x", "L": "a, b"}) == {"P": "x", "L": ["a", "b"]}


def test_rules_hold_parameters_against_each_other() -> None:
    """A violated assertion says its description."""
    text = """
Parameters: {Role: {Type: String}, Make: {Type: String}}
Rules:
  OneOfThem:
    RuleCondition: !Equals [!Ref Make, "false"]
    Assertions:
      - Assert: !Not [!Equals [!Ref Role, ""]]
        AssertDescription: give a role or let the stack make one
"""
    template = parse(text + RESOURCES)

    check_rules(template, Resolver(template, {"Role": "", "Make": "true"}, {}))
    with pytest.raises(ServiceError, match="give a role"):
        check_rules(template, Resolver(template, {"Role": "", "Make": "false"}, {}))
