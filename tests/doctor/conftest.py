"""An account without anything in it, as deploy's tests have it."""

from tests.deploy.conftest import fresh_account

__all__ = ["fresh_account"]
