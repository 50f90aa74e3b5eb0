"""One folder of `connections/` → a connection."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from amodal_rt.definitions.access import AccessShape, access_of
from amodal_rt.definitions.accounts import Account
from amodal_rt.definitions.document import Document, Loc, in_file_order
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import (
    EnvText,
    FileShape,
    Filled,
    HeaderName,
    PlainText,
    PlainUrl,
    SchemaKey,
    Url,
    described,
    text_or_secret,
)
from amodal_rt.definitions.source import SourceError, decode, read_json
from amodal_rt.definitions.targets import Complain
from amodal_rt.definitions.words import snake
from amodal_rt.domain.connection import (
    AuthType,
    Connection,
    ConnectionAuth,
    McpServer,
    Protocol,
)
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.secret import PREFIX, SecretRef, Text

_SECRET_NAME = re.compile(r"authorization|token|secret|password|api[-_]?key|cookie", re.IGNORECASE)


class AuthShape(FileShape):
    """How requests prove themselves."""

    type: Annotated[
        Literal["bearer", "header", "basic", "query", "none"],
        described("In which part of a request the proof stands."),
    ]
    token: Annotated[
        EnvText | None, described("`env:NAME` of the token; of `basic`, as `user:password`.")
    ] = None
    header: Annotated[
        HeaderName | None, described("The header that carries it; default `Authorization`.")
    ] = None
    prefix: Annotated[
        str | None, described("The word before the token; default `Bearer` for `bearer`.")
    ] = None
    username: Annotated[EnvText | None, described("Of `basic`: the user.")] = None
    password: Annotated[EnvText | None, described("Of `basic`: `env:NAME` of the password.")] = None
    parameter: Annotated[
        Filled | None, described("Of `query`: the parameter's name; `header` is read too.")
    ] = None


class SpecShape(FileShape):
    """`spec.json`."""

    schema_: SchemaKey = None
    protocol: Annotated[
        Literal["rest", "mcp", "runtime"],
        described("`rest` and `mcp` reach a server; `runtime` is this runtime, read-only."),
    ]
    description: Annotated[str | None, described("What it is, for people and agents.")] = None
    base_url: Annotated[Url | None, described("Of `rest`: what every endpoint begins with.")] = None
    auth: Annotated[AuthShape | None, described("Of `rest`: how requests prove themselves.")] = None
    headers: Annotated[
        dict[HeaderName, EnvText],
        Field(default_factory=dict[str, str], description="Headers of every request."),
    ]
    test_path: Annotated[
        Annotated[str, Field(pattern="^/")] | None,
        described("Of `rest`: a harmless GET for `test`."),
    ] = None
    spec_url: Annotated[PlainUrl | None, described("Where its API description is published.")] = (
        None
    )
    transport: Annotated[
        Literal["stdio", "http"] | None,
        described("Of `mcp`: a program on this machine, or a server; default by `command`."),
    ] = None
    command: Annotated[Filled | None, described("Of `mcp` over stdio: the program.")] = None
    args: Annotated[
        list[PlainText],
        Field(default_factory=list[str], description="Of `command`: its arguments."),
    ]
    env: Annotated[
        dict[str, EnvText],
        Field(default_factory=dict[str, str], description="Of `command`: its environment."),
    ]
    url: Annotated[Url | None, described("Of `mcp` over http: the server.")] = None
    trust_annotations: Annotated[
        bool, described("Of `mcp`: believe the server's own word on which tools only read.")
    ] = False
    external: Annotated[
        bool,
        described(
            "Whether strangers may have written what it returns, which taints a run that reads it."
        ),
    ] = True
    account: Annotated[
        Account | None,
        described(
            "Who it acts as at the other end, as `github:acme-bot`: events that this account "
            "causes start nothing."
        ),
    ] = None


Result = tuple[Connection | None, tuple[Problem, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    """What stands in one folder of `connections/`."""

    name: str
    spec: Document
    access: Document | None
    surface: str | None
    rules: str | None

    def document(self, spec: object) -> str:
        """All of it as one JSON text, with `spec` in the place of its own."""
        value = {
            "spec": spec,
            "access": self.access.value if self.access else {},
            "surface": self.surface,
            "rules": self.rules,
        }
        return json.dumps(value, sort_keys=True, ensure_ascii=False)


def parse_connection(name: str, files: Mapping[str, bytes]) -> Result:
    """Read `spec.json` and what stands beside it; `files` is keyed by the bare file name.

    A token written into the file is a warning, and stands in no `document`.
    """
    folder = f"connections/{name}"
    if "spec.json" not in files:
        message, hint = "a connection needs spec.json", 'for example {"protocol": "runtime"}'
        return None, (Problem(file=folder, code="missing_file", message=message, hint=hint),)
    try:
        spec = read_json(files["spec.json"], f"{folder}/spec.json")
        raw = files.get("access.json")
        access = read_json(raw, f"{folder}/access.json") if raw is not None else None
        surface, rules = (_prose(files, folder, each) for each in ("surface.md", "rules.md"))
    except SourceError as error:
        return None, (error.problem,)
    shape, problems = judge(spec, SpecShape)
    rule_shape, rule_problems = (
        judge(access, AccessShape) if access else (AccessShape(endpoints={}, tools={}), ())
    )
    if shape is None or rule_shape is None:
        return None, (*problems, *rule_problems)
    found = _contradictions(spec, shape)
    if found:
        return None, in_file_order(found)
    read = _Folder(name=name, spec=spec, access=access, surface=surface, rules=rules)
    return _connection(read, shape, rule_shape), tuple(_literal_secrets(spec, shape))


def _prose(files: Mapping[str, bytes], folder: str, name: str) -> str | None:
    raw = files.get(name)
    return decode(raw, f"{folder}/{name}").strip() if raw and raw.strip() else None


_NEEDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "bearer": (("token",),),
    "header": (("token",),),
    "basic": (("token", "username"),),
    "query": (("token",), ("parameter", "header")),
    "none": (),
}
_USES: Mapping[str, frozenset[str]] = {
    "bearer": frozenset({"token", "header", "prefix"}),
    "header": frozenset({"token", "header", "prefix"}),
    "basic": frozenset({"token", "header", "username", "password"}),
    "query": frozenset({"token", "parameter", "header"}),
    "none": frozenset(),
}


def _contradictions(document: Document, shape: SpecShape) -> list[Problem]:
    found: list[Problem] = []

    def complain(code: str, message: str, loc: Loc = (), *, hint: str | None = None) -> None:
        found.append(document.problem(code, message, loc, hint=hint))

    if shape.protocol == "rest" and shape.base_url is None:
        hint = 'for example "baseUrl": "https://api.example.com"'
        complain("missing_key", "a rest connection needs baseUrl", hint=hint)
    if shape.protocol == "mcp":
        _check_transport(shape, complain)
    _check_places(shape, complain)
    if shape.auth is not None:
        _check_auth(shape.auth, complain)
    return found


def _check_auth(auth: AuthShape, complain: Complain) -> None:
    for choices in _NEEDS[auth.type]:
        if all(getattr(auth, each) is None for each in choices):
            needed = " or ".join(choices)
            hint = f'for example "{choices[0]}": {_EXAMPLES[choices[0]]}'
            complain("missing_key", f"auth {auth.type} needs {needed}", ("auth",), hint=hint)
    for key in sorted(auth.model_fields_set - {"type"} - _USES[auth.type]):
        if getattr(auth, key) is not None:
            message = f"{key} has no effect with auth {auth.type}"
            complain("conflict", message, ("auth", key), hint=f"take {key} away")


_EXAMPLES = {"token": '"env:NAME"', "header": '"X-Api-Key"', "parameter": '"api_key"'}


def _check_transport(shape: SpecShape, complain: Complain) -> None:
    transport = shape.transport or ("stdio" if shape.command else "http")
    wanted, other = ("command", "url") if transport == "stdio" else ("url", "command")
    for key in ("headers",) if transport == "stdio" else ("args", "env"):
        if getattr(shape, key):
            message = f"{key} has no effect on an mcp connection over {transport}"
            complain("conflict", message, (key,), hint=f"take {key} away")
    if getattr(shape, other) is not None:
        message = f"{other} does not belong to an mcp connection over {transport}"
        complain("conflict", message, (other,), hint=f"take away {other}, or change transport")
    elif getattr(shape, wanted) is None:
        hint = 'for example "command": "npx"' if wanted == "command" else 'or a "command" for stdio'
        complain("missing_key", f"an mcp connection over {transport} needs {wanted}", hint=hint)


_PLACES = {
    "baseUrl": "rest",
    "auth": "rest",
    "testPath": "rest",
    "transport": "mcp",
    "command": "mcp",
    "args": "mcp",
    "env": "mcp",
    "url": "mcp",
    "trustAnnotations": "mcp",
}


def _check_places(shape: SpecShape, complain: Complain) -> None:
    if shape.protocol == "runtime" and shape.headers:
        complain("conflict", "headers have no effect here", ("headers",), hint="take them away")
    for key, protocol in _PLACES.items():
        if getattr(shape, snake(key)) and protocol != shape.protocol:
            message = f"{key} belongs to protocol {protocol}, and this is {shape.protocol}"
            complain("conflict", message, (key,), hint=f"take {key} away")


def _literal_secrets(document: Document, shape: SpecShape) -> Iterator[Problem]:
    for loc in _literals(shape):
        yield document.problem(
            "secret_in_file",
            f"{document.name(loc)} is a secret, which does not belong into a file",
            loc,
            hint='put it into .env and write "env:NAME"',
            severity="warning",
        )


def _literals(shape: SpecShape) -> Iterator[tuple[str, str]]:
    """Where a proof is written out: auth, and headers or variables that are named like one."""
    if shape.auth is not None:
        for key in ("token", "password"):
            value = getattr(shape.auth, key)
            if value is not None and not value.startswith(PREFIX):
                yield ("auth", key)
    for key, values in (("headers", shape.headers), ("env", shape.env)):
        for name, value in values.items():
            if _SECRET_NAME.search(name) and not value.startswith(PREFIX):
                yield (key, name)


def _without_secrets(document: Document, shape: SpecShape) -> dict[str, object]:
    """`spec.json` as agents and the ledger may see it."""
    copy = cast("dict[str, Any]", json.loads(json.dumps(document.value)))
    for group, name in _literals(shape):
        copy[group][name] = "[secret]"
    return copy


def _connection(read: _Folder, shape: SpecShape, access: AccessShape) -> Connection:
    whole = read.document(read.spec.value)
    return Connection(
        name=read.name,
        protocol=Protocol(shape.protocol),
        hash=hashlib.sha256(whole.encode()).hexdigest(),
        base_url=_text(shape.base_url),
        auth=_auth(shape.auth),
        headers=_texts(shape.headers),
        test_path=shape.test_path,
        spec_url=shape.spec_url,
        mcp=_mcp(shape),
        trust_annotations=shape.trust_annotations,
        external=shape.external,
        access=access_of(access),
        surface=read.surface,
        rules=read.rules,
        account=shape.account,
        secrets=tuple(sorted(_secrets(shape))),
        document=read.document(_without_secrets(read.spec, shape)),
    )


def _auth(shape: AuthShape | None) -> ConnectionAuth:
    if shape is None:
        return ConnectionAuth()
    default = "Bearer" if shape.type == "bearer" else ""
    return ConnectionAuth(
        type=AuthType(shape.type),
        token=_text(shape.token),
        header=shape.header or "Authorization",
        prefix=default if shape.prefix is None else shape.prefix,
        username=_text(shape.username),
        password=_text(shape.password),
        parameter=shape.parameter or (shape.header if shape.type == "query" else None),
    )


def _mcp(shape: SpecShape) -> McpServer | None:
    if shape.protocol != "mcp":
        return None
    return McpServer(
        command=shape.command,
        args=tuple(shape.args),
        env=_texts(shape.env),
        url=_text(shape.url),
        headers=_texts(shape.headers),
    )


def _text(value: str | None) -> Text | None:
    return text_or_secret(value) if value is not None else None


def _texts(values: Mapping[str, str]) -> dict[str, Text]:
    return {key: text_or_secret(value) for key, value in values.items()}


def _secrets(shape: SpecShape) -> set[str]:
    auth = shape.auth
    texts = [shape.base_url, shape.url, *shape.headers.values(), *shape.env.values()]
    if auth is not None:
        texts += [auth.token, auth.username, auth.password]
    found = (text_or_secret(each) for each in texts if each)
    return {each.name for each in found if isinstance(each, SecretRef)}
