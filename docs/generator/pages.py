"""Finds the generated blocks in the manual's pages and fills them; tests/architecture holds the pages to the result.

A block stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`, each on a line of its own.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generator import enrolment, http, localcloud, pictures, templates

DOCS = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[a-z-]+) -->\n)(?P<old>.*?)(?P<end><!-- end of (?P=name) -->)", re.S
)

BLOCKS: Mapping[str, Callable[[], str]] = {
    "error-families": http.error_families,
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
    "simulated": localcloud.simulated,
    "images": localcloud.images,
    "ssm-choices": localcloud.ssm_choices,
    "resource-types": localcloud.resource_types,
    "refused-operations": localcloud.refused_operations,
    "local-services": localcloud.services,
    "topic-protocols": localcloud.protocols,
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
