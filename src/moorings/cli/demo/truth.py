"""What really happened to the demo's activations, from the emulated service's own books and the functions' audit log.

None of it is what the product believes: a slot granted twice shows here even if the ledger does not know.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorings.enrolment.oversight import Overview

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud

LIMIT_REACHED = "RegistrationLimitExceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Counts over all activations that were ever made."""

    created: int
    granted: int
    over_issued: int


def counted(cloud: "LocalCloud", overview: Overview, *, api_function: str) -> Truth:
    """Count before the stack goes, as its log goes with it.

    `over_issued`: uses beyond an activation's limit, where a use is the most of what the ledger issued, the audit log
    says was handed out, and the service registered; or registrations that the service refused because of the limit.
    """
    from localcloud.aws.ssm.activations import Activations
    from localcloud.aws.ssm.nodes import ManagedNodes

    made = cloud.world.part(Activations).redemptions()
    issued = {each.id: each.issued for pool in overview.pools for each in pool.activations}
    handed = handed_out(cloud.functions.logs(api_function))
    over = sum(
        max(0, max(issued.get(it.activation_id, 0), handed[it.activation_id], it.registrations) - it.registration_limit)
        for it in made
    )
    unknown = sum(count for activation, count in handed.items() if activation not in {it.activation_id for it in made})
    refused = cloud.world.part(ManagedNodes).refusals[LIMIT_REACHED]
    return Truth(created=len(made), granted=sum(handed.values()), over_issued=max(over, refused) + unknown)


def live_activations(cloud: "LocalCloud") -> int:
    """Activations that the service still has."""
    from localcloud.aws.ssm.activations import Activations

    return len(cloud.world.part(Activations).live())


def handed_out(log: Iterable[str]) -> Counter[str]:
    """How many different requests each activation was handed to, by the audit records in a function's log."""
    handed: Counter[str] = Counter()
    for line in log:
        fact = _audit(line)
        if fact.get("event") == "granted" and not fact.get("repeated"):
            handed[str(fact["activation_id"])] += 1
    return handed


def _audit(line: str) -> Mapping[str, object]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    message = record.get("message") if isinstance(record, dict) else None
    return message if isinstance(message, dict) else {}
