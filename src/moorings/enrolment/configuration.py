"""The configuration document: pools and rules as data, checked whole before any of it can be in force.

People write TOML, the ledger holds the same document as JSON; both come through `parse`, so a document that it refuses
can never become active, whoever wrote it. docs/configuration.md describes every field.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from moorings.enrolment.fields import Fields, written
from moorings.enrolment.model import (
    REPEAT_MARGIN,
    SINGLE_USE_LIFE,
    Bootstrap,
    Configuration,
    Mode,
    Network,
    Pool,
    Rule,
    StaleNodes,
)
from moorings.errors import Misconfigured

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# Activations live 30 days at most; the 5 minutes are for a clock ahead of the service's. Source: CreateActivation.
LONGEST_LIFE = 30 * DAY - 5 * MINUTE
SHORTEST_CLAIM_WINDOW = REPEAT_MARGIN + 5 * MINUTE
LARGEST_DOCUMENT = 100_000  # characters; a ledger item holds 400 KB

MOST_TAGS = 49  # the service takes 50, and one is STACK_TAG
_RESERVED_TAGS = ("aws:", "moorings:")
_POOL_NAME = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
_ROLE = r"[A-Za-z0-9_+=,.@/-]{1,64}"
_VPCE = r"vpce-[0-9a-f]{8,17}"
_SERVICE_TEXT = r"[\w .:/=+@-]*"  # tag keys and values, instance names. Source: CreateActivation
# A plain URL without anything that a shell would read: it ends up, quoted, in the bootstrap script.
_PACKAGES = r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*"
_SIGNING_KEY = r"-----BEGIN PGP PUBLIC KEY BLOCK-----[\nA-Za-z0-9+/=:., ()@<>-]+-----END PGP PUBLIC KEY BLOCK-----\s*"


def parse_toml(text: str) -> dict[str, Any]:
    """The document behind a TOML text, unchecked; Misconfigured names line and column of what is not TOML."""
    import tomllib  # noqa: PLC0415 - people write TOML, functions read JSON

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"the configuration is not TOML: {error}", remedy="mend that line") from error


def parse_json(text: str) -> dict[str, Any]:
    """The document behind the ledger's JSON text, unchecked."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"the stored configuration is not JSON: {error}", remedy=_APPLY_AGAIN) from error
    if not isinstance(document, dict):
        raise Misconfigured("the stored configuration is not a JSON object", remedy=_APPLY_AGAIN)
    return document


_APPLY_AGAIN = "apply a checked document with `moorings enrolment pools apply FILE`"


def parse(document: Mapping[str, Any], *, version: int, own_vpce: str = "") -> Configuration:
    """The configuration that `document` means. Misconfigured lists every problem; then nothing of it is used.

    `own_vpce` is the endpoint that rules mean which name none. Without it they match nobody: enough for a look.
    """
    try:
        return _parse(document, version=version, own_vpce=own_vpce)
    except (RecursionError, OverflowError, ValueError) as error:
        raise Misconfigured(
            f"the configuration cannot be read: {error}", remedy="nest less deeply, write smaller numbers"
        ) from error


def _parse(document: Mapping[str, Any], *, version: int, own_vpce: str) -> Configuration:
    if len(json.dumps(document, default=str)) > LARGEST_DOCUMENT:
        raise Misconfigured(
            f"the configuration exceeds {LARGEST_DOCUMENT} characters", remedy="use fewer pools or rules"
        )
    problems: list[str] = []
    fields = Fields(document, path="", problems=problems)
    pools = _named(
        [_pool(table, path=f"pool[{index}]", problems=problems) for index, table in enumerate(fields.tables("pool"))],
        problems,
    )
    rules = tuple(
        _rule(table, pools=pools, own_vpce=own_vpce, path=f"rule[{index}]", problems=problems)
        for index, table in enumerate(fields.tables("rule"))
    )
    bootstrap = _bootstrap(fields.table("bootstrap"), problems)
    stale = _stale_nodes(fields.table("stale_nodes"), problems)
    fields.done()
    if not pools and not problems:
        problems.append("pool is missing: at least one [[pool]] is needed")
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise Misconfigured(
            f"the configuration has {count}: " + "; ".join(problems), remedy="see docs/configuration.md"
        )
    return Configuration(version=version, pools=pools, rules=rules, bootstrap=bootstrap, stale_nodes=stale)


def _named(pools: list[Pool], problems: list[str]) -> dict[str, Pool]:
    named = {pool.name: pool for pool in pools}
    if len(named) < len(pools):
        problems.append("pool names the same pool twice")
    return named


def _pool(table: object, *, path: str, problems: list[str]) -> Pool:
    fields = Fields(table, path=path, problems=problems)
    mode_text = fields.text("mode", pattern="shared|single-use", default="shared")
    mode = Mode(mode_text) if mode_text in ("shared", "single-use") else Mode.SHARED
    name = fields.text("name", pattern=_POOL_NAME)
    pool = _shared(fields, name) if mode is Mode.SHARED else _single_use(fields, name)
    fields.done()
    return pool


def _common(fields: Fields, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "node_role": fields.text("node_role", pattern=_ROLE, longest=64),
        "grants_per_hour": fields.number("grants_per_hour", low=1, high=100_000, default=2_000),
        "default_instance_name": fields.text("default_instance_name", pattern=_SERVICE_TEXT, default="", longest=256),
        "tags": _tags(fields),
    }


def _shared(fields: Fields, name: str) -> Pool:
    life = fields.span("life", low=HOUR, high=LONGEST_LIFE, default=29 * DAY)
    claim_window = fields.span("claim_window", low=SHORTEST_CLAIM_WINDOW, high=DAY, default=HOUR)
    margin = fields.span("margin", low=SHORTEST_CLAIM_WINDOW, high=14 * DAY, default=max(6 * HOUR, claim_window))
    if margin < claim_window:
        # Otherwise an activation granted at the last moment would expire before its node may have registered.
        fields.problem("margin", f"is {written(margin)}; it must be at least claim_window ({written(claim_window)})")
    if life < 2 * margin:
        fields.problem("life", f"is {written(life)}; it must be at least twice margin ({written(margin)})")
    limit = fields.number("registration_limit", low=1, high=1_000, default=1_000)
    return Pool(
        mode=Mode.SHARED,
        registration_limit=limit,
        life=life,
        margin=margin,
        claim_window=claim_window,
        **_common(fields, name),
    )


def _single_use(fields: Fields, name: str) -> Pool:
    limit = fields.number("registration_limit", low=1, high=1, default=1)
    life = fields.span("life", low=30 * MINUTE, high=DAY, default=SINGLE_USE_LIFE)
    return Pool(
        mode=Mode.SINGLE_USE,
        registration_limit=limit,
        life=life,
        margin=timedelta(0),
        claim_window=life,
        **_common(fields, name),
    )


def _tags(fields: Fields) -> tuple[tuple[str, str], ...]:
    """Tags as the service takes them (AddTagsToResource): 50 with our own, keys to 128, values to 256 characters."""
    table = fields.table("tags")
    problems: list[str] = []
    tags = Fields(table, path="tags", problems=problems)
    names = [str(name) for name in table] if isinstance(table, Mapping) else []
    pairs = []
    for name in names:
        value = tags.text(name, pattern=_SERVICE_TEXT, longest=256)
        if (
            not re.fullmatch(_SERVICE_TEXT, name)
            or not 1 <= len(name) <= 128
            or name.lower().startswith(_RESERVED_TAGS)
        ):
            reserved = " or ".join(_RESERVED_TAGS)
            told = f"1 to 128 characters matching {_SERVICE_TEXT}, not starting with {reserved}"
            tags.problem(name, f"is no tag key: {told}")
        pairs.append((name, value))
    if len(pairs) > MOST_TAGS:
        problems.append(f"tags holds {len(pairs)} tags; at most {MOST_TAGS} are possible")
    for problem in problems:
        fields.problem(*problem.partition(" ")[::2])
    return tuple(sorted(pairs))


def _rule(table: object, *, pools: Mapping[str, Pool], own_vpce: str, path: str, problems: list[str]) -> Rule:
    fields = Fields(table, path=path, problems=problems)
    named = fields.texts("vpce", pattern=_VPCE, meaning="VPC endpoint ids (vpce-...)", required=False)
    rule = Rule(
        name=fields.text("name", pattern=_POOL_NAME),
        proof=fields.text("proof", pattern="network"),
        vpces=frozenset(named or filter(None, [own_vpce])),
        cidrs=_cidrs(fields),
        pools=fields.texts("pools", pattern=_POOL_NAME, meaning="pool names"),
        tags=_tags(fields),
    )
    for name in rule.pools:
        if name not in pools:
            fields.problem("pools", f"names {name!r}, which is no pool of this document")
        elif rule.tags and pools[name].mode is Mode.SHARED:
            # A shared activation registers the servers of every rule; its tags are those of the pool.
            fields.problem("tags", f"cannot apply to {name!r}, which is shared; give the tags to the pool")
        elif len(dict(pools[name].tags + rule.tags)) > MOST_TAGS:
            fields.problem("tags", f"and those of {name!r} are more than {MOST_TAGS} tags")
    fields.done()
    return rule


def _cidrs(fields: Fields) -> tuple[Network, ...]:
    found = []
    for text in fields.texts("cidr", pattern=r"[0-9a-fA-F:.]+/\d{1,3}", meaning="address ranges such as 10.0.0.0/8"):
        try:
            found.append(ip_network(text))
        except ValueError as error:
            fields.problem("cidr", f"holds {text!r}: {error}")
    return tuple(found)


def _bootstrap(table: object, problems: list[str]) -> Bootstrap:
    fields = Fields(table, path="bootstrap", problems=problems)
    made = Bootstrap(
        packages=fields.text("packages", pattern=_PACKAGES, default=""),
        signing_key=fields.text("signing_key", pattern=_SIGNING_KEY, default="", longest=16_384),
    )
    fields.done()
    return made


def _stale_nodes(table: object, problems: list[str]) -> StaleNodes:
    fields = Fields(table, path="stale_nodes", problems=problems)
    made = StaleNodes(
        after=fields.span("after", low=DAY, high=365 * DAY, default=30 * DAY),
        deregister=fields.flag("deregister", default=False),
    )
    fields.done()
    return made
