"""How long a new environment of the patching function takes to start, and how much its zip and layer weigh.

Beside it, started in turns: a bare boto3 with the same clients, and the same Azure clients from a layer as one makes it
by hand (`pip install -t` of azure-identity and azure-mgmt-compute: whole distributions, no byte code).
"""

import argparse
import importlib.metadata
import json
import statistics
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.cold_start import function, start, zipped

from localcloud.cloud import LocalCloud
from moorings.deploy.package import build, build_layer, function_platform

ROUNDS = 9
BARE = """
import boto3
from botocore.config import Config

config = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=2, read_timeout=5)
clients = [boto3.client(name, config=config) for name in ("ssm", "dynamodb", "events")]


def handler(event, context):
    return {}
"""
BY_HAND = (
    BARE
    + """
from azure.core.credentials import AccessToken
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient, models

tenant = "11111111-1111-1111-1111-111111111111"
compute = ComputeManagementClient(ClientSecretCredential(tenant, "client", "secret"), tenant)
"""
)
BY_HAND_ROOTS = ("azure-identity", "azure-mgmt-compute", "azure-core")
# All that the function reads at its start; none of it is ever called here.
SETTINGS = {
    "MOORINGS_TABLE": "table",
    "MOORINGS_STACK": "stack",
    "MOORINGS_SCOPES": "/subscriptions/11111111-1111-1111-1111-111111111111",
    "MOORINGS_CREDENTIAL_PREFIX": "/moorings/azure",
    "MOORINGS_AZURE_ENVIRONMENT": "AzurePublicCloud",
    "MOORINGS_EVENT_BUS": "default",
    "POWERTOOLS_SERVICE_NAME": "patching",
    "POWERTOOLS_METRICS_NAMESPACE": "Moorings",
}
MEMORY = 2_048  # MB; the local runner kills what holds more than the function may, and that is not measured here


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured; milliseconds and bytes."""

    ours: Sequence[float]
    bare: Sequence[float]
    by_hand: Sequence[float]
    zip_bytes: int
    layer_bytes: int
    unpacked_bytes: int  # of the layer
    by_hand_bytes: int
    by_hand_unpacked_bytes: int


def measure(rounds: int) -> Result:
    """Start the three in turns, `rounds` times each after one that is not counted."""
    with LocalCloud() as cloud:
        platform = function_platform(cloud.function_platform)
        package, layer = build("patching", platform=platform), build_layer("patching-layer", platform=platform)
        plain, plain_unpacked = _by_hand()
        ours_layer, plain_layer = _layer(cloud, "ours", layer.content), _layer(cloud, "by-hand", plain)
        handler = "moorings.patching.function.handler"
        names = {
            "ours": function(cloud, "ours", package.content, handler, SETTINGS, layers=[ours_layer], memory=MEMORY),
            "bare": function(cloud, "bare", zipped({"bare.py": BARE}), "bare.handler", SETTINGS),
            "by_hand": function(
                cloud, "by-hand", zipped({"plain.py": BY_HAND}), "plain.handler", SETTINGS, layers=[plain_layer],
                memory=MEMORY,
            ),
        }  # fmt: skip
        taken: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds + 1):
            for name, made in names.items():
                failure = "CallFailed" if name == "ours" else ""  # it started, and says that this is no call
                taken[name].append(start(cloud, made, {}, failure=failure))
    return Result(
        **{name: values[1:] for name, values in taken.items()},
        zip_bytes=len(package.content),
        layer_bytes=len(layer.content),
        unpacked_bytes=layer.unpacked,
        by_hand_bytes=len(plain),
        by_hand_unpacked_bytes=plain_unpacked,
    )


def _layer(cloud: LocalCloud, name: str, content: bytes) -> str:
    made = cloud.client("lambda").publish_layer_version(LayerName=name, Content={"ZipFile": content})
    return str(made["LayerVersionArn"])


def _by_hand() -> tuple[bytes, int]:
    """Whole distributions and all that they require, compressed, and their size unpacked."""
    buffer, unpacked = BytesIO(), 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for distribution in _required(BY_HAND_ROOTS):
            for file in distribution.files or ():
                if ".." in file.parts or "__pycache__" in file.parts:
                    continue
                content = Path(str(distribution.locate_file(file))).read_bytes()
                unpacked += len(content)
                archive.writestr(f"python/{file}", content)
    return buffer.getvalue(), unpacked


def _required(names: Sequence[str]) -> Iterator[importlib.metadata.Distribution]:
    waiting, seen = list(names), set[str]()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        distribution = importlib.metadata.distribution(name)
        yield distribution
        for requirement in map(Requirement, distribution.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)


def show(result: Result) -> None:
    """The result as text."""
    for name, values in (("moorings", result.ours), ("bare boto3", result.bare), ("by hand", result.by_hand)):
        median = statistics.median(values)
        print(f"{name:<11} start {median:5.0f} ms (median of {len(values)}; {min(values):.0f}–{max(values):.0f})")
    print(f"zip         {result.zip_bytes / 1e6:.1f} MB")
    print(f"layer       {result.layer_bytes / 1e6:.1f} MB, {result.unpacked_bytes / 1e6:.1f} unpacked, with byte code")
    print(
        f"by hand     {result.by_hand_bytes / 1e6:.1f} MB, {result.by_hand_unpacked_bytes / 1e6:.1f} unpacked, without"
    )


def as_json(result: Result) -> dict[str, Any]:
    """The result as one object."""
    medians = {
        f"{name}_ms": round(statistics.median(values), 1)
        for name, values in (("ours", result.ours), ("bare", result.bare), ("by_hand", result.by_hand))
    }
    return {
        **medians,
        "zip_bytes": result.zip_bytes,
        "layer_bytes": result.layer_bytes,
        "layer_unpacked_bytes": result.unpacked_bytes,
        "by_hand_bytes": result.by_hand_bytes,
        "by_hand_unpacked_bytes": result.by_hand_unpacked_bytes,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="starts of each (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")
    options = parser.parse_args(arguments)
    result = measure(options.rounds)
    if options.json:
        print(json.dumps(as_json(result)))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
