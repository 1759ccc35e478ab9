"""The shape of the sources: import rules, docstrings, sizes, names, and secrets that cannot show."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.architecture.repository import ROOT, SOURCES, modules, shown

LONGEST_MODULE = 400
LONGEST_FUNCTION = 40  # without its docstring
# Modules that are longer, each with the reason why it is one thing.
LONGER: dict[str, str] = {}
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
SECRETS = {"code", "secret_key", "session_token", "private_key", "password", "activation_code"}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_the_import_rules_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        env={"PYTHONPATH": str(SOURCES), "PATH": "/usr/bin:/bin", "NO_COLOR": "1"},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_of_modules_is_a_package_with_a_docstring() -> None:
    folders = {path.parent for path in modules()}
    without = [shown(folder) for folder in folders if not (folder / "__init__.py").is_file()]

    assert not without


@pytest.mark.parametrize("path", [path for path in modules() if path.name == "__init__.py"], ids=shown)
def test_an_init_holds_a_docstring_and_nothing_else(path: Path) -> None:
    body = _tree(path).body

    assert len(body) == 1
    assert ast.get_docstring(_tree(path))


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_modules_and_their_public_names_have_docstrings(path: Path) -> None:
    tree = _tree(path)
    lacking = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if not node.name.startswith("_") and not ast.get_docstring(node)
    ]

    assert ast.get_docstring(tree)
    assert not lacking


def test_no_module_is_longer_than_it_should_be() -> None:
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    long = {name: length for name, length in lengths.items() if length > LONGEST_MODULE and name not in LONGER}

    assert not long
    assert not {name for name in LONGER if lengths.get(name, 0) <= LONGEST_MODULE}, "exceptions that are none any more"


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_no_function_is_longer_than_it_should_be(path: Path) -> None:
    long = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body and (node.end_lineno or 0) - body[0].lineno + 1 > LONGEST_FUNCTION:
                long.append(node.name)

    assert not long


def test_nothing_bears_a_name_that_says_nothing() -> None:
    names = {shown(path) for path in modules() if VAGUE & {path.stem, *path.relative_to(SOURCES).parent.parts}}

    assert not names


def _dataclass_fields(tree: ast.Module) -> Iterator[tuple[str, ast.AnnAssign]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(each) for each in node.decorator_list):
            yield from ((node.name, each) for each in node.body if isinstance(each, ast.AnnAssign))


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_a_secret_is_in_no_repr(path: Path) -> None:
    showing = [
        f"{owner}.{ast.unparse(field.target)}"
        for owner, field in _dataclass_fields(_tree(path))
        if ast.unparse(field.target) in SECRETS and ast.unparse(field.annotation).startswith("str")
        if "repr=False" not in (ast.unparse(field.value) if field.value else "")
    ]

    assert not [each for each in showing if each not in NOT_SECRET]


# Fields of those names that hold something else.
NOT_SECRET = {"_Refusal.code": "the error code of a service"}
_SPEAKING = {"record", "info", "debug", "warning", "error", "exception", "say", "line", "print", "count", "measure"}


@pytest.mark.parametrize("path", [path for path in modules() if SOURCES / "moorings" in path.parents], ids=shown)
def test_no_record_and_no_message_is_given_a_code(path: Path) -> None:
    """Neither `….code` of an activation nor a whole answer or request key reaches a log, a metric or the terminal."""
    told = [
        f"line {call.lineno}"
        for call in ast.walk(_tree(path))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _SPEAKING
        for part in (*call.args, *(keyword.value for keyword in call.keywords))
        for each in ast.walk(part)
        if isinstance(each, ast.Attribute) and each.attr in {"code", "body", "key"}
    ]

    assert not told
