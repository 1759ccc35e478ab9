"""What `moorings demo` does: enrolment and patching from nothing, with the commands' own code, in one local cloud.

Nothing stays behind but a report.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from moorings.cli.demo.patching import STACK as PATCHING_STACK
from moorings.cli.demo.patching import Patching
from moorings.cli.demo.room import check
from moorings.cli.demo.scenarios import scenarios
from moorings.cli.demo.screen import Screen
from moorings.cli.demo.servers import Fleet, Server
from moorings.cli.demo.truth import Truth, counted, live_activations
from moorings.cli.demo.verdicts import Played
from moorings.cli.local import environment, exports, only_this_cloud, running
from moorings.cli.output import Results
from moorings.cli.patch.report import expect
from moorings.cli.progress import DeployProgress
from moorings.cli.signals import wait_for_the_end
from moorings.cli.surroundings import Enrolled, fleet_of, open_enrolment
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.clouds.aws import Aws
from moorings.deploy import enrolment as deployment
from moorings.deploy.enrolment import Deployed, EnrolmentPlan, NewEndpoint
from moorings.deploy.package import function_platform
from moorings.enrolment.oversight import PoolStatus
from moorings.settings import PATCH_STACK_NAME, STACK_NAME

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud

STACK = "moorings-demo"
NETWORK = "10.20.0.0/16"
SUBNETS = ("10.20.101.0/24", "10.20.102.0/24")
SMALLEST_LIMIT = 5  # registrations; so small that a dozen servers make the pool rotate twice
DEADLINE_SECONDS = 120.0
LOOK_EVERY = 0.4  # seconds
SCALE = 0.05  # of every duration that the emulated clouds measure


def perform(*, servers: int, report: Path, keep: bool, results: Results, talk: Talk) -> bool:
    """All of it, with its results printed; whether everything ended as it has to."""
    expect(report)
    began = time.monotonic()
    with running(talk, scale=SCALE) as cloud:
        talk.say(f"what the emulated clouds measure runs {1 / SCALE:.0f} times faster than in the real ones")
        with talk.working("checking what simulated servers need"):
            cloud.machines.prepare()
            check(cloud, servers=servers + len(scenarios()))
        with only_this_cloud(cloud):
            show = _Show(cloud, talk, results)
            fleet, truth, patched = show.run(servers, report=report, keep=keep)
            live = show.take_down()
    seconds = time.monotonic() - began - show.kept_seconds
    if results.as_json:
        told = _as_json(fleet, truth, live=live, seconds=seconds)
        results.json({**told, "patching": [each.row for each in patched], "report": str(report)})
    else:
        _summary(results, fleet, truth, live=live)
        _patching_summary(results, patched, report, seconds=seconds)
    return went_well(fleet.servers, truth, live=live) and all(each.as_told for each in patched)


def went_well(servers: Sequence[Server], truth: Truth, *, live: int) -> bool:
    """Every server is a managed node, no activation was granted too often, and none is left."""
    return all(server.registered for server in servers) and truth.over_issued == 0 and live == 0


class _Show:
    """One demo in one running local cloud."""

    def __init__(self, cloud: "LocalCloud", talk: Talk, results: Results) -> None:
        self._cloud = cloud
        self._talk = talk
        self._results = results
        self._aws = Aws(region=cloud.world.region)
        self._clock = SystemClock()
        self._patching = Patching(cloud, self._aws, talk)
        self.kept_seconds = 0.0  # how long somebody looked around

    def run(self, count: int, *, report: Path, keep: bool) -> tuple[Fleet, Truth, list[Played]]:
        """Everything up to the tables, and a report."""
        vpc, subnets = self._network()
        deployed = self._deploy(vpc, subnets, limit=max(SMALLEST_LIMIT, count // 3))
        self._patching.begin()
        enrolled = open_enrolment(self._aws, STACK, talk=self._talk)
        with self._timed(f"{count} servers made"):
            fleet = Fleet(self._cloud, count=count, url=deployed.api_url, vpc_endpoint=deployed.vpc_endpoint)
        self._enrol(fleet, enrolled)
        truth = self._count(enrolled)
        if not self._results.as_json:
            self._results.line()
            self._results.table(NODE_COLUMNS, [_row(server) for server in fleet.servers])
            self._results.line()
        self._explain_failures(fleet)
        patched = self._patch(deployed, report)
        if keep:
            self._keep()
        # The VMs that were patched have drawn on the same activations since.
        return fleet, replace(truth, over_issued=self._count(enrolled).over_issued), patched

    def take_down(self) -> int:
        """Remove the stacks as `enrolment remove` and `patch remove` do; the activations that are left after it."""
        with self._timed("stacks removed, with all activations and codes"):
            self._patching.take_down()
            deployment.remove(
                STACK, aws=self._aws, clock=self._clock, on_progress=DeployProgress(self._talk, each_resource=False)
            )
        return live_activations(self._cloud)

    def _patch(self, deployed: Deployed, report: Path) -> list[Played]:
        self._patching.enrol(deployed.api_url, deployed.vpc_endpoint)
        began = time.monotonic()
        patched = self._patching.play()
        as_told = sum(each.as_told for each in patched)
        self._talk.say(
            f"{as_told} of {len(patched)} scenarios ended as they have to, {time.monotonic() - began:.1f} s after the"
            " first start",
            mark="done" if as_told == len(patched) else "failed",
        )
        self._patching.report(report)
        if not self._results.as_json:
            self._results.line()
            self._results.table(PLAYED_COLUMNS, [_played_row(each) for each in patched])
        for each in patched:
            if not each.as_told:
                self._talk.say(f"{each.scenario.title} ({each.name}, {each.power}): {each.reason}", mark="failed")
        return patched

    def _count(self, enrolled: Enrolled) -> Truth:
        return counted(
            self._cloud, enrolled.oversight.overview(), api_function=enrolled.stack.outputs["ApiFunctionName"]
        )

    def _network(self) -> tuple[str, tuple[str, ...]]:
        with self._timed("a VPC with two subnets"):
            ec2 = self._aws.client("ec2")
            vpc = ec2.create_vpc(CidrBlock=NETWORK)["Vpc"]["VpcId"]
            for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
                ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
            made = [ec2.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"] for cidr in SUBNETS]
        return vpc, tuple(made)

    def _deploy(self, vpc: str, subnets: tuple[str, ...], *, limit: int) -> Deployed:
        progress = DeployProgress(self._talk, each_resource=False)
        plan = EnrolmentPlan(
            stack=STACK,
            endpoint=NewEndpoint(vpc_id=vpc, subnet_ids=subnets, allowed_cidr=NETWORK),
            allow_network_proof=True,
            configuration=self._configuration(limit),
        )
        with self._timed(f"stacks {deployment.endpoint_stack(STACK)} and {STACK} deployed"):
            return deployment.deploy(
                plan,
                aws=self._aws,
                clock=self._clock,
                platform=function_platform(self._cloud.function_platform),
                on_progress=progress,
                approve=lambda planned: progress.approve(planned, ask=False),
            )

    def _configuration(self, limit: int) -> dict[str, Any]:
        machines = self._cloud.machines
        return {
            "pool": [
                {
                    "name": "default",
                    "registration_limit": limit,
                    "life": "7d",
                    "tags": {"environment": "demo"},
                }
            ],
            "rule": [{"name": "servers", "proof": "network", "cidr": [NETWORK], "pools": ["default"]}],
            "bootstrap": {"packages": machines.package_source, "signing_key": machines.signing_key},
        }

    def _enrol(self, fleet: Fleet, enrolled: Enrolled) -> None:
        nodes = fleet_of(self._aws)
        fleet.power_on()
        with Screen(self._talk, fleet) as screen:
            while True:
                fresh = fleet.update(nodes.nodes())
                screen.update(_pool(enrolled), fresh)
                if fleet.settled or fleet.elapsed > DEADLINE_SECONDS:
                    break
                time.sleep(LOOK_EVERY)
        done = sum(server.registered for server in fleet.servers)
        mark = "done" if done == len(fleet.servers) else "failed"
        self._talk.say(
            f"{done} of {len(fleet.servers)} servers are managed nodes, {fleet.elapsed:.1f} s after power-on", mark=mark
        )

    def _explain_failures(self, fleet: Fleet) -> None:
        for server in fleet.servers:
            if not server.registered:
                last = server.machine.console.strip().splitlines()[-3:]
                self._talk.say(f"{server.name}: {server.stage}; its console ends: {' | '.join(last)}", mark="failed")

    def _keep(self) -> None:
        self._talk.say("everything stays up until Ctrl-C; in another terminal:")
        for line in exports(environment(self._cloud)):
            self._talk.plain(f"  {line}")
        self._talk.plain(f"  export {STACK_NAME}={STACK} {PATCH_STACK_NAME}={PATCHING_STACK}")
        self._talk.plain("  moorings enrolment status; moorings patch status")
        began = time.monotonic()
        wait_for_the_end()
        self.kept_seconds = time.monotonic() - began

    def _timed(self, what: str) -> AbstractContextManager[None]:
        return self._talk.working(what, always_timed=True)


PLAYED_COLUMNS = ("SCENARIO", "OUTCOME", "EXPECTED", "DISK BACK", ">SECONDS")
NODE_COLUMNS = ("NODE", "NAME", "CLOUD", "OS", "ONLINE", ">SECONDS")


def _pool(enrolled: Enrolled) -> PoolStatus | None:
    return next(iter(enrolled.oversight.overview().pools), None)


def _row(server: Server) -> tuple[str, ...]:
    seconds = f"{server.seconds:.1f}" if server.seconds is not None else "-"
    return (
        server.node or "-",
        server.name,
        server.kind.cloud,
        server.os_label,
        "yes" if server.registered else "no",
        seconds,
    )


def _as_json(fleet: Fleet, truth: Truth, *, live: int, seconds: float) -> dict[str, Any]:
    nodes = [
        {
            "node": server.node,
            "name": server.name,
            "cloud": server.kind.cloud,
            "os": server.os_label,
            "registered": server.registered,
            "seconds": round(server.seconds, 2) if server.seconds is not None else None,
        }
        for server in fleet.servers
    ]
    return {"nodes": nodes, "activations": {**asdict(truth), "live_after": live}, "seconds": round(seconds, 1)}


def _played_row(each: Played) -> tuple[str | Text, ...]:
    told = "-" if each.disk is None else "yes" if each.disk else "no"
    return (
        each.scenario.title,
        Text(each.outcome or "none", "green" if each.as_told else "red"),
        each.scenario.expected.value,
        told,
        f"{each.seconds:.1f}",
    )


def _patching_summary(results: Results, patched: Sequence[Played], report: Path, *, seconds: float) -> None:
    as_told = sum(each.as_told for each in patched)
    back = [each for each in patched if each.scenario.put_back]
    equal = sum(each.disk is True for each in back)
    results.line(f"{as_told} of {len(patched)} patch runs ended as they have to", style="bold")
    results.prose(f"of {len(back)} VMs that were put back {equal} started from the very files of their checkpoints")
    results.line(f"report: {report} (for programs: {report.with_suffix('.json')})")
    results.line(f"all of it in {seconds:.1f} s; nothing else stays behind")


def _summary(results: Results, fleet: Fleet, truth: Truth, *, live: int) -> None:
    done = sum(server.registered for server in fleet.servers)
    results.line()
    first = ", each with the first code it got" if truth.granted == done == len(fleet.servers) else ""
    results.line(f"{done} of {len(fleet.servers)} servers registered{first}", style="bold")
    results.prose(
        f"activations: {truth.created} created, {truth.granted} slots granted, {truth.over_issued} over-issued,"
        f" {live} left after removal"
    )
