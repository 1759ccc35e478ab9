"""Codes in Parameter Store as the real one keeps them: a tier of the account's choice, found a moment late."""

import json
from collections.abc import Callable

from tests.enrolment.rig import Rig, Wire, client_of

from localcloud.wire import Request, Response

ABSENT = Response(status=400, body=b'{"__type":"ParameterNotFound","message":"not there"}')


def _target(request: Request) -> str:
    return request.headers.get("X-Amz-Target").rpartition(".")[2]


def _late(looks: int) -> Callable[[Wire], Wire]:
    """A Parameter Store that finds nothing at the first `looks` of them."""
    left = [looks]

    def wrap(wire: Wire) -> Wire:
        def send(request: Request) -> Response:
            if left[0] and _target(request) == "GetParameter":
                left[0] -= 1
                return ABSENT
            return wire(request)

        return send

    return wrap


def test_a_code_that_is_found_a_moment_late_costs_no_activation(rig: Rig) -> None:
    """Parameter Store is eventually consistent."""
    with rig.wired(_late(2)):
        granted = rig.vend(rig.environment())

    state = rig.state()
    assert (state.current and state.current.id, state.issued) == (granted, 1)
    assert state.draining == ()


def test_an_activation_whose_code_stays_away_is_put_out_of_use(rig: Rig) -> None:
    """Without a code its slots are worth nothing."""
    first = rig.vend(rig.environment())
    client_of(rig.cloud, "ssm").delete_parameter(Name=f"{rig.settings.code_prefix}/{first}")

    second = rig.vend(rig.environment())

    assert second != first
    assert first in {drained.id for drained in rig.state().draining}


def test_an_activation_whose_code_lies_under_a_key_out_of_use_is_replaced(rig: Rig) -> None:
    """A stack that gets another key lets AWS delete the one that it had made."""
    first = rig.vend(rig.environment())
    code = f"{rig.settings.code_prefix}/{first}"
    kms, ssm = client_of(rig.cloud, "kms"), client_of(rig.cloud, "ssm")
    doomed = kms.create_key()["KeyMetadata"]["KeyId"]
    ssm.delete_parameter(Name=code)
    ssm.put_parameter(Name=code, Value="x", Type="SecureString", KeyId=doomed)
    kms.schedule_key_deletion(KeyId=doomed)

    second = rig.vend(rig.environment())

    assert second != first
    assert first in {drained.id for drained in rig.state().draining}


def test_codes_lie_in_the_standard_tier_whatever_the_account_prefers(rig: Rig) -> None:
    """The advanced one would cost money, and need rights that the functions do not have."""
    sent: list[dict[str, object]] = []

    def wrap(wire: Wire) -> Wire:
        def send(request: Request) -> Response:
            if _target(request) == "PutParameter":
                sent.append(json.loads(request.body))
            return wire(request)

        return send

    with rig.wired(wrap):
        rig.vend(rig.environment())

    assert [each["Tier"] for each in sent] == ["Standard"]
