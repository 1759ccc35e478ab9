"""Which modules an entry module needs: imports followed through the sources, nothing executed.

The truth that the manifests of the zips are held to. Function-level and optional imports count (they run one day);
those under `if TYPE_CHECKING` do not. Imports by a computed name cannot be seen, so packages that are followed must do
without.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What a set of entry modules needs."""

    modules: Mapping[str, Path]  # dotted name → file, parents included
    outside: frozenset[str]  # top-level names that are neither in the standard library nor among the roots


def follow(entries: Iterable[str], *, roots: Mapping[str, Path]) -> Followed:
    """Follow the imports of `entries`. `roots` maps each top-level name that may be entered to its directory or file.

    Raises FileNotFoundError if an entry is no module of the roots.
    """
    found: dict[str, Path] = {}
    outside: set[str] = set()
    left = list(entries)
    for entry in left:
        if find(entry, roots=roots) is None:
            raise FileNotFoundError(f"no module {entry} below {sorted(roots)}")
    while left:
        name = left.pop()
        top = name.partition(".")[0]
        if name in found or top in sys.stdlib_module_names:
            continue
        if top not in roots:
            outside.add(top)
            continue
        path = find(name, roots=roots)
        if path is None:
            continue  # an attribute, not a module
        found[name] = path
        left.extend(_parents(name))
        left.extend(_imports(path, name))
    return Followed(modules=found, outside=frozenset(outside))


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def find(name: str, *, roots: Mapping[str, Path]) -> Path | None:
    """The file of a module below one of the roots; None if there is none of that name."""
    top, *rest = name.split(".")
    root = roots.get(top)
    if root is None:
        return None
    if root.is_file():
        return None if rest else root
    base = root.joinpath(*rest)
    candidates = [base / "__init__.py", base.with_name(base.name + ".py")]
    return next((path for path in candidates if path.is_file()), None)


def _imports(path: Path, name: str) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in _executed(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - (node.level - 1)]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but the bodies of `if TYPE_CHECKING`, which only type checkers read."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from _executed(other)
            continue
        yield child
        yield from _executed(child)
