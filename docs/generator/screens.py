"""Pictures of a terminal, from the running thing: `python -m docs.generator.screens`, with tmux, on Linux, as root.

It plays the demo in a terminal of its own, runs two commands in the clouds that the demo keeps up, and draws what is on
the screen then. Nothing is edited but for the lines that are left out: those before and after, and the exports.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from io import StringIO
from pathlib import Path

from docs.generator.site import DOCS
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

SCREENS = DOCS / "screens"
COLUMNS, ROWS = 96, 60
DEADLINE = 300.0  # seconds for a whole demo, on a slow computer
STACK = "moorings-demo"
MOORINGS = Path(sys.executable).with_name("moorings")

_THEME = TerminalTheme(
    (16, 32, 39), (221, 228, 230),
    [(16, 32, 39), (224, 108, 117), (126, 200, 140), (230, 176, 90), (96, 170, 220), (190, 140, 220), (90, 190, 200),
     (221, 228, 230)],
    [(110, 130, 138), (240, 130, 138), (150, 220, 160), (240, 196, 120), (130, 195, 240), (210, 165, 240),
     (120, 210, 220), (255, 255, 255)],
)  # fmt: skip
# As rich draws it, but with the reader's own fonts, and a name for those who do not see it.
_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title">
  <title id="title">NAME</title>
  <style>
    .{unique_id}-matrix {{
      font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
      font-size: {char_height}px; line-height: {line_height}px;
    }}
    .{unique_id}-title {{ font-family: ui-sans-serif, system-ui, sans-serif; font-size: 18px; font-weight: 600; }}
{styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
    </clipPath>
{lines}
  </defs>
{chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
  <g class="{unique_id}-matrix">
{matrix}
  </g>
  </g>
</svg>
"""


class Terminal:
    """A terminal in which one command runs; tmux knows what its screen shows."""

    def __init__(self, command: str, *, folder: str, environment: Mapping[str, str]) -> None:
        self._server = f"moorings-screens-{time.monotonic_ns()}"
        exports = "".join(f"export {name}={shlex.quote(value)}; " for name, value in environment.items())
        self._tmux(
            "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-c", folder, f"{exports}sleep 1; {command}"
        )
        self._tmux("set-option", "-g", "remain-on-exit", "on")
        self._tmux("set-option", "-g", "remain-on-exit-format", "")

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._server, "-f", "/dev/null", *words],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout

    def close(self) -> None:
        """End it, with all that runs in it."""
        self._tmux("kill-server")

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._tmux("send-keys", "C-c")

    def lines(self) -> list[str]:
        """Every line so far, with its colours."""
        return self._tmux("capture-pane", "-e", "-p", "-S", "-").rstrip("\n").split("\n")

    def until(self, words: str) -> list[str]:
        """Every line so far, once one of them holds `words`; with no words, once the command has ended."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            ended = self._tmux("display-message", "-p", "#{pane_dead}").strip() == "1"
            lines = self.lines()
            if any(words in plain(line) for line in lines) if words else ended:
                return lines
            if ended:
                break
            time.sleep(0.5)
        raise RuntimeError(
            "\n".join(map(plain, self.lines()[-30:]))
            + f"\nthe command has shown no {words!r} in the end, or within {DEADLINE:.0f} s"
        )


def plain(line: str) -> str:
    """A line without its colours."""
    return Text.from_ansi(line).plain


def drawn(lines: list[str], *, name: str, command: str) -> str:
    """The lines as a picture of a window in which `command` has run."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="standard")
    console.print(Text.from_ansi("\n".join([*lines, ""])), soft_wrap=True)
    svg = console.export_svg(title=f"$ {command}", theme=_THEME, code_format=_FORMAT, unique_id=name)
    return "\n".join(line.rstrip() for line in svg.replace("NAME", f"Output of {command}").splitlines()) + "\n"


def take(folder: str) -> Iterator[tuple[str, str]]:
    """The pictures, by their file names, in which the demo's runs leave what they leave."""
    with closing(Terminal(f"{MOORINGS} demo --keep", folder=folder, environment={})) as demo:
        demo.until("moorings patch status")
        exports = (plain(line).strip().removeprefix("export ") for line in demo.lines() if "export " in plain(line))
        environment = dict(export.split("=", 1) for export in exports)
        run = _put_back({**os.environ, **environment})
        for name, command, stack in (
            ("status", "enrolment status", STACK),
            ("explain", f"patch explain {run}", f"{STACK}-patching"),
        ):
            whole = f"{MOORINGS} {command} --stack-name {stack}"
            with closing(Terminal(whole, folder=folder, environment=environment)) as beside:
                yield f"{name}.svg", drawn(_trimmed(beside.until("")), name=name, command=f"moorings {command}")
        demo.interrupt()
        lines = demo.until("nothing else stays behind")
        yield "demo.svg", drawn(_trimmed(_end_of(lines)), name="demo", command="make demo")


def _put_back(environment: Mapping[str, str]) -> str:
    """The execution that put a VM back because its service was dead."""
    told = subprocess.run(
        [str(MOORINGS), "patch", "status", "--stack-name", f"{STACK}-patching", "--json"],
        env=dict(environment), check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    found = re.findall(r'"execution": "([0-9a-f-]{36})"[^{}]*"outcome": "ROLLED_BACK"', told.stdout)
    return str(found[0])


def _end_of(lines: list[str]) -> list[str]:
    """The table of the demo's runs and the last words; not how the clouds are left."""
    texts = [plain(line) for line in lines]
    if any(text.startswith("✗") for text in texts):
        raise RuntimeError("the demo has not ended as it has to: " + "\n".join(texts))
    begin = max(number for number, text in enumerate(texts) if text.startswith("SCENARIO"))
    left_out = re.compile(r"^(· |  export |  moorings |\^C|✓ |. (?:deleting|stopping))")
    return [line for line, text in zip(lines[begin:], texts[begin:], strict=True) if not left_out.match(text)]


def _trimmed(lines: list[str]) -> list[str]:
    """Without empty lines at the end."""
    while lines and not plain(lines[-1]).strip():
        lines = lines[:-1]
    return lines


if __name__ == "__main__":
    SCREENS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as empty:
        for file, svg in take(empty):
            (SCREENS / file).write_text(svg, encoding="utf-8")
