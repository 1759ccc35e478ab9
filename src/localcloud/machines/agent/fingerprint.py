"""The node's fingerprint: a random UUID that lasts as long as the machine stays similar to itself."""

import socket
import uuid
from collections.abc import Callable
from typing import Any

from localcloud.machines.agent.console import Console
from localcloud.machines.agent.places import Places
from localcloud.machines.agent.vault import Vault

SIMILARITY_THRESHOLD = 40  # percent of equal values
TRIES = 3
TRY_PAUSE_SECONDS = 5.0


def host_name() -> str:
    """The short name, as the fingerprint holds it."""
    return socket.gethostname()


def full_host_name() -> str:
    """The name with its domain, as `hostname --fqdn` prints it."""
    try:
        found = socket.getaddrinfo(host_name(), None, socket.AF_INET, flags=socket.AI_CANONNAME)
    except OSError:
        return host_name()
    return found[0][3] or host_name()


def address() -> str:
    """The machine's own IPv4 address; loopback if it has no other."""
    try:
        return socket.gethostbyname(host_name())
    except OSError:
        return "127.0.0.1"


def hardware(places: Places) -> dict[str, str]:
    """What the fingerprint compares. What needs dmidecode stays empty, as on a machine without it."""
    machine_id = places.root / "etc/machine-id"
    return {
        "bios-hash": "",
        "disk-info": "",
        "hostname-info": host_name(),
        "ipaddress-info": address(),
        "macaddr-info": "",
        "machine-id": machine_id.read_text() if machine_id.is_file() else "",
        "memory-hash": "",
        "processor-hash": "",
        "system-hash": "",
    }


def similar(old: dict[str, str], new: dict[str, str], threshold: int) -> bool:
    """Whether both descriptions are of the same machine; a threshold of -1 says yes to everything."""
    if threshold == -1:
        return True
    if old.get("machine-id") != new["machine-id"]:
        return False
    if old.get("ipaddress-info") == new["ipaddress-info"]:
        return True
    equal = sum(old.get(name) == value for name, value in new.items())
    return equal * 100 >= threshold * len(new)


def current(places: Places, vault: Vault, console: Console, *, pause: Callable[[float], object]) -> str:
    """This machine's fingerprint: the stored one, or a new one if the machine is no longer similar to what it was."""
    stored = vault.fingerprint()
    if stored is None:
        console.say("WARN", "Could not read InstanceFingerprint file: InstanceFingerprint does not exist")
        console.configured()
        console.say("INFO", "No initial fingerprint detected, generating fingerprint file...")
        return _renew(vault, hardware(places), SIMILARITY_THRESHOLD)
    console.configured()
    threshold = int(stored.get("similarityThreshold", SIMILARITY_THRESHOLD))
    for attempt in range(1, TRIES + 1):
        now = hardware(places)
        if similar(stored["hardwareHash"], now, threshold):
            return str(stored["fingerprint"])
        if attempt < TRIES:
            pause(TRY_PAUSE_SECONDS)
    console.say("INFO", "Calculated hardware difference, regenerating fingerprint")
    return _renew(vault, now, threshold)


def _renew(vault: Vault, hash_values: dict[str, str], threshold: int) -> str:
    value: dict[str, Any] = {
        "fingerprint": str(uuid.uuid4()),
        "hardwareHash": hash_values,
        "similarityThreshold": threshold,
    }
    vault.store_fingerprint(value)
    return str(value["fingerprint"])
