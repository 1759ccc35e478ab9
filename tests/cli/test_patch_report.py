"""The report: everything of a node is on the page, nothing that a node says becomes part of it."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli import patchstack
from tests.cli.conftest import Cli
from tests.cli.patchstack import BEGAN, PatchStack

from localcloud.cloud import LocalCloud
from moorings.cli.patch.report_model import (
    LANES,
    LONGEST_OUTPUT,
    NodeReport,
    Report,
    lane_of,
    printed,
    printed_by,
    report_json,
    spans_of,
)
from moorings.cli.patch.report_page import page
from moorings.cli.patch.story import Story
from moorings.patching.executions import Execution, StepRun
from moorings.patching.model import Run
from moorings.patching.standing import Standing

EXECUTION = "0a1b2c3d-0000-4000-8000-000000000001"
NODE = "mi-0123456789abcdef0"
RUNBOOK = Path(__file__).parents[2] / "src/moorings/patching/runbooks/Azure-PatchVMWithRollback.yaml"
LATER = BEGAN + timedelta(minutes=10)


class Elements(HTMLParser):
    """What a browser would see: elements, their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def step(name: str, begin: int, end: int, **more: object) -> StepRun:
    known = {
        "name": name, "action": "aws:invokeLambdaFunction", "status": "Success",
        "began_at": BEGAN + timedelta(seconds=begin), "ended_at": BEGAN + timedelta(seconds=end), **more,
    }  # fmt: skip
    return StepRun(**known)  # type: ignore[arg-type]


STEPS = (
    step("DescribeVM", 0, 4),
    step("MayGoOn", 4, 4, action="aws:branch"),
    step("TakeCheckpoint", 5, 9),
    step("CheckpointStatus", 6, 7, within="WaitForCheckpoint", iteration=1),
    step("InstallPatches", 10, 200, status="Failed", failure="exit 1"),
    step("HealthAfterLinux", 201, 205, within="LookAfterwards", iteration=1, outputs={"Output": "first"}),
    step("HealthAfterLinux", 211, 215, within="LookAfterwards", iteration=2, outputs={"Output": "moorings check 1 0"}),
)


def reported(run: Run | None = None, *, output: str = "done", node: str = NODE) -> Report:
    run = run or patchstack.rolled_back(execution=EXECUTION, node=node)
    execution = Execution(id=EXECUTION, status="Failed", over=True, node=node, began_at=BEGAN, ended_at=LATER)
    standing = Standing(node=node, execution=execution, run=run)
    one = NodeReport(
        story=Story(standing=standing, steps=STEPS),
        spans=spans_of(STEPS, until=LATER),
        printed=(printed("InstallPatches", output), *printed_by(STEPS)),
    )
    left = NodeReport(story=Story(standing=Standing(node="mi-0000000000000000f")))
    return Report(
        made_at=LATER, stack="moorings-patching", region="eu-west-1", document="runbook", executions=(EXECUTION,),
        nodes=(one, left), stopped="1 node went wrong and 0 may", detailed=1,
    )  # fmt: skip


def test_the_page_holds_the_whole_story() -> None:
    text = Elements(page(reported())).text

    for words in (
        "ROLLED_BACK",
        "not begun",
        "1 node went wrong and 0 may",
        "Health check 2 passed before and fails now",
        "1 of 2 pass; failing: 2 (exit 3)",
        "BAD: patching harmed the node",
        "Note: 1 patch missing still",
        "Failed. exit 1",
        "moorings check 1 0",
        "VM web-1 in rg-web, proved by itself",
        EXECUTION,
    ):
        assert words in text


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """No script, no address but those inside the page; a policy says so to the browser too."""
    made = page(reported())
    seen = Elements(made)

    assert not {"script", "link", "img", "iframe", "object", "form"} & set(seen.tags)
    assert all(value.startswith("#n") for name, value in seen.attributes if name in {"href", "src"})
    assert "url(" not in made
    assert "@import" not in made
    assert "default-src 'none'" in made


@given(text=st.text(max_size=300))
def test_what_servers_say_stays_text(text: str) -> None:
    """Names, reasons and output alike: no element comes or goes by them."""
    run = patchstack.rolled_back(execution=EXECUTION, node=NODE)
    assert run.conclusion is not None
    assert run.vm is not None
    hostile = replace(
        run, vm=replace(run.vm, name=text), conclusion=replace(run.conclusion, reason=f"x{text}", warnings=(text,))
    )
    plain = replace(run, vm=replace(run.vm, name="n"), conclusion=replace(run.conclusion, reason="x", warnings=("n",)))

    attacked, harmless = Elements(page(reported(hostile, output=text))), Elements(page(reported(plain, output="n")))

    assert attacked.tags == harmless.tags
    assert [name for name, _ in attacked.attributes] == [name for name, _ in harmless.attributes]


def test_long_output_keeps_its_end_and_says_what_is_left_out() -> None:
    shown = printed("InstallPatches", "a" * 10_000 + "the end")

    assert len(shown.text) == LONGEST_OUTPUT
    assert shown.text.endswith("the end")
    assert shown.cut == 10_007 - LONGEST_OUTPUT
    assert "6,007 before them are left out" in page(reported(output="a" * 10_000 + "the end"))


def test_output_cannot_move_a_cursor() -> None:
    assert printed("x", "red \x1b[31m").text == "red �[31m"


def test_every_step_of_the_runbook_that_takes_time_is_on_a_lane() -> None:
    """Branches take none, and the rounds of loops lie inside of their loop."""
    steps = re.findall(
        r"^  - name: (\w+)\n(?:    description: .*\n)?    action: (\S+)", RUNBOOK.read_text(), re.MULTILINE
    )
    off = {name for name, action in steps if action != "aws:branch" and not lane_of(name)}

    assert len(steps) > 20
    assert off == {"FailIfWrong"}
    assert lane_of("ScanOnly") == "patching"
    assert lane_of("Scan") == "looking"


def test_spans_are_steps_without_branches_and_rounds() -> None:
    assert [(span.lane, span.name, span.seconds) for span in spans_of(STEPS, until=LATER)] == [
        ("identity", "DescribeVM", 4),
        ("checkpoint", "TakeCheckpoint", 4),
        ("patching", "InstallPatches", 190),
    ]
    running = StepRun(name="Judge", action="x", status="InProgress", began_at=BEGAN)
    assert spans_of([running], until=LATER)[0].seconds == 600


@given(begin=st.integers(-500, 2000), end=st.integers(-500, 2000))
def test_bars_stay_within_their_lane(begin: int, end: int) -> None:
    spans = spans_of([step("DescribeVM", min(begin, end), max(begin, end))], until=LATER)
    made = page(replace(reported(), nodes=(replace(reported().nodes[0], spans=spans),)))

    for left, width in re.findall(r"left:([\d.]+)%;width:([\d.]+)%", made):
        assert 0 <= float(left) <= 100
        assert float(left) + float(width) <= 100.02


def test_the_object_beside_the_page_holds_the_same() -> None:
    told = report_json(reported())

    assert told["wrong"] is True
    assert told["counts"] == {"ROLLED_BACK": 1, "not begun": 1}
    first = told["nodes"][0]
    assert first["steps"][0]["lane"] in LANES
    assert {each["step"] for each in first["printed"]} == {"InstallPatches", "LookAfterwards[2].HealthAfterLinux"}
    assert first["verdict"] == "BAD"


@pytest.fixture(scope="module")
def patching(cloud: LocalCloud) -> PatchStack:
    return patchstack.make(cloud)


def test_a_report_is_written_for_executions_and_for_the_last(
    cli: Cli, patching: PatchStack, nodes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    patching.bad([nodes[1]])
    stack = ("--stack-name", patching.name)
    parent = cli("patch", "run", *nodes, "--max-errors", "3", *stack, "--json").json["executions"][0]

    last = cli("patch", "report", "--last", *stack, "--json")
    named = cli("patch", "report", parent, "-o", "page.html", *stack)

    assert last.code == 0, last.err
    assert last.json == {
        "page": f"patch-{parent[:8]}.html",
        "json": f"patch-{parent[:8]}.json",
        "nodes": 3,
        "wrong": True,
    }
    assert (tmp_path / last.json["page"]).read_text().startswith("<!doctype html>")
    assert named.out.splitlines() == ["page.html  3 nodes", "page.json"]
    beside = json.loads((tmp_path / "page.json").read_text())
    assert {node["outcome"] for node in beside["nodes"]} == {"PATCHED", "ROLLED_BACK"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "which execution to report on has to be said"),
        ((EXECUTION, "--last"), "has to be said"),
        (("nonsense",), "is no id of an execution"),
        (("--last", "-o", "no/such/folder/x.html"), "cannot write no/such/folder/x.html"),
        (("--last", "-o", "x.json"), "is where the JSON goes"),
    ],
)
def test_what_is_wrong_is_named(
    cli: Cli, patching: PatchStack, nodes: list[str], words: tuple[str, ...], told: str
) -> None:
    cli("patch", "run", nodes[0], "--stack-name", patching.name)

    refused = cli("patch", "report", *words, "--stack-name", patching.name)

    assert refused.code == 2
    assert told in refused.err
