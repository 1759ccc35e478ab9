"""Verdict and conclusion: total, and only what the evidence carries."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorings.patching.judging import conclude, judge, newly_failing, wants_restore
from moorings.patching.model import (
    Conclusion,
    Evidence,
    HealthReport,
    Judgement,
    Options,
    Outcome,
    Phase,
    Restore,
    RollbackOn,
    Run,
    Verdict,
)
from moorings.patching.observed import CommandState

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WELL = HealthReport(boot="a", checks=(0, 0))
GOOD = Evidence(
    install="success", install_exit=0, install_began=True, before=WELL, after=WELL, scan_fresh=True, installed_now=3
)
RAN = {CommandState.SUCCESS.value, CommandState.FAILED.value, CommandState.CUT_OFF.value}

reports = st.none() | st.builds(
    HealthReport,
    boot=st.sampled_from(["", "a", "b"]),
    checks=st.lists(st.sampled_from([0, 1, 255]), max_size=4).map(tuple),
)
evidences = st.builds(
    Evidence,
    install=st.sampled_from([state.value for state in CommandState]),
    install_detail=st.sampled_from(["", "Failed", "DeliveryTimedOut"]),
    install_exit=st.sampled_from([None, 0, 1, 194]),
    install_began=st.booleans(),
    offline=st.booleans(),
    last_ping=st.sampled_from([None, NOW]),
    before=reports,
    after=reports,
    scan_fresh=st.booleans(),
    installed_now=st.integers(0, 2),
    pending_reboot=st.integers(0, 2),
    missing=st.integers(0, 2),
    failed=st.integers(0, 2),
    prepatch_failed=st.booleans(),
)


@given(evidences)
def test_every_evidence_has_a_verdict_with_a_reason(evidence: Evidence) -> None:
    judgement = judge(evidence)

    assert judgement.verdict in Verdict
    assert judgement.reason


@given(evidences)
def test_patched_needs_online_scanned_afresh_and_healthy(evidence: Evidence) -> None:
    if judge(evidence).verdict is Verdict.PATCHED:
        assert not evidence.offline
        assert evidence.scan_fresh
        assert evidence.after is not None
        assert not newly_failing(evidence.before, evidence.after)


@given(evidences)
def test_bad_needs_something_of_ours_on_the_node_and_silence_or_a_check_that_fails_now(evidence: Evidence) -> None:
    if judge(evidence).verdict is Verdict.BAD:
        assert evidence.install_began or evidence.install in RAN
        assert evidence.offline or (evidence.after and newly_failing(evidence.before, evidence.after))


@given(evidences, st.sampled_from([None, 0, 1, 3, 194]), st.sampled_from(["success", "failed"]))
def test_an_exit_code_decides_nothing(evidence: Evidence, code: int | None, word: str) -> None:
    ended = replace(evidence, install="success", install_exit=0, install_began=True)

    one, other = judge(ended), judge(replace(ended, install=word, install_exit=code))

    assert (one.verdict, one.nothing_to_do) == (other.verdict, other.nothing_to_do)


@given(evidences)
def test_untouched_needs_proof_that_nothing_was_installed(evidence: Evidence) -> None:
    if judge(evidence).verdict is Verdict.UNTOUCHED and (evidence.install_began or evidence.install in RAN):
        assert evidence.scan_fresh or evidence.install in {"unsent", "undelivered"}
        assert evidence.installed_now == 0
        assert evidence.before is not None
        assert evidence.after is not None
        assert evidence.before.boot == evidence.after.boot


@given(evidences)
def test_nothing_to_do_is_said_only_of_a_compliant_node(evidence: Evidence) -> None:
    judgement = judge(evidence)

    if judgement.nothing_to_do:
        assert judgement.verdict is Verdict.UNTOUCHED
        assert evidence.scan_fresh
        assert not evidence.missing


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({}, Verdict.PATCHED, "patched (3 patches)"),
        ({"installed_now": 1}, Verdict.PATCHED, "patched (1 patch)"),
        ({"install": "failed", "install_exit": 1}, Verdict.PATCHED, "healthy"),
        ({"missing": 2, "failed": 1, "pending_reboot": 1}, Verdict.PATCHED, "healthy"),
        ({"after": HealthReport(boot="b", checks=(0, 0))}, Verdict.PATCHED, "healthy"),
        ({"offline": True, "after": None, "last_ping": NOW}, Verdict.BAD, "last heard of at 12:00:00 UTC"),
        ({"after": HealthReport(boot="b", checks=(0, 3))}, Verdict.BAD, "health check 2 passed before and fails now"),
        ({"after": HealthReport(boot="b", checks=(0,))}, Verdict.BAD, "health check 2"),
        ({"after": None}, Verdict.UNKNOWN, "nobody could look"),
        ({"scan_fresh": False}, Verdict.UNKNOWN, "no fresh scan"),
        ({"scan_fresh": False, "installed_now": 0}, Verdict.UNKNOWN, "no fresh scan"),
        ({"installed_now": 0}, Verdict.UNTOUCHED, "compliant already"),
        ({"installed_now": 0, "install": "failed", "missing": 3}, Verdict.UNTOUCHED, "nothing was installed"),
        ({"install": "unsent", "install_began": False}, Verdict.UNTOUCHED, "never began"),
        ({"install": "undelivered", "install_began": False, "after": None}, Verdict.UNKNOWN, "never began"),
        (
            {"install": "waiting", "install_began": False, "after": None, "offline": True},
            Verdict.UNKNOWN,
            "never began",
        ),
        (
            {"install": "unsent", "prepatch_failed": True, "installed_now": 0, "scan_fresh": False},
            Verdict.UNTOUCHED,
            "PrePatchCommands failed",
        ),
        ({"install": "unsent", "after": HealthReport(boot="a", checks=(9, 0))}, Verdict.BAD, "health check 1"),
    ],
)
def test_verdicts(changes: dict[str, object], verdict: Verdict, words: str) -> None:
    judgement = judge(replace(GOOD, **changes))  # type: ignore[arg-type]

    assert judgement.verdict is verdict
    assert words in judgement.reason


def test_what_is_not_complete_is_a_warning_and_no_reason_to_roll_back() -> None:
    judgement = judge(replace(GOOD, install="failed", install_exit=1, missing=2, failed=1, pending_reboot=1))

    assert judgement.warnings == (
        "the patch command did not end well (failed, exit code 1)",
        "1 patch could not be installed",
        "2 patches missing still",
        "1 patch in force only after a reboot",
    )


@pytest.mark.parametrize(
    ("before", "after", "failing"),
    [
        (None, (0, 1), (2,)),
        ((0, 0), (0, 0), ()),
        ((1, 0), (1, 1), (2,)),
        ((0, 0, 0), (0,), (2, 3)),
        ((0, 1), (0,), ()),
        ((), (), ()),
    ],
)
def test_which_checks_fail_now(
    before: tuple[int, ...] | None, after: tuple[int, ...], failing: tuple[int, ...]
) -> None:
    earlier = None if before is None else HealthReport(boot="a", checks=before)

    assert newly_failing(earlier, HealthReport(boot="b", checks=after)) == failing


@pytest.mark.parametrize(
    ("choice", "restored"),
    [
        (RollbackOn.BAD, {Verdict.BAD}),
        (RollbackOn.BAD_OR_UNKNOWN, {Verdict.BAD, Verdict.UNKNOWN}),
        (RollbackOn.NEVER, set()),
    ],
)
def test_for_which_verdicts_the_vm_is_put_back(choice: RollbackOn, restored: set[Verdict]) -> None:
    assert {verdict for verdict in Verdict if wants_restore(verdict, choice)} == restored


judgements = st.none() | st.builds(
    Judgement, verdict=st.sampled_from(Verdict), reason=st.just("because"), nothing_to_do=st.booleans()
)
restores = st.none() | st.builds(
    Restore,
    began_at=st.just(NOW),
    deadline=st.just(NOW),
    ended=st.sampled_from(["", "ours", "source", "foreign", "down", "gone"]),
    online=st.sampled_from([None, True, False]),
    note=st.sampled_from(["", "write: Conflict"]),
)
runs = st.builds(
    Run,
    execution=st.just("e"),
    node=st.just("mi-0"),
    began_at=st.just(NOW),
    phase=st.sampled_from(Phase),
    options=st.builds(
        Options,
        operation=st.sampled_from(["Install", "Scan"]),
        dry_run=st.booleans(),
        rollback_on=st.sampled_from(RollbackOn),
    ),
    refusal=st.sampled_from(["", "offline"]),
    checkpoint_failure=st.sampled_from(["", "failed"]),
    judgement=judgements,
    restore=restores,
)


def _right(run: Run, conclusion: Conclusion) -> bool:
    """Whether a run that ended so is not wrong."""
    if conclusion.outcome is Outcome.PATCHED:
        return True
    return conclusion.outcome is Outcome.UNCHANGED and (
        (run.judgement is not None and run.judgement.nothing_to_do)
        or run.options.dry_run
        or "scanned;" in conclusion.reason
    )


@given(runs, st.booleans(), st.booleans())
def test_every_run_has_a_conclusion_and_what_is_wrong_says_what_to_do(run: Run, began: bool, scanned: bool) -> None:
    conclusion = conclude(run, install_began=began, scanned=scanned)

    assert conclusion.reason
    if conclusion.wrong:
        assert conclusion.remedy or conclusion.outcome is Outcome.ROLLED_BACK or run.refusal
    else:
        assert _right(run, conclusion)


@given(runs, st.booleans(), st.booleans())
def test_an_outcome_is_never_better_than_what_was_seen(run: Run, began: bool, scanned: bool) -> None:
    outcome = conclude(run, install_began=began, scanned=scanned).outcome

    if outcome is Outcome.PATCHED:
        assert run.restore is None
        assert run.judgement is not None
        assert run.judgement.verdict is Verdict.PATCHED
    if outcome is Outcome.ROLLED_BACK:
        assert run.restore is not None
        assert run.restore.ended == "ours"
    if outcome is Outcome.UNCHANGED:
        assert run.restore is None
        assert run.judgement is None or run.judgement.verdict is Verdict.UNTOUCHED
    if run.restore is not None:
        assert outcome in {Outcome.ROLLED_BACK, Outcome.ROLLBACK_FAILED}


@pytest.mark.parametrize(
    ("changes", "outcome", "wrong", "words"),
    [
        ({"phase": Phase.CHECKPOINTED}, Outcome.UNCHANGED, True, "before patching began"),
        ({"phase": Phase.CHECKPOINTING}, Outcome.UNCHANGED, True, "no usable checkpoint"),
        ({"phase": Phase.RELEASING}, Outcome.UNCHANGED, True, "before patching began"),
        ({"phase": Phase.RELEASING, "checkpoint_failure": "it failed"}, Outcome.UNCHANGED, True, "it failed"),
        ({"phase": Phase.PATCHING}, Outcome.UNDECIDED, True, "after patching began"),
        ({"options": Options(dry_run=True)}, Outcome.UNCHANGED, False, "dry run"),
        ({"options": Options(operation="Scan")}, Outcome.UNCHANGED, True, "did not end well"),
        ({"refusal": "it is offline", "remedy": "start it"}, Outcome.UNCHANGED, True, "it is offline"),
    ],
)
def test_how_a_run_without_a_verdict_ends(
    changes: dict[str, object], outcome: Outcome, wrong: bool, words: str
) -> None:
    run = replace(Run(execution="e", node="mi-0", began_at=NOW), **changes)  # type: ignore[arg-type]

    conclusion = conclude(run, install_began=False)

    assert (conclusion.outcome, conclusion.wrong) == (outcome, wrong)
    assert words in conclusion.reason


def test_a_run_cut_off_after_its_patch_step_began_is_undecided_whatever_its_record_says() -> None:
    run = Run(execution="e", node="mi-0", began_at=NOW, phase=Phase.CHECKPOINTED)

    assert conclude(run, install_began=True).outcome is Outcome.UNDECIDED
    assert conclude(run, install_began=False).outcome is Outcome.UNCHANGED


def test_a_scan_that_was_wanted_and_made_is_right() -> None:
    run = Run(execution="e", node="mi-0", began_at=NOW, options=Options(operation="Scan"))

    assert not conclude(run, install_began=False, scanned=True).wrong


@pytest.mark.parametrize(
    ("online", "words"), [(True, "online again"), (False, "has not come online"), (None, "nobody has waited")]
)
def test_a_rollback_tells_whether_the_node_came_back(online: bool | None, words: str) -> None:
    restore = Restore(began_at=NOW, deadline=NOW, ended="ours", online=online)
    run = Run(execution="e", node="mi-0", began_at=NOW, restore=restore)

    conclusion = conclude(run, install_began=True)

    assert conclusion.outcome is Outcome.ROLLED_BACK
    assert conclusion.wrong
    assert words in conclusion.reason
