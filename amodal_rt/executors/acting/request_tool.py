"""`request`: one HTTP request over a connection, with the connection's own proof of identity."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from aiohttp import ClientError, ClientTimeout
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from yarl import URL

from amodal_rt.domain.connection import AuthType, Connection, Intent, Protocol
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.errors import DeniedError, InvalidError, UnavailableError
from amodal_rt.executors.acting.gate import Answer, CallKey, Wish, allowed
from amodal_rt.executors.acting.parking import Parking, surface_of
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.acting.tainting import check_aims
from amodal_rt.guardrails.calls import RestCall
from amodal_rt.guardrails.causes import HEADER
from amodal_rt.guardrails.egress import Egress, origin_of, read_limited, refusal
from amodal_rt.guardrails.endpoints import check_headers, check_method, parse_endpoint
from amodal_rt.guardrails.grants import REQUEST
from amodal_rt.guardrails.unreached import words_for
from amodal_rt.guardrails.writes import Verdict, decide
from amodal_rt.settings import Environment

SECONDS = 30.0
"""How long one request may take."""
BODY_BYTES = 1_048_576
"""How much of a response is read."""

_SHOWN_HEADERS = ("link", "location", "retry-after", "x-total-count", "x-next-page", "etag")

Scalar = str | int | float | bool | None
# Checked as written, shown to models in one word: every request pays for the schema.
Params = Annotated[dict[str, Scalar | list[Scalar]], WithJsonSchema({"type": "object"})]


class RequestArguments(BaseModel):
    """What a model says of a request."""

    model_config = ConfigDict(extra="forbid")

    connection: str = Field(description="the connection's name")
    method: str = Field(default="GET", description="GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE")
    endpoint: str = Field(description="path below the connection's base URL, such as /v1/items")
    params: Params | None = Field(default=None, description="query parameters; a list repeats one")
    data: dict[str, object] | list[object] | str | None = Field(
        default=None, description="JSON body, or text"
    )
    headers: dict[str, str] | None = Field(
        default=None, description="extra headers; authentication is added by itself"
    )
    intent: Literal["read", "write", "confirmed_write"] | None = Field(
        default=None, description="write for anything that changes data"
    )


def prepare_request(session: Session, given: RequestArguments) -> Wish:
    """Judge a request. Raises DeniedError for what may not even be asked."""
    connection = _requested(session, given.connection)
    method = check_method(given.method)
    if connection.spec_url and given.endpoint == connection.spec_url and method == "GET":
        return _specification(session, connection)
    call = checked_call(given, method, connection)
    decision = decide(call, connection, session.powers)
    if connection.protocol is Protocol.RUNTIME and (
        call.method not in {"GET", "HEAD"} or decision.intent is Intent.WRITE
    ):
        raise DeniedError(f"the connection {connection.name} only reads")

    if decision.verdict is not Verdict.DENY:
        check_aims(session, connection, call, decision.intent)
    parking = None
    if decision.intent is Intent.WRITE and decision.verdict is not Verdict.DENY:
        check_reach(session.services.egress, connection, call, session.context.environment)
        parking = parking_of(given, connection, call, session.context.environment)

    async def perform(key: CallKey) -> Answer:
        if connection.protocol is Protocol.RUNTIME:
            return await _ask_runtime(session, call)
        writing = key if decision.intent is Intent.WRITE else None
        return await send(
            session.services.egress,
            connection,
            call,
            session.context.environment,
            key=writing,
            marks=lambda url: session.services.causes.headers(url, session.cause),
        )

    return Wish(
        decision=decision,
        perform=perform,
        seconds=SECONDS,
        facts={
            "connection": connection.name,
            "request": call.label,
            "intent": decision.intent.value,
            "rule": decision.rule,
        },
        parking=parking,
    )


def parking_of(
    given: RequestArguments, connection: Connection, call: RestCall, environment: Environment
) -> Parking:
    """The request as it is kept for a person: as it was given, so that it is checked again."""
    return Parking(
        call=given.model_dump(exclude_none=True, exclude={"intent"}) | {"method": call.method},
        label=call.label,
        surface=surface_of(connection, environment),
    )


def check_reach(
    egress: Egress, connection: Connection, call: RestCall, environment: Environment
) -> None:
    """Raise DeniedError or InvalidError where the request could never leave."""
    url, base = _url(connection, call, environment)
    egress.permit(str(url), [base])


def _requested(session: Session, name: str) -> Connection:
    connection = find_connection(session, name)
    if connection.protocol is Protocol.MCP:
        raise DeniedError(f"{name} is an MCP connection", hint=f"use its tools {name}__…")
    if not session.grants.tool(name, REQUEST):
        raise DeniedError(
            f"requests over {name} are not among this automation's tools",
            hint=f'"{name}.{REQUEST}" in "tools" would allow them',
        )
    return connection


def checked_call(given: RequestArguments, method: str, connection: Connection) -> RestCall:
    """The request without tricks. Raises DeniedError."""
    endpoint = parse_endpoint(given.endpoint)
    headers = given.headers or {}
    check_headers(headers, _reserved(connection))
    params = (*endpoint.params, *_pairs(given.params))
    own = _parameter(connection)
    if own is not None and any(name == own for name, _ in params):
        raise DeniedError(f"the parameter {own} is set by the runtime alone")
    return RestCall(
        method=method,
        path=endpoint.path,
        params=params,
        headers=headers,
        data=given.data,
        stated=given.intent,
    )


def _specification(session: Session, connection: Connection) -> Wish:
    """The one absolute URL that may be asked for: the connection's own `specUrl`."""
    call = RestCall(method="GET", path=connection.spec_url or "")

    async def perform(_key: CallKey) -> Answer:
        return await send(session.services.egress, connection, call, session.context.environment)

    return Wish(
        decision=allowed("the connection's specUrl", "specUrl"),
        perform=perform,
        seconds=SECONDS,
        facts={"connection": connection.name, "request": "GET specUrl", "intent": "read"},
    )


def find_connection(session: Session, name: str) -> Connection:
    """A connection that the run may use. Raises DeniedError saying why there is none."""
    connection = session.connections.get(name)
    if connection is not None:
        return connection
    if name in session.unavailable:
        raise DeniedError(f"the connection {name} cannot be used: {session.unavailable[name]}")
    known = ", ".join(sorted(session.connections)) or "none"
    if name in session.context.snapshot.connections:
        raise DeniedError(
            f"the connection {name} is not among this automation's connections",
            hint=f"it may use: {known}",
        )
    # Cut after it is masked: half a secret would not be recognised.
    raise DeniedError(f"there is no connection {session.mask(name)[:60]!r}", hint=f"known: {known}")


async def send(
    egress: Egress,
    connection: Connection,
    call: RestCall,
    environment: Environment,
    *,
    key: CallKey | None = None,
    marks: Callable[[str], Mapping[str, str]] | None = None,
) -> Answer:
    """Send one judged request; secrets are looked up now and stand in no other place.

    `marks` are headers of ours for that URL, which tell this runtime what caused a request.

    Raises UnavailableError when there was no answer, DeniedError when the egress guard
    refused. A redirect is an answer like any other and is not followed.
    """
    url, allowed_base = _url(connection, call, environment)
    base = _resolve(connection.base_url, environment)
    specification = _is_specification(connection, call)
    egress.permit(str(url), [allowed_base])
    params = [(name, _text(value)) for name, value in call.params]
    headers = dict(call.headers)
    # A specification may lie on somebody else's server, who must not see our token.
    if not specification or origin_of(str(url)) == origin_of(base):
        headers |= {
            name: _resolve(value, environment) for name, value in connection.headers.items()
        }
        _authenticate(connection, environment, headers, params)
    if key is not None:
        headers["Idempotency-Key"] = key.idempotency_key
    if marks is not None:
        headers |= marks(str(url))
    body = _body(call.data, headers)
    asked = url.update_query(params) if params else url
    try:
        return await _exchange(egress, call.method, asked, headers, body)
    except (ClientError, OSError) as error:
        denied = refusal(error)
        if denied is not None:
            raise denied from None
        raise UnavailableError(
            f"no answer from {connection.name} ({words_for(error)})", code="no_answer"
        ) from None


def _is_specification(connection: Connection, call: RestCall) -> bool:
    return connection.spec_url is not None and call.path == connection.spec_url


def _url(connection: Connection, call: RestCall, environment: Environment) -> tuple[URL, str]:
    """Where the request goes, and below what it must stay. Raises InvalidError."""
    base = _resolve(connection.base_url, environment)
    if not base:
        raise InvalidError(f"the connection {connection.name} has no baseUrl")
    if _is_specification(connection, call):
        return URL(call.path), call.path
    return URL(base.rstrip("/") + call.path), base


async def _exchange(
    egress: Egress, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
) -> Answer:
    async with egress.session().request(
        method,
        url,
        headers=headers,
        data=body,
        allow_redirects=False,
        timeout=ClientTimeout(total=None, sock_connect=10),
    ) as response:
        raw, more = await read_limited(response, BODY_BYTES)
        shown = {
            name: response.headers[name] for name in _SHOWN_HEADERS if name in response.headers
        }
        text = _readable(raw, response.charset, more=more)
        return _answer(response.status, response.content_type, shown, text)


async def _ask_runtime(session: Session, call: RestCall) -> Answer:
    params = {name: _text(value) for name, value in call.params}
    status, document = await session.services.runtime_view.get(call.path, params)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)
    return _answer(status, "application/json", {}, text)


def _answer(status: int, kind: str, headers: Mapping[str, str], text: str) -> Answer:
    lines = [f"HTTP {status} {kind}"]
    if 300 <= status < 400:
        lines.append("(redirects are not followed)")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return Answer(text="\n".join(lines) + f"\n\n{text}", ok=status < 400, facts={"status": status})


def _reserved(connection: Connection) -> frozenset[str]:
    """Header names, lower case, that carry the connection's identity or are fixed by its file."""
    names = {name.lower().replace("_", "-") for name in connection.headers} | {HEADER.lower()}
    if connection.auth.type is not AuthType.NONE:
        names.add(connection.auth.header.lower().replace("_", "-"))
    return frozenset(names)


def _authenticate(
    connection: Connection,
    environment: Environment,
    headers: dict[str, str],
    params: list[tuple[str, str]],
) -> None:
    auth = connection.auth
    token = _resolve(auth.token, environment) if auth.token else ""
    if auth.type in {AuthType.BEARER, AuthType.HEADER}:
        headers[auth.header] = f"{auth.prefix} {token}".strip()
    elif auth.type is AuthType.QUERY:
        params.append((_parameter(connection) or "", token))
    elif auth.type is AuthType.BASIC:
        pair = token
        if auth.username is not None:
            name = _resolve(auth.username, environment)
            pair = f"{name}:{_resolve(auth.password, environment)}"
        headers[auth.header] = "Basic " + base64.b64encode(pair.encode()).decode()


def _parameter(connection: Connection) -> str | None:
    """The query parameter that carries the connection's identity, if one does."""
    auth = connection.auth
    return (auth.parameter or "token") if auth.type is AuthType.QUERY else None


def _resolve(text: Text | None, environment: Environment) -> str:
    if text is None:
        return ""
    return environment.get(text.name) if isinstance(text, SecretRef) else text


def _body(data: object, headers: dict[str, str]) -> bytes | None:
    if data is None:
        return None
    named = any(name.lower() == "content-type" for name in headers)
    if isinstance(data, str):
        if not named:
            json_like = data.lstrip().startswith(("{", "["))
            headers["Content-Type"] = "application/json" if json_like else "text/plain"
        return data.encode("utf-8", "replace")
    if not named:
        headers["Content-Type"] = "application/json"
    return json.dumps(data).encode()


def _readable(raw: bytes, charset: str | None, *, more: bool) -> str:
    if b"\0" in raw[:4096]:
        return f"(binary, {len(raw):,} bytes{' or more' if more else ''}, not shown)"
    try:
        text = raw.decode(charset or "utf-8", "replace")
    except LookupError:
        text = raw.decode("utf-8", "replace")
    return text + (f"\n(cut: more than {BODY_BYTES:,} bytes)" if more else "")


def _pairs(params: Mapping[str, Scalar | list[Scalar]] | None) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for name, value in (params or {}).items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, each) for each in values if each is not None]
    return pairs


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
