"""Builds the site: `python -m docs.generator.site`, from the root of the repository.

The pages in docs/ are written to be read where the sources lie, too. So the site is built from a copy in which links
that leave docs/ are plain text, pictures follow the reader's choice of light or dark, and wide things can be scrolled.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
CONFIGURATION = "zensical.toml"
# Pages outside of docs/ that the site has, too.
ROOT_PAGES = {"CHANGELOG.md": "changelog.md"}
SHADES = ("light", "dark")
KEPT = {".md", ".svg", ".png", ".css", ".js", ".yaml", ".cmd", ".xml", ".ps1", ".service", ".sh"}

_CODE = re.compile(r"^[ ]*```.*?^[ ]*```[^\n]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"^!\[(?P<alt>[^\]]*)\]\((?P<path>[^)\s]+)\.svg\)$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
_DARK = re.compile(r"\s*@media \(prefers-color-scheme: dark\) \{\n(?P<rules>.*?)\n  \}(?=\n)", re.DOTALL)
_ITEM = re.compile(r"(?:-|[0-9]+\.) +(?=\S)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# What a browser loads together with a page.
_LOADED = re.compile(
    r"""<(?:script|img|iframe)\b[^>]*?\ssrc=["']?(?P<source>[^\s"'>]+)|<link\b(?=[^>]*\srel=["']?(?:stylesheet|icon|preconnect))"""
    r"""[^>]*?\shref=["']?(?P<linked>[^\s"'>]+)"""
)


def build(below: Path) -> Path:
    """Copy, build strictly, and look for what a page would fetch; the site's first page, below this folder.

    Exits with what is wrong: a link or an anchor that leads nowhere, or an address that a page would load from.
    """
    shutil.rmtree(below / "site", ignore_errors=True)
    copy(below / "manual")
    shutil.copyfile(DOCS / CONFIGURATION, below / CONFIGURATION)
    zensical = Path(sys.executable).with_name("zensical")
    done = subprocess.run(
        [str(zensical), "build", "--strict", "--clean"], cwd=below, check=False, capture_output=True, text=True
    )
    if done.returncode:
        # What follows is zensical's own trace, and tells no more.
        sys.exit(_COLOUR.sub("", done.stdout + done.stderr).partition("Traceback")[0])
    site = below / "site"
    wrong = [f"{path.relative_to(site)}: {address}" for path, address in loaded(site) if not _is_there(path, address)]
    if wrong:
        sys.exit("\n".join(["these pages load what the site does not have:", *wrong]))
    return site / "index.html"


def loaded(site: Path) -> Iterator[tuple[Path, str]]:
    """Each page of a built site with every address that a browser loads together with it.

    But for the page that a server shows where there is none: it has to name all from the server's root.
    """
    for path in sorted(set(site.rglob("*.html")) - {site / "404.html"}):
        for found in _LOADED.finditer(path.read_text("utf-8")):
            yield path, found["source"] or found["linked"]


def _is_there(path: Path, address: str) -> bool:
    return not re.match(r"[a-z]+:|//", address) and (path.parent / address.partition("#")[0]).is_file()


def copy(to: Path) -> None:
    """Everything that the site is made of, below `to`, which is made anew."""
    shutil.rmtree(to, ignore_errors=True)
    for source, target in _sources():
        there = to / target
        there.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            there.write_text(page(source.read_text("utf-8"), source=source), "utf-8")
        elif source.parent.name == "pictures":
            for shade, svg in zip(SHADES, shades(source.read_text("utf-8")), strict=True):
                there.with_suffix(f".{shade}.svg").write_text(svg, "utf-8")
        else:
            shutil.copyfile(source, there)


def _sources() -> Iterator[tuple[Path, Path]]:
    for path in sorted(DOCS.rglob("*")):
        if _is_ours(path) and path.is_file():
            yield path, path.relative_to(DOCS)
    for name, target in ROOT_PAGES.items():
        yield ROOT / name, Path(target)


def _is_ours(path: Path) -> bool:
    """Whether a path is one of those that the site is made of; what it names need not be there: the build says so."""
    return path.is_relative_to(DOCS) and path.suffix in KEPT and not path.is_relative_to(DOCS / "generator")


def page(text: str, *, source: Path) -> str:
    """A page as the site needs it; code is left as it is."""
    source = source.resolve()
    text = "\n".join(_indented(text.split("\n")))
    parts: list[str] = []
    end = 0
    for code in _CODE.finditer(text):
        # In a table a code host wants bars escaped within code as well; here they are already told apart.
        kept = code[0] if code[0].lstrip().startswith("```") else code[0].replace("\\|", "|")
        parts += [_prose(text[end : code.start()], source=source), kept]
        end = code.end()
    return "".join([*parts, _prose(text[end:], source=source)])


def _indented(lines: Iterable[str]) -> Iterator[str]:
    """What belongs to an item of a list is indented by four: with less the site's Markdown ends the list there."""
    width, fenced = 0, False
    for line in lines:
        item = None if fenced else _ITEM.match(line)
        if item:
            width = len(item[0])
        elif line.startswith("```"):
            width, fenced = 0, not fenced
        elif line and not line.startswith(" " * width):
            width = 0
        yield f"{' ' * (4 - width)}{line}" if line and width and not item else line


def _prose(text: str, *, source: Path) -> str:
    text = _LINK.sub(lambda link: _link(link, source=source), text)
    return _PICTURE.sub(_picture, text)


def _link(link: re.Match[str], *, source: Path) -> str:
    """A link within docs/, or out into the world, stays; any other leads to the site's copy, or becomes its text."""
    target = link["target"]
    if re.match(r"[a-z]+:", target):
        return link[0]
    there = (source.parent / target).resolve()
    copied = _copied(there)
    if copied is None:
        return link["text"]
    up = "../" * len(source.relative_to(DOCS).parts[:-1]) if source.is_relative_to(DOCS) else ""
    return f"[{_called(link['text'], there)}]({up}{copied}{link['anchor'] or ''})"


def _copied(there: Path) -> str | None:
    """Where a file of the repository is in the site; None if it is not."""
    if _is_ours(there):
        return str(there.relative_to(DOCS))
    return ROOT_PAGES.get(there.name) if there.parent == ROOT else None


def _called(text: str, there: Path) -> str:
    """A page that the text names by its file has its title in the site."""
    if text != there.name or there.suffix != ".md" or not there.is_file():
        return text
    return there.read_text("utf-8").partition("\n")[0].removeprefix("# ")


def _picture(found: re.Match[str]) -> str:
    """Both shades, if it has two; the theme shows the one that the reader has chosen. Narrow screens scroll it."""
    path = found["path"]
    files = [f"{path}.{shade}.svg#only-{shade}" for shade in SHADES] if "pictures/" in path else [f"{path}.svg"]
    shown = " ".join(f"![{found['alt']}]({file})" for file in files)
    return f'<div class="picture" markdown>\n\n{shown}\n\n</div>'


def shades(svg: str) -> tuple[str, str]:
    """A picture that follows the system's colours, as one that is always light and one that is always dark."""
    dark = _DARK.search(svg)
    if dark is None:
        return svg, svg
    return _DARK.sub("", svg), _DARK.sub(lambda found: f"\n{found['rules']}", svg)


if __name__ == "__main__":
    first = build(ROOT / "build")
    sys.stdout.write(
        f"the manual: {first.relative_to(ROOT)} (open it in a browser; it needs neither server nor network)\n"
    )
