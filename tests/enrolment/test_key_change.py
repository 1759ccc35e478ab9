"""Another KMS key for the codes: pools rotate to it by themselves, and nobody is left without an answer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from tests.enrolment.rig import Rig, Wire, client_of

from localcloud.wire import Headers, Request, Response
from moorings.enrolment import items

KEY = "6f8c0a0e-3d5a-4f3e-9a34-0b1d0cf2a111"


def _change_key(rig: Rig) -> None:
    made = client_of(rig.cloud, "kms").create_key()["KeyMetadata"]["Arn"]
    rig.settings = replace(rig.settings, kms_key=made)


def _unreadable(activation_id: str) -> Callable[[Wire], Wire]:
    """What the functions' new policy makes of a code that lies under the old key."""
    denied = b'{"__type":"AccessDeniedException","message":"not authorized to perform: kms:Decrypt"}'

    def wrap(wire: Wire) -> Wire:
        def call(request: Request) -> Response:
            if request.headers.get("X-Amz-Target").endswith(".GetParameter") and activation_id in str(request.body):
                headers = Headers.of({"Content-Type": "application/x-amz-json-1.1"})
                return Response(status=400, headers=headers, body=denied)
            return wire(request)

        return call

    return wrap


def test_a_pool_rotates_to_a_new_key_by_itself(rig: Rig) -> None:
    old = rig.vend(rig.environment())
    _change_key(rig)

    new = rig.vend(rig.environment())

    assert new != old
    assert [drained.id for drained in rig.state().draining] == [old]
    name = f"{rig.settings.code_prefix}/{new}"
    wanted = [{"Key": "Name", "Values": [name]}]
    (stored,) = client_of(rig.cloud, "ssm").describe_parameters(ParameterFilters=wanted)["Parameters"]
    assert stored["KeyId"] == rig.settings.kms_key


def test_a_key_whose_code_can_no_longer_be_read_gets_another_slot(rig: Rig) -> None:
    first = rig.keyed(rig.environment(), KEY)
    _change_key(rig)

    with rig.wired(_unreadable(first["ActivationId"])):
        again = rig.keyed(rig.environment(), KEY)

    assert again["status"] == 200
    assert again["ActivationId"] != first["ActivationId"]


def test_a_lease_is_never_shorter_than_promised() -> None:
    end = datetime(2026, 11, 21, 12, 0, 0, 999_000, tzinfo=UTC)
    item = {"lease_id": items.text("mine"), "lease_until": items.milliseconds(end)}

    assert items.pool_state(item).lease_until == end
