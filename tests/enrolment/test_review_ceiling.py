"""The hour's ceiling counts grants, not the asking."""

import uuid
from collections.abc import Callable

import pytest
from tests.enrolment.rig import Rig, Wire, configuration, new_rig

from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.wire import Request, Response


@pytest.fixture
def one_an_hour(stepped_cloud: LocalCloud, stepped_clock: SteppedClock) -> Rig:
    document = configuration()
    document["pool"][1]["grants_per_hour"] = 1
    return new_rig(stepped_cloud, stepped_clock, document)


def _failing(code: str, status: int) -> Callable[[Wire], Wire]:
    def wrap(wire: Wire) -> Wire:
        def send(request: Request) -> Response:
            if request.headers.get("X-Amz-Target").endswith(".CreateActivation"):
                return Response(status=status, body=b'{"__type":"%s","message":"not now"}' % code.encode())
            return wire(request)

        return send

    return wrap


@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("InternalServerError", 500)])
def test_asking_while_nothing_can_be_made_does_not_use_up_the_hour(one_an_hour: Rig, code: str, status: int) -> None:
    """A boot storm on a single-use pool outlasts the service's throttle; its hour must be there for it then."""
    key, environment = str(uuid.uuid4()), one_an_hour.environment()
    with one_an_hour.wired(_failing(code, status)):
        refused = [one_an_hour.keyed(environment, key, pool="one")["status"] for _ in range(2)]

    assert refused == [503, 503]
    assert one_an_hour.keyed(environment, key, pool="one")["status"] == 200
    assert one_an_hour.keyed(environment, pool="one")["status"] == 429
