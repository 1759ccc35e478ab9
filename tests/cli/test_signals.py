"""What ends commands that stay, and what does not."""

import os
import signal

import pytest

from moorings.cli.signals import undisturbed


@pytest.mark.parametrize("pressed", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_takes_a_cloud_down_is_not_cut_short(pressed: signal.Signals) -> None:
    """By somebody who presses Ctrl-C once more; afterwards it works as before."""
    heard: list[int] = []
    before = signal.signal(pressed, lambda number, _: heard.append(number))
    try:
        with undisturbed():
            os.kill(os.getpid(), pressed)
            os.kill(os.getpid(), pressed)
        assert heard == []

        os.kill(os.getpid(), pressed)
        assert heard == [pressed]
    finally:
        signal.signal(pressed, before)
