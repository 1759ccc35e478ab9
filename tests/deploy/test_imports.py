"""Following imports: what counts, what does not."""

from pathlib import Path

import pytest

from moorings.deploy.imports import follow


def _sources(root: Path, **files: str) -> dict[str, Path]:
    for name, text in files.items():
        path = root / "app" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "app").mkdir(exist_ok=True)
    (root / "app" / "__init__.py").touch()
    return {"app": root / "app"}


def test_parents_submodules_and_relative_imports_are_followed(tmp_path: Path) -> None:
    roots = _sources(
        tmp_path,
        entry="from app.sub import one\nfrom app import sub as other",
        sub__init="",
        sub__one="from . import two\nfrom ..far import thing",
        sub__two="",
        far="thing = 1",
        unused="",
    )
    (tmp_path / "app" / "sub" / "init.py").rename(tmp_path / "app" / "sub" / "__init__.py")

    found = follow(["app.entry"], roots=roots)

    assert sorted(found.modules) == ["app", "app.entry", "app.far", "app.sub", "app.sub.one", "app.sub.two"]


def test_an_import_inside_a_function_counts(tmp_path: Path) -> None:
    roots = _sources(tmp_path, entry="def late():\n    import app.lazy", lazy="")

    assert "app.lazy" in follow(["app.entry"], roots=roots).modules


def test_what_only_type_checkers_read_does_not_count(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import app.types\nelse:\n    import app.run"
    roots = _sources(tmp_path, entry=text, types="", run="")

    found = follow(["app.entry"], roots=roots)

    assert sorted(found.modules) == ["app", "app.entry", "app.run"]


def test_strangers_are_named_and_the_standard_library_is_not(tmp_path: Path) -> None:
    roots = _sources(tmp_path, entry="import json, boto3.session\nfrom os import path")

    assert follow(["app.entry"], roots=roots).outside == {"boto3"}


def test_an_entry_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"app\.nothing"):
        follow(["app.nothing"], roots=_sources(tmp_path))
