"""Reading a table of a configuration document: every problem is kept with its path, none ends the reading."""

import re
from collections.abc import Mapping
from datetime import timedelta

_DURATION = re.compile(r"(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?", re.ASCII)


def duration(text: str) -> timedelta | None:
    """`30d`, `12h`, `29d23h55m` as a duration; None for anything else."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        return None
    days, hours, minutes = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def written(span: timedelta) -> str:
    """A duration as people write it in the document."""
    minutes = int(span.total_seconds() // 60)
    parts = ((minutes // 1440, "d"), (minutes % 1440 // 60, "h"), (minutes % 60, "m"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0m"


class Fields:
    """One table: typed look-ups that answer the default and note a problem when the value is not as it must be."""

    def __init__(self, table: object, *, path: str, problems: list[str]) -> None:
        self._table = table if isinstance(table, Mapping) else {}
        self._path = path
        self._problems = problems
        self._unread = {str(field) for field in self._table}
        if not isinstance(table, Mapping):
            problems.append(f"{path} is {type(table).__name__}; it must be a table")

    def problem(self, field: str, text: str) -> None:
        """Note what is wrong with `field`."""
        shown = field if field.isprintable() else ascii(field)  # it goes to terminals and logs
        self._problems.append(f"{self._path}.{shown} {text}" if self._path else f"{shown} {text}")

    def _raw(self, field: str) -> object:
        self._unread.discard(field)
        return self._table.get(field)

    def text(self, field: str, *, pattern: str, default: str | None = None, longest: int = 256) -> str:
        """A string that matches `pattern` whole; without a default the field is required."""
        value = self._raw(field)
        if value is None and default is not None:
            return default
        if value is None:
            self.problem(field, "is missing")
        elif not isinstance(value, str) or len(value) > longest or not re.fullmatch(pattern, value):
            shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."
            self.problem(field, f"is {shown}; it must be text matching {pattern} of at most {longest} characters")
        else:
            return value
        return default or ""

    def number(self, field: str, *, low: int, high: int, default: int) -> int:
        """A whole number from `low` to `high`."""
        value = self._raw(field)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.problem(field, f"is {value!r}; it must be a whole number from {low} to {high}")
            return default
        return value

    def span(self, field: str, *, low: timedelta, high: timedelta, default: timedelta) -> timedelta:
        """A duration such as `30d` or `1h30m` from `low` to `high`."""
        value = self._raw(field)
        if value is None:
            return default
        found = duration(value) if isinstance(value, str) else None
        if found is None or not low <= found <= high:
            allowed = f"a duration such as 12h or 1h30m from {written(low)} to {written(high)}"
            self.problem(field, f"is {value!r}; it must be {allowed}")
            return default
        return found

    def flag(self, field: str, *, default: bool) -> bool:
        """True or false."""
        value = self._raw(field)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.problem(field, f"is {value!r}; it must be true or false")
        return default

    def texts(self, field: str, *, pattern: str, meaning: str, required: bool = True) -> tuple[str, ...]:
        """A list of at least one string, each matching `pattern` whole, none twice; left out: none, if it may be."""
        value = self._raw(field)
        if value is None and not required:
            return ()
        if not isinstance(value, list) or not value:
            self.problem(field, f"must be a list of {meaning}, at least one")
            return ()
        good = [each for each in value if isinstance(each, str) and re.fullmatch(pattern, each)]
        for bad in value:
            if bad not in good:
                self.problem(field, f"holds {bad!r}; it must hold {meaning}")
        if len(set(good)) < len(good):
            self.problem(field, "holds the same entry twice")
        return tuple(good)

    def table(self, field: str) -> object:
        """A table inside this one; absent: an empty one."""
        value = self._raw(field)
        return {} if value is None else value

    def tables(self, field: str) -> list[object]:
        """A list of tables inside this one; absent: none."""
        value = self._raw(field)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem(field, "must be a list of tables")
            return []
        return list(value)

    def done(self) -> None:
        """Note every field that nobody read: a misspelt setting must not be ignored."""
        for field in sorted(self._unread):
            self.problem(field, "is not a known field")
