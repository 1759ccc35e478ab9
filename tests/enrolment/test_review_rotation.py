"""One rotation is one rotation, however many functions want it at the same moment."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.enrolment.audit import listening
from tests.enrolment.rig import ProductClock, Rig, Wire

from localcloud.errors import ConnectionLost
from localcloud.wire import Request, Response
from moorings.enrolment.grants import DynamoGrants
from moorings.enrolment.oversight import Oversight


def _at_the_first_swap(rig: Rig, happens: Callable[[], object], *, lost: bool = False) -> AbstractContextManager[None]:
    """Something that comes in before the first swap is sent; `lost`: and its answer does not arrive."""
    met: list[Request] = []

    def wrap(wire: Wire) -> Wire:
        def send(request: Request) -> Response:
            if met or b"REMOVE #standby" not in request.body:
                return wire(request)
            met.append(request)
            happens()
            answer = wire(request)
            if lost:
                raise ConnectionLost("on purpose")
            return answer

        return send

    return rig.wired(wrap)


def _full_with_a_standby(rig: Rig) -> None:
    rig.vend(rig.environment())
    rig.prepare()
    rig.vend(rig.environment())
    rig.woken.clear()


def test_who_finds_the_pool_rotated_already_wakes_nobody(rig: Rig) -> None:
    """Fifty functions may want the same swap at once: one keeper is woken, one rotation is told of."""
    _full_with_a_standby(rig)

    with listening() as audit, _at_the_first_swap(rig, lambda: rig.vend(rig.environment())):
        rig.vend(rig.environment())

    assert rig.woken == ["default"]
    assert len(audit.of("rotated")) == 1


def test_a_swap_whose_answer_was_lost_still_wakes_the_keeper(rig: Rig) -> None:
    """Its repetition is refused by an item that shows our own swap."""
    _full_with_a_standby(rig)

    with listening() as audit, _at_the_first_swap(rig, lambda: None, lost=True):
        rig.vend(rig.environment())

    assert rig.woken == ["default"]
    assert len(audit.of("rotated")) == 1


def test_rotating_by_hand_while_the_pool_rotates_by_itself_retires_one_activation(rig: Rig) -> None:
    """What the operator wanted gone is gone; the one that has just come is not thrown away with it."""
    _full_with_a_standby(rig)
    environment = rig.environment()
    oversight = Oversight(
        configurations=environment.configurations,
        ledger=environment.upkeep.ledger,
        activations=environment.upkeep.activations,
        grant_book=DynamoGrants(client=rig.cloud.client("dynamodb"), table=rig.settings.table),
        keeper=environment.vending.keeper,
        clock=ProductClock(rig.clock),
    )
    before = rig.state()

    with _at_the_first_swap(rig, lambda: rig.vend(rig.environment())):
        done = oversight.rotate("default")

    assert done.retired == before.current.id
    assert [drained.id for drained in rig.state().draining] == [before.current.id]
