"""A patching stack as the commands find it by its outputs: a small runbook in place of the real one, its real table.

The runbook writes the record that the real one would, so that what the commands show comes the whole way: from the
service's listings and from the table.
"""

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from localcloud.cloud import LocalCloud
from moorings.patching import codec
from moorings.patching.model import (
    CheckpointDisk,
    Conclusion,
    Evidence,
    HealthReport,
    Judgement,
    Moment,
    Outcome,
    Phase,
    Run,
    Verdict,
    VmRef,
)

VM = VmRef(subscription="11111111-2222-3333-4444-555555555555", group="rg-web", name="web-1")
BEGAN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
_PARAMETERS = {
    "InstanceId": {"type": "String"},
    "AutomationAssumeRole": {"type": "String", "default": ""},
    "Operation": {"type": "String", "default": "Install"},
    "RebootOption": {"type": "String", "default": "RebootIfNeeded"},
    "RollbackOn": {"type": "String", "default": "Bad"},
    "HealthCheckCommands": {"type": "StringList", "default": []},
    "PrePatchCommands": {"type": "StringList", "default": []},
    "SnapshotDataDisks": {"type": "Boolean", "default": False},
    "RestoreDataDisks": {"type": "Boolean", "default": False},
    "KeepSnapshotHours": {"type": "Integer", "default": 0},
    "DryRun": {"type": "Boolean", "default": False},
    "SleepDuration": {"type": "String", "default": "PT30S"},
}
_KEEPER = """
import json
def handler(event, context):
    if event["collect"].startswith("ffff"):
        return {"refused": "execution has no record in this stack", "remedy": "name another", "family": "conflict"}
    if event["collect"].startswith("eeee"):
        raise Exception("out of order")
    kept = ["web-1-os: it is the VM's former disk"] if event["collect"].startswith("dddd") else []
    return {"deleted": ["/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/snapshots/web-1-snap"],
            "kept": kept, "rehearsed": event["rehearse"]}
"""


def record(execution: str = "{{ automation:EXECUTION_ID }}", node: str = "{{ InstanceId }}", **changes: Any) -> Run:
    """A run that ended well."""
    run = Run(
        execution=execution,
        node=node,
        began_at=BEGAN,
        phase=Phase.OVER,
        platform="Linux",
        vm=VM,
        evidence=Evidence(
            install="success",
            install_began=True,
            before=HealthReport(boot="a", checks=(0,)),
            after=HealthReport(boot="b", checks=(0,)),
            scan_fresh=True,
            installed_now=2,
        ),
        judgement=Judgement(verdict=Verdict.PATCHED, reason="patched (2 patches)"),
        conclusion=Conclusion(outcome=Outcome.PATCHED, reason="patched (2 patches)", wrong=False),
        timeline=(
            Moment(at=BEGAN, what="VM web-1 in rg-web, proved by itself"),
            Moment(at=BEGAN + timedelta(minutes=4), what="PATCHED: patched (2 patches)"),
        ),
    )
    return replace(run, **changes)


def rolled_back(**names: Any) -> Run:
    """A run that put its VM back."""
    return record(
        **names,
        evidence=Evidence(
            install="success", install_began=True, install_exit=0, scan_fresh=True, installed_now=1,
            before=HealthReport(boot="a", checks=(0, 0)), after=HealthReport(boot="b", checks=(0, 3)),
        ),
        judgement=Judgement(verdict=Verdict.BAD, reason="health check 2 passed before and fails now"),
        conclusion=Conclusion(
            outcome=Outcome.ROLLED_BACK, reason="health check 2 passed before and fails now", wrong=True,
            warnings=("1 patch missing still",),
        ),
    )  # fmt: skip


def undecided(execution: str, node: str) -> Run:
    """A run whose checkpoint only a person removes."""
    snapshot = VM.child("snapshots", "web-1-snap")
    disk = CheckpointDisk(
        lun=None, source_id=VM.child("disks", "web-1-os"), source_unique_id="u", snapshot_id=snapshot,
        replacement_id=VM.child("disks", "web-1-new"), disk={}, begun=True, usable=True,
    )  # fmt: skip
    conclusion = Conclusion(outcome=Outcome.UNDECIDED, reason="no fresh scan arrived", remedy="look at it", wrong=True)
    return record(execution, node, checkpoint=(disk,), leftovers=(snapshot,), conclusion=conclusion)


@dataclass(frozen=True)
class PatchStack:
    """The stack's name, and what is behind it."""

    name: str
    document: str
    table: str
    cloud: LocalCloud

    def bad(self, nodes: Iterable[str]) -> None:
        """From now on runs on these nodes are rolled back, all others end well."""
        self.cloud.client("ssm").update_document(
            Name=self.document, Content=json.dumps(runbook(self.table, tuple(nodes))), DocumentVersion="$LATEST"
        )
        latest = self.cloud.client("ssm").describe_document(Name=self.document)["Document"]["LatestVersion"]
        self.cloud.client("ssm").update_document_default_version(Name=self.document, DocumentVersion=latest)

    def put(self, run: Run) -> None:
        """A record, as the function writes it."""
        self.cloud.client("dynamodb").put_item(TableName=self.table, Item=_item(run))


def make(cloud: LocalCloud) -> PatchStack:
    """A stack with a role, a table, a runbook and a keeper of its own."""
    mark = uuid4().hex[:8]
    name, document = f"patch-{mark}", f"runbook-{mark}"
    table, keeper = f"{name}-guards", f"{name}-keeper"  # as CloudFormation names them
    role = _role(cloud, f"{name}-runs", table)
    cloud.client("dynamodb").create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "node")],
        GlobalSecondaryIndexes=[{"IndexName": "node", "KeySchema": [{"AttributeName": "node", "KeyType": "HASH"}],
                                 "Projection": {"ProjectionType": "KEYS_ONLY"}}],
    )  # fmt: skip
    cloud.client("ssm").create_document(
        Name=document, DocumentType="Automation", DocumentFormat="JSON", Content=json.dumps(runbook(table, ()))
    )
    _keeper(cloud, keeper, role)
    outputs = {
        "AWSSystemsManagerAutomationRunbookName": document, "GuardTable": table, "KeeperFunctionName": keeper,
        "AutomationRoleArn": role,
    }  # fmt: skip
    template = {
        "Resources": {"Mark": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": name}}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    client = cloud.client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    return PatchStack(name=name, document=document, table=table, cloud=cloud)


def runbook(table: str, bad: tuple[str, ...]) -> dict[str, Any]:
    """Writes a record, and fails on bad nodes."""
    choices = [{"NextStep": "RecordBad", "Variable": "{{ InstanceId }}", "StringEquals": node} for node in bad]
    return {
        "schemaVersion": "0.3",
        "description": uuid4().hex,  # the service takes no content twice
        "assumeRole": "{{ AutomationAssumeRole }}",
        "parameters": _PARAMETERS,
        "mainSteps": [
            {"name": "WellOrNot", "action": "aws:branch",
             "inputs": {"Choices": [*choices, {"NextStep": "RecordBad", "Variable": "x", "StringEquals": "y"}],
                        "Default": "RecordWell"}},
            {"name": "RecordBad", "action": "aws:executeAwsApi", "nextStep": "InstallPatches",
             "inputs": {"Service": "dynamodb", "Api": "PutItem", "TableName": table, "Item": _item(rolled_back())}},
            {"name": "InstallPatches", "action": "aws:executeAwsApi", "isEnd": True,
             "inputs": {"Service": "dynamodb", "Api": "GetItem", "TableName": "no-such", "Key": {"pk": {"S": "x"}}}},
            {"name": "RecordWell", "action": "aws:executeAwsApi", "isEnd": True,
             "inputs": {"Service": "dynamodb", "Api": "PutItem", "TableName": table, "Item": _item(record())}},
        ],
    }  # fmt: skip


def _item(run: Run) -> dict[str, Any]:
    return {"pk": {"S": f"run#{run.execution}"}, "body": {"S": codec.encode(run)}, "node": {"S": run.node}}


def _role(cloud: LocalCloud, name: str, table: str) -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": ["ssm.amazonaws.com", "lambda.amazonaws.com"]},
             "Action": "sts:AssumeRole"}
        ],
    }  # fmt: skip
    allowed = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": f"arn:aws:dynamodb:*:*:table/{table}"}
        ],
    }  # fmt: skip
    iam = cloud.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="table", PolicyDocument=json.dumps(allowed))
    return str(role)


def _keeper(cloud: LocalCloud, name: str, role: str) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as made:
        made.writestr("keeper.py", _KEEPER)
    cloud.client("lambda").create_function(
        FunctionName=name, Runtime="python3.13", Handler="keeper.handler", Role=role, Timeout=10,
        Code={"ZipFile": zipped.getvalue()},
    )  # fmt: skip
