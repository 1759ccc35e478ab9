"""Where the agent keeps its files, and what its configuration file may say."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AGENT_NAME = "amazon-ssm-agent"
AGENT_VERSION = "3.3.0.0"
CONFIGURATION = "/etc/amazon/ssm/amazon-ssm-agent.json"
SERVICES = {"ssm": "Ssm", "ec2messages": "Mds", "ssmmessages": "Mgs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The agent's file system; `root` is / but in tests."""

    root: Path = Path("/")
    home: Path = Path("/root")

    @property
    def data(self) -> Path:
        """The folder of vault, state and registration."""
        return self.root / "var/lib/amazon/ssm"

    @property
    def log(self) -> Path:
        """The folder of the logs."""
        return self.root / "var/log/amazon/ssm"

    @property
    def registration(self) -> Path:
        """The file that tells people and scripts the node's id."""
        return self.data / "registration"

    @property
    def identity(self) -> Path:
        """The note of when the role token was fetched, and when it ends."""
        return self.data / "runtimeconfig/identity_config.json"

    @property
    def configuration(self) -> Path:
        """The agent's configuration file, which may be absent."""
        return self.root / CONFIGURATION.lstrip("/")

    @property
    def credentials(self) -> Path:
        """The role token, where the AWS CLI looks too."""
        return self.home / ".aws/credentials"

    def as_seen_by_the_agent(self, path: Path) -> str:
        """The path that stands in the agent's own files."""
        return "/" + str(path.relative_to(self.root))


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Endpoints that differ from the public names; `present` tells whether there is a file at all."""

    present: bool = False
    endpoints: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, places: Places) -> "Configuration":
        """What the file says; the defaults if there is none."""
        if not places.configuration.is_file():
            return cls()
        raw: dict[str, Any] = json.loads(places.configuration.read_text())
        found = [(service, raw.get(section, {}).get("Endpoint", "")) for service, section in SERVICES.items()]
        return cls(present=True, endpoints=tuple((service, url) for service, url in found if url))

    def endpoint(self, service: str, region: str) -> str:
        """The base URL of a service, without a slash at the end."""
        return dict(self.endpoints).get(service, f"https://{service}.{region}.amazonaws.com").rstrip("/")


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.touch(mode=0o600)
    fresh.chmod(0o600)
    fresh.write_text(text)
    fresh.replace(path)


def make_directory(path: Path, mode: int) -> None:
    """Make a directory with exactly this mode, and its parents with the usual one."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)


def go_json(value: object) -> str:
    """Compact JSON as the agent's language writes it: <, > and & escaped, other characters left alone."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
