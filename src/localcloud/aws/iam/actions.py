"""Which rights each API call needs: the table that the verdict, and the exactness check, rest on.

Every entry follows the service's page of the AWS Service Authorization Reference ("Actions, resources, and condition
keys for …"), named in the module of its service; what goes beyond such a page (rights behind the call, as KMS behind a
SecureString) names its own source there. An action for which the reference lists no resource type is asked for on `*`,
so that a policy that names a narrower resource does not allow it, as in AWS.
"""

from collections.abc import Mapping

from localcloud.aws.call import Call
from localcloud.aws.iam.rights import (
    apis,
    automation,
    building,
    commands,
    documents,
    dynamodb,
    nodes,
    ownership,
    services,
    ssm,
    stacks,
)
from localcloud.aws.iam.rights.model import Directory, Entry, Right

TABLE: Mapping[tuple[str, str], Entry] = {
    **ssm.ENTRIES,
    **automation.ENTRIES,
    **documents.ENTRIES,
    **commands.ENTRIES,
    **dynamodb.ENTRIES,
    **services.ENTRIES,
    **stacks.ENTRIES,
    **apis.ENTRIES,
    **building.ENTRIES,
    **ownership.ENTRIES,
}
"""(service, operation) → what a role must be allowed to do."""

NODE_TABLE: Mapping[tuple[str, str], Entry] = {
    **TABLE,
    **nodes.ENTRIES,
}
"""The same for managed nodes, whose role's token is good for all APIs; what only the agent calls is in here alone."""

EACH_BY_ITSELF: frozenset[tuple[str, str]] = frozenset({("s3", "DeleteObjects")})
"""Calls that go on without the resources on which the caller has no right, and tell of each."""

KNOWN_ACTIONS: frozenset[str] = frozenset(
    action for entry in (*TABLE.values(), *NODE_TABLE.values()) for action in entry.actions
)
"""Every action that the tables may ask for: what a wildcard in a policy is expanded against."""


def required(call: Call, directory: Directory, *, table: Mapping[tuple[str, str], Entry] = TABLE) -> list[Right] | None:
    """The rights that `call` needs, each once, in the order in which AWS asks; None: the table has no entry for it."""
    entry = table.get((call.service, call.operation))
    if entry is None:
        return None
    rights: list[Right] = []
    for right in entry.rights(call, directory):
        if right not in rights:
            rights.append(right)
    return rights
