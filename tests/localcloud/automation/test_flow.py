"""The flow of steps and the final status, as the service's users rely on them."""

import pytest
from tests.localcloud.automation.stand import Stand, api

from localcloud.automation.records import Status


def test_steps_run_in_the_order_of_the_list(stand: Stand) -> None:
    done = stand.run(api("One") + api("Two") + api("Three"))

    assert done.status is Status.SUCCESS
    assert stand.action.calls == ["One", "Two", "Three"]
    assert stand.statuses(done.id) == {"One": "Success", "Two": "Success", "Three": "Success"}
