"""Tags of an automation execution that several people change at once."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localcloud.aws.ssm.activations import Tags
from localcloud.aws.ssm.automation.automations import Automations
from localcloud.world import World

RUNBOOK = {"schemaVersion": "0.3", "mainSteps": [{"name": "Rest", "action": "aws:pause", "inputs": {}}]}


def test_changes_at_the_same_time_all_count(world: World, ssm: Any) -> None:
    ssm.create_document(Name="Mine", DocumentType="Automation", Content=json.dumps(RUNBOOK))
    execution = ssm.start_automation_execution(DocumentName="Mine")["AutomationExecutionId"]
    pause = threading.Event()

    def add(number: int) -> None:
        def added(present: Tags) -> Tags:
            pause.wait(0.01)
            return (*present, (str(number), "added"))

        world.part(Automations).change_tags("us-east-1", execution, added)

    with ThreadPoolExecutor(8) as people:
        list(people.map(add, range(8)))

    listed = ssm.list_tags_for_resource(ResourceType="Automation", ResourceId=execution)["TagList"]
    assert {one["Key"] for one in listed} == {str(number) for number in range(8)}
