"""The runbook engine alone: steps a second and peak memory, on a runbook of branches, loops and sleeps of zero.

Nothing is called and nothing is waited for, so that what is measured is the engine. Each size runs in a process of its
own, because a process never gives its peak of memory back. All executions of a size are started at once.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from localcloud.automation import parsing, validation
from localcloud.automation.engine import Engine
from localcloud.automation.ports import FoundDocument, Limits, Setting, StartRequest
from localcloud.automation.records import Status
from localcloud.clock import SystemClock, monotonic

SIZES = (10, 100, 1_000)
PATIENCE = 600.0  # seconds for one size
# A step costs the same however many executions there are; the machine's noise has the rest.
LEAST_SHARE = 0.5
MOST_KIB = 256  # of memory that one more execution takes, with all its steps kept as history
RUNBOOK = """
schemaVersion: '0.3'
variables: {Rounds: {type: Integer, default: 0}}
mainSteps:
- name: Until
  action: aws:loop
  inputs:
    MaxIterations: 10
    LoopCondition: {Not: {Variable: '{{ variable:Rounds }}', NumericEquals: 5}}
    Steps:
    - name: Count
      action: aws:updateVariable
      inputs: {Name: 'variable:Rounds', Value: '{{ Until.CurrentIteration }}'}
    - {name: Nap, action: 'aws:sleep', inputs: {Duration: PT0S}}
- name: Choose
  action: aws:branch
  inputs:
    Choices:
    - {NextStep: Skipped, Variable: '{{ variable:Rounds }}', NumericLesser: 5}
    - NextStep: Each
      And:
      - {Variable: '{{ automation:EXECUTION_ID }}', Contains: '-'}
      - {Not: {Variable: '{{ Skipped.Output }}', StringEquals: ''}}
- {name: Skipped, action: 'aws:sleep', inputs: {Duration: PT0S}}
- name: Each
  action: aws:loop
  inputs:
    Iterators: [a, b, c, d, e]
    Steps:
    - name: Which
      action: aws:branch
      inputs: {Choices: [{NextStep: Rest, Variable: '{{ Each.CurrentIteratorValue }}', StringEquals: c}], Default: Rest}
    - {name: Rest, action: 'aws:sleep', inputs: {Duration: PT0S}}
- {name: End, action: 'aws:sleep', inputs: {Duration: PT0S}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One size."""

    executions: int
    steps: int  # that ran
    seconds: float
    peak_kib: int  # of the whole process
    base_kib: int  # before the first execution
    threads: int

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.steps / self.seconds

    @property
    def kib_each(self) -> float:
        """Memory that each execution took."""
        return (self.peak_kib - self.base_kib) / self.executions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    execution_id: str
    clock: SystemClock
    account: str = "123456789012"
    region: str = "eu-west-1"
    partition: str = "aws"

    @property
    def attachments(self) -> dict[str, bytes]:
        return {}

    @property
    def script_environment(self) -> dict[str, str]:
        return {}

    def client(self, service: str) -> Any:
        raise AssertionError(f"nothing here calls {service}")


class _Shelf:
    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._found = FoundDocument(name="Bench", version="1", runbook=validation.runbook(parsing.load(RUNBOOK)))

    def find(self, name: str, version: str) -> FoundDocument:
        return self._found

    def surroundings(self, setting: Setting) -> _Around:
        return _Around(execution_id=setting.execution_id, clock=self._clock)


def measure_here(executions: int) -> Result:
    """One size in this process; raises RuntimeError if an execution does not succeed."""
    clock = SystemClock()
    shelf = _Shelf(clock)
    engine = Engine(clock=clock, actions={}, documents=shelf, surrounder=shelf, limits=Limits(queued=executions))
    base = _peak_kib()
    began = monotonic()
    try:
        started = [engine.start(StartRequest(document_name="Bench")) for _ in range(executions)]
        ended = [engine.wait(one, PATIENCE) for one in started]
        seconds = monotonic() - began
        if any(one.status is not Status.SUCCESS for one in ended):
            raise RuntimeError("an execution did not succeed")
        ran = sum(step.status is not Status.PENDING for one in started for step in engine.steps(one))
        threads = engine.scheduler.threads
    finally:
        engine.close()
    return Result(
        executions=executions, steps=ran, seconds=seconds, peak_kib=_peak_kib(), base_kib=base, threads=threads
    )


def measure(executions: int) -> Result:
    """One size in a process of its own."""
    command = [sys.executable, __file__, "--inside", str(executions)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return Result(**json.loads(done.stdout))


def missed(results: Sequence[Result]) -> list[str]:
    """The targets that were missed, in words."""
    found = []
    if len(results) > 1:
        first, last = results[0], results[-1]
        if last.rate < first.rate * LEAST_SHARE:
            found.append(
                f"growth: {last.rate:.0f} steps/s with {last.executions}, {first.rate:.0f} with {first.executions}"
            )
    largest = results[-1]
    if largest.executions >= SIZES[1] and largest.kib_each > MOST_KIB:
        found.append(f"memory: {largest.kib_each:.0f} KiB an execution; at most {MOST_KIB}")
    return found


def show(result: Result) -> None:
    """One size as text."""
    print(
        f"{result.executions:>6} executions  {result.steps:>7} steps in {result.seconds:7.2f} s"
        f"  {result.rate:8.0f} steps/s  peak {result.peak_kib / 1024:6.1f} MiB"
        f"  {result.kib_each:7.1f} KiB an execution  {result.threads} workers"
    )


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="executions (default: 10 100 1000)")
    parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside:
        print(json.dumps(asdict(measure_here(options.inside))))
        return 0
    results = []
    for size in options.sizes:
        results.append(measure(size))
        if not options.json:
            show(results[-1])
    misses = missed(results)
    if options.json:
        runs = [
            {**asdict(one), "steps_per_second": round(one.rate), "kib_each": round(one.kib_each, 1)} for one in results
        ]
        print(json.dumps({"runs": runs, "missed": misses}))
    else:
        for text in misses:
            print(f"MISSED  {text}")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
