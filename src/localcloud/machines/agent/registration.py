"""`amazon-ssm-agent -register …` and `-fingerprint`: one-shot commands, their texts and exit codes."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from localcloud.machines.agent import fingerprint
from localcloud.machines.agent.calls import CallFailed, Services
from localcloud.machines.agent.console import Console
from localcloud.machines.agent.places import Places
from localcloud.machines.agent.signing import NodeKey
from localcloud.machines.agent.vault import Registration, Vault

MIN_CODE_LENGTH = 20
MIN_ID_LENGTH = 36
QUESTION = (
    "\nInstance already registered. Would you like to override existing with new registration information? [Yes/No]: "
)
UNWRITABLE = "Unable to save registration information. {}\nTry running as sudo/administrator."


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent's surroundings."""

    places: Places
    console: Console
    vault: Vault
    pause: Callable[[float], object]


def register(
    agent: Agent, services: Services, *, activation_id: str, code: str, region: str, force: bool, check_similarity: bool
) -> int:
    """Register this machine as a managed node; the exit code."""
    if not force and agent.vault.registration().node_id and not _confirmed(agent.console):
        return 1
    try:
        node_id = _register(agent, services, activation_id=activation_id, code=code, region=region)
    except CallFailed as error:
        agent.console.say("ERROR", f"Registration failed due to error registering the instance with AWS SSM. {error}")
        return 1
    except OSError as error:
        agent.console.say("ERROR", f"Registration failed due to {UNWRITABLE.format(error)}")
        return 1
    if not check_similarity:
        set_threshold(agent, -1, quiet=True)
    agent.console.say("INFO", f"Successfully registered the instance with AWS SSM using Managed instance-id: {node_id}")
    return 0


def clear(agent: Agent) -> int:
    """Forget the registration on this machine; the service is not told."""
    try:
        agent.vault.clear()
    except OSError as error:
        agent.console.say("ERROR", f"error clearing the instance registration information. {error}")
        return 1
    agent.console.say("INFO", "Registration information has been removed from the instance.")
    return 0


def set_threshold(agent: Agent, percent: int, *, quiet: bool = False) -> int:
    """`-fingerprint -similarityThreshold N`; the exit code."""
    if percent != -1 and not 1 <= percent <= 100:
        agent.console.say("ERROR", "Error setting the SimilarityThreshold. Invalid similarity threshold value.")
        return 1
    stored = agent.vault.fingerprint()
    if stored is None:
        fingerprint.current(agent.places, agent.vault, agent.console, pause=agent.pause)
        stored = agent.vault.fingerprint() or {}
    agent.vault.store_fingerprint({**stored, "similarityThreshold": percent})
    if not quiet:
        agent.console.say("INFO", f"Fingerprint SimilarityThreshold set to {percent}")
    return 0


def _register(agent: Agent, services: Services, *, activation_id: str, code: str, region: str) -> str:
    key = NodeKey.generate()
    registration = Registration(private_key=key.for_vault())
    agent.vault.store_registration(registration)  # shows before the call whether the vault can be written
    print_of_machine = fingerprint.current(agent.places, agent.vault, agent.console, pause=agent.pause)
    _check_lengths(activation_id, code)
    node_id = services.register(
        activation_id=activation_id, code=code, fingerprint=print_of_machine, public_key=key.public()
    )
    registration = replace(registration, node_id=node_id, region=region)
    agent.vault.store_registration(registration)
    agent.vault.write_registration_file(registration)
    return node_id


def _check_lengths(activation_id: str, code: str) -> None:
    problems = [
        f"- minimum field size of {minimum}, RegisterManagedInstanceInput.{name}.\n"
        for name, value, minimum in (
            ("ActivationCode", code, MIN_CODE_LENGTH),
            ("ActivationId", activation_id, MIN_ID_LENGTH),
        )
        if len(value) < minimum
    ]
    if problems:
        raise CallFailed("InvalidParameter", f"{len(problems)} validation error(s) found.\n{''.join(problems)}")


def _confirmed(console: Console) -> bool:
    print(QUESTION, end="", flush=True)  # noqa: T201 - the agent's own question
    answer = sys.stdin.readline().strip().lower()
    if answer.startswith("y"):
        return True
    if answer.startswith("n"):
        console.say("INFO", "Registration canceled by user")
    else:
        console.say("ERROR", f"Registration failed due to {'Invalid response received.' if answer else 'EOF'}")
    return False
