"""The pictures of patching that are drawn by hand; the runbook's own flow is drawn from its YAML in `flow`."""

from itertools import pairwise

from docs.generator.drawing import Box, Drawing

from moorings.patching.model import Outcome


def patching() -> Drawing:
    """Who talks to whom while a VM is patched, and how a run ends."""
    made = Drawing(
        960,
        560,
        "Patching",
        "An automation execution sends commands to the managed node and calls a function, which works on its disks "
        "in Azure and keeps guard and record in a table; a keeper finishes what was interrupted. Every run goes from "
        "the proof of the VM over checkpoint, patches and evidence to a verdict, and ends in one of five outcomes.",
    )
    runbook = made.box(Box(30, 50, 190, 90), "runbook", ("an execution of", "SSM Automation"))
    function = made.box(Box(350, 50, 170, 90), "function", ("short calls, each", "looks and moves once"), kind="ours")
    azure = made.box(Box(740, 50, 190, 90), "Azure", ("Resource Manager:", "VM, disks, snapshots"))
    node = made.box(Box(30, 240, 190, 90), "managed node", ("mi-…, on the VM",), kind="good")
    table = made.box(Box(350, 240, 170, 90), "guard, record", ("DynamoDB",), kind="ours")
    keeper = made.box(Box(740, 240, 190, 90), "keeper", ("every minute: finishes", "what was interrupted"), kind="ours")

    made.arrow(runbook.right, function.left, label=("each step",))
    made.arrow(function.right, azure.left, label=("snapshot, stop,", "exchange, start"))
    made.arrow(runbook.bottom, node.top, label=("commands: patches,", "health checks"), at=(133, 192), anchor="start")
    made.arrow(function.bottom, table.top, label=("one VM, one run",), at=(443, 192), anchor="start")
    made.arrow(keeper.top, azure.bottom, label=("goes on",), at=(843, 192), anchor="start")
    made.arrow(keeper.left, table.right, label=("what is due",))
    made.arrow((220, 268), (350, 120), label=())
    made.text((232, 292), "attested", anchor="start")
    made.text((232, 310), "document", anchor="start")

    made.text((30, 382), "Life of a run", style="title", anchor="start")
    boxes = [
        made.box(Box(30 + 152 * number, 400, 116, 40), name, round_=20)
        for number, name in enumerate(("proof", "checkpoint", "patches", "evidence"))
    ]
    for before, after in pairwise(boxes):
        made.arrow(before.right, after.left)
    verdict = made.box(Box(642, 400, 116, 40), "verdict", kind="ours", round_=20)
    made.arrow(boxes[-1].right, verdict.left)
    _outcomes(made, boxes, verdict)
    return made


def _outcomes(made: Drawing, boxes: list[Box], verdict: Box) -> None:
    """What follows, below the life of a run."""
    good = made.box(Box(800, 372, 136, 34), Outcome.PATCHED.value, kind="good", round_=17)
    back = made.box(Box(800, 418, 136, 34), Outcome.ROLLED_BACK.value, kind="over", round_=17)
    made.box(Box(760, 500, 176, 34), Outcome.ROLLBACK_FAILED.value, kind="over", round_=17)
    made.box(Box(600, 500, 130, 34), Outcome.UNDECIDED.value, kind="over", round_=17)
    unchanged = made.box(Box(180, 500, 136, 34), Outcome.UNCHANGED.value, kind="plain", round_=17)
    made.arrow(verdict.right, (780, 420), (780, 389), good.left)
    made.arrow((780, 420), (780, 435), back.left)
    made.arrow((868, 452), (868, 500), label=("could not",), at=(875, 480), anchor="start")
    made.arrow((680, 440), (680, 500), label=("not seen: decide",), at=(672, 476), anchor="end")
    made.arrow(boxes[0].bottom, (88, 517), unchanged.left)
    made.arrow(
        boxes[1].bottom, (240, 500), label=("an objection, or", "no usable checkpoint"), at=(330, 526), anchor="start"
    )


def restore() -> Drawing:
    """The moves of a restore in their order, and what the VM can do meanwhile."""
    made = Drawing(
        960,
        270,
        "Restoring a VM",
        "The new disk is made while the VM still runs. Then it is powered off, its disk exchanged by one write under "
        "its etag, and it is started. If Azure refuses the exchange, it is deallocated first. Whatever fails for good "
        "ends with a running VM on the disk that it has.",
    )
    make = made.box(Box(30, 60, 160, 64), "make the disk", ("from the snapshot",), kind="ours")
    stop = made.box(Box(270, 56, 140, 72), "power off", ("hard, if all its", "disks come back"), kind="over")
    write = made.box(Box(490, 60, 160, 64), "exchange", ("one write, with etag",), kind="over")
    start = made.box(Box(730, 60, 90, 64), "start", (), kind="over")
    done = made.box(Box(870, 70, 70, 44), "runs", (), kind="good", round_=22)
    made.box(Box(490, 166, 160, 50), "deallocate", ("if Azure refuses",))
    for before, after in pairwise((make, stop, write, start, done)):
        made.arrow(before.right, after.left)
    made.arrow((535, 124), (535, 166))
    made.arrow((605, 166), (605, 124))
    made.arrow(stop.bottom, (340, 246), (775, 246), start.bottom)
    made.text((330, 236), "given up, or late: start it on the disk that it has", anchor="end")
    made.text((110, 44), "the VM runs", anchor="middle")
    made.text((545, 44), "the VM is down", anchor="middle")
    return made
