"""The Description that marks an activation as ours must fit into the service's 256 characters, whatever the names."""

from datetime import UTC, datetime

from tests.enrolment.strategies import a_pool

from moorings.enrolment.aws import SsmActivations
from moorings.enrolment.model import Mode, key_hash, new_single_use_lease

LONGEST_STACK = "s" * 128 + "-" + "0" * 8  # CloudFormation's longest name, and what tells it from its namesakes
MOST = 256  # CreateActivation, Description


class _Service:
    def __init__(self) -> None:
        self.description = ""

    def create_activation(self, **request: object) -> dict[str, str]:
        self.description = str(request["Description"])
        return {"ActivationId": "a", "ActivationCode": "c"}


def test_the_longest_names_leave_room_for_the_lease_of_a_single_use_grant() -> None:
    service = _Service()
    activations = SsmActivations(client=None, once=lambda: service, stack=LONGEST_STACK)
    lease = new_single_use_lease(key_hash("6f8c0a0e-3d5a-4f3e-9a34-0b1d0cf2a111"))

    activations.create(
        a_pool(name="p" * 32, mode=Mode.SINGLE_USE), lease_id=lease, expires_at=datetime(2026, 11, 21, tzinfo=UTC)
    )

    assert lease in service.description
    assert len(service.description) <= MOST
