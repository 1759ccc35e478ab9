"""`/usr/libexec/localcloud/patch`: its arguments, its lock, and its report, sent with the node's own role token.

Exit codes as the documented ones of AWS-RunPatchBaseline: 0, 1, 3 (too many reboots), 4 (another run holds the lock),
15 (a list cannot be had), 194 (reboot). Without a registration it patches, and says that it cannot report.
"""

import argparse
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localcloud.machines.agent import credentials
from localcloud.machines.agent.calls import CallFailed, Services
from localcloud.machines.agent.places import AGENT_NAME, Configuration, Places
from localcloud.machines.agent.vault import Vault
from localcloud.machines.agent.wire import trust
from localcloud.machines.patching import baseline as baselines
from localcloud.machines.patching.baseline import Unusable
from localcloud.machines.patching.ledger import own_baseline
from localcloud.machines.patching.run import AgentGone, Done, Patching, Wish
from localcloud.machines.patching.storage import Storage

LOCK = "var/lib/localcloud/patch.lock"
USAGE = 2
LOCKED = 4
NOT_HAD = 15
KILLED = 137
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UNITS = (AGENT_NAME, f"snap.{AGENT_NAME}.{AGENT_NAME}")


class Node:
    """The calls of this machine's node, if it is one."""

    def __init__(self, places: Places) -> None:
        self._registration = Vault(places).registration()
        bundle = Path(os.environ.get("SSL_CERT_FILE", str(places.root / BUNDLE)))
        self._tls = trust(bundle)
        self._configuration = Configuration.read(places)
        known = self._registration.complete
        self._token = credentials.load(places, self._registration.node_id) if known else None

    @property
    def storage(self) -> Storage:
        """What this node can read."""
        return Storage(region=self._registration.region, token=self._token, tls=self._tls)

    def put_inventory(self, items: list[dict[str, Any]]) -> bool:
        """Send the report; False if this is no registered node, CallFailed if the service does not take it."""
        token = self._token
        if token is None:
            return False
        services = Services(
            region=self._registration.region, configuration=self._configuration, tls=self._tls, pause=time.sleep
        )
        try:
            payload = {"InstanceId": self._registration.node_id, "Items": items}
            services.call("ssm", "PutInventory", payload, lambda: token)
        finally:
            services.close()
        return True


class Surroundings:
    """What installing does to this machine."""

    def __init__(self, time_scale: float) -> None:
        self._scale = time_scale

    def service(self, verb: str, name: str) -> None:
        """Stop or restart a service; one that does not come up again is no concern of the installation."""
        subprocess.run(["systemctl", verb, name], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def remove_agent(self) -> None:
        """End the agent; it never starts again."""
        for unit in _UNITS:
            self.service("disable", unit)
        for unit in _UNITS:
            self.service("stop", unit)

    def wait(self, seconds: float) -> None:
        """Let so much of the cloud's time pass."""
        time.sleep(seconds * self._scale)


def main(arguments: Sequence[str], *, time_scale: float = 1.0) -> int:
    """Run the program; the exit code."""
    try:
        wanted = _parse(arguments)
    except SystemExit:
        return USAGE
    places = Places(home=Path(os.environ.get("HOME") or "/root"))
    lock = places.root / LOCK
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _complain("another patch run holds the lock", LOCKED)
        node = Node(places)
        try:
            return _report(node, _patch(wanted, places, node.storage, time_scale))
        except Unusable as error:
            return _complain(str(error), NOT_HAD)
        except AgentGone:
            return KILLED


def _patch(wanted: argparse.Namespace, places: Places, storage: Storage, time_scale: float) -> Done:
    only = None
    if wanted.install_override_list and wanted.operation == "Install":  # a scan does not look at it
        only = _ids(storage.json_at(wanted.install_override_list))
    wish = Wish(
        operation=wanted.operation,
        reboot_option=wanted.reboot_option,
        snapshot_id=wanted.snapshot_id,
        override_list=wanted.install_override_list,
        only=only,
    )
    override = wanted.baseline_override
    patching = Patching(
        places.root,
        baselines.read(storage.json_at(override)) if override else own_baseline(places.root),
        boot_id=BOOT_ID.read_text().strip(),
        effects=Surroundings(time_scale),
        say=_say,
    )
    return patching.run(wish)


def _report(node: Node, done: Done) -> int:
    if not done.items:
        return done.code
    try:
        if not node.put_inventory(done.items):
            _say("This server is not registered: nothing is reported.")
    except CallFailed as error:
        return _complain(f"the report was not taken: {error}", done.code or 1)
    return done.code


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="patch", description="Patch program of a simulated server.")
    parser.add_argument("--operation", choices=("Scan", "Install"), required=True)
    parser.add_argument("--reboot-option", choices=("RebootIfNeeded", "NoReboot"), default="RebootIfNeeded")
    for name in ("snapshot-id", "association-id", "install-override-list", "baseline-override", "step-timeout-seconds"):
        parser.add_argument(f"--{name}", default="")
    return parser.parse_args(arguments)


def _ids(raw: Any) -> frozenset[str]:
    """The ids in an override list: `{"patches": [{"id": …}]}`, or a plain list of them."""
    entries = raw.get("patches", []) if isinstance(raw, dict) else raw
    if not isinstance(entries, list):
        raise Unusable("an install override list holds a list of patches")
    return frozenset(str(entry.get("id", "")) if isinstance(entry, dict) else str(entry) for entry in entries)


def _complain(text: str, code: int) -> int:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the program's own words
    return code


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the program's own words
