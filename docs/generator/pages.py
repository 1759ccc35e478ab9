"""Finds the generated blocks in the manual's pages and fills them; tests/architecture holds the pages to the result.

A block stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`, each on a line of its own.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generator import (
    costs,
    deployer,
    doctor,
    enrolment,
    http,
    localcloud,
    objections,
    patching,
    pictures,
    runbook,
    templates,
)

DOCS = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[a-z-]+) -->\n)(?P<old>.*?)(?P<end><!-- end of (?P=name) -->)", re.S
)

BLOCKS: Mapping[str, Callable[[], str]] = {
    "error-families": http.error_families,
    "exit-codes": http.exit_codes,
    "http-bad-requests": http.bad_requests,
    "http-refusals": http.refusals,
    "gateway-responses": templates.gateway_responses,
    "moves": enrolment.moves,
    "upkeep": enrolment.upkeep,
    "constants": enrolment.constants,
    "stack-parameters": templates.stack_parameters,
    "stack-outputs": templates.stack_outputs,
    "endpoint-parameters": templates.endpoint_parameters,
    "endpoint-outputs": templates.endpoint_outputs,
    "alarms": templates.alarms,
    "api-function-rights": templates.api_function_rights,
    "keeper-rights": templates.keeper_rights,
    "patching-parameters": templates.patching_parameters,
    "patching-outputs": templates.patching_outputs,
    "patching-alarms": templates.patching_alarms,
    "automation-rights": templates.automation_rights,
    "runs-rights": templates.runs_rights,
    "patching-function-rights": templates.patching_function_rights,
    "patching-keeper-rights": templates.patching_keeper_rights,
    "verdicts": patching.verdicts,
    "after-verdict": patching.after_verdict,
    "outcomes": patching.outcomes,
    "restore-moves": patching.moves,
    "restore-tries": patching.tries,
    "deletions": patching.deletions,
    "patching-constants": patching.constants,
    "objections": objections.objections,
    "attestation-refusals": objections.attestation_refusals,
    "runbook-parameters": runbook.parameters,
    "runbook-steps": runbook.steps,
    "runbook-outputs": runbook.outputs,
    "simulated": localcloud.simulated,
    "images": localcloud.images,
    "ssm-choices": localcloud.ssm_choices,
    "automation-choices": localcloud.automation_choice_table,
    "automation-actions": localcloud.automation_actions,
    "azure-choices": localcloud.azure_choice_list,
    "resource-types": localcloud.resource_types,
    "refused-operations": localcloud.refused_operations,
    "local-services": localcloud.services,
    "topic-protocols": localcloud.protocols,
    "roles": templates.roles,
    "cost-inputs": costs.inputs,
    "cost-rounds": costs.rounds,
    "deployer-rights": deployer.purposes,
    "deployer-open": deployer.open_ones,
    "doctor-checks": doctor.checks,
    "doctor-not-local": doctor.not_local,
}


def pages() -> list[Path]:
    """Every page that may hold a generated block."""
    return sorted(DOCS.glob("*.md"))


def filled(text: str) -> str:
    """`text` with every generated block as the code has it now; KeyError for a block that nobody makes."""
    return _BLOCK.sub(lambda found: f"{found['begin']}{BLOCKS[found['name']]().rstrip()}\n{found['end']}", text)


def block_names(text: str) -> list[str]:
    """The names of the generated blocks in a page."""
    return [found["name"] for found in _BLOCK.finditer(text)]


def write_all() -> None:
    """Fill every page and draw every picture."""
    for page in pages():
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    for name, svg in pictures.drawn().items():
        (DOCS / "pictures" / name).write_text(svg, encoding="utf-8")
