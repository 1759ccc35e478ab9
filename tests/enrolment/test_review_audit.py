"""Audit records, and what alarms send to the log for, are no matter of the log level."""

import logging

import pytest
from tests.enrolment.audit import SERVICE, listening
from tests.enrolment.rig import Rig, event


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_grants_and_refusals_are_recorded_at_every_log_level(rig: Rig, level: str) -> None:
    """And so are the answers that were errors. The stack's parameter LogLevel says what is logged beside them."""
    environment = rig.environment()
    logger = logging.getLogger(SERVICE)
    before = logger.level
    logger.setLevel(level)

    try:
        with listening() as audit:
            rig.vend(environment)
            rig.ask(environment, event(sourceIp="192.0.2.1"))
    finally:
        logger.setLevel(before)

    assert [record["event"] for record in audit.records] == ["granted", "refused", "answered_with_error"]
