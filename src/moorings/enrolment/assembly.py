"""Puts enrolment together for a Lambda environment: settings in, service and keeper on AWS out.

Clients are made when they are first needed, except those that every request needs: start-up time is what a booting
server waits for.
"""

import random
from collections.abc import Callable
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import botocore.session
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from moorings.clock import Clock, SystemClock
from moorings.clouds.journal import PowertoolsJournal
from moorings.enrolment.aws import LambdaKeeper, SecureCodes, SsmActivations, StoredConfigurations
from moorings.enrolment.dynamodb import DynamoLedger
from moorings.enrolment.making import Maker
from moorings.enrolment.service import Vending
from moorings.settings import EnrolmentSettings

if TYPE_CHECKING:
    from moorings.enrolment.upkeep import Upkeep

# Written at every log level: who got an activation, or did not; and what the page of alarms tells to look for.
AUDITED = frozenset({"granted", "refused"}) | {
    "answered_with_error",
    "chore_failed",
    "gave_up_waiting",
    "leak_reaped",
    "surplus_registrations",
    "throttled",
}
GAUGES = {"HoursToExpiry": MetricUnit.NoUnit, "SlotsLeft": MetricUnit.Count, "StaleNodes": MetricUnit.Count}
# A lease lasts 5 s; CreateActivation, PutParameter and the publishing write must fit in: each try gives up early.
_TIMEOUTS: dict[str, Any] = {"connect_timeout": 0.5, "read_timeout": 1.5}
PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 3}, **_TIMEOUTS)
# The keeper lists what may be thousands, and nobody waits for it.
UNHURRIED = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=1, read_timeout=10)
BRISK = Config(retries={"mode": "standard", "total_max_attempts": 2}, **_TIMEOUTS)
ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1}, **_TIMEOUTS)


class Clients:
    """botocore clients of one environment, each made once. `session` lets tests put their own wire underneath."""

    def __init__(self, session: Any, *, region: str, patience: Config) -> None:
        # boto3 would add resources and file transfers, which nobody here uses, and a third to the time of a start.
        make: Callable[..., Any] = session.client if session else botocore.session.get_session().create_client
        self.dynamodb = make("dynamodb", region_name=region, config=patience)
        self.ssm = make("ssm", region_name=region, config=patience)
        self.dynamodb_once = cache(lambda: make("dynamodb", region_name=region, config=ONCE))
        self.ssm_brisk = cache(lambda: make("ssm", region_name=region, config=BRISK))
        self.ssm_once = cache(lambda: make("ssm", region_name=region, config=ONCE))
        self.functions = cache(lambda: make("lambda", region_name=region, config=ONCE))  # a request waits for it


class Enrolment:
    """One environment's enrolment: `vending` for the API, `upkeep` for the keeper, over the same adapters."""

    def __init__(
        self,
        settings: EnrolmentSettings,
        *,
        session: Any = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        patience: Config = PATIENT,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.journal = PowertoolsJournal(stack=settings.stack, audited=AUDITED, units=GAUGES)
        clients = self._clients = Clients(session, region=settings.region, patience=patience)
        ledger = DynamoLedger(client=clients.dynamodb, once=clients.dynamodb_once, table=settings.table)
        activations = SsmActivations(client=clients.ssm, once=clients.ssm_once, stack=settings.stack)
        codes = SecureCodes(
            client=clients.ssm, brisk=clients.ssm_brisk, prefix=settings.code_prefix, kms_key=settings.kms_key
        )
        maker = Maker(ledger=ledger, activations=activations, codes=codes, journal=self.journal, clock=self.clock)
        self.configurations = StoredConfigurations(
            client=clients.dynamodb,
            table=settings.table,
            default=settings.default_configuration,
            code_key=settings.kms_key,
            own_vpce=settings.vpce,
            clock=self.clock,
        )
        self.vending = Vending(
            configurations=self.configurations,
            ledger=ledger,
            codes=codes,
            maker=maker,
            keeper=LambdaKeeper(client=clients.functions, function=settings.keeper_function, journal=self.journal),
            journal=self.journal,
            clock=self.clock,
            proofs=settings.proofs,
            rng=rng or random.Random(),  # noqa: S311 - jitter, nothing secret
        )

    @cached_property
    def upkeep(self) -> "Upkeep":
        """The keeper's work. Loaded when it is asked for: a booting server does not wait for what it never needs."""
        from moorings.enrolment.upkeep import Upkeep  # noqa: PLC0415
        from moorings.nodes.aws import SsmFleet  # noqa: PLC0415

        maker = self.vending.maker
        return Upkeep(
            configurations=self.configurations,
            ledger=maker.ledger,
            activations=maker.activations,
            codes=maker.codes,
            maker=maker,
            fleet=SsmFleet(client=self._clients.ssm),
            stack=self.settings.stack,
            journal=self.journal,
            clock=self.clock,
        )
