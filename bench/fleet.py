"""A fleet is patched under rate control: 10, 100, 1,000 nodes with the function in this process, 100 with real zips.

Real are runbook, rate control, templates, rights, quotas of Systems Manager, records, Azure's compute API over TLS, and
the campaign that starts one parent after another. Nodes answer at the end of a control channel and stand on VMs whose
disks are plain directories; every twentieth is broken by its patch and put back. Each fleet has a process of its own.
"""

import argparse
import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.stand.fleet_run import BURST, Fleet, Outcome, budget_fleet, run, wrong_with_budget

from moorings.patching.fleets import MOST_NODES

SIZES = (10, 100, 1_000)
ZIPS = 100
CONCURRENCY, CONCURRENCY_OF_ZIPS = 40, 10
BAD_EVERY = 20
MOST_GROWTH = 1.5  # of what a node takes, from one size to the next
PATIENCE = 3_600.0  # seconds for one fleet
WORDS = {
    "seconds": "seconds",
    "cpu": "seconds of processor",
    "kib": "KiB",
    "aws": "AWS calls",
    "arm": "ARM calls",
}


def patching(nodes: int, *, zips: bool = False) -> Fleet:
    """A fleet in which every twentieth node goes wrong, and may."""
    return Fleet(
        nodes=nodes,
        zips=zips,
        concurrency=CONCURRENCY_OF_ZIPS if zips else CONCURRENCY,
        errors=nodes,
        bad=tuple(range(7, nodes, BAD_EVERY)),
    )


def measure(fleet: Fleet) -> Outcome:
    """One fleet in a process of its own; RuntimeError with its last words if that fails."""
    command = [sys.executable, __file__, "--inside", json.dumps(asdict(fleet))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    tuples = {name: tuple(found[name]) for name in ("begun", "budgets")}
    return Outcome(**{**found, **tuples, "fleet": _fleet(found["fleet"])})


def _fleet(found: Mapping[str, Any]) -> Fleet:
    return Fleet(**{**found, "bad": tuple(found["bad"])})


def growth(before: Outcome, after: Outcome) -> dict[str, float]:
    """How many times as much a node of the larger fleet takes."""
    return {name: after.each[name] / max(before.each[name], 1e-9) for name in WORDS}


def missed(growing: Sequence[Outcome], others: Sequence[Outcome]) -> list[str]:
    """The targets that were missed, in words."""
    found = []
    for outcome in (*growing, *others):
        name = _name(outcome.fleet)
        if not outcome.as_planted:
            found.append(f"{name}: a node ended otherwise than it should have: {dict(outcome.outcomes)}")
        if outcome.most_updates > BURST:
            found.append(f"{name}: {outcome.most_updates} updates of one VM within a minute; Azure takes {BURST}")
        if outcome.fleet.scan:
            found += [f"{name}: {text}" for text in wrong_with_budget(outcome)]
        elif outcome.stopped:
            found.append(f"{name}: {outcome.stopped}")
    for before, after in pairwise(growing):
        sizes = f"{before.fleet.nodes} → {after.fleet.nodes} nodes"
        grown = {name: ratio for name, ratio in growth(before, after).items() if ratio > MOST_GROWTH}
        found += [f"{sizes}: {ratio:.2f} times the {WORDS[name]} a node" for name, ratio in grown.items()]
    return found


def show(outcome: Outcome) -> None:
    """One fleet as text."""
    fleet, each = outcome.fleet, outcome.each
    print(f"\n{_name(fleet)}, {fleet.concurrency} at a time")
    if fleet.scan:
        places = ", ".join(str(place + 1) for place in fleet.bad)
        print(f"  bad are nodes {places}; {fleet.errors} errors are allowed, {outcome.errors} were met")
        print(f"  parents were allowed {outcome.budgets} errors; {len(outcome.begun)} nodes were begun")
        print(f"  {outcome.stopped}")
        return
    print(f"  took        {outcome.seconds:.1f} s, {outcome.cpu:.1f} s of processor, {len(outcome.budgets)} parents")
    print(f"  a node      {each['seconds']:.2f} s, {each['cpu']:.2f} s of processor, {each['kib']:.0f} KiB")
    print(f"  memory      {outcome.base_kib / 1024:.0f} MiB before, at most {outcome.peak_kib / 1024:.0f} MiB")
    print(f"  outcomes    {_counts(outcome.outcomes)}")
    print(f"  AWS / node  {each['aws']:.1f}: {_per_node(outcome.calls, fleet.nodes)}")
    print(f"  ARM / node  {each['arm']:.1f}: {_per_node(outcome.arm, fleet.nodes)}")
    print(f"  throttled   {_counts(outcome.throttled) or 'nothing'}")
    print(f"  updates     at most {outcome.most_updates} of one VM within a minute; Azure's burst is {BURST}")


def show_growth(before: Outcome, after: Outcome) -> None:
    """How a node's share changed from one size to the next."""
    ratios = ", ".join(f"{WORDS[name]} × {ratio:.2f}" for name, ratio in growth(before, after).items())
    print(f"\n{before.fleet.nodes} → {after.fleet.nodes} nodes, each takes: {ratios} (at most {MOST_GROWTH})")


def _name(fleet: Fleet) -> str:
    how = "real zips" if fleet.zips else "function in process"
    what = f", budget of errors over parents of {fleet.parent_size}" if fleet.scan else ""
    return f"{fleet.nodes} nodes, {how}{what}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} × {counts[name]}" for name in sorted(counts))


def _per_node(counts: Mapping[str, int], nodes: int) -> str:
    ordered = sorted(counts.items(), key=lambda each: -each[1])
    return ", ".join(f"{name.replace('Microsoft.', '')} {count / nodes:.2f}" for name, count in ordered)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="*", default=SIZES, help="sizes (default: 10 100 1000)")
    parser.add_argument("--zips", type=int, default=ZIPS, help="nodes with real zips; 0: none (default: %(default)s)")
    parser.add_argument(
        "--budget",
        type=int,
        default=SIZES[-1],
        help=f"nodes in parents of {MOST_NODES}; 0: none (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _measured(fleet: Fleet, *, quiet: bool) -> Outcome:
    print(f"· {_name(fleet)}", file=sys.stderr)
    outcome = measure(fleet)
    if not quiet:
        show(outcome)
    return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if a target was missed."""
    options = _options(arguments)
    if options.inside:
        print(json.dumps(asdict(run(_fleet(json.loads(options.inside))))))
        return 0
    growing = [_measured(patching(nodes), quiet=options.json) for nodes in sorted(options.nodes)]
    # One node at a time in small parents shows the very node; a large fleet, that parents of the real size do the same.
    others = [budget_fleet(10, concurrency=1, parent_size=3)]
    if options.budget:
        others.append(budget_fleet(options.budget, concurrency=10, parent_size=MOST_NODES))
    if options.zips:
        others.append(patching(options.zips, zips=True))
    outcomes = [_measured(fleet, quiet=options.json) for fleet in others]
    misses = missed(growing, outcomes)
    if options.json:
        runs = [{**asdict(one), "each": one.each, "begun": len(one.begun)} for one in (*growing, *outcomes)]
        print(json.dumps({"runs": runs, "missed": misses}))
        return 1 if misses else 0
    for before, after in pairwise(growing):
        show_growth(before, after)
    for text in misses:
        print(f"MISSED  {text}")
    return 1 if misses else 0


if __name__ == "__main__":
    # What answers in this process would write its records between the results.
    logging.disable(logging.INFO)
    sys.exit(main())
