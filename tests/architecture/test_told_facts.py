"""Numbers, examples and names in the manual's prose are those of the code."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from docs.generator.enrolment import POOL
from docs.generator.runbook import patch_azure
from docs.generator.templates import template
from tests.architecture.repository import ROOT, pages, shown

from localcloud.faults import Faults
from moorings import settings
from moorings.cli.demo import patching as demo_patching
from moorings.cli.demo import show as demo_show
from moorings.cli.door import EXITS
from moorings.deploy import enrolment as deployment
from moorings.deploy import templates
from moorings.enrolment import api, configuration, policy, upkeep
from moorings.enrolment.aws import CODES_REMEMBERED
from moorings.enrolment.model import LEASE, REPEAT_MARGIN, Vended
from moorings.errors import FAMILIES, OUR_BUG
from moorings.patching import aws, fleets, function, model

DOCS = ROOT / "docs"
MINUTES = timedelta(minutes=1)
PARAMETERS: dict[str, Any] = template(templates.STACK)["Parameters"]
PATCHING_PARAMETERS: dict[str, Any] = template(templates.PATCHING)["Parameters"]
RUNBOOK_PARAMETERS: dict[str, Any] = patch_azure().wire["parameters"]


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _json(name: str) -> list[dict[str, Any]]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", _page(name), re.DOTALL)]


def _default(parameter: str) -> Any:
    return PARAMETERS[parameter]["Default"]


SCRIPT = (ROOT / "src/moorings/enrolment/bootstrap/linux.sh").read_text(encoding="utf-8")
DEADLINE = int(re.search(r"default MOORINGS_DEADLINE (\d+)", SCRIPT)[1])  # type: ignore[index]

TOLD = [
    ("security.md", f"up to {CODES_REMEMBERED} codes"),
    ("http-api.md", f"at most {api.LARGEST_BODY:,} bytes"),
    ("http-api.md", "`name` ({name} characters) and `machine_id` ({machine_id})".format(**api.NODE_FIELDS)),
    ("configuration.md", f"at most {configuration.LARGEST_DOCUMENT:,} characters"),
    ("configuration.md", f"{upkeep.MOST_DEREGISTERED} a run at most"),
    ("how-enrolment-works.md", f"the pool's lease ({LEASE.total_seconds():.0f} s)"),
    ("how-enrolment-works.md", f"less {REPEAT_MARGIN / MINUTES:.0f} minutes"),
    ("operate-enrolment.md", f"`ApiConcurrency`, {_default('ApiConcurrency')}"),
    ("operate-enrolment.md", f"| {_default('ThrottlingRateLimit')} a second, {_default('ThrottlingBurstLimit')} |"),
    ("operate-enrolment.md", f"`grants_per_hour` | {_default('DefaultPoolGrantsPerHour'):,} a pool"),
    ("operate-enrolment.md", f"`LogRetentionDays` ({_default('LogRetentionDays')})"),
    ("migrate-enrolment.md", f"default `{_default('ApiGatewayStageName')}`"),
    ("deploy-enrolment.md", f"longer than {PARAMETERS['PackageSigningKey']['MaxLength']:,} characters"),
    ("quickstart.md", f"the stacks are `{demo_show.STACK}` and `{demo_patching.STACK}`"),
    ("how-patching-works.md", f"everything known of it, for {model.RECORD_LIFE.days} days"),
    ("how-patching-works.md", f"and {model.GUARD_MARGIN / MINUTES:.0f} minutes. A second run"),
    ("how-patching-works.md", f"returns, within {function.LONGEST_CALL.total_seconds():.0f} seconds"),
    ("operate-patching.md", f"At most {fleets.MOST_NODES} nodes under one parent"),
    ("cost.md", f"`--keep-failed-disk-hours` says: {model.Options().keep_failed_disk_hours} by default"),
    ("operate-patching.md", f"source `{aws.EVENT_SOURCE}`, type `{aws.EVENT_TYPE}`"),
    ("operate-patching.md", f"of type `{aws.COMPLIANCE_TYPE}`"),
    ("troubleshooting.md", f"{model.CHECKPOINT_TIME / MINUTES:.0f} minutes have passed"),
    ("migrate-patching.md", f"default `{PATCHING_PARAMETERS['LambdaLayerS3Key']['Default']}`"),
    ("migrate-patching.md", f"(default `{RUNBOOK_PARAMETERS['SleepDuration']['default']}`)"),
    ("faq.md", f"A parent runs at most {fleets.MOST_NODES} nodes"),
    ("faq.md", f"{_default('DefaultPoolGrantsPerHour'):,} grants an hour and pool"),
    ("faq.md", f"lets {_default('ThrottlingRateLimit')} requests a second through"),
    ("enrol-first-server.md", f"More than {_default('DefaultPoolGrantsPerHour'):,} servers within an hour"),
    ("first-boot.md", f"own `MOORINGS_DEADLINE` of {DEADLINE} seconds"),
    ("alarms.md", f"Within the {model.RESTORE_TIME / MINUTES:.0f} minutes of a restore"),
    ("alarms.md", f"New servers try for {DEADLINE // 60} minutes"),
    ("patch-first-vm.md", f"The replaced disk is kept for {model.Options().keep_failed_disk_hours} hours"),
    ("glossary.md", f"in the table of patching, for {model.RECORD_LIFE.days} days"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "told"), TOLD)
def test_a_number_in_the_prose_is_that_of_the_code(page: str, told: str) -> None:
    assert told in " ".join(_page(page).split())


def test_the_answers_have_the_fields_that_the_page_shows() -> None:
    plain, asked, keyed, error = _json("http-api.md")
    vended = Vended(
        activation_id="a", code="c", pool=POOL, expires_at=datetime(2026, 12, 20, tzinfo=UTC), repeated=False
    )

    assert list(plain) == list(json.loads(api.granted(vended, region="r", plain=True).body))
    assert list(keyed) == list(json.loads(api.granted(vended, region="r", plain=False).body))
    assert list(error) == list(json.loads(api.refusal(KeyError(), request_id="r").body))
    assert api.keyed_ask({"body": json.dumps(asked)}).pool == asked["pool"]
    assert set(asked) == api.FIELDS
    assert set(asked["node"]) == set(api.NODE_FIELDS)


def test_the_routes_of_the_page_are_those_of_the_template() -> None:
    resources = template(templates.STACK)["Resources"]
    methods = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::ApiGateway::Method"]
    told = re.findall(r"^\| `(GET|POST) (/\S*)` \|", _page("http-api.md"), re.MULTILINE)

    assert sorted(method for method, _ in told) == sorted(each["HttpMethod"] for each in methods)
    parts = {
        each["Properties"]["PathPart"] for each in resources.values() if each["Type"] == "AWS::ApiGateway::Resource"
    }
    assert {part for _, route in told for part in route.split("/") if part} == parts


def test_every_word_of_an_error_is_told() -> None:
    words = {family.word for _, family in FAMILIES} | {OUR_BUG.word}

    assert words <= set(re.findall(r"`(\w+)`", _page("http-api.md")))


@pytest.mark.parametrize("page", pages(), ids=shown)
def test_template_parameters_that_are_given_by_name_exist(page: Path) -> None:
    given = set(re.findall(r"--parameter ([A-Z]\w+)=", page.read_text(encoding="utf-8")))

    assert given <= {*PARAMETERS, *PATCHING_PARAMETERS, *RUNBOOK_PARAMETERS, "NAME"}


def test_the_parameters_that_deploy_fills_in_are_told() -> None:
    told = re.search(r"^`moorings enrolment deploy` fills in (.*?)\.", _page("deploy-enrolment.md"), re.M | re.S)
    assert told

    for name in re.findall(r"`(\w+)`", told[1]):
        plan = deployment.EnrolmentPlan(
            endpoint=deployment.ExistingEndpoint(id="vpce-0123456789abcdef0"), allow_network_proof=True,
            parameters={name: "x"},
        )  # fmt: skip
        with pytest.raises(Exception, match=f"{name} cannot be given"):
            deployment.preview(plan, aws=None, clock=None)  # type: ignore[arg-type] - refused before they are used


def test_environment_variables_in_the_manual_are_read_by_somebody() -> None:
    read = Path(settings.__file__).read_text(encoding="utf-8")
    scripts = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "src/moorings/enrolment/bootstrap").glob("*.*")
    )
    named = {name for page in pages() for name in re.findall(r"\bMOORINGS_[A-Z_]+\b", page.read_text(encoding="utf-8"))}

    assert not [name for name in named if name not in read + scripts]


def test_the_local_clouds_faults_are_those_of_the_page() -> None:
    row = re.search(r"^\| failures \| `cloud\.faults`: (.*) \|$", _page("local-cloud.md"), re.MULTILINE)
    assert row
    armed = {name for name in vars(Faults) if not name.startswith("_")} - {"before", "after", "take_quota", "death"}

    assert set(re.findall(r"`(\w+)`", row[1])) == armed


def test_the_documented_python_of_the_local_cloud_compiles_and_runs() -> None:
    block = re.search(r"```python\n(.*?)```", _page("local-cloud.md"), re.DOTALL)
    assert block

    exec(compile(block[1], "local-cloud.md", "exec"), {})  # our own page


def test_an_activation_is_drained_as_long_as_the_page_says() -> None:
    """The claim window's default is told as one hour in several places."""
    assert POOL.claim_window == policy.HOUR
    assert "default: 1 hour after the first answer" in " ".join(_page("http-api.md").split())


def test_tests_that_a_page_names_exist() -> None:
    named = {name for page in pages() for name in re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8"))}
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))

    assert named
    assert not [name for name in named if f"def {name}(" not in tests]


def test_what_troubleshooting_quotes_is_said_by_patching() -> None:
    """Reasons and messages that are written by hand there begin as the room's own."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/moorings/patching").glob("*.py"))
    said = " ".join(re.sub(r'"\s*f?"', "", sources).split())
    parts = re.split(r"^## ", _page("troubleshooting.md"), flags=re.MULTILINE)
    rows = [
        row
        for part in parts
        if part.startswith(("A run ends UNCHANGED", "Credentials for Azure"))
        for row in re.findall(r"^\| `([^`]+)`", part, re.MULTILINE)
    ]

    assert len(rows) > 10
    assert not [row for row in rows if row not in said and not row.startswith("AADSTS")]


def test_troubleshooting_has_a_row_for_each_exit_code_and_each_word_of_an_error() -> None:
    codes = re.search(r"^## Codes\n(.*?)^## ", _page("troubleshooting.md"), re.MULTILINE | re.DOTALL)
    assert codes
    statuses = {family.word: family.http_status for _, family in FAMILIES} | {OUR_BUG.word: OUR_BUG.http_status}

    assert re.findall(r"^\| (\d+) \|", codes[1], re.MULTILINE) == [str(number) for number in EXITS]
    told = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", codes[1], re.MULTILINE))
    assert told == {word: str(status) for word, status in statuses.items()}


def test_what_troubleshooting_quotes_of_the_command_line_is_said_by_it() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/moorings").rglob("*.py"))
    section = re.search(r"^## The command line\n(.*?)^## ", _page("troubleshooting.md"), re.MULTILINE | re.DOTALL)
    assert section
    quoted = [
        told
        for row in re.findall(r"^\| (`[^|]+) \|", section[1], re.MULTILINE)
        for told in re.findall("`([^`]+)`", row)
    ]

    assert len(quoted) > 4
    assert not [told for told in quoted if told not in sources]


def test_the_steps_and_commands_of_a_run_that_the_costs_count_are_those_of_the_runbook() -> None:
    """Of a Linux node that is patched well, without commands before patching."""
    elsewhere = {"ScanOnly", "StopPatching", "RestoreCheckpoint", "VerifyRestored", "FailIfWrong", "Cancelled"}
    passed = [
        step
        for step in patch_azure().steps
        if step.name not in elsewhere and not step.name.endswith("Windows") and not step.name.startswith("PrePatch")
    ]
    inside = [each for step in passed for each in step.inside if not each.name.endswith("Windows")]
    commands = [each for each in (*passed, *inside) if each.action == "runCommand" or each.name == "InstallPatches"]

    assert f"passes {len(passed)} steps outside of loops" in " ".join(_page("cost.md").split())
    assert f"| *K* | commands of a run on its node | {len(commands)} |" in _page("cost.md")


@pytest.mark.parametrize(("section", "total"), [("Enrolment, in a month", 24), ("Patching, in a month", 187)])
def test_the_sums_of_the_costs_are_sums(section: str, total: int) -> None:
    body = re.search(rf"^## {section}\n(.*?)^##", _page("cost.md"), re.MULTILINE | re.DOTALL)
    assert body
    above, together, _ = re.split(r"\*\*together.*?about \$([0-9]+)\*\*", body[1])
    parts = [float(part) for part in re.findall(r"\| \$([0-9.]+) \|$", above, re.MULTILINE)]

    assert len(parts) > 6
    assert int(together) == total == round(sum(parts))


@pytest.mark.parametrize("page", ["index.md", "faq.md"])
def test_the_price_that_other_pages_tell_is_the_sum(page: str) -> None:
    assert "enrolment about **$24** a month" in " ".join(_page("cost.md").split())
    assert "enrolment about $24 a month" in _page(page).lower()
    assert "patching about $0.19 a run" in _page(page)


def test_the_limits_of_health_checks_are_those_of_the_runbook() -> None:
    look = patch_azure().step("LookAfterwards")
    after = next(each for each in look.inside if each.name == "HealthAfterLinux").inputs["Parameters"]
    script, text = after["commands"][0], " ".join(_page("runbook.md").split())

    assert f"with {re.search(r'timeout ([0-9]+) sh', script)[1]} seconds on Linux" in text  # type: ignore[index]
    assert "tail -n 3 " in script
    assert "The last three lines" in text
    assert f"{int(after['executionTimeout'][0]) // 60} minutes afterwards" in text


def test_tags_and_calls_that_the_pages_of_patching_name_are_the_rooms_own() -> None:
    tags = {value for name, value in vars(model).items() if name.startswith("TAG_") and name != "TAG_PREFIX"}
    calls = re.search(r"^## The function's calls\n(.*)", _page("runbook.md"), re.MULTILINE | re.DOTALL)
    assert calls
    told = {
        name
        for first in re.findall(r"^\| (`[^|]+) \|", calls[1], re.MULTILINE)
        for name in re.findall("`([^`]+)`", first)
    }
    sent = {
        step.inputs["InputPayload"]["call"]
        for each in patch_azure().steps
        for step in (each, *each.inside)
        if step.action == "invokeLambdaFunction"
    }

    assert set(re.findall(r"`(moorings-[a-z]+)`", _page("how-patching-works.md"))) == tags
    assert told - {"call", "stage", "install", "node"} == sent


def test_the_schedules_of_the_page_start_the_runbook_with_parameters_that_it_has() -> None:
    blocks = re.search(r"^## On a schedule\n(.*?)^## ", _page("operate-patching.md"), re.MULTILINE | re.DOTALL)
    assert blocks
    asked = re.search(r"INPUT='(.*?)'\n", blocks[1], re.DOTALL)
    window = re.search(r"--task-invocation-parameters '(.*?)'\n", blocks[1], re.DOTALL)
    assert asked
    assert window
    scheduled, task = json.loads(asked[1]), json.loads(window[1])["Automation"]

    assert scheduled["DocumentName"] == PATCHING_PARAMETERS["DocumentName"]["Default"]
    assert {scheduled["TargetParameterName"], *scheduled["Parameters"], *task["Parameters"]} <= set(RUNBOOK_PARAMETERS)
    required = {name for name, each in RUNBOOK_PARAMETERS.items() if "default" not in each}
    assert required == {scheduled["TargetParameterName"]} <= set(task["Parameters"])


def test_what_a_tool_looks_for_in_the_output_tells_the_second_run_from_the_first() -> None:
    assert "\"'already' not in enrolment.stdout\"" in _page("first-boot.md")

    said = re.findall(r"printf '(%s is registered[^']*; the agent runs)", SCRIPT)
    assert ["already" in each for each in said] == [True, False]


GENERATED_OR_START = {"cli.md", "index.md"}


@pytest.mark.parametrize(
    "page", [page for page in pages() if page.parent == DOCS and page.name not in GENERATED_OR_START], ids=shown
)
def test_a_page_begins_with_what_its_reader_gets(page: Path) -> None:
    lead = page.read_text(encoding="utf-8").split("\n\n")[1]

    assert lead.startswith(("**You get**", "**You find here**"))
