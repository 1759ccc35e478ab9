"""How a node stands, from what the service lists."""

from moorings.patching.executions import Execution
from moorings.patching.standing import OUTCOME, REASON, Standing


def test_what_the_service_shows_for_a_step_that_did_not_run_is_no_outcome() -> None:
    """A cancelled execution lists its outputs all the same, with this text."""
    said = "No output available yet because the step is not successfully executed"
    cancelled = Execution(
        id="run-1", status="Cancelled", over=True, failure="cancelled", outputs={OUTCOME: said, REASON: said}
    )

    assert (Standing(node="mi-1", execution=cancelled).outcome, Standing(node="mi-1", execution=cancelled).reason) == (
        "",
        "cancelled",
    )
