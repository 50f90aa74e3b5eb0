"""One folder of `connections/` → a connection."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import EnvText, FileShape, Filled, Url, complaint, text_or_secret
from amodal_rt.definitions.source import Document, SourceError, decode, read_json
from amodal_rt.domain.connection import (
    Access,
    AccessRule,
    AuthType,
    Confirm,
    Connection,
    ConnectionAuth,
    Intent,
    McpServer,
    Protocol,
)
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.secret import SecretRef, Text

_KNOWN = ("spec.json", "access.json", "surface.md", "rules.md")
_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "*")


class AuthShape(FileShape):
    """How requests prove themselves."""

    type: Literal["bearer", "header", "basic", "query", "none"]
    token: EnvText | None = None
    header: Filled | None = None
    prefix: str | None = None
    username: EnvText | None = None
    password: EnvText | None = None
    parameter: Filled | None = None


class SpecShape(FileShape):
    """`spec.json`."""

    schema_: Annotated[str | None, Field(validation_alias="$schema")] = None
    protocol: Literal["rest", "mcp", "runtime"]
    description: str | None = None
    base_url: Url | None = None
    auth: AuthShape | None = None
    headers: dict[str, EnvText] = Field(default_factory=dict[str, str])
    test_path: Annotated[str | None, Field(pattern="^/")] = None
    spec_url: Url | None = None
    transport: Literal["stdio", "http"] | None = None
    command: Filled | None = None
    args: list[str] = Field(default_factory=list[str])
    env: dict[str, EnvText] = Field(default_factory=dict[str, str])
    url: Url | None = None
    trust_annotations: bool = False


def _confirm(value: object) -> object:
    return "approve" if value is True else None if value is False else value


class RuleShape(FileShape):
    """What `access.json` says of one endpoint or tool."""

    intent: Literal["read", "write"] | None = None
    confirm: Annotated[Literal["approve", "review", "never"] | None, BeforeValidator(_confirm)] = (
        None
    )
    reason: str | None = None


def _endpoint(value: str) -> str:
    method, _, path = value.partition(" ")
    if method.upper() not in _METHODS or not path.startswith("/"):
        raise complaint("bad_endpoint", f"{value!r} is not METHOD /path", 'as in "POST /search"')
    return value


class AccessShape(FileShape):
    """`access.json`."""

    schema_: Annotated[str | None, Field(validation_alias="$schema")] = None
    endpoints: dict[Annotated[str, AfterValidator(_endpoint)], RuleShape] = Field(
        default_factory=dict[str, RuleShape]
    )
    tools: dict[str, RuleShape] = Field(default_factory=dict[str, RuleShape])


Result = tuple[Connection | None, tuple[Problem, ...]]


def parse_connection(name: str, files: Mapping[str, bytes]) -> Result:
    """Read `spec.json` and what stands beside it; `files` is keyed by the bare file name."""
    folder = f"connections/{name}"
    if "spec.json" not in files:
        message = "a connection needs spec.json"
        return None, (Problem(file=folder, code="missing_file", message=message),)
    try:
        spec = read_json(files["spec.json"], f"{folder}/spec.json")
        access_file = files.get("access.json")
        access = (
            read_json(access_file, f"{folder}/access.json") if access_file is not None else None
        )
        surface, rules = (_prose(files, folder, each) for each in ("surface.md", "rules.md"))
    except SourceError as error:
        return None, (error.problem,)
    shape, problems = judge(spec, SpecShape)
    rule_shape, rule_problems = judge(access, AccessShape) if access else (AccessShape(), ())
    if shape is None or rule_shape is None:
        return None, (*problems, *rule_problems)
    found = _contradictions(spec, shape)
    if found:
        return None, tuple(found)
    document = json.dumps(
        {
            "spec": spec.value,
            "access": access.value if access else {},
            "surface": surface,
            "rules": rules,
        },
        sort_keys=True,
        ensure_ascii=False,
    )
    return _connection(name, shape, rule_shape, surface, rules, document), ()


def _prose(files: Mapping[str, bytes], folder: str, name: str) -> str | None:
    raw = files.get(name)
    return decode(raw, f"{folder}/{name}").strip() if raw and raw.strip() else None


_NEEDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "bearer": (("token",),),
    "header": (("token",), ("header",)),
    "basic": (("token", "username"),),
    "query": (("token",), ("parameter",)),
    "none": (),
}


def _contradictions(document: Document, shape: SpecShape) -> list[Problem]:
    found: list[Problem] = []

    def complain(code: str, message: str, *loc: str | int, hint: str | None = None) -> None:
        found.append(document.problem(code, message, loc, hint=hint))

    if shape.protocol == "rest" and shape.base_url is None:
        complain("missing_key", "a rest connection needs baseUrl")
    if shape.protocol == "mcp":
        transport = shape.transport or ("stdio" if shape.command else "http")
        needed = "command" if transport == "stdio" else "url"
        if (shape.command if transport == "stdio" else shape.url) is None:
            complain("missing_key", f"an mcp connection over {transport} needs {needed}")
        if shape.command is not None and shape.url is not None:
            complain("conflict", "command and url are two ways of one thing", "url")
    _misplaced(shape, complain)
    auth = shape.auth
    for choices in _NEEDS[auth.type] if auth else ():
        if all(getattr(auth, each) is None for each in choices):
            complain(
                "missing_key",
                f"auth {auth.type if auth else ''} needs {' or '.join(choices)}",
                "auth",
            )
    return found


def _misplaced(shape: SpecShape, complain: object) -> None:
    groups = {
        "rest": (("baseUrl", shape.base_url), ("auth", shape.auth), ("testPath", shape.test_path)),
        "mcp": (("command", shape.command), ("url", shape.url), ("transport", shape.transport)),
    }
    for protocol, keys in groups.items():
        for key, value in keys:
            if value is not None and protocol != shape.protocol:
                complain(  # pyright: ignore[reportCallIssue]
                    "conflict", f"{key} belongs to protocol {protocol}, not {shape.protocol}", key
                )


def _connection(
    name: str,
    shape: SpecShape,
    access: AccessShape,
    surface: str | None,
    rules: str | None,
    document: str,
) -> Connection:
    return Connection(
        name=name,
        protocol=Protocol(shape.protocol),
        hash=hashlib.sha256(document.encode()).hexdigest(),
        base_url=_text(shape.base_url),
        auth=_auth(shape.auth),
        headers=_texts(shape.headers),
        test_path=shape.test_path,
        spec_url=shape.spec_url,
        mcp=_mcp(shape),
        trust_annotations=shape.trust_annotations,
        access=Access(endpoints=_rules(access.endpoints), tools=_rules(access.tools)),
        surface=surface,
        rules=rules,
        secrets=tuple(sorted(_secrets(shape))),
        document=document,
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
        parameter=shape.parameter,
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


def _rules(shapes: Mapping[str, RuleShape]) -> tuple[AccessRule, ...]:
    return tuple(
        AccessRule(
            match=match,
            intent=Intent(each.intent) if each.intent else None,
            confirm=Confirm(each.confirm) if each.confirm else None,
            reason=each.reason,
        )
        for match, each in shapes.items()
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
