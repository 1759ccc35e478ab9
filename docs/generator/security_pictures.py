"""The picture of the trust boundaries. Its numbers are those of the table below it in docs/security.md."""

from docs.generator.drawing import Box, Drawing


def boundaries() -> Drawing:
    """Who is on which side of a trust boundary, and what crosses it."""
    made = Drawing(
        960,
        610,
        "Trust boundaries",
        "Four places: servers, which nobody believes; your AWS account; Azure; people and computers that deploy and "
        "patch. Seven things cross: a server asks the private API; a node and Systems Manager exchange commands; the "
        "patching functions work in Azure; Azure signs a document that a node shows; people start runs; a computer "
        "deploys; publishers deliver packages and authorities.",
    )
    _places(made)
    server = made.box(Box(40, 86, 180, 70), "any server", ("root may be hostile",))
    node = made.box(Box(40, 282, 180, 76), "managed node", ("mi-…, on a VM",))
    api = made.box(Box(320, 86, 150, 70), "private API", ("rules by network",), kind="ours")
    enrolment = made.box(Box(490, 86, 150, 70), "enrolment", ("function, keeper",), kind="ours")
    ledger = made.box(Box(490, 194, 150, 54), "ledger, codes", kind="ours")
    ssm = made.box(Box(312, 282, 162, 76), "Systems Manager", ("commands are root's",))
    patching = made.box(Box(490, 282, 150, 76), "patching", ("function, keeper",), kind="ours")
    records = made.box(Box(490, 392, 150, 54), "guards, records", kind="ours")
    entra = made.box(Box(740, 86, 180, 60), "Entra", ("one application",))
    arm = made.box(Box(740, 194, 180, 76), "Resource Manager", ("VMs, disks, snapshots",))
    host = made.box(Box(740, 318, 180, 60), "the VM's host", ("metadata service",))
    people = made.box(Box(20, 526, 220, 62), "people, pipelines", ("start runs",))
    computer = made.box(Box(400, 526, 190, 62), "a computer", ("that deploys",))
    publisher = made.box(Box(740, 526, 180, 62), "publishers", ("packages, authorities",))

    made.arrow(server.right, api.left, label=("1",))
    made.arrow(api.right, enrolment.left)
    made.arrow(enrolment.bottom, ledger.top)
    made.arrow(server.bottom, node.top, label=("7: installs the", "signed agent"), at=(142, 226), anchor="start")
    made.arrow(node.right, ssm.left, label=("2",))
    made.arrow(ssm.right, patching.left)
    made.arrow(patching.bottom, records.top)
    made.arrow(patching.right, (690, 320), (690, 116), entra.left, label=("3",), at=(702, 176))
    made.arrow((690, 232), arm.left)
    made.arrow(
        host.bottom,
        (830, 490),
        (130, 490),
        node.bottom,
        label=("4: signs which VM it is, for this run",),
        at=(668, 482),
    )
    made.arrow(people.right, (345, 557), (345, 358), label=("5",), at=(292, 549))
    made.arrow((495, 526), (495, 466), label=("6",), at=(508, 512))
    made.arrow(publisher.left, computer.right, label=("7: authorities",))
    return made


def _places(made: Drawing) -> None:
    """The four places."""
    for box, name in (
        (Box(20, 46, 220, 336), "servers: not believed"),
        (Box(300, 46, 360, 420), "your AWS account"),
        (Box(720, 46, 220, 356), "Azure"),
    ):
        made.box(box, "", kind="group", round_=12)
        made.text((box.x + 12, box.y + 24), name, anchor="start", style="title")
