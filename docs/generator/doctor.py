"""The tables of the doctor's page, from its catalogue."""

from moorings.doctor.catalogue import CHECKS


def checks() -> str:
    """Every check: name, group, what it looks at, its calls."""
    rows = ["| group | check | looks at | calls |", "|---|---|---|---|"]
    for name, each in CHECKS.items():
        calls = ", ".join(f"`{call}`" for call in each.calls) or "none"
        rows.append(f"| {each.group.value} | `{name}` | {each.looks_at} | {calls} |")
    return "\n".join(rows)


def not_local() -> str:
    """Those that the local cloud cannot answer."""
    return "\n".join(f"- `{name}`: {', '.join(each.calls)}" for name, each in CHECKS.items() if not each.local)
