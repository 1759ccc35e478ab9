"""The fleet as Systems Manager describes it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from moorings.clouds.aws_errors import code_of, translated
from moorings.nodes.model import ManagedNode

HYBRID, LOST = "ManagedInstance", "ConnectionLost"


class SsmFleet:
    """The `Fleet` port."""

    def __init__(self, *, client: Any) -> None:
        self._client = client

    def nodes(self, *, offline_only: bool = False, tag: tuple[str, str] | None = None) -> Iterator[ManagedNode]:
        """See `ports.Fleet.nodes`."""
        wanted = {"ResourceType": HYBRID, **({"PingStatus": LOST} if offline_only else {})}
        # The service combines a filter by tag with no other one, so what it then lists is looked through here.
        filters = [{"Key": f"tag:{tag[0]}", "Values": [tag[1]]}] if tag else _filters(wanted)
        with translated("ssm:DescribeInstanceInformation"):
            pages = self._client.get_paginator("describe_instance_information").paginate(
                Filters=filters, PaginationConfig={"PageSize": 50}
            )
            for page in pages:
                for each in page["InstanceInformationList"]:
                    if all(each.get(field) == value for field, value in wanted.items()):
                        yield _node(each)

    def node(self, node_id: str) -> ManagedNode | None:
        """See `ports.Fleet.node`."""
        with translated("ssm:DescribeInstanceInformation"):
            try:
                found = self._client.describe_instance_information(
                    Filters=[{"Key": "InstanceIds", "Values": [node_id]}]
                )
            except ClientError as error:
                if code_of(error) != "InvalidInstanceId":
                    raise
                return None
        return next(map(_node, found["InstanceInformationList"]), None)

    def deregister(self, node_id: str) -> bool:
        """See `ports.Fleet.deregister`."""
        with translated("ssm:DeregisterManagedInstance"):
            try:
                self._client.deregister_managed_instance(InstanceId=node_id)
            except ClientError as error:
                if code_of(error) != "InvalidInstanceId":
                    raise
                return False
        return True


def _filters(wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Key": field, "Values": [value]} for field, value in wanted.items()]


def _node(each: Mapping[str, Any]) -> ManagedNode:
    return ManagedNode(
        id=each["InstanceId"],
        name=each.get("Name", ""),
        computer_name=each.get("ComputerName", ""),
        platform=f"{each.get('PlatformName', '')} {each.get('PlatformVersion', '')}".strip(),
        address=each.get("IPAddress", ""),
        online=each.get("PingStatus") == "Online",
        last_ping=_utc(each.get("LastPingDateTime")),
        registered_at=_utc(each.get("RegistrationDate")),
        activation_id=each.get("ActivationId", ""),
        role=each.get("IamRole", ""),
        agent_version=each.get("AgentVersion", ""),
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
