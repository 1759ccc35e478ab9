"""Options that nobody can make sense of: the run ends unchanged, and its report says which, why, and what to do."""

from collections.abc import Iterator

import pytest
from tests.patching.stage import Stage

PARTS = "clientid, tenantid and clientsecret are names of parameters: give all three or none; "
MALFORMED = {
    "one name of three": ({"clientid": "/m/c"}, PARTS + "tenantid and clientsecret are without a name", "or none"),
    "two names of three": (
        {"clientid": "/m/c", "clientsecret": "/m/s"}, PARTS + "tenantid is without a name", "moorings azure connect",
    ),
    "a bucket without a key": (
        {"BaselineOverride": "s3://bucket"}, "BaselineOverride is 's3://bucket', no address of a file", "s3://BUCKET/KEY",
    ),
    "too long a boot": ({"NodeBootTime": "PT3H"}, "NodeBootTime is 10,800 s, out of range", "between PT5S and PT2H"),
    "too long a settling": ({"HealthSettleTime": "PT2H"}, "HealthSettleTime is 7,200 s, out of range", "most PT1H"),
    "nothing to restore from": ({"RestoreDataDisks": True}, "RestoreDataDisks is true, SnapshotDataDisks is", "both"),
    "hours below zero": ({"KeepSnapshotHours": -1}, "KeepSnapshotHours is -1, out of range", "between 0 and"),
    "hours of years": ({"KeepFailedDiskHours": 99999}, "KeepFailedDiskHours is 99999, out of range", "between 0 and"),
}  # fmt: skip


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.mark.parametrize(("given", "reason", "remedy"), MALFORMED.values(), ids=MALFORMED)
def test_a_run_with_malformed_options_tells_which_why_and_what_to_do(
    stage: Stage, given: dict[str, object], reason: str, remedy: str
) -> None:
    run = stage.run(**given)

    assert run.outputs["Report.Outcome"] == "UNCHANGED"
    assert str(run.outputs["Report.Reason"]).startswith(reason)
    assert remedy in str(run.outputs["Report.Remedy"])
    assert not stage.azure.calls


def test_its_record_tells_it_too_and_everybody_is_told_once(stage: Stage) -> None:
    execution = stage.start(clientid="/m/c")
    stage.finish(execution)
    stage.keep(2)

    run = stage.record(execution)
    assert run.conclusion is not None
    assert "give all three or none" in run.conclusion.reason
    assert [one.conclusion for one in stage.notebook.announced] == [run.conclusion]
    assert run.look_at is None
    assert [step.step.name for step in stage.engine.steps(execution) if step.failure] == ["FailIfWrong"]


def test_a_call_that_is_repeated_answers_the_same(stage: Stage) -> None:
    """Its first answer may have got lost."""
    calls = stage.patching.answer
    answers: list[object] = []

    def losing(event: dict[str, object], countdown: object) -> object:
        told = calls(event, countdown)  # type: ignore[arg-type]
        if event["call"] == "describe":
            answers.append(told)
            if len(answers) == 1:
                raise AssertionError("its answer got lost")
        return told

    stage.patching.answer = losing  # type: ignore[method-assign,assignment]

    run = stage.run(NodeBootTime="PT3H")

    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert "NodeBootTime" in str(run.outputs["Report.Reason"])
