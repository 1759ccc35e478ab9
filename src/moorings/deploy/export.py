"""A folder from which anybody deploys by hand: templates, zips, runbook, scripts for the plain AWS CLI, console steps.

The same sources give the same bytes. What lies in the folder needs neither Moorings nor Python.
"""

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import moorings
from moorings.deploy import enrolment, patching, rights, runbooks, templates
from moorings.deploy.artifacts import Artifact, key_of
from moorings.deploy.halves import Half
from moorings.deploy.package import DEFAULT_PLATFORM, FunctionPlatform, Package, build, build_layer
from moorings.deploy.stacks import LARGEST_TEMPLATE
from moorings.deploy.steps import Notice, Progress, Step, quiet
from moorings.errors import Misconfigured, Refused

CHECKSUMS = "SHA256SUMS"
README = "README.txt"
SCRIPTS = ("deploy.sh", "remove.sh")
_SHARED = "common.sh"  # what both of them read
_AZURE_ROLE = "patching/azure-role.json"
_POLICY, _OPERATOR_POLICY = "deployer-policy.json", "patching/operator-policy.json"
_EXECUTABLE = 0o755
_COMMANDS = {
    "enrolment": (
        "    ./deploy.sh enrolment AllowNetworkProof=yes VpcIdForApiGateway=vpc-... \\\n"
        "      SubnetsForVpcEndpoint=subnet-...,subnet-... AllowedIPRange=10.0.0.0/8\n"
        "    ./deploy.sh enrolment AllowNetworkProof=yes VpcEndpointForApiGateway=vpce-..."
    ),
    "patching": "    ./deploy.sh patching AllowedScopes=/subscriptions/ID/resourceGroups/NAME",
}
_STEPS = {
    "enrolment": (
        "   - enrolment/endpoint.yaml, as moorings-enrolment-endpoint, unless the VPC has an execute-api\n"
        "     endpoint; then enrolment/stack.yaml, as moorings-enrolment, with the endpoint's id and the bucket's name."
    ),
    "patching": (
        "   - patching/stack.yaml, as moorings-patching, with the Azure scopes, and the bucket's name twice (layer\n"
        "     and code). patching/azure-role.json is the custom role that the application needs in Azure."
    ),
}
_ANCHORED = "Trust anchors, by which a VM proves which one it is, are in the layer."
_NOT_ANCHORED = (
    "TRUST ANCHORS ARE MISSING in this folder: no VM can prove which one it is, so every run would end UNCHANGED.\n"
    "Whoever exports it says `moorings anchors update` before."
)
_EXPAND = ", and (patching)\n   that macros are expanded: the stack includes the runbook from the bucket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A written folder."""

    directory: Path
    files: tuple[str, ...]  # paths in it, sorted
    size: int  # bytes
    anchors: bool  # whether the layer holds trust anchors


@dataclass(slots=True, kw_only=True)
class _Folder:
    platform: FunctionPlatform
    on_progress: Progress
    contents: dict[str, bytes] = field(default_factory=dict)  # path in the folder → content
    names: dict[str, str] = field(default_factory=dict)  # what the scripts call it → file name
    keys: dict[str, str] = field(default_factory=dict)  # parameter of a half's stack → key in the bucket

    def add(self, half: Half, artifact: Artifact, *, called: str) -> None:
        self.contents[f"{half.value}/{artifact.file_name}"] = artifact.content
        self.names[called] = artifact.file_name

    def told(self, package: Package) -> Package:
        if package.notice:
            self.on_progress(Notice(package.notice))
        return package


def export(
    directory: Path,
    *,
    halves: tuple[Half, ...] = tuple(Half),
    anchors: Path | None = None,
    platform: FunctionPlatform = DEFAULT_PLATFORM,
    on_progress: Progress = quiet,
) -> Exported:
    """Write the folder; `anchors` is bundled into patching's layer as `anchors.anchor_files` reads it.

    Refused if the directory holds anything; Misconfigured as `package.build` and `package.build_layer` raise it, and if
    it cannot be written. Everything is built before anything is written, and what cannot be written whole is taken away
    again.
    """
    _require_empty(directory)
    folder = _Folder(platform=platform, on_progress=on_progress)
    if Half.ENROLMENT in halves:
        _add_enrolment(folder)
    if Half.PATCHING in halves:
        _add_patching(folder, anchors)
    _add_policies(folder, halves)
    _add_words(folder, halves, anchored=anchors is not None)
    on_progress(Step(f"writing {directory}"))
    try:
        _write(directory, folder.contents)
    except OSError as error:
        raise _unwritable(directory, error) from error
    return Exported(
        directory=directory,
        files=tuple(sorted(folder.contents)),
        size=sum(map(len, folder.contents.values())),
        anchors=Half.PATCHING in halves and anchors is not None,
    )


def _words(name: str) -> str:
    return (Path(__file__).parent / "by_hand" / name).read_text(encoding="utf-8")


def _require_empty(directory: Path) -> None:
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            what = "is not empty" if directory.is_dir() else "is a file"
            raise Refused(f"{directory} {what}", remedy="name a directory that is empty or does not exist yet")
    except OSError as error:
        raise _unwritable(directory, error) from error


def _unwritable(directory: Path, error: OSError) -> Misconfigured:
    return Misconfigured(f"{directory} cannot be written: {error.strerror}", remedy="name another directory")


def _add_enrolment(folder: _Folder) -> None:
    folder.on_progress(Step("packaging enrolment's functions"))
    package = folder.told(build("enrolment", platform=folder.platform))
    folder.add(Half.ENROLMENT, package, called="ENROLMENT_ZIP")
    key = key_of(package, stack=enrolment.DEFAULT_STACK)
    _add_template(folder, templates.ENDPOINT, {})
    _add_stack(folder, Half.ENROLMENT, templates.STACK, {"ArtifactKey": key})


def _add_patching(folder: _Folder, anchors: Path | None) -> None:
    folder.on_progress(Step(f"packaging patching's functions and layer for {folder.platform}"))
    package = folder.told(build(patching.FUNCTIONS, platform=folder.platform))
    layer = build_layer(patching.LAYER, platform=folder.platform, anchors=anchors)
    runbook = runbooks.rendered()
    folder.add(Half.PATCHING, package, called="PATCHING_ZIP")
    folder.add(Half.PATCHING, layer, called="LAYER_ZIP")
    folder.add(Half.PATCHING, runbook, called="RUNBOOK")
    stack = patching.DEFAULT_STACK
    keys = {
        "ArtifactKey": key_of(package, stack=stack),
        "LambdaLayerS3Key": key_of(layer, stack=stack),
        "RunbookKey": key_of(runbook, stack=stack),
    }
    _add_stack(folder, Half.PATCHING, templates.PATCHING, keys)
    folder.contents[_AZURE_ROLE] = (Path(moorings.__file__).parent / _AZURE_ROLE).read_bytes()


def _add_policies(folder: _Folder, halves: tuple[Half, ...]) -> None:
    """What people have to be allowed, in any account and Region: to deploy, half by half, and to run patches."""
    chosen = [rights.Part(half.value) for half in halves]
    for part in (rights.Part.SHARED, *chosen):
        made = rights.document(part, rights.Place(), parts=chosen)
        path = _POLICY if part is rights.Part.SHARED else f"{part.value}/{_POLICY}"
        folder.contents[path] = rights.text_of(made).encode()
    if Half.PATCHING in halves:
        made = rights.document(rights.Part.OPERATOR, rights.Place())
        folder.contents[_OPERATOR_POLICY] = rights.text_of(made).encode()


def _add_stack(folder: _Folder, half: Half, name: str, keys: Mapping[str, str]) -> None:
    _add_template(folder, name, {**keys, "Architecture": folder.platform.machine})
    folder.keys |= {f"{half.value}: {parameter}": key for parameter, key in keys.items()}


def _add_template(folder: _Folder, name: str, defaults: Mapping[str, str]) -> None:
    content = templates.with_defaults(templates.read(name), defaults).encode()
    if len(content) > LARGEST_TEMPLATE:
        raise Misconfigured(f"{name} exceeds {LARGEST_TEMPLATE:,} bytes", remedy="shorten it")
    folder.contents[name] = content


def _add_words(folder: _Folder, halves: tuple[Half, ...], *, anchored: bool) -> None:
    """Scripts, README and checksums, with the names of what lies in the folder."""
    chosen = [half.value for half in Half if half in halves]
    missing = dict.fromkeys(("ENROLMENT_ZIP", "PATCHING_ZIP", "LAYER_ZIP", "RUNBOOK"), "missing")
    values = {
        **missing,
        **folder.names,
        "ARCHITECTURE": folder.platform.machine,
        "PLATFORM": str(folder.platform),
        "VERSION": version("moorings"),
        "COMMANDS": "\n".join(_COMMANDS[half] for half in chosen),
        "STEPS": "\n".join(_STEPS[half] for half in chosen),
        "REMOVALS": "\n".join(f"    ./remove.sh {half}" for half in chosen),
        "KEYS": "\n".join(f"   {parameter}\n       {key}" for parameter, key in folder.keys.items()),
        "NEXT": "\n\n".join(_words(f"next-{half}.txt").rstrip() for half in chosen),
        "ANCHORS": _ANCHORED if anchored else _NOT_ANCHORED,
        "EXPAND": _EXPAND if Half.PATCHING in halves else "",
    }
    for name in (*SCRIPTS, _SHARED, README):
        text = _words(name)
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        folder.contents[name] = text.encode()
    sums = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(folder.contents.items()))
    folder.contents[CHECKSUMS] = "".join(sums).encode()


def _write(directory: Path, contents: Mapping[str, bytes]) -> None:
    was_there = directory.exists()
    try:
        for name, content in contents.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if name in SCRIPTS:
                path.chmod(_EXECUTABLE)
    except BaseException:  # Ctrl-C as well: half a folder would be taken for a whole one, and be in the way next time
        _take_away(directory, contents, itself=not was_there)
        raise


def _take_away(directory: Path, contents: Mapping[str, bytes], *, itself: bool) -> None:
    """As far as it can be done: the reason why something could not be written is what has to be told."""
    for name in {name.partition("/")[0] for name in contents}:
        if (path := directory / name).is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
    if itself:
        with suppress(OSError):
            directory.rmdir()
