"""docs/operate-enrolment.md knows every metric and every alarm; the README counts the alarms right."""

import ast
import re
from pathlib import Path

import pytest
from docs.generator.templates import template

import moorings.enrolment
from moorings.deploy import templates

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "operate-enrolment.md").read_text(encoding="utf-8")
SOURCES = sorted(Path(str(moorings.enrolment.__file__)).parent.glob("*.py"))
ALARMS = [
    name for name, each in template(templates.STACK)["Resources"].items() if each["Type"] == "AWS::CloudWatch::Alarm"
]


def _emitted(*methods: str) -> set[str]:
    """The first argument of every call of these methods of a journal, where it is written out."""
    found: set[str] = set()
    calls = (node for path in SOURCES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    for call in calls:
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in methods:
            continue
        if "journal" in ast.unparse(call.func):
            first = (each for each in ast.walk(call.args[0]) if isinstance(each, ast.Constant))
            found |= {str(each.value) for each in first if isinstance(each.value, str)}
    return found


def test_every_metric_is_documented_and_no_other() -> None:
    section = re.search(r"^## Metrics\n(.*?)^## ", TEXT, re.MULTILINE | re.DOTALL)
    assert section

    assert set(re.findall(r"^\| `(\w+)` \|", section[1], re.MULTILINE)) == _emitted("count", "measure")


def test_every_metric_that_an_alarm_or_the_dashboard_looks_at_is_emitted() -> None:
    resources = template(templates.STACK)["Resources"]
    watched = {
        each["Properties"]["MetricName"]
        for each in resources.values()
        if each["Type"] == "AWS::CloudWatch::Alarm" and each["Properties"]["Namespace"] == "Moorings"
    }
    shown = set(re.findall(r'\["Moorings","(\w+)"', str(resources["Dashboard"]["Properties"]["DashboardBody"])))

    assert watched | shown <= _emitted("count", "measure")


def test_every_event_that_a_page_names_is_written_somewhere() -> None:
    named = set(re.findall(r"events? `(\w+)`(?: and `(\w+)`)?", TEXT))
    events = {event for pair in named for event in pair if event} | {"granted", "refused", "leak_reaped"}

    assert events <= _emitted("record", "bug")


@pytest.mark.parametrize("alarm", ALARMS)
def test_there_is_advice_for_each_alarm(alarm: str) -> None:
    """One row from the template (generated), one with what to do."""
    assert len(re.findall(rf"^\| `{alarm}` \|", TEXT, re.MULTILINE)) == 2


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "docs/operate-enrolment.md"])
def test_the_number_of_alarms_is_right_wherever_it_is_told(page: str) -> None:
    told = re.findall(r"(\d+) alarms", (ROOT / page).read_text(encoding="utf-8"))

    assert set(told) == {str(len(ALARMS))}
