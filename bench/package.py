"""How long it takes to package both halves, and to deploy, change and remove them on a local cloud; what is called.

Packaging is timed in a new process (cold: Python starts, modules are followed, sources compiled) and once more in the
same one (warm); both have to give the same digests. Deploying is what `moorings deploy` does, on an endpoint without
latency: seconds are those of this computer and of the emulated CloudFormation, counts are those of the real one.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.stand.deployment import Glancing

from localcloud.aws.seam import attach
from localcloud.cloud import LocalCloud
from moorings.clouds.aws import Aws
from moorings.deploy import enrolment, patching
from moorings.deploy.enrolment import EnrolmentPlan, ExistingEndpoint
from moorings.deploy.package import FunctionPlatform, build, build_layer, function_platform
from moorings.deploy.patching import PatchingPlan
from moorings.deploy.stacks import StackEvent
from moorings.deploy.steps import Progress

SCOPE = "/subscriptions/11111111-2222-3333-4444-555555555555"
COLD_TARGET = 30.0  # seconds for all that is packaged; a person waits for it
PACKAGE = "import json, sys; from bench.package import packaged; print(json.dumps(packaged(sys.argv[1])))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One deployment or removal."""

    name: str
    seconds: float
    calls: int  # to AWS, by whoever deploys
    events: int  # of CloudFormation
    uploads: int


@dataclass(slots=True, kw_only=True)
class Result:
    """What was measured."""

    platform: str
    cold: dict[str, Any]
    warm: dict[str, Any]
    cold_process: float  # seconds, with Python's own start
    deeds: list[Deed] = field(default_factory=list)
    left: int = 0  # stacks and buckets at the end

    @property
    def missed(self) -> list[str]:
        """The targets that were not reached."""
        missed = []
        if self.cold_process > COLD_TARGET:
            missed.append(f"package: {self.cold_process:.1f} s, target {COLD_TARGET:.0f}")
        if self.cold["digests"] != self.warm["digests"]:
            missed.append("the same sources gave other zips")
        again = [deed for deed in self.deeds if deed.name.endswith("again")]
        if any(deed.uploads or deed.events for deed in again):
            missed.append("deploying what stands already changed something")
        if self.left:
            missed.append(f"{self.left} stacks or buckets are left")
        return missed


def packaged(platform: str) -> dict[str, Any]:
    """Everything that is packaged for a platform, once: seconds by part, bytes, digests."""
    wanted = function_platform(platform)
    parts: dict[str, Callable[[], Any]] = {
        "enrolment": lambda: build("enrolment", platform=wanted),
        "patching": lambda: build(patching.FUNCTIONS, platform=wanted),
        "layer": lambda: build_layer(patching.LAYER, platform=wanted),
    }
    told: dict[str, Any] = {"seconds": {}, "bytes": {}, "files": {}, "digests": {}, "notices": []}
    for name, make in parts.items():
        begun = time.perf_counter()
        made = make()
        told["seconds"][name] = time.perf_counter() - begun
        told["bytes"][name], told["files"][name] = len(made.content), len(made.files)
        told["digests"][name] = made.digest
        told["notices"] += [made.notice] if made.notice else []
    return told


def measure(platform: str = "") -> Result:
    """Package for `platform` (empty: what a local cloud runs here), then deploy on a local cloud and remove again."""
    with LocalCloud() as cloud:
        chosen = platform or cloud.function_platform
        begun = time.perf_counter()
        root = Path(__file__).resolve().parents[1]
        done = subprocess.run(
            [sys.executable, "-c", PACKAGE, chosen], cwd=root, capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        cold_process = time.perf_counter() - begun
        packaged(chosen)
        result = Result(platform=chosen, cold=json.loads(done.stdout), warm=packaged(chosen), cold_process=cold_process)
        _deploy(cloud, result)
    return result


def _deploy(cloud: LocalCloud, result: Result) -> None:
    session = cloud.session()
    attach(session, cloud.world.endpoint.dispatch)
    aws, clock = Aws(region=cloud.world.region, session=session), Glancing()
    platform: FunctionPlatform = function_platform(cloud.function_platform)
    vpc = aws.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    vpce = aws.client("ec2").create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{aws.region}.execute-api", VpcEndpointType="Interface"
    )["VpcEndpoint"]["VpcEndpointId"]
    enrolled = EnrolmentPlan(endpoint=ExistingEndpoint(id=vpce), allow_network_proof=True)
    louder = replace(enrolled, parameters={"LogLevel": "DEBUG"})
    patched = PatchingPlan(scopes=(SCOPE,))

    def enrol(plan: EnrolmentPlan, tell: Progress) -> object:
        return enrolment.deploy(plan, aws=aws, clock=clock, platform=platform, on_progress=tell)

    def patch(tell: Progress) -> object:
        return patching.deploy(patched, aws=aws, clock=clock, platform=platform, on_progress=tell)

    deeds: tuple[tuple[str, Callable[[Progress], object]], ...] = (
        ("enrolment", lambda tell: enrol(enrolled, tell)),
        ("patching", patch),
        ("enrolment again", lambda tell: enrol(enrolled, tell)),
        ("patching again", patch),
        ("one parameter", lambda tell: enrol(louder, tell)),
        ("remove patching", lambda tell: patching.remove(aws=aws, clock=clock, on_progress=tell)),
        ("remove enrolment", lambda tell: enrolment.remove(aws=aws, clock=clock, on_progress=tell)),
    )
    for name, deed in deeds:
        with _timed(cloud, result, name) as tell:
            deed(tell)
    result.left = len(cloud.client("s3").list_buckets()["Buckets"]) + len(
        cloud.client("cloudformation").describe_stacks()["Stacks"]
    )


@contextmanager
def _timed(cloud: LocalCloud, result: Result, name: str) -> Iterator[Progress]:
    events: list[StackEvent] = []
    before, begun = len(cloud.world.calls), time.perf_counter()

    def tell(told: object) -> None:
        if isinstance(told, StackEvent):
            events.append(told)

    yield tell
    seconds = time.perf_counter() - begun
    me = cloud.world.root.principal.arn
    mine = [call for call in cloud.world.calls.since(before) if call.principal.arn == me and not call.principal.via]
    result.deeds.append(
        Deed(
            name=name,
            seconds=seconds,
            calls=len(mine),
            events=len(events),
            uploads=sum(call.operation == "PutObject" for call in mine),
        )
    )


def show(result: Result) -> None:
    """The result as text."""
    print(f"packaged for {result.platform}")
    for name in result.cold["seconds"]:
        print(
            f"  {name:<17} cold {result.cold['seconds'][name]:5.2f} s  warm {result.warm['seconds'][name]:5.2f} s"
            f"  {result.cold['bytes'][name] / 1e6:5.2f} MB  {result.cold['files'][name]:>5} files"
        )
    same = "the same" if result.cold["digests"] == result.warm["digests"] else "OTHER"
    cold, warm = (sum(each["seconds"].values()) for each in (result.cold, result.warm))
    print(f"  {'all':<17} cold {cold:5.2f} s  warm {warm:5.2f} s  warm is {warm / cold:.2f} of cold; {same} digests")
    print(f"  a new process, with Python's own start: {result.cold_process:.2f} s; target {COLD_TARGET:.0f}")
    for text in sorted(set(result.cold["notices"])):
        print(f"  note: {text}")
    print("deployed on a local cloud")
    for deed in result.deeds:
        print(
            f"  {deed.name:<17}      {deed.seconds:5.2f} s  {deed.calls:>4} calls  {deed.events:>4} events"
            f"  {deed.uploads} uploads"
        )
    for text in result.missed:
        print(f"MISSED {text}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="", help="package for it, such as python3.13/arm64 (default: this host)")
    parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")
    options = parser.parse_args(arguments)
    result = measure(options.platform)
    if options.json:
        print(json.dumps({**asdict(result), "missed": result.missed}))
    else:
        show(result)
    return 1 if result.missed else 0


if __name__ == "__main__":
    sys.exit(main())
