"""Unit files on a machine's disk: where they lie, what they say, and what is enabled.

Understood of a service: Type (simple, exec, notify, idle, oneshot), ExecStart, ExecStartPre, ExecStop, RemainAfterExit,
Environment, WorkingDirectory, KillMode, and drop-ins. Everything else is read over.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

UNIT_DIRECTORIES = (Path("/etc/systemd/system"), Path("/lib/systemd/system"), Path("/usr/lib/systemd/system"))
WANTED = Path("/etc/systemd/system/multi-user.target.wants")
_KNOWN = (".service", ".socket", ".timer", ".target")
_PREFIXES = "@-:+!"  # of a command line; a minus lets it fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One service as its file describes it. Commands are argument lists; the flag says whether they may fail."""

    path: Path
    start: tuple[tuple[tuple[str, ...], bool], ...]  # ExecStartPre and ExecStart, in order
    stop: tuple[tuple[str, ...], ...] = ()
    oneshot: bool = False
    remains: bool = False
    kills_all: bool = True  # of its processes, not the first alone
    environment: tuple[tuple[str, str], ...] = ()
    directory: str = ""


def unit_name(word: str) -> str:
    """The unit that a word on systemctl's command line means."""
    return word if word.endswith(_KNOWN) else f"{word}.service"


def unit_file(name: str) -> Path | None:
    """Where the unit's file lies; None if there is none."""
    return next((folder / name for folder in UNIT_DIRECTORIES if (folder / name).is_file()), None)


def enabled(name: str) -> bool:
    """Whether it starts at boot."""
    return (WANTED / name).is_symlink()


def wanted() -> list[str]:
    """What starts at boot, in the order of names."""
    return sorted(link.name for link in WANTED.iterdir()) if WANTED.is_dir() else []


def read(name: str) -> Unit | None:
    """The unit as its file and drop-ins say now; None if there is no file."""
    path = unit_file(name)
    if path is None:
        return None
    values: dict[str, list[str]] = {}
    drop_ins = [each for folder in UNIT_DIRECTORIES for each in sorted((folder / f"{name}.d").glob("*.conf"))]
    for file in (path, *drop_ins):
        _collect(file.read_text(errors="replace"), values)

    def last(key: str) -> str:
        return (values.get(key) or [""])[-1]

    oneshot = last("Type") == "oneshot"
    starts = [_command(line) for line in [*values.get("ExecStartPre", []), *values.get("ExecStart", [])]]
    variables = [word.partition("=") for line in values.get("Environment", []) for word in shlex.split(line)]
    return Unit(
        path=path,
        start=tuple(starts) or ((("/bin/false",), False),),
        stop=tuple(_command(line)[0] for line in values.get("ExecStop", [])),
        oneshot=oneshot,
        remains=last("RemainAfterExit").lower() in {"yes", "true", "1", "on"},
        kills_all=last("KillMode") in {"", "control-group", "mixed"},
        environment=tuple((key, value) for key, _, value in variables),
        directory=last("WorkingDirectory").lstrip("-"),
    )


def _collect(text: str, values: dict[str, list[str]]) -> None:
    for line in text.replace("\\\n", " ").splitlines():
        key, equals, value = line.strip().partition("=")
        if not equals or key.startswith(("#", ";", "[")):
            continue
        found = values.setdefault(key.strip(), [])
        if value.strip():
            found.append(value.strip())
        else:
            found.clear()  # an empty assignment forgets what came before


def _command(line: str) -> tuple[tuple[str, ...], bool]:
    bare = line.lstrip(_PREFIXES)
    return tuple(shlex.split(bare)), "-" in line[: len(line) - len(bare)]
