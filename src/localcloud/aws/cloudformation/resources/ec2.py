"""AWS::EC2: networks as far as private APIs need them: VPC, subnet, security group and its rules, VPC endpoint."""

import json
from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import BOOLEAN, DOCUMENT, INTEGER, TAGS, TEXT, ListOf, Shape, Struct
from localcloud.aws.cloudformation.tags import retag, tag_pairs, tags_of
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType, picked
from localcloud.aws.iam.documents import PolicyKind, parse

Properties = Mapping[str, Any]

_RULE: Mapping[str, Shape] = {
    "IpProtocol": TEXT,
    "FromPort": INTEGER,
    "ToPort": INTEGER,
    "CidrIp": TEXT,
    "Description": TEXT,
}


def _tag_specification(place: Place, kind: str, properties: Properties) -> dict[str, Any]:
    tags = tag_pairs(tags_of(properties))
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}


def _retag(place: Place, resource: str, old: Properties, new: Properties) -> None:
    client = place.client("ec2")
    retag(
        old,
        new,
        untag=lambda keys: client.delete_tags(Resources=[resource], Tags=[{"Key": key} for key in keys]),
        tag=lambda tags: client.create_tags(Resources=[resource], Tags=tag_pairs(tags)),
    )


def _delete(place: Place, call: str, **arguments: Any) -> None:
    client = place.client("ec2")
    try:
        getattr(client, call)(**arguments)
    except client.exceptions.ClientError as error:
        if not error.response["Error"]["Code"].endswith(".NotFound"):
            raise


class Vpc(ResourceType):
    """A network."""

    name = "AWS::EC2::VPC"
    properties = Struct(
        {"CidrBlock": TEXT, "EnableDnsSupport": BOOLEAN, "EnableDnsHostnames": BOOLEAN, "Tags": TAGS},
        required=("CidrBlock",),
    )
    replaced_by = frozenset({"CidrBlock"})
    attributes = frozenset({"VpcId", "CidrBlock", "DefaultSecurityGroup"})

    def create(self, place: Place, properties: Properties) -> Made:
        client = place.client("ec2")
        vpc = client.create_vpc(CidrBlock=properties["CidrBlock"], **_tag_specification(place, "vpc", properties))[
            "Vpc"
        ]
        vpc_id = vpc["VpcId"]
        self._dns(client, vpc_id, {}, properties)
        groups = client.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["SecurityGroups"]
        attributes = {"VpcId": vpc_id, "CidrBlock": vpc["CidrBlock"], "DefaultSecurityGroup": groups[0]["GroupId"]}
        return Made(id=vpc_id, attributes=attributes)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        self._dns(place.client("ec2"), made.id, old, new)
        _retag(place, made.id, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        _delete(place, "delete_vpc", VpcId=made.id)

    def _dns(self, client: Any, vpc_id: str, old: Properties, new: Properties) -> None:
        for key, default in (("EnableDnsSupport", True), ("EnableDnsHostnames", False)):
            if old.get(key, default) != new.get(key, default):
                client.modify_vpc_attribute(VpcId=vpc_id, **{key: {"Value": new.get(key, default)}})


class Subnet(ResourceType):
    """A subnet of a network."""

    name = "AWS::EC2::Subnet"
    properties = Struct(
        {"VpcId": TEXT, "CidrBlock": TEXT, "AvailabilityZone": TEXT, "Tags": TAGS}, required=("VpcId", "CidrBlock")
    )
    replaced_by = frozenset({"VpcId", "CidrBlock", "AvailabilityZone"})
    attributes = frozenset({"SubnetId", "VpcId", "AvailabilityZone"})

    def create(self, place: Place, properties: Properties) -> Made:
        names = picked(properties, {key: key for key in ("VpcId", "CidrBlock", "AvailabilityZone")})
        made = place.client("ec2").create_subnet(**names, **_tag_specification(place, "subnet", properties))["Subnet"]
        attributes = {key: made[key] for key in ("SubnetId", "VpcId", "AvailabilityZone")}
        return Made(id=made["SubnetId"], attributes=attributes)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        _retag(place, made.id, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        _delete(place, "delete_subnet", SubnetId=made.id)


class SecurityGroup(ResourceType):
    """A security group with the rules in its own definition."""

    name = "AWS::EC2::SecurityGroup"
    properties = Struct(
        {
            "GroupDescription": TEXT,
            "GroupName": TEXT,
            "VpcId": TEXT,
            "SecurityGroupIngress": ListOf(Struct({**_RULE, "SourceSecurityGroupId": TEXT}, required=("IpProtocol",))),
            "SecurityGroupEgress": ListOf(
                Struct({**_RULE, "DestinationSecurityGroupId": TEXT}, required=("IpProtocol",))
            ),
            "Tags": TAGS,
        },
        required=("GroupDescription",),
    )
    replaced_by = frozenset({"GroupDescription", "GroupName", "VpcId"})
    attributes = frozenset({"GroupId", "VpcId"})

    def create(self, place: Place, properties: Properties) -> Made:
        client = place.client("ec2")
        vpc = {"VpcId": properties["VpcId"]} if "VpcId" in properties else {}
        group = client.create_security_group(
            GroupName=properties.get("GroupName") or place.name(limit=255),
            Description=properties["GroupDescription"],
            **vpc,
            **_tag_specification(place, "security-group", properties),
        )["GroupId"]
        try:
            self._rules(client, group, {}, properties)
        except Exception:
            client.delete_security_group(GroupId=group)
            raise
        found = client.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
        return Made(id=group, attributes={"GroupId": group, "VpcId": found.get("VpcId", "")})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        self._rules(place.client("ec2"), made.id, old, new)
        _retag(place, made.id, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        _delete(place, "delete_security_group", GroupId=made.id)

    def _rules(self, client: Any, group: str, old: Properties, new: Properties) -> None:
        for key, add, remove in (
            ("SecurityGroupIngress", client.authorize_security_group_ingress, client.revoke_security_group_ingress),
            ("SecurityGroupEgress", client.authorize_security_group_egress, client.revoke_security_group_egress),
        ):
            had, wanted = [_permission(one) for one in old.get(key, [])], [_permission(one) for one in new.get(key, [])]
            if key == "SecurityGroupEgress" and bool(had) != bool(wanted):
                # Rules of one's own take the place of "everything may go out", and leave it behind when they go.
                everything = _permission({"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"})
                had, wanted = (had or [everything]), (wanted or [everything])
            for one in had:
                if one not in wanted:
                    remove(GroupId=group, IpPermissions=[one])
            for one in wanted:
                if one not in had:
                    add(GroupId=group, IpPermissions=[one])


def _permission(rule: Properties) -> dict[str, Any]:
    made = picked(rule, {key: key for key in ("IpProtocol", "FromPort", "ToPort")})
    described = {"Description": rule["Description"]} if "Description" in rule else {}
    if "CidrIp" in rule:
        made["IpRanges"] = [{"CidrIp": rule["CidrIp"], **described}]
    for key in ("SourceSecurityGroupId", "DestinationSecurityGroupId"):
        if key in rule:
            made["UserIdGroupPairs"] = [{"GroupId": rule[key], **described}]
    if "IpRanges" not in made and "UserIdGroupPairs" not in made:
        raise Failed("a security group rule needs CidrIp or a security group")
    return made


class _SecurityGroupRule(ResourceType):
    """One rule of a security group that is defined elsewhere."""

    attributes = frozenset({"Id"})
    calls: tuple[str, str]

    def create(self, place: Place, properties: Properties) -> Made:
        add = getattr(place.client("ec2"), self.calls[0])
        add(GroupId=properties["GroupId"], IpPermissions=[_permission(properties)])
        made = place.name(limit=255)
        return Made(id=made, attributes={"Id": made})

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        permission = _permission(properties)
        _delete(place, self.calls[1], GroupId=properties["GroupId"], IpPermissions=[permission])


class SecurityGroupIngress(_SecurityGroupRule):
    """A rule for what comes in."""

    name = "AWS::EC2::SecurityGroupIngress"
    properties = Struct({**_RULE, "GroupId": TEXT, "SourceSecurityGroupId": TEXT}, required=("GroupId", "IpProtocol"))
    replaced_by = frozenset(properties.members)
    calls = ("authorize_security_group_ingress", "revoke_security_group_ingress")


class SecurityGroupEgress(_SecurityGroupRule):
    """A rule for what goes out."""

    name = "AWS::EC2::SecurityGroupEgress"
    properties = Struct(
        {**_RULE, "GroupId": TEXT, "DestinationSecurityGroupId": TEXT}, required=("GroupId", "IpProtocol")
    )
    replaced_by = frozenset(properties.members)
    calls = ("authorize_security_group_egress", "revoke_security_group_egress")


class VpcEndpoint(ResourceType):
    """An interface endpoint; its policy is kept as JSON."""

    name = "AWS::EC2::VPCEndpoint"
    properties = Struct(
        {
            "VpcEndpointType": TEXT,
            "ServiceName": TEXT,
            "VpcId": TEXT,
            "SubnetIds": ListOf(TEXT),
            "SecurityGroupIds": ListOf(TEXT),
            "PrivateDnsEnabled": BOOLEAN,
            "PolicyDocument": DOCUMENT,
            "Tags": TAGS,
        },
        required=("ServiceName", "VpcId"),
    )
    replaced_by = frozenset({"VpcEndpointType", "ServiceName", "VpcId"})
    attributes = frozenset({"Id", "DnsEntries", "NetworkInterfaceIds", "CreationTimestamp"})

    def create(self, place: Place, properties: Properties) -> Made:
        if properties.get("VpcEndpointType") != "Interface":
            raise Failed(f"Unsupported value {properties.get('VpcEndpointType', 'Gateway')} of VpcEndpointType")
        arguments = {key: value for key, value in properties.items() if key not in {"PolicyDocument", "Tags"}}
        if "PolicyDocument" in properties:
            arguments["PolicyDocument"] = _policy(properties)
        made = place.client("ec2").create_vpc_endpoint(
            **arguments, **_tag_specification(place, "vpc-endpoint", properties)
        )["VpcEndpoint"]
        attributes = {
            "Id": made["VpcEndpointId"],
            "DnsEntries": [f"{one.get('HostedZoneId', '')}:{one['DnsName']}" for one in made.get("DnsEntries", [])],
            "NetworkInterfaceIds": made.get("NetworkInterfaceIds", []),
            "CreationTimestamp": str(made.get("CreationTimestamp", "")),
        }
        return Made(id=made["VpcEndpointId"], attributes=attributes)

    def refuse_update(self, old: Properties, new: Properties) -> None:
        if old.get("PrivateDnsEnabled") != new.get("PrivateDnsEnabled"):
            raise Failed(f"Unsupported update of property: PrivateDnsEnabled of {self.name}")
        if "PolicyDocument" in old and "PolicyDocument" not in new:
            raise Failed(f"Unsupported update of property: PolicyDocument of {self.name} (removed)")

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        changed: dict[str, Any] = {}
        if old.get("PolicyDocument") != new.get("PolicyDocument"):
            changed["PolicyDocument"] = _policy(new)
        for key, add, remove in (
            ("SubnetIds", "AddSubnetIds", "RemoveSubnetIds"),
            ("SecurityGroupIds", "AddSecurityGroupIds", "RemoveSecurityGroupIds"),
        ):
            had, wanted = set(old.get(key, [])), set(new.get(key, []))
            if wanted - had:
                changed[add] = sorted(wanted - had)
            if had - wanted:
                changed[remove] = sorted(had - wanted)
        if changed:
            place.client("ec2").modify_vpc_endpoint(VpcEndpointId=made.id, **changed)
        _retag(place, made.id, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("ec2")
        client.delete_vpc_endpoints(VpcEndpointIds=[made.id])


def _policy(properties: Properties) -> str:
    # moto keeps any text; the service checks the grammar first.
    text = json.dumps(properties["PolicyDocument"])
    parse(text, name="PolicyDocument", kind=PolicyKind.RESOURCE)
    return text


TYPES: tuple[ResourceType, ...] = (
    Vpc(),
    Subnet(),
    SecurityGroup(),
    SecurityGroupIngress(),
    SecurityGroupEgress(),
    VpcEndpoint(),
)
