"""The three standard streams as cron jobs, service managers and old terminals hand them down.

A closed one is given a place that goes nowhere, so that nobody else has to ask whether it is there; what an encoding
cannot say is replaced, since a name of somebody's server is no reason to fail.
"""

import os
import sys
from pathlib import Path
from typing import TextIO


def prepare() -> None:
    """Before anything is read or written."""
    # In their order: each takes the lowest number that is free, so that no file of ours becomes one of the three.
    nowhere = Path(os.devnull)
    sys.stdin = sys.stdin or nowhere.open(encoding="utf-8")
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def mute(*streams: TextIO) -> None:
    """Let what they still hold go nowhere: nobody reads it, and at exit it would fail again."""
    for stream in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def drain(stream: TextIO) -> None:
    """Write out what it holds, or let that go nowhere if it cannot be written."""
    try:
        stream.flush()
    except OSError:
        mute(stream)


def says_everything(stream: TextIO) -> bool:
    """Whether its encoding has all characters."""
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")
