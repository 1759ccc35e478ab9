"""`/usr/libexec/localcloud/patch`: its arguments, its lock, and its report, sent with the node's own role token.

Exit codes as the documented ones of AWS-RunPatchBaseline: 0, 1, 3 (too many reboots), 4 (another run holds the lock),
15 (a list cannot be had), 194 (reboot). Without a registration it patches, and says that it cannot report.
"""

import argparse
import base64
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from localcloud.machines.agent import credentials
from localcloud.machines.agent.calls import CallFailed, Services
from localcloud.machines.agent.places import AGENT_NAME, Configuration, Places
from localcloud.machines.agent.signing import Token
from localcloud.machines.agent.vault import Registration, Vault
from localcloud.machines.agent.wire import trust
from localcloud.machines.patching import baseline as baselines
from localcloud.machines.patching.baseline import Baseline, Unusable
from localcloud.machines.patching.run import AgentGone, Done, Patching, Wish

LOCK = "var/lib/localcloud/patch.lock"
USAGE = 2
LOCKED = 4
NOT_HAD = 15
KILLED = 137
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UNITS = (AGENT_NAME, f"snap.{AGENT_NAME}.{AGENT_NAME}")


class Node:
    """The calls of this machine's node."""

    def __init__(self, places: Places, registration: Registration, token: Token) -> None:
        configuration = Configuration.read(places)
        bundle = Path(os.environ.get("SSL_CERT_FILE", str(places.root / BUNDLE)))
        self._id = registration.node_id
        self._token = token
        self._services = Services(
            region=registration.region, configuration=configuration, tls=trust(bundle), pause=time.sleep
        )

    @classmethod
    def of(cls, places: Places) -> "Node | None":
        """The registered node with its stored token; None if there is none."""
        registration = Vault(places).registration()
        token = credentials.load(places, registration.node_id) if registration.complete else None
        return cls(places, registration, token) if token is not None else None

    def put_inventory(self, items: list[dict[str, Any]]) -> None:
        """Send the report; CallFailed if the service does not take it."""
        self._call("PutInventory", {"InstanceId": self._id, "Items": items})

    def baseline(self, snapshot_id: str) -> Baseline:
        """The node's own baseline, as the service hands it out; CallFailed or Unusable."""
        asked = {"InstanceId": self._id, "SnapshotId": snapshot_id}
        answer = self._call("GetDeployablePatchSnapshotForInstance", asked)
        return baselines.read(_json_at(str(answer.get("SnapshotDownloadUrl", ""))))

    def close(self) -> None:
        """Drop the connection."""
        self._services.close()

    def _call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        return self._services.call("ssm", operation, payload, lambda: self._token)


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
        node = Node.of(places)
        try:
            done = _patch(wanted, places, node, time_scale)
            return _report(node, done)
        except Unusable as error:
            return _complain(str(error), NOT_HAD)
        except AgentGone:
            return KILLED
        finally:
            if node is not None:
                node.close()


def _patch(wanted: argparse.Namespace, places: Places, node: Node | None, time_scale: float) -> Done:
    only = None
    if wanted.install_override_list and wanted.operation == "Install":  # a scan does not look at it
        only = _ids(_json_at(wanted.install_override_list))
    wish = Wish(
        operation=wanted.operation,
        reboot_option=wanted.reboot_option,
        snapshot_id=wanted.snapshot_id,
        override_list=wanted.install_override_list,
        only=only,
    )
    patching = Patching(
        places.root,
        _baseline(wanted, node),
        boot_id=BOOT_ID.read_text().strip(),
        effects=Surroundings(time_scale),
        say=_say,
    )
    return patching.run(wish)


def _baseline(wanted: argparse.Namespace, node: Node | None) -> Baseline:
    if wanted.baseline_override:
        return baselines.read(_json_at(wanted.baseline_override))
    if node is None:
        return Baseline()
    try:
        return node.baseline(wanted.snapshot_id)
    except CallFailed as error:
        _say(f"The node's patch baseline cannot be had ({error.code}); every update counts as approved.")
        return Baseline()


def _report(node: Node | None, done: Done) -> int:
    if not done.items:
        return done.code
    if node is None:
        _say("This server is not registered: nothing is reported.")
        return done.code
    try:
        node.put_inventory(done.items)
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


def _json_at(place: str) -> Any:
    """The JSON that a URL (file:, data:) or the text itself holds; Unusable with the reason."""
    parts = urlsplit(place)
    try:
        if parts.scheme == "file":
            text = Path(parts.path).read_text()
        elif parts.scheme == "data":
            head, _, body = place.partition(",")
            data = unquote_to_bytes(body)
            text = (base64.b64decode(data) if head.endswith(";base64") else data).decode()
        elif place.lstrip()[:1] in {"{", "["}:
            text = place
        else:
            raise Unusable(f"this simulated server reaches no storage: {place!r} is neither file: nor data: nor JSON")
        return json.loads(text)
    except (OSError, ValueError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable(f"{place!r} cannot be read: {error}") from error


def _complain(text: str, code: int) -> int:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the program's own words
    return code


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the program's own words
