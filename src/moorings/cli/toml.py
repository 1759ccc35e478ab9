"""The configuration document as TOML text, so that what is in force can be saved, changed and applied again."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def written(document: Mapping[str, Any]) -> str:
    """TOML that `configuration.parse_toml` reads back as `document`: values first, then tables, then lists of them."""
    return "\n".join(_table(document, path="")).strip() + "\n"


def _table(content: Mapping[str, Any], *, path: str) -> list[str]:
    lines = [f"{_key(name)} = {_value(value)}" for name, value in content.items() if not _is_nested(value)]
    for name, value in content.items():
        below = f"{path}.{_key(name)}" if path else _key(name)
        if isinstance(value, Mapping):
            lines += ["", f"[{below}]", *_table(value, path=below)]
        elif _is_nested(value):
            for each in value:
                lines += ["", f"[[{below}]]", *_table(each, path=below)]
    return lines


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else json.dumps(name)


def _value(value: object) -> str:
    if isinstance(value, str):
        if "\n" in value and "\\" not in value and '"""' not in value:
            return f'"""\n{value}"""'
        return json.dumps(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(each) for each in value)}]"
    return json.dumps(value)
