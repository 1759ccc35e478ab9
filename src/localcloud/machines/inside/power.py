"""What `shutdown`, `reboot`, `poweroff` and `halt` inside a machine mean."""

import re
from dataclasses import dataclass

DEFAULT_MINUTES = 1
_RELATIVE = re.compile(r"\+?(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One wish: after so many minutes off, and on again if it is a reboot; or no longer what was asked for before."""

    minutes: int = 0
    reboot: bool = False
    withdrawn: bool = False


def asked(program: str, arguments: tuple[str, ...]) -> Request | None:
    """The wish of such a program; None if it cannot be understood. Sources: shutdown(8), reboot(8)."""
    if program in {"reboot", "poweroff", "halt"}:
        return Request(reboot=program == "reboot" and "-p" not in arguments)
    options = "".join(word.lstrip("-") if len(word) == 2 else f" {word} " for word in arguments if word[:1] == "-")
    words = [word for word in arguments if word[:1] != "-"]
    if "c" in options.split(" ")[0]:
        return Request(withdrawn=True)
    reboot = "r" in options.split(" ")[0] or "--reboot" in options
    when = words[0] if words else f"+{DEFAULT_MINUTES}"
    if when == "now":
        return Request(reboot=reboot)
    relative = _RELATIVE.fullmatch(when)
    return Request(minutes=int(relative[1]), reboot=reboot) if relative else None
