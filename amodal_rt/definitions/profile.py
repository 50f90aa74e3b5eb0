"""One file of `profiles/<name>/` → a version of a sandbox profile."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from amodal_rt.definitions.document import Document, in_file_order
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import (
    EnvText,
    FileShape,
    Filled,
    SchemaKey,
    Slug,
    Variable,
    complaint,
    described,
    text_or_secret,
)
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.definitions.trigger_file import written_out
from amodal_rt.definitions.words import shown
from amodal_rt.domain.automation import STEM
from amodal_rt.domain.connection import Intent
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.profile import Bounds, Isolation, Mount, NetworkHost, Profile
from amodal_rt.domain.secret import SecretRef

MIB = 1024 * 1024
_VERSION = re.compile(r"[1-9][0-9]{0,5}")
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_TAKEN = ("/", "/proc", "/dev", "/sys", "/tmp", "/etc/passwd", "/etc/group", "/etc/hosts")  # noqa: S108
_KERNELS = (("proc",), ("sys",), ("dev",))
DEFINITIONS = (
    "automations", "agents", "connections", "integrations", "knowledge", "stores", "workflows",
    "scripts", "profiles", "events", "amodal.json", "identities.json", ".env", ".git",
)  # fmt: skip
"""What of a workspace says what may run, and what git would make of it: no program writes it."""
_PROXY = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


def _target(value: str) -> str:
    path = PurePosixPath(value)
    plain = value.startswith("/") and str(path) == value and ".." not in path.parts
    if not plain or "\0" in value:
        raise complaint(
            "bad_mount", f"{shown(value)} is no plain absolute path", 'as in "/data", without ..'
        )
    if value in _TAKEN or value.startswith(("/proc/", "/dev/", "/sys/")):
        raise complaint("bad_mount", f"{shown(value)} is the sandbox's own")
    return value


def _source(value: str) -> str:
    path = PurePosixPath(value)
    if ".." in path.parts or "\0" in value or str(path) != value:
        hint = "a path below the workspace, or an absolute one, without .. and doubled slashes"
        raise complaint("bad_mount", f"{shown(value)} is no plain path", hint)
    if path.parts[:1] == (".amodal-rt",):
        raise complaint("bad_mount", "the state folder is not shown to programs")
    if path.parts[:1] == ("/",) and path.parts[1:2] in _KERNELS:
        raise complaint("bad_mount", f"{shown(value)} is the kernel's, and no folder of files")
    return value


def _host(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or value.endswith("]"):
        host, port = value, "443"
    bare = host.removeprefix("[").removesuffix("]")
    if host == "*" or _NAME.fullmatch(host) or _is_address(bare):
        if port.isascii() and port.isdecimal() and 0 < int(port) < 65_536:
            return value
        raise complaint("bad_host", f"{shown(value)} has no port between 1 and 65535")
    raise complaint(
        "bad_host",
        f"{shown(value)} names no host",
        'as in "api.github.com", "*.example.com:8443", "10.0.0.5:80"; lower case, no scheme',
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _as_host(value: object) -> object:
    return written_out(value, meaning="a host, with a port or without", long={"host": value})


class MountShape(FileShape):
    """A folder or file of the machine, seen inside."""

    source: Annotated[
        str,
        AfterValidator(_source),
        described("What is mounted: a path below the workspace, or an absolute one; no links."),
    ]
    target: Annotated[
        str, AfterValidator(_target), described("Where it is seen: an absolute path.")
    ]
    writable: Annotated[
        bool, described("Whether programs may change it; then what they do counts as a write.")
    ] = False


class NetworkHostShape(FileShape):
    """A host that may be reached; a text alone is its `host`."""

    host: Annotated[
        str,
        AfterValidator(_host),
        described(
            "`name`, `name:port` (default 443), an address, `*.name` for all below a name, `*`."
        ),
    ]
    intent: Annotated[
        Literal["read", "write"],
        described(
            "`read`: nothing that is sent there changes anything, so that a program that may "
            "reach nothing else makes no write."
        ),
    ] = "write"


NetworkHostField = Annotated[
    NetworkHostShape,
    BeforeValidator(_as_host),
]


class ProfileShape(FileShape):
    """A version of a sandbox profile. The file's name is the version: a whole number."""

    schema_: SchemaKey = None
    description: Annotated[str | None, described("What it is for, for people.")] = None
    isolation: Annotated[
        Literal["bubblewrap", "none"],
        described(
            "`bubblewrap`: namespaces of its own for files, processes, users and network. "
            "`none`: a child process of the daemon that sees what the daemon sees."
        ),
    ] = "bubblewrap"
    base: Annotated[
        Annotated[str, AfterValidator(_source)] | None,
        described(
            "The folder that its root is made of, read-only, as an unpacked image is; default "
            "the machine's own programs (`/usr`) without its data."
        ),
    ] = None
    mounts: Annotated[
        list[MountShape],
        Field(default_factory=list[MountShape], max_length=50, description="What else is seen."),
    ]
    environment: Annotated[
        dict[Variable, EnvText],
        Field(
            default_factory=dict[str, str],
            description="Its variables: a text, or `env:NAME`. No other variable is there.",
        ),
    ]
    network: Annotated[
        list[NetworkHostField],
        Field(
            default_factory=list[NetworkHostShape],
            max_length=200,
            description="Which hosts may be reached, through the runtime's proxy; default none.",
        ),
    ]
    memory_mb: Annotated[
        int, Field(ge=16, le=1_048_576, description="MiB of memory, files in `/tmp` included.")
    ] = 512
    cpus: Annotated[float, Field(ge=0.01, le=1_024, description="How many CPUs' time.")] = 1.0
    processes: Annotated[
        int, Field(ge=1, le=100_000, description="How many processes and threads at once.")
    ] = 128
    timeout_seconds: Annotated[
        int, Field(ge=1, le=86_400, description="How long one program may take.")
    ] = 300
    output_bytes: Annotated[
        int,
        Field(
            ge=1,
            le=67_108_864,
            description="How much it may print, on either output; one that prints more is ended.",
        ),
    ] = 1_048_576
    tools: Annotated[
        list[Literal["bash"]],
        WithJsonSchema({"type": "array", "items": {"enum": ["bash"]}}),
        Field(default_factory=list[Literal["bash"]], description="Tools that agents have in it."),
    ]
    agent: Annotated[
        Slug | None, described("Who works in it where an automation names no agent.")
    ] = None
    connections: Annotated[
        list[Filled] | None,
        described("Runs in it may use these connections at most; default no bound."),
    ] = None


def parse_profile(text: bytes, *, file: str) -> tuple[Profile | None, tuple[Problem, ...]]:
    """The version, or None with at least one error. `file` is `profiles/<name>/<version>.json`."""
    path = PurePosixPath(file)
    name, version = path.parent.name, path.stem
    if not STEM.fullmatch(name) or not _VERSION.fullmatch(version):
        hint = "profiles/<name>/<version>.json, the version a whole number from 1 on"
        message = f"{shown(f'{name}/{version}')} names no version of a profile"
        return None, (Problem(file=file, code="bad_name", message=message, hint=hint),)
    try:
        document = read_json(text, file)
    except SourceError as error:
        return None, (error.problem,)
    shape, problems = judge(document, ProfileShape)
    if shape is None:
        return None, problems
    wrong = in_file_order(tuple(_conflicts(document, shape)))
    if wrong:
        return None, wrong
    return _profile(document, shape, name, int(version)), ()


def reread_profile(document: str, *, file: str) -> Profile | None:
    """What `Profile.document` once came from; None where this release does not understand it."""
    return parse_profile(document.encode(), file=file)[0]


def _profile(document: Document, shape: ProfileShape, name: str, version: int) -> Profile:
    value = {key: each for key, each in document.value.items() if key != "$schema"}
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    environment = {key: text_or_secret(each) for key, each in shape.environment.items()}
    secrets = {each.name for each in environment.values() if isinstance(each, SecretRef)}
    return Profile(
        name=name,
        version=version,
        hash=hashlib.sha256(canonical.encode()).hexdigest(),
        document=canonical,
        file=document.file,
        isolation=Isolation(shape.isolation),
        base=shape.base,
        mounts=tuple(
            Mount(source=each.source, target=each.target, writable=each.writable)
            for each in shape.mounts
        ),
        environment=environment,
        network=tuple(_network(each) for each in shape.network),
        bounds=Bounds(
            memory=shape.memory_mb * MIB,
            cpus=shape.cpus,
            processes=shape.processes,
            timeout=timedelta(seconds=shape.timeout_seconds),
            output=shape.output_bytes,
        ),
        tools=tuple(dict.fromkeys(shape.tools)),
        agent=shape.agent,
        connections=None if shape.connections is None else tuple(shape.connections),
        secrets=tuple(sorted(secrets)),
    )


def _network(shape: NetworkHostShape) -> NetworkHost:
    host, colon, port = shape.host.rpartition(":")
    if not colon or shape.host.endswith("]") or _is_address(shape.host):
        host, port = shape.host, "443"
    bare = host.removeprefix("[").removesuffix("]").rstrip(".")
    if _is_address(bare):
        bare = ip_address(bare).compressed
    return NetworkHost(host=bare, port=int(port), intent=Intent(shape.intent))


def _conflicts(document: Document, shape: ProfileShape) -> Iterator[Problem]:
    if shape.isolation == "none":
        for key, given in (
            ("base", shape.base is not None),
            ("mounts", bool(shape.mounts)),
            ("network", bool(shape.network)),
        ):
            if given:
                message = f'{key} cannot be held where "isolation" is "none"'
                hint = "without isolation a program sees the machine and its whole network"
                yield document.problem("conflict", message, (key,), hint=hint)
    targets: set[str] = set()
    for index, mount in enumerate(shape.mounts):
        at = ("mounts", index)
        if mount.target in targets:
            message = f"mounts[{index}]: {shown(mount.target)} is mounted twice"
            yield document.problem("bad_mount", message, (*at, "target"))
        targets.add(mount.target)
        held = _holds_definitions(mount.source) if mount.writable else None
        if held is not None:
            message = f"mounts[{index}]: programs may not write {held}"
            hint = "a sandbox that writes definitions grants itself powers: mount a folder of data"
            yield document.problem("bad_mount", message, (*at, "source"), hint=hint)
    for key in shape.environment:
        if key.lower() in _PROXY:
            message = f"environment: {key} is the runtime's own"
            yield document.problem("conflict", message, ("environment", key))


def _holds_definitions(source: str) -> str | None:
    """Which definitions a writable mount of `source` would lay open."""
    if source.startswith("/"):
        return None
    first = PurePosixPath(source).parts[:1]
    if not first:
        return "the workspace itself"
    return f"{first[0]}, where definitions stand" if first[0] in DEFINITIONS else None
