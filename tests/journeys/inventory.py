"""What an account holds: every operation that lists something and asks for nothing, in every service that we touch.

Nobody has to think of the kind of thing that could be left behind; whatever was not there before is told.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

SERVICES = (
    "apigateway", "cloudformation", "cloudwatch", "dynamodb", "ec2", "events", "iam", "kms", "lambda", "logs", "s3",
    "sns", "sqs", "ssm",
)  # fmt: skip
# Catalogues of AWS's own, which are the same in every account, and long.
_CATALOGUES = frozenset({"ListPolicies", "ListDocuments", "ListExports", "ListImports", "DescribePatchBaselines"})
# Of EC2, only what a stack of ours could leave.
_NETWORK = ("VpcEndpoints", "SecurityGroup", "NetworkInterfaces", "Subnets", "Vpcs", "FlowLogs")
# What is an account's own in place of a catalogue.
_MINE: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("iam", "ListPolicies"): {"Scope": "Local"},
    ("ssm", "ListDocuments"): {"Filters": [{"Key": "Owner", "Values": ["Self"]}]},
}

Client = Callable[[str], Any]
Entry = tuple[str, str]  # operation, one thing that it lists


def held(client: Client) -> frozenset[Entry]:
    """Everything that the account lists, entry by entry."""
    return frozenset(
        (f"{service}:{operation}", json.dumps(entry, sort_keys=True, default=str))
        for service in SERVICES
        for operation, answer in _answers(client(service), service)
        for entry in _entries(answer)
    )


def _answers(client: Any, service: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    model = client.meta.service_model
    for operation in model.operation_names:
        shape = model.operation_model(operation).input_shape
        wanted = _MINE.get((service, operation), {})
        if not _lists(service, operation) or (shape and shape.required_members):
            continue
        method = xform_name(operation)
        try:
            if client.can_paginate(method):
                yield operation, client.get_paginator(method).paginate(**wanted).build_full_result()
            else:
                yield operation, getattr(client, method)(**wanted)
        except (ClientError, BotoCoreError):
            continue  # the local cloud does not have it, or it asks for one of several things


def _lists(service: str, operation: str) -> bool:
    if (service, operation) in _MINE:
        return True
    if operation in _CATALOGUES:
        return False
    if service == "ec2":
        return operation.startswith("Describe") and any(part in operation for part in _NETWORK)
    return operation.startswith(("List", "Describe")) or (service == "apigateway" and operation.startswith("Get"))


def _entries(answer: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in answer.items():
        if name in {"ResponseMetadata", "IsTruncated", "MaxItems", "NextToken"}:
            continue
        yield from value if isinstance(value, list) else [value]
