"""The demo's own judgement and picture; the demo itself runs in tests/journeys."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from localcloud.aws.ssm.activations import Activations
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.cloud import LocalCloud
from moorings.cli.demo.screen import Screen, bar
from moorings.cli.demo.show import went_well
from moorings.cli.demo.truth import Truth, counted, handed_out, live_activations
from moorings.cli.main import run
from moorings.cli.patch.report import expect
from moorings.cli.talk import Talk
from moorings.enrolment.model import Bootstrap, Configuration, StaleNodes
from moorings.enrolment.oversight import Overview, Part, PoolStatus, Standing


class Books:
    """A cloud whose functions' log says what a test says."""

    def __init__(self, cloud: LocalCloud, log: list[str]) -> None:
        self.world = cloud.world
        self._log = log

    @property
    def functions(self) -> "Books":
        return self

    def logs(self, _function: str) -> list[str]:
        return self._log


def granted(activation: str, *, repeated: bool = False) -> str:
    return json.dumps({"message": {"event": "granted", "activation_id": activation, "repeated": repeated}})


def standing(activation: str, *, issued: int, part: Part = Part.CURRENT, limit: int = 2) -> Standing:
    return Standing(id=activation, part=part, issued=issued, limit=limit, registered=0, expires_at=None)


def overview(*standings: Standing) -> Overview:
    pool = PoolStatus(name="default", pool=None, activations=standings, slots_left=0, granted_this_hour=0)
    nothing = Bootstrap(packages="", signing_key="")
    silent = StaleNodes(after=timedelta(days=30))
    configuration = Configuration(version=1, pools={}, rules=(), bootstrap=nothing, stale_nodes=silent)
    return Overview(configuration=configuration, pools=(pool,), at=datetime.now(UTC))


@pytest.fixture
def quiet_cloud() -> Iterator[LocalCloud]:
    with LocalCloud(in_process=True) as cloud:
        yield cloud


def new_activation(cloud: LocalCloud) -> str:
    made = cloud.world.part(Activations).create(region="us-east-1", iam_role="r", registration_limit=2, expires_at=None)
    return str(made.id)


def test_a_well_kept_activation_is_not_over_issued(quiet_cloud: LocalCloud) -> None:
    """Two slots of two; a repeated answer is no further slot."""
    made = new_activation(quiet_cloud)
    log = [granted(made), granted(made), granted(made, repeated=True), "START RequestId", '"text"']

    truth = counted(Books(quiet_cloud, log), overview(standing(made, issued=2)), api_function="api")

    assert (truth.created, truth.granted, truth.over_issued) == (1, 2, 0)


def test_a_code_handed_out_too_often_shows_even_if_the_ledger_does_not_know(quiet_cloud: LocalCloud) -> None:
    """The audit log is a book of its own."""
    made = new_activation(quiet_cloud)

    truth = counted(Books(quiet_cloud, [granted(made)] * 3), overview(standing(made, issued=2)), api_function="api")

    assert truth.over_issued == 1


def test_a_ledger_beyond_the_limit_shows_even_if_nobody_registered(quiet_cloud: LocalCloud) -> None:
    """Issued is issued."""
    made = new_activation(quiet_cloud)

    truth = counted(Books(quiet_cloud, []), overview(standing(made, issued=4)), api_function="api")

    assert truth.over_issued == 2


def test_a_registration_that_the_service_refused_for_the_limit_shows(quiet_cloud: LocalCloud) -> None:
    """Whoever was sent away had a code that was worth nothing."""
    quiet_cloud.world.part(ManagedNodes).refusals["RegistrationLimitExceeded"] += 1

    truth = counted(Books(quiet_cloud, []), overview(), api_function="api")

    assert truth.over_issued == 1


def test_activations_left_over_are_counted_at_the_service(quiet_cloud: LocalCloud) -> None:
    """Not by what was deleted, but by what is there."""
    made = new_activation(quiet_cloud)
    assert live_activations(quiet_cloud) == 1

    quiet_cloud.world.part(Activations).delete(made, region="us-east-1")

    assert live_activations(quiet_cloud) == 0


def test_only_grants_count_as_handed_out() -> None:
    """Refusals, rotations and other lines of the log do not."""
    refused = json.dumps({"message": {"event": "refused", "activation_id": "a"}})

    assert handed_out([granted("a"), refused, "REPORT", "[]", '{"message": "text"}']) == {"a": 1}


class Enrolled:
    """A server, as far as the verdict looks at it."""

    def __init__(self, registered: bool) -> None:
        self.registered = registered


@pytest.mark.parametrize(
    ("registered", "over_issued", "live", "well"),
    [
        ((True, True), 0, 0, True),
        ((True, False), 0, 0, False),
        ((True, True), 1, 0, False),
        ((True, True), 0, 1, False),
    ],
)
def test_the_demo_ends_well_only_if_everything_did(
    registered: tuple[bool, ...], over_issued: int, live: int, well: bool
) -> None:
    """One server that is no managed node, one slot too many, or one activation left over is exit 1."""
    truth = Truth(created=2, granted=2, over_issued=over_issued)

    assert went_well([Enrolled(each) for each in registered], truth, live=live) is well  # type: ignore[arg-type]


def test_a_bar_is_as_long_as_the_limit_until_it_gets_too_long() -> None:
    """One square a slot; large limits are drawn to scale."""
    assert bar(standing("a", issued=3, limit=5), "").plain == "■■■□□"
    assert bar(standing("a", issued=500, limit=1_000), "").plain == "■" * 10 + "□" * 10


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ("no/such/folder/demo.html", "cannot write no/such/folder/demo.html: No such file"),
        (".", "cannot write .: it is a folder"),
        ("demo.json", "is where the JSON goes"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_anything_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], report: str, told: str
) -> None:
    """Not after a minute of work whose results would be lost."""
    monkeypatch.chdir(tmp_path)

    code = run(["demo", "--report", report])

    said = capsys.readouterr().err
    assert (code, told in said, "local cloud" in said) == (2, True, False)


def test_what_is_looked_at_before_is_left_as_it_was(tmp_path: Path) -> None:
    """A report of yesterday stays until there is another one."""
    old = tmp_path / "old.html"
    old.write_text("yesterday")

    expect(old)
    expect(tmp_path / "new.html")

    assert [each.name for each in tmp_path.iterdir()] == ["old.html"]
    assert old.read_text() == "yesterday"


class NoFleet:
    """No servers: only the pool is looked at."""

    servers: tuple[()] = ()
    elapsed = 0.0


def test_a_rotation_is_told_with_both_activations() -> None:
    """In the words of whoever watches: first, second, how full."""
    talk = Talk()
    talk.console = Console(file=io.StringIO(), width=100)
    screen = Screen(talk, NoFleet())  # type: ignore[arg-type]

    screen.update(overview(standing("a", issued=1), standing("b", issued=0, part=Part.STANDBY)).pools[0], [])
    screen.update(overview(standing("b", issued=1), standing("a", issued=2, part=Part.DRAINING)).pools[0], [])

    told = talk.console.file.getvalue()
    assert "activation 1 created, 2 slots" in told
    assert "rotation: activation 1 is used up (2 of 2 slots), activation 2 takes over" in told
