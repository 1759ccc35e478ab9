"""Puts patching together for a Lambda environment: settings in, the calls and the keeper over real clouds out."""

from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config

from moorings.attestation.anchors import Anchors
from moorings.attestation.azure import verify
from moorings.clock import Clock, SystemClock
from moorings.clouds.azure import Place, cloud_named
from moorings.clouds.federation import knowing, web_identity
from moorings.clouds.journal import PowertoolsJournal
from moorings.errors import MooringsError, family_of
from moorings.patching.aws import EventNews, SsmExecutions, SsmNodes
from moorings.patching.credentials import AzureClouds
from moorings.patching.deleting import Deleter
from moorings.patching.dynamodb import DynamoGuards, DynamoRecords
from moorings.patching.model import execution_id
from moorings.patching.outside import Outside
from moorings.patching.ports import AzureRefused, Countdown
from moorings.patching.service import Patching
from moorings.patching.upkeep import Upkeep
from moorings.settings import PatchingSettings

# What the page of alarms tells to look for: written at every log level.
AUDITED = frozenset({"call_failed", "report_incomplete", "upkeep_failed"})
_PATIENCE = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=2, read_timeout=5)
# The nonce binds a document to one execution; its age only bounds how long the command and its retries may take.
LONGEST_DELIVERY = timedelta(minutes=15)
ROOTS, ISSUERS, TLS = "roots.pem", "issuers.pem", "tls.pem"


class AttestedDocuments:
    """The `Documents` port, over the anchors that were bundled at deploy."""

    def __init__(self, *, anchors: Path | None, environment: str) -> None:
        self._directory = anchors
        self._environment = environment

    def verify(self, encoded: str, *, nonce: str, now: datetime) -> tuple[str, str]:
        """See `ports.Documents.verify`."""
        vm = verify(
            encoded,
            nonce=nonce,
            anchors=self._anchors,
            now=now,
            max_age=LONGEST_DELIVERY,
            environment=self._environment,
        )
        return vm.subscription_id, vm.vm_id

    @cached_property
    def _anchors(self) -> Anchors:
        return Anchors.from_pem(roots=_bytes(self._directory, ROOTS), issuers=_bytes(self._directory, ISSUERS))


class PatchingRoom:
    """One environment's patching: `answer` for the function, `keep` for the keeper, over the same adapters."""

    def __init__(self, settings: PatchingSettings, *, session: Any = None, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._make = session.client if session else knowing(botocore.session.get_session()).create_client
        self._region = settings.region
        self.journal = PowertoolsJournal(stack=settings.stack, audited=AUDITED)
        self._clouds = self._azure(settings)
        ssm, dynamodb = self._client("ssm"), self._client("dynamodb")
        self.outside = Outside(
            clouds=self._clouds,
            documents=AttestedDocuments(anchors=settings.anchors, environment=settings.azure_environment),
            nodes=SsmNodes(client=ssm),
            executions=SsmExecutions(client=ssm),
            guards=DynamoGuards(client=dynamodb, table=settings.table),
            records=DynamoRecords(client=dynamodb, table=settings.table),
            news=EventNews(client=self._client("events"), bus=settings.event_bus, stack=settings.stack),
            journal=self.journal,
            clock=self._clock,
            scopes=settings.scopes,
            stack=settings.stack,
            environment=settings.azure_environment,
        )
        self.calls = Patching(self.outside)
        self.upkeep = Upkeep(self.outside)

    def answer(self, event: Any, countdown: Countdown) -> dict[str, Any]:
        """Answer the runbook; see `service.Patching.answer`."""
        self._clouds.countdown = countdown
        return self.calls.answer(event, countdown)

    def keep(self, countdown: Countdown) -> int:
        """Look after every run that is due; see `upkeep.Upkeep.run`."""
        self._clouds.countdown = countdown
        return self.upkeep.run(countdown)

    def collect(self, execution: str, countdown: Countdown, *, rehearse: bool) -> dict[str, Any]:
        """Delete what a run left behind, for a person who named it; see `upkeep.Upkeep.collect`. What that person has
        to mend is an answer, not an error of the function."""
        self._clouds.countdown = countdown
        try:
            deleted, kept = self.upkeep.collect(execution_id(execution), deleter=Deleter.PERSON, rehearse=rehearse)
        except MooringsError as error:
            return {"refused": error.message, "remedy": error.remedy, "family": family_of(error).word}
        except AzureRefused as error:
            return {"refused": f"Azure refuses: {error}", "remedy": "look at the rights", "family": "refused"}
        return {"deleted": deleted, "kept": kept, "rehearsed": rehearse}

    def _azure(self, settings: PatchingSettings) -> AzureClouds:
        cloud = cloud_named(settings.azure_environment)
        tls = settings.anchors / TLS if settings.anchors is not None and (settings.anchors / TLS).is_file() else None
        place = Place(cloud=cloud, arm_url=settings.arm_url, authority_url=settings.authority_url, tls_bundle=tls)
        federation = settings.federation
        if federation is None:
            return AzureClouds(ssm=self._client("ssm"), place=place, prefix=settings.credential_prefix)
        audience = federation.audience or cloud.exchange_audience
        return AzureClouds(
            ssm=self._client("ssm"),
            place=place,
            prefix=settings.credential_prefix,
            tenant=federation.tenant,
            client=federation.client,
            assertion=web_identity(self._client("sts"), audience=audience),
        )

    def _client(self, service: str) -> Any:
        return self._make(service, region_name=self._region, config=_PATIENCE)


class LambdaCountdown:
    """What is left of a Lambda invocation, less what answering takes, and at most `most`."""

    def __init__(
        self, context: Any, clock: Clock, *, most: timedelta, to_answer: timedelta = timedelta(seconds=3)
    ) -> None:
        self._context = context
        self._clock = clock
        self._end = clock.now() + most
        self._to_answer = to_answer

    def remaining(self) -> timedelta:
        """See `ports.Countdown.remaining`."""
        left = timedelta(milliseconds=self._context.get_remaining_time_in_millis()) - self._to_answer
        return min(left, self._end - self._clock.now())


def _bytes(directory: Path | None, name: str) -> bytes:
    path = directory / name if directory is not None else None
    return path.read_bytes() if path is not None and path.is_file() else b""
