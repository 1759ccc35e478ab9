"""How long a new environment of the API's function takes to start, beside a bare boto3 with the same clients.

Both are real processes under AWS's runtime interface client, started in turns. Python may not write byte code, as in
Lambda's read-only /var/task: ours is used as it lies in the zip, boto3's as in the runtime.
"""

import argparse
import io
import json
import re
import statistics
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.cloud import LocalCloud
from moorings.deploy.package import LARGEST, build, function_platform

ROUNDS = 15
RATIO = 1.3
BARE = """
import boto3
from botocore.config import Config

config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=1, read_timeout=3)
dynamodb = boto3.client("dynamodb", config=config)
ssm = boto3.client("ssm", config=config)


def handler(event, context):
    return {}
"""
_INIT = re.compile(r"Init Duration: ([0-9.]+) ms")
# All that the function reads at its start; none of it is ever called here.
SETTINGS = {
    "MOORINGS_TABLE": "ledger",
    "MOORINGS_STACK": "stack",
    "MOORINGS_CODE_PREFIX": "/moorings/stack",
    "MOORINGS_KMS_KEY": "key",
    "MOORINGS_KEEPER": "keeper",
    "MOORINGS_API_URL": "https://api.example/stage",
    "MOORINGS_VPCE": "vpce-0123456789abcdef0",
    "MOORINGS_PROOFS": "network",
    "MOORINGS_DEFAULT_CONFIGURATION": "{}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured; milliseconds."""

    ours: Sequence[float]
    bare: Sequence[float]
    zip_bytes: int

    @property
    def ratios(self) -> list[float]:
        """Of each pair of neighbouring starts, so that a machine that is busy for a while slows both."""
        return [one / other for one, other in zip(self.ours, self.bare, strict=True)]

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.ours) / statistics.median(self.bare)

    @property
    def missed(self) -> list[str]:
        """The targets that were not reached."""
        missed = []
        if self.ratio > RATIO:
            missed.append(f"start: {self.ratio:.2f} × bare boto3, target {RATIO}")
        if self.zip_bytes > LARGEST:
            missed.append(f"zip: {self.zip_bytes / 1e6:.2f} MB, target {LARGEST / 1e6:.2f}")
        return missed


def measure(rounds: int) -> Result:
    """Start both in turns, `rounds` times each after one that is not counted (files are read for the first time)."""
    with LocalCloud() as cloud:
        package = build("enrolment", platform=function_platform(cloud.function_platform))
        names = {
            "ours": function(cloud, "ours", package.content, "moorings.enrolment.function.handler", SETTINGS),
            "bare": function(cloud, "bare", zipped({"bare.py": BARE}), "bare.handler", SETTINGS),
        }
        event = {"httpMethod": "GET", "resource": "/no-such-route", "requestContext": {"identity": {}}}
        taken: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(rounds + 1):
            for name, made in names.items():
                taken[name].append(start(cloud, made, event))
    return Result(ours=taken["ours"][1:], bare=taken["bare"][1:], zip_bytes=len(package.content))


def function(
    cloud: LocalCloud,
    name: str,
    package: bytes,
    handler: str,
    settings: Mapping[str, str],
    *,
    layers: Sequence[str] = (),
    memory: int = 512,
) -> str:
    """A function made from a zip; its name."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler=handler,
        Code={"ZipFile": package},
        Layers=list(layers),
        MemorySize=memory,
        Timeout=25,
        Environment={"Variables": {**settings, "PYTHONDONTWRITEBYTECODE": "1"}},
    )
    return name


def start(cloud: LocalCloud, function: str, event: Mapping[str, Any], *, failure: str = "") -> float:
    """Milliseconds of one start, as Lambda's own report line has them. RuntimeError if the function fails, unless with
    the error type that is expected: what it answers is no part of its start."""
    done = cloud.functions.invoke(function, json.dumps(event).encode())
    cloud.functions.retire(function)
    if done.function_error and json.loads(done.payload).get("errorType") != failure:
        raise RuntimeError(done.payload.decode())
    found = _INIT.search(done.log_tail.decode())
    if found is None:
        raise RuntimeError(f"{function} started no new environment")
    return float(found[1])


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def show(result: Result) -> None:
    """The result as text."""
    for name, values in (("moorings", result.ours), ("bare boto3", result.bare)):
        median = statistics.median(values)
        print(f"{name:<11} start {median:5.0f} ms (median of {len(values)}; {min(values):.0f}–{max(values):.0f})")
    print(f"ratio       {result.ratio:.2f} (pairs {min(result.ratios):.2f}–{max(result.ratios):.2f}); target {RATIO}")
    print(f"zip         {result.zip_bytes / 1e6:.2f} MB of our code and libraries; target {LARGEST / 1e6:.2f} MB")
    for text in result.missed:
        print(f"MISSED      {text}")


def as_json(result: Result) -> dict[str, Any]:
    """The result as one object."""
    return {
        "ours_ms": round(statistics.median(result.ours), 1),
        "bare_ms": round(statistics.median(result.bare), 1),
        "ratio": round(result.ratio, 3),
        "ratio_min": round(min(result.ratios), 3),
        "ratio_max": round(max(result.ratios), 3),
        "zip_bytes": result.zip_bytes,
        "missed": result.missed,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="starts of each (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")
    options = parser.parse_args(arguments)
    result = measure(options.rounds)
    if options.json:
        print(json.dumps(as_json(result)))
    else:
        show(result)
    return 1 if result.missed else 0


if __name__ == "__main__":
    sys.exit(main())
