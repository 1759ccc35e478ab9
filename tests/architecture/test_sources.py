"""The shape of the sources: import rules, docstrings, sizes, names, and secrets that cannot show."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
from tests.architecture.repository import ROOT, SOURCES, modules, shown

LONGEST_MODULE = 400
LONGEST_FUNCTION = 40  # without its docstring
# Modules that are longer, each with the reason why it is one thing.
LONGER: dict[str, str] = {}
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
SECRETS = {"code", "secret_key", "session_token", "private_key", "password", "activation_code"}
# Fields named as a secret that hold something else.
NOT_SECRET = {"_Refusal.code": "the error code of a service"}
_SPEAKING = {"record", "info", "debug", "warning", "error", "exception", "say", "line", "print", "count", "measure"}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _nodes(below: Path = SOURCES) -> Iterator[tuple[Path, ast.AST]]:
    """Every node of every module in a folder, with the module."""
    return ((path, node) for path in modules() if below in path.parents for node in ast.walk(_tree(path)))


def test_the_import_rules_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        env={"PYTHONPATH": str(SOURCES), "PATH": "/usr/bin:/bin", "NO_COLOR": "1"},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_modules_know_each_other_in_a_circle() -> None:
    """Imports inside functions and those for type checkers count too: who reads one module need not read all."""
    graph = grimp.build_graph("moorings", "localcloud", cache_dir=None)
    known = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    list(TopologicalSorter(known).static_order())  # CycleError names the circle


def test_every_folder_of_modules_is_a_package_with_a_docstring() -> None:
    folders = {path.parent for path in modules()}
    without = [shown(folder) for folder in folders if not (folder / "__init__.py").is_file()]

    assert not without


def test_an_init_holds_a_docstring_and_nothing_else() -> None:
    inits = [path for path in modules() if path.name == "__init__.py"]

    assert not [shown(path) for path in inits if len(_tree(path).body) != 1 or not ast.get_docstring(_tree(path))]


def test_every_module_and_every_public_name_has_a_docstring() -> None:
    named = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    lacking = [
        f"{shown(path)}: {getattr(node, 'name', 'module')}"
        for path in modules()
        for node in (_tree(path), *(each for each in _tree(path).body if isinstance(each, named)))
        if not getattr(node, "name", "").startswith("_") and not ast.get_docstring(node)
    ]

    assert not lacking


def test_no_module_is_longer_than_it_should_be() -> None:
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    long = {name: length for name, length in lengths.items() if length > LONGEST_MODULE and name not in LONGER}

    assert not long
    assert not {name for name in LONGER if lengths.get(name, 0) <= LONGEST_MODULE}, "exceptions that are none any more"


def test_no_function_is_longer_than_it_should_be() -> None:
    long = []
    for path, node in _nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body and (node.end_lineno or 0) - body[0].lineno + 1 > LONGEST_FUNCTION:
                long.append(f"{shown(path)}: {node.name}")

    assert not long


def test_nothing_bears_a_name_that_says_nothing() -> None:
    names = {shown(path) for path in modules() if VAGUE & {path.stem, *path.relative_to(SOURCES).parent.parts}}

    assert not names


def test_a_secret_is_in_no_repr() -> None:
    showing = []
    for path, node in _nodes():
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(each) for each in node.decorator_list):
            for field in (each for each in node.body if isinstance(each, ast.AnnAssign)):
                name, kind = ast.unparse(field.target), ast.unparse(field.annotation)
                hidden = "repr=False" in (ast.unparse(field.value) if field.value else "")
                if name in SECRETS and kind.startswith("str") and not hidden:
                    showing.append((shown(path), f"{node.name}.{name}"))

    assert not [each for each in showing if each[1] not in NOT_SECRET]


def test_no_record_and_no_message_is_given_a_code() -> None:
    """Neither `….code` of an activation nor a whole answer or request key reaches a log, a metric or the terminal."""
    told = [
        f"{shown(path)}:{call.lineno}"
        for path, call in _nodes(SOURCES / "moorings")
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _SPEAKING
        for part in (*call.args, *(keyword.value for keyword in call.keywords))
        for each in ast.walk(part)
        if isinstance(each, ast.Attribute) and each.attr in {"code", "body", "key"}
    ]

    assert not told
