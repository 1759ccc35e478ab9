"""`amazon-ssm-agent`: its flags, usage and exit codes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.machines.agent import registration
from localcloud.machines.agent.calls import Services
from localcloud.machines.agent.commands.shell import ShellScript
from localcloud.machines.agent.console import Console
from localcloud.machines.agent.daemon import Daemon, Host
from localcloud.machines.agent.places import AGENT_VERSION, Configuration, Places
from localcloud.machines.agent.vault import Vault
from localcloud.machines.agent.wire import trust

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
SWITCHES = frozenset({"register", "clear", "y", "version", "fingerprint", "disableSimilarityCheck"})
VALUES = frozenset({"code", "id", "region", "similarityThreshold"})
USAGE = (
    "\n\nCommand-line Usage:\n"
    "\t-register\tregister managed instance\n"
    "\t\t-id\tSSM activation ID\n"
    "\t\t-code\tSSM activation code\n"
    "\t\t-region\tSSM region\n"
    "\n\t\t-clear\tClears the previously saved SSM registration\n"
    "\t-fingerprint\tWhether to update the machine fingerprint similarity threshold\t(OPTIONAL)\n"
    "\t\t-similarityThreshold\tThe new required percentage of matching hardware values\t(OPTIONAL)\n"
    "\n\t-y\tAnswer yes for all questions\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The command line, parsed as the agent's flag library does."""

    switches: frozenset[str] = frozenset()
    values: dict[str, str] = field(default_factory=dict, repr=False)


def main(arguments: Sequence[str], *, time_scale: float = 1.0, places: Places | None = None) -> int:
    """Run the agent's command; without flags it is the daemon. The exit code."""
    flags = _parse(arguments)
    if flags is None:
        return 2
    if flags.switches == {"version"} and not flags.values:
        print(f"SSM Agent version: {AGENT_VERSION}")  # noqa: T201
        return 0
    found = places or Places(home=Path(os.environ.get("HOME", "/root")))
    configuration = Configuration.read(found)
    console = Console(found, configuration)
    agent = registration.Agent(places=found, console=console, vault=Vault(found), pause=time.sleep)
    console.open()
    if not arguments:
        return _daemon(agent, configuration, time_scale)
    if "register" in flags.switches:
        return _register(agent, configuration, flags)
    if "fingerprint" in flags.switches:
        return _set_threshold(agent, flags)
    sys.stderr.write(USAGE)
    return 1


def _register(agent: registration.Agent, configuration: Configuration, flags: Flags) -> int:
    code, activation_id, region = (flags.values.get(name, "") for name in ("code", "id", "region"))
    if not (code and activation_id and region):
        if "clear" in flags.switches:
            return registration.clear(agent)
        sys.stderr.write(USAGE)
        return 1
    return registration.register(
        agent,
        _services(agent, configuration, region),
        activation_id=activation_id,
        code=code,
        region=region,
        force="y" in flags.switches,
        check_similarity="disableSimilarityCheck" not in flags.switches,
    )


def _set_threshold(agent: registration.Agent, flags: Flags) -> int:
    text = flags.values.get("similarityThreshold", "40")
    try:
        percent = int(text)
    except ValueError:
        sys.stderr.write(f'invalid value "{text}" for flag -similarityThreshold: parse error\n{USAGE}')
        return 2
    return registration.set_threshold(agent, percent)


def _daemon(agent: registration.Agent, configuration: Configuration, time_scale: float) -> int:
    agent.console.say("INFO", f"amazon-ssm-agent - v{AGENT_VERSION}")
    registered = agent.vault.registration()
    if not registered.complete:
        agent.console.say("ERROR", "Agent failed to assume any identity")
        agent.console.say(
            "ERROR",
            "Error occurred when starting amazon-ssm-agent: failed to get identity: failed to find agent identity",
        )
        return 0
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    # Blocked in every thread and awaited in this one: no handler can interrupt half-done work.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)

    def wait(seconds: float) -> bool:
        return signal.sigtimedwait(ends, seconds) is not None

    services = _services(agent, configuration, registered.region)
    host = Host(plugins={"aws:runShellScript": ShellScript()}, reboot=_reboot)
    Daemon(agent, services, registered, host=host, wait=wait, time_scale=time_scale).run()
    agent.console.say("INFO", "amazon-ssm-agent stopped")
    return 0


def _reboot() -> None:
    subprocess.run(["/sbin/shutdown", "-r", "+1"], check=False)


def _services(agent: registration.Agent, configuration: Configuration, region: str) -> Services:
    bundle = Path(os.environ.get("SSL_CERT_FILE", str(agent.places.root / BUNDLE.lstrip("/"))))
    return Services(region=region, configuration=configuration, tls=trust(bundle), pause=agent.pause)


def _parse(arguments: Sequence[str]) -> Flags | None:
    switches: set[str] = set()
    values: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            break  # what follows the flags is ignored
        if name in SWITCHES:
            switches.add(name)
        elif name in VALUES:
            if not equals and not rest:
                sys.stderr.write(f"flag needs an argument: -{name}\n{USAGE}")
                return None
            values[name] = value if equals else rest.pop(0)
        else:
            sys.stderr.write(f"flag provided but not defined: -{name}\n{USAGE}")
            return None
    return Flags(switches=frozenset(switches), values=values)
