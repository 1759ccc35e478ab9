"""A boot storm: many nodes ask for an activation at the same moment, on the local cloud with a cloud's latencies.

Real zip under AWS's runtime client, real templates, one environment for each request that runs, excess invocations
rejected. Nodes are threads that ask through the private API's front (without its TLS, which would take the two cores of
a laptop from what is measured) and pause as the bootstrap script does; the keeper is woken and scheduled as deployed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.stand.storm import Outcome, Storm, best_seconds, checks, run

NODES = (10, 100, 1_000)
LIMIT = 1_000
CONCURRENCY = 50


def as_json(outcome: Outcome) -> dict[str, Any]:
    """One run."""
    nodes = outcome.storm.nodes
    return {
        "nodes": nodes,
        "keyed": outcome.storm.keyed,
        "registered": outcome.registered,
        "over_issued": outcome.over_issued,
        "activations_created": outcome.activations,
        "calls_per_vend": {name: round(count / nodes, 4) for name, count in outcome.calls.items()},
        "p50": round(outcome.percentile(0.50), 3),
        "p95": round(outcome.percentile(0.95), 3),
        "p99": round(outcome.percentile(0.99), 3),
    }


def show(outcome: Outcome) -> None:
    """One run as text."""
    storm = outcome.storm
    kind = "keyed" if storm.keyed else "plain"
    state = "environments warm, standby ready" if storm.warm else "everything cold"
    print(f"\n{storm.nodes} nodes at once, {kind}, limit {storm.limit}, {storm.concurrency} environments, {state}")
    if storm.faulty:
        print(f"  faults      {storm.throttle:.0%} of calls throttled, {storm.lose:.0%} of answers lost")
    latencies = "  ".join(f"p{share} {outcome.percentile(share / 100):.2f} s" for share in (50, 95, 99))
    print(f"  first ask to code   {latencies}  last {outcome.seconds:.2f} s")
    if storm.nodes > storm.limit:
        best, ours = best_seconds(storm), outcome.seconds
        print(f"  published throttles allow {best:.1f} s at best; this took {ours:.1f} s")
    print(f"  answers     {_counts({str(status or 'none'): n for status, n in outcome.answers.items()})}")
    per_vend = ", ".join(f"{name} {count / storm.nodes:.3f}" for name, count in outcome.calls.items())
    print(f"  calls/vend  {sum(outcome.calls.values()) / storm.nodes:.3f}: {per_vend}")
    print(f"  refused     {_counts(outcome.refused) or 'none'}")
    print(f"  ledger      {outcome.issued} slots taken, {outcome.lost_slots} lost; {outcome.environments} environments")
    for check in checks(outcome):
        verdict = {True: "ok", False: "MISSED", None: "-"}[check.holds]
        print(f"  {verdict:<7} {check.text}")


def _counts(counts: Any) -> str:
    return ", ".join(f"{name} × {counts[name]}" for name in sorted(counts))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=NODES, help="one run for each (default: 10 100 1000)")
    parser.add_argument("--limit", type=int, default=LIMIT, help="registration limit (default: %(default)s)")
    parser.add_argument(
        "--concurrency", type=int, default=CONCURRENCY, help="function environments (default: %(default)s)"
    )
    parser.add_argument("--keyed", action="store_true", help="POST /activations with a key, as the script does")
    parser.add_argument("--throttle", type=float, default=0.0, help="how likely a cloud call is throttled")
    parser.add_argument("--lose", type=float, default=0.0, help="how likely an answer is lost")
    parser.add_argument("--warm", action="store_true", help="environments started, standby ready beforehand")
    parser.add_argument("--seed", type=int, default=0, help="of pauses and faults")
    parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")
    return parser.parse_args(arguments)


def _storms(options: argparse.Namespace) -> list[Storm]:
    asked = [
        Storm(
            nodes=nodes,
            limit=options.limit,
            concurrency=options.concurrency,
            keyed=options.keyed,
            throttle=options.throttle,
            lose=options.lose,
            warm=options.warm,
            seed=options.seed,
        )
        for nodes in options.nodes
    ]
    if not options.json and not options.warm and len(asked) > 1:
        # How much of the largest run's latency is the start of environments on this computer.
        asked.append(replace(asked[-1], warm=True))
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if a target was missed."""
    options = _options(arguments)
    outcomes = []
    for storm in _storms(options):
        print(f"· {storm.nodes} nodes", file=sys.stderr)
        outcomes.append(run(storm))
        if not options.json:
            show(outcomes[-1])
    if options.json:
        print(json.dumps({"runs": [as_json(outcome) for outcome in outcomes]}))
    return 1 if any(check.holds is False for outcome in outcomes for check in checks(outcome)) else 0


if __name__ == "__main__":
    sys.exit(main())
