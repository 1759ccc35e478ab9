"""The picture of the first page: what Moorings does, in one look."""

from itertools import pairwise

from docs.generator.drawing import Box, Drawing

from moorings.patching.model import Outcome


def overview() -> Drawing:
    """Enrolment above, patching below; the managed node is where they meet."""
    made = Drawing(
        960,
        372,
        "Moorings",
        "Enrolment: a server asks a private API at first boot, gets a slot of an activation that nobody else has, "
        "registers, and is a managed node. Patching: a runbook proves which VM the node is, takes a checkpoint, "
        "patches and looks at the evidence; then the result is kept, or the VM is put back as it was.",
    )
    made.text((30, 42), "Enrolment", style="title", anchor="start")
    made.text((130, 42), "at first boot, without anybody's credentials", anchor="start")
    server = made.box(Box(30, 60, 170, 76), "any server", ("any cloud, or none",))
    api = made.box(Box(280, 60, 170, 76), "private API", ("rules by network",), kind="ours")
    ledger = made.box(Box(530, 60, 170, 76), "ledger", ("one slot, granted once",), kind="ours")
    node = made.box(Box(780, 60, 150, 76), "managed node", ("Systems Manager",), kind="good")
    made.arrow(server.right, api.left, label=("asks",))
    made.arrow(api.right, ledger.left, label=("a rule",))
    made.arrow(ledger.right, node.left, label=("registers",))

    made.text((30, 196), "Patching", style="title", anchor="start")
    made.text((120, 196), "with a way back", anchor="start")
    steps = [
        made.box(Box(30 + 150 * number, 214, 122, 64), title, (line,), kind=kind)
        for number, (title, line, kind) in enumerate(
            (
                ("proof", "signed by Azure", "ours"),
                ("checkpoint", "of its disks", "ours"),
                ("patches", "and a reboot", "plain"),
                ("evidence", "before and after", "plain"),
                ("verdict", "no exit code", "ours"),
            )
        )
    ]
    for before, after in pairwise(steps):
        made.arrow(before.right, after.left)
    kept = made.box(Box(792, 200, 140, 38), Outcome.PATCHED.value, kind="good", round_=19)
    back = made.box(Box(792, 258, 140, 38), Outcome.ROLLED_BACK.value, kind="over", round_=19)
    made.arrow(steps[-1].right, (776, 246), (776, 219), kept.left)
    made.arrow((776, 246), (776, 277), back.left)
    made.arrow(node.bottom, (855, 168), (16, 168), (16, 246), steps[0].left)
    made.arrow(
        back.bottom,
        (back.bottom[0], 338),
        (241, 338),
        steps[1].bottom,
        label=("the VM runs on the disks of its checkpoint",),
        at=(553, 330),
    )
    return made
