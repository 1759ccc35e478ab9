"""A script is a program's text: what stands in braces there is its own."""

from tests.localcloud.automation.stand import START, Obedient, Shelf

from localcloud.automation.action_inputs import SCRIPT
from localcloud.automation.engine import Engine
from localcloud.automation.ports import StartRequest
from localcloud.clock import SteppedClock

_DOCUMENT = """
schemaVersion: '0.3'
parameters: {Id: {type: String}}
mainSteps:
- name: Tell
  action: aws:executeScript
  inputs:
    Runtime: python3.12
    Handler: main
    InputPayload: {id: '{{ Id }}'}
    Script: "print('{{ Id }} {{ automation:EXECUTION_ID }}')"
"""


def test_a_script_is_not_interpolated_but_what_is_handed_to_it_is() -> None:
    shelf, action = Shelf(SteppedClock(START)), Obedient()
    shelf.texts["Doc"] = _DOCUMENT
    action.name = SCRIPT
    engine = Engine(
        clock=shelf.clock, actions={SCRIPT: action}, documents=shelf, surrounder=shelf, target_source=shelf, workers=1
    )
    try:
        execution = engine.start(StartRequest(document_name="Doc", parameters={"Id": "mi-1"}))
        engine.settle(10)
        (step,) = engine.steps(execution)
    finally:
        engine.close()

    assert step.inputs["Script"] == "print('{{ Id }} {{ automation:EXECUTION_ID }}')"
    assert step.inputs["InputPayload"] == {"id": "mi-1"}
