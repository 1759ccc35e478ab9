"""The fleet as Systems Manager describes it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from moorings.clouds.aws_errors import code_of, translated
from moorings.nodes.model import ManagedNode


class SsmFleet:
    """The `Fleet` port."""

    def __init__(self, *, client: Any) -> None:
        self._client = client

    def nodes(self, *, offline_only: bool = False) -> Iterator[ManagedNode]:
        """See `ports.Fleet.nodes`."""
        filters = [{"Key": "ResourceType", "Values": ["ManagedInstance"]}]
        if offline_only:
            filters.append({"Key": "PingStatus", "Values": ["ConnectionLost"]})
        with translated("ssm:DescribeInstanceInformation"):
            pages = self._client.get_paginator("describe_instance_information").paginate(
                Filters=filters, PaginationConfig={"PageSize": 50}
            )
            for page in pages:
                yield from map(_node, page["InstanceInformationList"])

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
