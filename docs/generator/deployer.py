"""The tables of what whoever deploys has to be allowed, from the policy that is handed out."""

from collections.abc import Mapping

from moorings.deploy.rights import Part, Place, Statement, statements
from moorings.doctor.rights import PURPOSES

# Sid of a statement on any resource, or on any of one kind → why it cannot be narrower.
_OPEN: Mapping[str, str] = {
    "AllLogs": "log groups are looked up by listing them, and these calls know no resource",
    "AllAlarms": "alarms are looked up by listing them: asked for on all alarms at once",
    "NewKeys": "a key that is still to be made has no ARN",
    "Keys": "the id of a key is random; its own policy leaves it to IAM",
    "EnrolmentNetwork": "calls of EC2 that list know no resource",
    "EnrolmentNetworkState": "calls of EC2 that list know no resource",
    "EnrolmentEndpoint": "ids in EC2 are random, and subnets and VPC are yours",
    "EnrolmentEndpointNames": "the zone is AWS's own",
    "EnrolmentApi": "the id of an API is random; API Gateway knows no names",
    "EnrolmentApis": "whether another API is reached through the endpoint is seen by listing them",
    "EnrolmentExecutionLog": "API Gateway names the log after the API's random id",
    "EnrolmentActivations": "activations have no ARN, and parameters are listed by calls that know no resource",
    "PatchingRuns": "executions are listed by a call that knows no resource",
    "DoctorAccount": "settings of the account, and a list of nodes: these calls know no resource",
    "DoctorFederation": "a setting of the account, which has no ARN",
    "DoctorTopics": "the topics of alarms are yours, and have any name",
    "DoctorSettings": "settings of Systems Manager for the account and Region, read alone",
    "DoctorRights": "asked about whoever is signed in, a role or a user of any name",
}
_DOCUMENTS = {part: f"`{part.value}`" for part in Part}


def purposes() -> str:
    """Each statement: what it is for, its document, its actions."""
    rows = ["| to | document | actions |", "|---|---|---|"]
    for each in statements(Place()):
        actions = ", ".join(f"`{action}`" for action in each.actions)
        rows.append(f"| {PURPOSES[each.sid]} | {_DOCUMENTS[each.part]} | {actions} |")
    return "\n".join(rows)


def open_ones() -> str:
    """What is not bound to names of the stacks, and why."""
    rows = ["| to | on | why no narrower |", "|---|---|---|"]
    for each in statements(Place()):
        if _is_open(each):
            on = ", ".join(f"`{_short(one)}`" for one in each.resources)
            rows.append(f"| {PURPOSES[each.sid]} | {on} | {_OPEN[each.sid]} |")
    return "\n".join(rows)


def _is_open(statement: Statement) -> bool:
    """Whether it names neither a stack nor what belongs to one."""
    names = ("moorings-", "Azure-PatchVMWithRollback", "/moorings/azure", "transform/Include")
    return any(not any(name in resource for name in names) for resource in statement.resources)


def _short(resource: str) -> str:
    return resource.split(":", 5)[-1]
