"""The vault: the node's key and its fingerprint, in files that only root may read."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from localcloud.machines.agent.places import Places, go_json, make_directory, write_private

REGISTRATION_KEY = "RegistrationKey"
FINGERPRINT = "InstanceFingerprint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Who this node is. Without a node id it is not registered (a failed try leaves a key behind)."""

    node_id: str = ""
    region: str = ""
    private_key: str = field(default="", repr=False)  # base64 of the DER (PKCS#1)

    @property
    def complete(self) -> bool:
        """Whether this machine is registered."""
        return bool(self.node_id and self.region and self.private_key)


class Vault:
    """Files below Vault/; the manifest names them."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._directory = places.data / "Vault"

    def registration(self) -> Registration:
        """What is stored; empty if nothing is."""
        raw = self._load(REGISTRATION_KEY) or {}
        return Registration(
            node_id=raw.get("instanceID", ""), region=raw.get("region", ""), private_key=raw.get("privateKey", "")
        )

    def store_registration(self, registration: Registration, *, now: datetime | None = None) -> None:
        """Keep id, Region and key; OSError if the vault cannot be written."""
        created = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M:%S.%f") + "000 +0000 UTC"
        self._store(
            REGISTRATION_KEY,
            {
                "instanceID": registration.node_id,
                "region": registration.region,
                "instanceType": "",
                "availabilityZone": "",
                "privateKey": registration.private_key,
                "publicKey": "",
                "privateKeyType": "Rsa" if registration.private_key else "",
                "privateKeyCreatedDate": created,
            },
        )

    def fingerprint(self) -> dict[str, Any] | None:
        """The stored fingerprint, None if there is none."""
        found = self._load(FINGERPRINT)
        return found if found and found.get("fingerprint") else None

    def store_fingerprint(self, value: dict[str, Any]) -> None:
        """Keep the fingerprint and the hashes that it stands for."""
        self._store(FINGERPRINT, value)

    def clear(self) -> None:
        """Forget key, id and fingerprint; the `registration` file beside the vault stays, as with the real agent."""
        self.store_registration(Registration())
        if self._load(FINGERPRINT) is not None:
            self._store(FINGERPRINT, {"fingerprint": "", "hardwareHash": {}, "similarityThreshold": 40})

    def write_registration_file(self, registration: Registration) -> None:
        """The file for people and scripts."""
        content = go_json({"ManagedInstanceID": registration.node_id, "Region": registration.region})
        write_private(self._places.registration, content)

    def _load(self, key: str) -> dict[str, Any] | None:
        path = self._directory / "Store" / key
        if not path.is_file():
            return None
        loaded: dict[str, Any] = json.loads(path.read_text())
        return loaded

    def _store(self, key: str, value: dict[str, Any]) -> None:
        store = self._directory / "Store"
        store.mkdir(parents=True, exist_ok=True)
        write_private(store / key, go_json(value))
        names = sorted(path.name for path in store.iterdir())
        manifest = {name: self._places.as_seen_by_the_agent(store / name) for name in names}
        write_private(self._directory / "Manifest", go_json(manifest))
        # The agent runs as root, whom a directory without search permission does not stop.
        make_directory(store, 0o600)
        make_directory(self._directory, 0o600)
