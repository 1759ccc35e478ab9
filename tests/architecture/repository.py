"""The files of the repository, for the tests about them."""

import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git tracks and that is there; without git, every file outside of what the tools make."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())
    made = re.compile(r"(^|/)(\.venv[^/]*|__pycache__|\.[a-z_]+_cache|\.hypothesis|build|dist)(/|$)")
    return tuple(path for path in ROOT.rglob("*") if path.is_file() and not made.search(str(path.relative_to(ROOT))))


def pages() -> tuple[Path, ...]:
    """Every Markdown page."""
    return tuple(path for path in tracked() if path.suffix == ".md")


def modules() -> tuple[Path, ...]:
    """Every Python module of the product and of the local cloud."""
    return tuple(path for path in tracked() if path.suffix == ".py" and SOURCES in path.parents)


def shown(path: Path) -> str:
    """A path as people write it."""
    return str(path.relative_to(ROOT))


def code_spans(text: str) -> list[str]:
    """What stands in a page as code: inside backticks, and each line of each fenced block."""
    blocks = re.findall(r"^[ ]*```[a-z]*\n(.*?)^[ ]*```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^[ ]*```[a-z]*\n.*?^[ ]*```", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", rest)
    return [" ".join(span.split()) for span in spans] + [line for block in blocks for line in block.splitlines()]
