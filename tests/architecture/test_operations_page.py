"""The pages about operating a room know every metric and every alarm of it; alarms are counted right everywhere."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from docs.generator.templates import of_type, template

from moorings.deploy import templates
from moorings.enrolment import assembly as enrolment
from moorings.patching import assembly as patching
from moorings.patching.model import Outcome

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {"enrolment": templates.STACK, "patching": templates.PATCHING}
# Metrics whose names are put together from a value.
COMPOSED = {"patching": {f"Outcome{each.name.title().replace('_', '')}" for each in Outcome}, "enrolment": set()}
ALARMS = {room: list(of_type("AWS::CloudWatch::Alarm", stack=stack)) for room, stack in ROOMS.items()}
EACH_ALARM = [(room, alarm) for room, alarms in ALARMS.items() for alarm in alarms]


def _text(room: str) -> str:
    return (ROOT / "docs" / f"operate-{room}.md").read_text(encoding="utf-8")


def _emitted(room: str, *methods: str) -> set[str]:
    """The first argument of every call of these methods of a journal, where it is written out."""
    found: set[str] = set()
    sources = sorted((ROOT / "src" / "moorings" / room).glob("*.py"))
    calls = (node for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    for call in calls:
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in methods:
            continue
        if "journal" in ast.unparse(call.func) and not isinstance(call.args[0], ast.JoinedStr):
            first = (each for each in ast.walk(call.args[0]) if isinstance(each, ast.Constant))
            found |= {str(each.value) for each in first if isinstance(each.value, str)}
    return found


def _metrics(room: str) -> set[str]:
    return _emitted(room, "count", "measure") | COMPOSED[room]


@pytest.mark.parametrize("room", ROOMS)
def test_every_metric_is_documented_and_no_other(room: str) -> None:
    section = re.search(r"^## Metrics\n(.*?)^## ", _text(room), re.MULTILINE | re.DOTALL)
    assert section

    assert set(re.findall(r"^\| `(\w+)` \|", section[1], re.MULTILINE)) == _metrics(room)


@pytest.mark.parametrize("room", ROOMS)
def test_every_metric_that_an_alarm_or_the_dashboard_looks_at_is_emitted(room: str) -> None:
    resources: dict[str, Any] = dict(template(ROOMS[room])["Resources"])
    watched = {
        each["MetricName"]
        for each in of_type("AWS::CloudWatch::Alarm", stack=ROOMS[room]).values()
        if each["Namespace"] == "Moorings"
    }
    shown = set(re.findall(r'\["Moorings","(\w+)"', str(resources["Dashboard"]["Properties"]["DashboardBody"])))

    assert watched | shown <= _metrics(room)


@pytest.mark.parametrize(
    ("room", "also"), [("enrolment", {"granted", "refused", "leak_reaped"}), ("patching", {"moment"})]
)
def test_every_event_that_a_page_names_is_written_somewhere(room: str, also: set[str]) -> None:
    named = set(re.findall(r"events? `(\w+)`(?: and `(\w+)`)?", _text(room)))
    events = {event for pair in named for event in pair if event} | also

    assert events <= _emitted(room, "record", "bug")


# -- docs/alarms.md ------------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "alarms.md").read_text(encoding="utf-8")
URGENCY = PAGE[PAGE.index("## Is it urgent?") : PAGE.index("## First, always")]


@pytest.mark.parametrize(("room", "alarm"), EACH_ALARM)
def test_each_alarm_has_a_section_that_says_what_it_means_where_to_look_and_what_to_do(room: str, alarm: str) -> None:
    sections = re.findall(rf"^### {alarm} \({room}\)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)

    assert len(sections) == 1
    assert [word for word in ("**Means**", "**Look**", "**Do**") if word not in sections[0]] == []


@pytest.mark.parametrize(("room", "alarm"), EACH_ALARM)
def test_each_alarm_is_ranked_by_its_urgency_once(room: str, alarm: str) -> None:
    parts = re.split(r"(patching|[Ee]nrolment): ", URGENCY)
    ranked = [part for name, part in zip(parts[1::2], parts[2::2], strict=True) if name.lower() == room]

    assert sum(part.count(f"`{alarm}`") for part in ranked) == 1


def test_the_page_has_no_section_of_an_alarm_that_is_not_there() -> None:
    told = re.findall(r"^### (\w+Alarm) \((\w+)\)$", PAGE, re.MULTILINE)

    assert sorted(told) == sorted((alarm, room) for room, alarm in EACH_ALARM)


def test_what_to_look_for_in_a_log_is_written_there() -> None:
    outputs = {"ApiFunctionLogGroup": "enrolment", "KeeperFunctionLogGroup": "enrolment",
               "FunctionLogGroup": "patching", "KeeperLogGroup": "patching"}  # fmt: skip
    looks = re.findall(r"log moorings-(\w+) (\w+) (\w+)", PAGE)

    assert len(looks) > 10
    assert not [look for look in looks if outputs[look[1]] != look[0]]
    assert not [look for look in looks if look[2] not in _emitted(look[0], "record") | {"bug", "ERROR"}]


def test_what_to_look_for_in_a_log_is_written_at_every_log_level() -> None:
    """Whoever has set LogLevel to ERROR is sent to the log by the same alarms."""
    always = {"enrolment": enrolment.AUDITED, "patching": patching.AUDITED}
    looks = re.findall(r"log moorings-(\w+) \w+ (\w+)", PAGE)

    assert not [look for look in looks if look[1] not in always[look[0]] | {"bug", "ERROR"}]


@pytest.mark.parametrize(
    ("page", "rooms"),
    [
        ("README.md", ["enrolment"]),
        ("CHANGELOG.md", ["enrolment", "patching"]),
    ],
)
def test_the_number_of_alarms_is_right_wherever_it_is_told(page: str, rooms: list[str]) -> None:
    told = re.findall(r"(\d+) alarms", (ROOT / page).read_text(encoding="utf-8"))

    assert told in ([], [str(len(ALARMS[room])) for room in rooms])


# -- docs/backup.md ------------------------------------------------------------------------------------------------

BACKUP = (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("room", "output"), [("enrolment", "LedgerTable"), ("patching", "GuardTable")])
def test_the_empty_table_of_the_page_is_that_of_the_template(room: str, output: str) -> None:
    [table] = of_type("AWS::DynamoDB::Table", stack=ROOMS[room]).values()
    made = re.findall(r"^aws dynamodb create-table .*?(?=^(?:```|moorings ))", BACKUP, re.MULTILINE | re.DOTALL)
    command = made[list(ROOMS).index(room)]

    told = set(re.findall(r"AttributeName=(\w+),AttributeType=(\w)", command))
    assert told == {(each["AttributeName"], each["AttributeType"]) for each in table["AttributeDefinitions"]}
    indexes = re.search(r"--global-secondary-indexes '(.*?)'", command, re.DOTALL)
    assert (json.loads(indexes[1]) if indexes else []) == table.get("GlobalSecondaryIndexes", [])
    assert f"OutputKey=='{output}'" in BACKUP
    assert f"AttributeName={table['TimeToLiveSpecification']['AttributeName']}\n" in BACKUP
