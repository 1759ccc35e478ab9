"""Records survive their JSON, whatever they hold."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorings.errors import Misconfigured
from moorings.patching.codec import decode, encode
from moorings.patching.dynamodb import run_in
from moorings.patching.model import (
    CheckpointDisk,
    Conclusion,
    CredentialNames,
    Evidence,
    HealthReport,
    Judgement,
    Moment,
    Options,
    Phase,
    Restore,
    Run,
    Verdict,
    VmRef,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
texts = st.text(max_size=20)
times = st.integers(0, 10**9).map(lambda seconds: NOW + timedelta(seconds=seconds / 8))
spans = st.timedeltas(timedelta(0), timedelta(days=2))
for kind, strategy in ((datetime, times), (timedelta, spans), (str, texts)):
    st.register_type_strategy(kind, strategy)
plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts
wires = st.dictionaries(
    texts, plain | st.lists(plain, max_size=2) | st.dictionaries(texts, plain, max_size=2), max_size=3
)
disks = st.builds(
    CheckpointDisk, lun=st.none() | st.integers(0, 63), disk=wires, attachment=wires, begun=..., usable=...
)
runs = st.builds(
    Run,
    execution=texts,
    node=texts,
    began_at=times,
    phase=st.sampled_from(Phase),
    vm=st.none() | st.builds(VmRef),
    fence=st.integers(0, 99),
    options=st.from_type(Options),
    credentials=st.from_type(CredentialNames),
    before=st.none() | st.from_type(HealthReport),
    checkpoint=st.lists(disks, max_size=3).map(tuple),
    patching_since=st.none() | times,
    evidence=st.none() | st.from_type(Evidence),
    judgement=st.none() | st.from_type(Judgement),
    restore=st.none() | st.from_type(Restore),
    conclusion=st.none() | st.from_type(Conclusion),
    leftovers=st.lists(texts, max_size=3).map(tuple),
    timeline=st.lists(st.from_type(Moment), max_size=3).map(tuple),
    version=st.integers(0, 999),
)


@given(runs)
def test_a_record_comes_back_as_it_was(run: Run) -> None:
    assert decode(Run, encode(run)) == run


@given(runs)
def test_a_record_is_one_line_of_json_and_always_the_same(run: Run) -> None:
    text = encode(run)

    assert "\n" not in text
    assert encode(decode(Run, text)) == text
    assert isinstance(json.loads(text), dict)


def test_members_with_their_defaults_are_left_out() -> None:
    run = Run(execution="e", node="mi-0", began_at=NOW)

    assert set(json.loads(encode(run))) <= {"execution", "node", "began_at", "options", "credentials"}


def test_what_a_newer_version_wrote_can_be_read() -> None:
    run = Run(execution="e", node="mi-0", began_at=NOW, options=Options(dry_run=True))
    newer = json.loads(encode(run)) | {"colour": "blue"}
    newer["options"]["speed"] = 3

    assert decode(Run, json.dumps(newer)) == run


@pytest.mark.parametrize("text", ["{}", '{"execution": "e"}', "[]", '"x"', "not json", '{"phase": "nowhere"}'])
def test_what_is_no_record_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        decode(Run, text)


def test_enums_times_and_spans_are_themselves_again() -> None:
    run = Run(
        execution="e",
        node="mi-0",
        began_at=NOW,
        judgement=Judgement(verdict=Verdict.BAD, reason="x", warnings=("a", "b")),
        options=replace(Options(), boot_time=timedelta(seconds=90)),
    )

    back = decode(Run, encode(run))

    assert back.judgement is not None
    assert back.judgement.verdict is Verdict.BAD
    assert back.judgement.warnings == ("a", "b")
    assert back.options.boot_time == timedelta(seconds=90)
    assert back.began_at.tzinfo is not None


@pytest.mark.parametrize(
    "change", [{"phase": "paused"}, {"restore": 7}, {"vm": {"id": "x"}}, {"began_at": "soon"}, {"timeline": [3]}]
)
def test_a_record_that_this_version_cannot_read_is_named_with_what_to_do(change: dict[str, object]) -> None:
    """Of a newer version, after a way back that left one out."""
    run = Run(execution="11111111-2222-4333-8444-555555555555", node="mi-0", began_at=NOW)
    body = json.dumps(json.loads(encode(run)) | change)

    with pytest.raises(Misconfigured) as unread:
        run_in({"pk": {"S": f"run#{run.execution}"}, "body": {"S": body}})

    assert run.execution in unread.value.message
    assert "newer version" in unread.value.remedy
