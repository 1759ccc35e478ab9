"""The pictures of the manual."""

from collections.abc import Mapping
from itertools import pairwise

from docs.generator.drawing import Box, Drawing
from docs.generator.flow import runbook_flow
from docs.generator.overview import overview
from docs.generator.patching_pictures import patching, restore
from docs.generator.security_pictures import boundaries

from moorings.enrolment.oversight import Part


def drawn() -> Mapping[str, str]:
    """Every picture by its file name."""
    return {
        "moorings.svg": overview().svg(),
        "enrolment.svg": enrolment().svg(),
        "activation-life.svg": activation_life().svg(),
        "vending.svg": vending().svg(),
        "patching.svg": patching().svg(),
        "restore.svg": restore().svg(),
        "runbook.svg": runbook_flow().svg(),
        "trust-boundaries.svg": boundaries().svg(),
    }


def enrolment() -> Drawing:
    """Who talks to whom while a server enrols, and the life of an activation."""
    made = Drawing(
        960,
        500,
        "Enrolment",
        "A server asks a private API through a VPC endpoint; a function takes a slot in the ledger by one conditional "
        "write, reads the code and answers; the server registers and is a managed node. A keeper prepares, drains and "
        "deletes activations, whose life goes from standby over current and draining to deleted.",
    )
    server = made.box(Box(30, 60, 160, 90), "server", ("first boot", "any cloud, or none"))
    api = made.box(Box(300, 60, 150, 90), "private API", ("only through", "your VPC endpoint"), kind="ours")
    function = made.box(Box(510, 60, 150, 90), "function", ("proof → rule", "→ pool"), kind="ours")
    made.box(Box(745, 36, 190, 158), "", kind="group", round_=12)
    ledger = made.box(Box(760, 50, 160, 60), "ledger", ("DynamoDB",), kind="ours")
    codes = made.box(Box(760, 122, 160, 60), "codes", ("Parameter Store",), kind="ours")
    node = made.box(Box(30, 250, 160, 90), "managed node", ("mi-…",), kind="good")
    ssm = made.box(Box(300, 250, 360, 90), "AWS Systems Manager", ("activations · managed nodes",))
    keeper = made.box(Box(760, 250, 160, 90), "keeper", ("every 5 minutes,", "and when woken"), kind="ours")

    made.arrow((190, 88), (300, 88), label=("1 asks",))
    made.arrow((300, 124), (190, 124), label=("2 id, code",), at=(245, 143))
    made.arrow(api.right, function.left)
    made.arrow((660, 88), ledger.left, label=("takes a slot",), at=(702, 66))
    made.arrow((660, 124), codes.left, label=("reads code",), at=(702, 166))
    made.arrow(server.bottom, node.top, label=("3 installs the agent,", "registers"), at=(122, 208), anchor="start")
    made.arrow(node.right, ssm.left, label=("heartbeat",))
    made.arrow(keeper.left, ssm.right, label=("creates,", "deletes"))
    made.arrow(keeper.top, (840, 194), label=("publishes",), at=(850, 227), anchor="start")
    made.arrow(function.bottom, (585, 250), label=("creates only", "if none is ready"), at=(594, 218), anchor="start")

    made.text((30, 392), "Life of an activation", style="title", anchor="start")
    _life(made, 410)
    return made


def _life(made: Drawing, y: int) -> None:
    captions = {
        Part.STANDBY.value: ("made ahead", "plain"),
        Part.CURRENT.value: ("each slot granted once", "good"),
        Part.DRAINING.value: ("granted slots may register", "over"),
        "deleted": ("nodes stay registered", "plain"),
    }
    boxes = []
    for number, (name, (caption, kind)) in enumerate(captions.items()):
        boxes.append(made.box(Box(30 + 249 * number, y, 153, 36), name, kind=kind, round_=18))
        made.text((boxes[-1].bottom[0], y + 56), caption)
    labels = ("swap", "used up, old", "claim window")
    for (before, after), label in zip(pairwise(boxes), labels, strict=True):
        made.arrow(before.right, after.left, label=(label,))


def activation_life() -> Drawing:
    """Every way that an activation can go, and who moves it."""
    made = Drawing(
        960,
        400,
        "Life of an activation",
        "CreateActivation under the pool's lease makes a standby, or the current activation if none is ready. "
        "A swap makes the standby current and drains the old one in the same write. After the claim window the keeper "
        "deletes it. What was made but not published is deleted by its maker, or reaped by the keeper.",
    )
    create = made.box(
        Box(30, 150, 170, 80), "CreateActivation", ("under the pool's lease,", "its id in Description"), kind="ours"
    )
    standby = made.box(Box(330, 50, 140, 70), Part.STANDBY.value, ("code stored",))
    current = made.box(Box(560, 150, 140, 80), Part.CURRENT.value, ("slots are granted",), kind="good")
    draining = made.box(Box(790, 50, 140, 70), Part.DRAINING.value, ("nothing granted",), kind="over")
    deleted = made.box(Box(790, 280, 140, 80), "deleted", ("activation, code,", "then the entry"))
    leaked = made.box(Box(330, 280, 140, 80), "not published", ("crash, lost race,", "lost answer"), kind="over")

    made.arrow((115, 150), (115, 85), standby.left, label=("the keeper publishes",), at=(222, 75))
    made.arrow(create.right, current.left, label=("a request publishes, if no standby is ready",), at=(380, 182))
    made.arrow((115, 230), (115, 320), leaked.left)
    made.arrow(standby.right, (630, 85), current.top, label=("swap",), at=(550, 77))
    made.arrow(current.right, (860, 190), draining.bottom, label=("the same write",), at=(770, 182))
    made.arrow((400, 50), (400, 25), (860, 25), draining.top, label=("other settings, or too old",), at=(630, 17))
    made.arrow((910, 120), (910, 280), label=("claim window", "over: keeper"), at=(902, 262), anchor="end")
    made.arrow(leaked.right, deleted.left, label=("its maker at once, or the keeper",), at=(630, 312))
    return made


def vending() -> Drawing:
    """The steps of one request."""
    made = Drawing(
        960,
        430,
        "One request for an activation",
        "The request is admitted by a rule, takes a slot by one conditional write, records the key's grant, reads the "
        "code and answers. If the slot is refused, the key's grant is looked for, then the standby is swapped in, or "
        "an activation created, or the request waits and tries again until its deadline.",
    )
    admit = made.box(Box(30, 50, 150, 70), "admit", ("proof → rule → pool",), kind="ours")
    take = made.box(Box(260, 50, 190, 70), "take a slot", ("one conditional write",), kind="ours")
    grant = made.box(Box(540, 50, 170, 70), "record the grant", ("put if absent",), kind="ours")
    answer = made.box(Box(790, 50, 140, 70), "200", ("id and code",), kind="good")
    refused = made.box(Box(30, 190, 150, 60), "403", ("one text for all",), kind="over")
    repeat = made.box(Box(540, 190, 170, 60), "the key's grant", ("repeatable?",))
    move = made.box(Box(260, 190, 190, 60), "what next?", ("the refused item tells",), kind="ours")
    swap = made.box(Box(30, 330, 190, 60), "swap the standby in", ("wake the keeper",))
    create = made.box(Box(260, 330, 190, 60), "create", ("lease, code, publish",))
    wait = made.box(Box(490, 330, 190, 60), "wait", ("jitter, until 20 s",))
    made.box(Box(790, 330, 140, 60), "429 or 503", ("with Retry-After",), kind="over")

    made.arrow(admit.right, take.left)
    made.arrow(admit.bottom, refused.top, label=("no rule",), at=(113, 160), anchor="start")
    made.arrow(take.right, grant.left, label=("taken",))
    made.arrow(grant.right, answer.left, label=("new",))
    made.arrow(take.bottom, move.top, label=("refused",), at=(363, 160), anchor="start")
    made.arrow(grant.bottom, repeat.top, label=("the key has one",), at=(633, 160), anchor="start")
    made.arrow(move.right, repeat.left, label=("if keyed",))
    made.arrow(
        repeat.right, (860, 220), answer.bottom, label=("yes: the old answer,", "the slot goes back"), at=(780, 212)
    )
    made.arrow(move.bottom, create.top)
    made.arrow((320, 250), (320, 290), (125, 290), swap.top)
    made.arrow((390, 250), (390, 290), (585, 290), wait.top)
    made.arrow((680, 360), (790, 360), label=("deadline,", "or ceiling"))
    made.line(swap.bottom, (125, 412))
    made.line(create.bottom, (355, 412))
    made.arrow(
        wait.bottom,
        (585, 412),
        (12, 412),
        (12, 20),
        (355, 20),
        take.top,
        label=("and take a slot again",),
        at=(230, 15),
    )
    return made
