"""Documents as AWS publishes them load: all their habits, in documents of our own."""

import json
from pathlib import Path

import pytest

from localcloud.automation import advice, parsing, validation
from localcloud.automation.action_inputs import ACTIONS

RUNBOOKS = Path(__file__).parent / "runbooks"
_OURS = sorted(path.name for path in RUNBOOKS.glob("doc_*"))


@pytest.mark.parametrize("name", _OURS)
def test_a_document_with_the_habits_of_published_ones_loads(name: str) -> None:
    text = (RUNBOOKS / name).read_text(encoding="utf-8")

    content = parsing.load(text, format="JSON" if name.endswith(".json") else "YAML")

    assert validation.problems(content) == []
    assert advice.advice(validation.runbook(content)) == []
    assert validation.runbook(parsing.load(json.dumps(content), format="JSON")) == validation.runbook(content)


def test_one_document_has_every_action() -> None:
    runbook = validation.runbook(parsing.load((RUNBOOKS / "doc_every_action.yaml").read_text(encoding="utf-8")))

    assert {step.action for step in runbook.all_steps().values()} == set(ACTIONS)
    assert len(ACTIONS) == 23


def test_seventy_five_steps_with_jumps_over_all_of_them_load() -> None:
    steps = [
        {
            "name": f"step_{number}",
            "action": "aws:executeAwsApi",
            "onFailure": "step:step_74" if number < 74 else "Abort",
            "inputs": {"Service": "sts", "Api": "GetCallerIdentity"},
            **({"nextStep": f"step_{number + 2}"} if number % 2 == 0 and number < 73 else {}),
        }
        for number in range(75)
    ]

    runbook = validation.runbook({"schemaVersion": "0.3", "mainSteps": steps})

    assert len(runbook.all_steps()) == 75
