"""Which parts of a call say where it goes, and whether a tainted run may aim there.

Aims of a write are its path, its parameters, its headers and the fields of its body that are no
content; of an MCP tool every argument that is no content. A read goes to the service that the
connection's file names: aims of it are addresses on the web, headers, and what another service has
said, which it would carry out. Small values (numbers, times, yes and no) carry no message and name
nobody, but where the field says that they do.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from amodal_rt.domain.connection import Access, AccessRule, Intent
from amodal_rt.domain.glob import fits
from amodal_rt.guardrails.calls import Call, RestCall, ToolCall
from amodal_rt.guardrails.taint import Taint
from amodal_rt.guardrails.trusted import Trusted, parts_of
from amodal_rt.guardrails.writes import endpoint_matches

MOST_VALUE = 200
"""Characters that a parameter may have in a tainted run, however well known its words are."""

_CONTENT = frozenset({
    "body", "comment", "content", "contents", "data", "description", "details", "html", "markdown",
    "message", "messages", "note", "notes", "reason", "subject", "summary", "text", "title",
    "blocks", "caption", "answer", "reply", "review", "result", "label", "labels", "tag", "tags",
    "category", "priority", "status", "state", "color", "format", "language", "currency", "emoji",
    "timezone", "location",
})  # fmt: skip
_WEB = frozenset({
    "url", "urls", "uri", "link", "links", "href", "host", "hostname", "domain", "website", "site",
    "webhook", "callback", "endpoint", "origin", "server",
})  # fmt: skip
_NAMING = frozenset({
    "id", "ids", "key", "number", "no", "account", "phone", "iban", "to", "recipient", "channel",
    "user", "pin", "card",
})  # fmt: skip
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SMALL = re.compile(
    r"(?i:true|false|null|asc|desc)|-?[0-9]{1,6}(?:\.[0-9]{1,4})?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]{5,15}(?:Z|[+-][0-9:]{4,6})?)?"
)
_LONG_WORD = re.compile(r"[^\s,;:(){}\[\]\"'<>=&|]{5,}")
"""What is shorter gives nothing away that could not be guessed."""
_ID = re.compile(
    r"[0-9]{1,20}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-f]{7,64}"
    r"|[A-Za-z]{0,5}[-_]?[0-9]{1,20}"
)
_URL = re.compile(
    r"\s*(?:[a-z][a-z0-9+.-]*://|//|mailto:|www\.|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,24}[:/?#])",
    re.IGNORECASE,
)
_NAME = re.compile(r"[\w.+#-]{1,200}")
_MAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_PLAIN_HEADERS = frozenset({"accept", "accept-language", "content-type", "prefer", "if-none-match"})
_HEADER_VALUE = re.compile(r"[A-Za-z0-9 */;=.,+\"_-]{0,100}")


@dataclass(frozen=True, slots=True)
class Aim:
    """A value that a tainted run may not aim with: `field` names the place of it in the call."""

    field: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Against what a call of one connection is held. `fields` are values that the automation's
    own template puts into a field (`"channel": {{ payload.channel }}`), `None` standing for any;
    `composed`: a file composes the call, and no model."""

    trusted: Trusted
    taint: Taint
    connection: str
    access: Access
    fields: frozenset[tuple[str | None, str]] = frozenset()
    composed: bool = False

    def names(self, field: str | None, value: str) -> bool:
        """Whether the files say the value, as a whole or each of several that it lists."""
        if self.trusted.says(value) or self._printed(field, value):
            return True
        listed = [each.strip() for each in re.split(r"[,;<>]", value) if each.strip()]
        return len(listed) > 1 and all(
            self.trusted.says(each) or self._printed(field, each) for each in listed
        )

    def gave(self, value: str) -> bool:
        """Whether the value may go back to this connection."""
        return self.composed or self.taint.gave(value, connection=self.connection)

    def betrays(self, word: str) -> bool:
        """Whether the word was read elsewhere, and would be told to this connection."""
        return not self.names(None, word) and self.taint.tells_another(
            word, connection=self.connection
        )

    def _printed(self, field: str | None, value: str) -> bool:
        return (field, value) in self.fields or (None, value) in self.fields


def find_aim(call: Call, arguments: object, intent: Intent, known: Known) -> Aim | None:
    """The first value by which a tainted run may not make this call; None when it may.

    `arguments` are those of an MCP tool; those of a request stand in `call`.
    """
    if isinstance(call, ToolCall):
        reach = _reach_of_tool(call.tool, known.access)
        return _in_fields(arguments, intent, known, reach)
    reach = _reach_of_path(call, known.access)
    if intent is not Intent.WRITE:
        return _in_read(call, known, reach) or _in_headers(call.headers, known)
    return (
        _in_path(call, known)
        or _in_params(call.params, known, reach)
        or _in_headers(call.headers, known)
        or _in_fields(_body_of(call.data), intent, known, reach)
    )


def reaches(glob: str, value: str) -> bool:
    """Whether a line of `reach` covers the value: `*@acme.example` a mail address,
    `*.acme.example` or `https://acme.example/*` addresses on the web, anything else a name."""
    if "@" in glob:
        return _MAIL.fullmatch(value) is not None and fits(glob.lower(), value.lower())
    if not _URL.match(value):
        return value == glob or (_NAME.fullmatch(value) is not None and fits(glob, value))
    if any(each.isspace() or each == "\\" for each in value):
        return False
    parts = urlsplit(value if "://" in value else f"https://{value}")
    if parts.username is not None or parts.password is not None or not parts.hostname:
        return False
    if "://" not in glob:
        return fits(glob.lower(), parts.hostname)
    wanted = urlsplit(glob)
    return (
        wanted.scheme.lower() == parts.scheme.lower()
        and fits(wanted.netloc.lower(), parts.netloc.lower())
        and fits(wanted.path or "/", parts.path or "/")
        and "/.." not in parts.path
        and (not parts.query or wanted.path.endswith("*"))
    )


def _in_read(call: RestCall, known: Known, reach: tuple[str, ...]) -> Aim | None:
    """A read may ask its own service for anything, but for what another has said."""
    fields = [("the path", each) for each in parts_of(call.path)]
    fields += [(f"the parameter {name[:40]}", _text(value)) for name, value in call.params]
    fields += [("a parameter's name", name) for name, _ in call.params]
    fields += [(f"the field {name}", _text(value)) for name, value in _leaves(call.data, "")]
    for field, text in fields:
        if known.composed or known.names(None, text) or any(reaches(each, text) for each in reach):
            continue
        long = len(text) > MOST_VALUE and field != "the path"
        if long or _URL.match(text) or any(map(known.betrays, _LONG_WORD.findall(text))):
            return Aim(field, text)
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _in_path(call: RestCall, known: Known) -> Aim | None:
    parts = parts_of(call.path)
    if not parts:
        return None
    ways = [_open_parts(rule, parts) for rule in known.access.endpoints if _covers(rule, call)]
    for shape in known.trusted.shapes(len(parts)):
        holes = shape.holes(parts)
        if holes is not None:
            ways.append(holes)
    if any(all(_fills(each, known) for each in holes) for holes in ways):
        return None
    return Aim("the path", call.path)


def _covers(rule: AccessRule, call: RestCall) -> bool:
    return endpoint_matches(rule.match, call.method, call.path, exact=True)


def _open_parts(rule: AccessRule, parts: tuple[str, ...]) -> tuple[str, ...]:
    """What stands at the placeholders of a rule that covers a path of these parts."""
    wanted = [each for each in rule.match.partition(" ")[2].split("/") if each]
    literal = {place for place, each in enumerate(wanted) if each not in {"*", "**"}}
    return tuple(
        part
        for place, part in enumerate(parts)
        if place not in literal or wanted[place].startswith("{")
    )


def _fills(value: str, known: Known) -> bool:
    """Whether a value may stand where a file has a placeholder for one part of a path."""
    if len(value) > 128:
        return False
    return known.trusted.says(value) or _SMALL.fullmatch(value) is not None or known.gave(value)


def _in_params(
    params: Sequence[tuple[str, object]], known: Known, reach: tuple[str, ...]
) -> Aim | None:
    for name, value in params:
        text = _text(value)
        if not re.fullmatch(r"[A-Za-z0-9_.\[\]-]{1,40}", name):
            return Aim("a parameter's name", name)
        if not (_param_known(name, text, known) or any(reaches(each, text) for each in reach)):
            return Aim(f"the parameter {name}", text)
    return None


def _param_known(name: str, text: str, known: Known) -> bool:
    if not text or _SMALL.fullmatch(text) or known.names(name, text):
        return True
    if known.composed:
        return True
    words = [word for word in re.split(r"[\s,:+]+", text) if word]
    if len(text) <= MOST_VALUE and all(
        _SMALL.fullmatch(word) or known.trusted.says(word) for word in words
    ):
        return True
    return _ID.fullmatch(text) is not None and known.gave(text)


def _in_headers(headers: Mapping[str, str], known: Known) -> Aim | None:
    for name, value in headers.items():
        usual = name.lower() in _PLAIN_HEADERS and _HEADER_VALUE.fullmatch(value)
        if not usual and not (known.trusted.says(name) and known.trusted.says(value)):
            return Aim(f"the header {name[:40]}", value)
    return None


def _in_fields(
    document: object, intent: Intent, known: Known, reach: tuple[str, ...]
) -> Aim | None:
    asks = _aims_when_writing if intent is Intent.WRITE else _aims_when_reading
    for field, value in _leaves(document, ""):
        text = _text(value)
        if not asks(field, value) or not text.strip():
            continue
        if known.names(field, text) or any(reaches(each, text) for each in reach):
            continue
        return Aim(f"the field {field}" if field else "an argument", text)
    return None


def _aims_when_reading(field: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    words = _words(field)
    return bool(_URL.match(value)) or (bool(words) and words[-1] in _WEB)


def _aims_when_writing(field: str, value: object) -> bool:
    words = _words(field)
    if value is None or isinstance(value, bool):
        return False
    if words and words[-1] in _CONTENT:
        return False
    small = not isinstance(value, str) or _SMALL.fullmatch(value.strip()) is not None
    return not small or bool(_NAMING.intersection(words))


def _words(field: str) -> list[str]:
    return [each.lower() for each in _WORD.findall(field)]


def _leaves(value: object, field: str) -> Iterator[tuple[str, object]]:
    """Every scalar with the key that it stands under, lists counting as their key, and the keys
    themselves of objects that a model made up."""
    if isinstance(value, Mapping):
        for key, each in cast("Mapping[str, object]", value).items():
            yield from _leaves(each, key)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _leaves(each, field)
    else:
        yield field, value


def _body_of(data: object) -> object:
    """A body as fields where it has any; plain text is content."""
    if not isinstance(data, str):
        return data
    try:
        parsed: object = json.loads(data)
    except (ValueError, RecursionError):
        pairs = parse_qsl(data) if "=" in data and "\n" not in data else []
        return [{name: value} for name, value in pairs] or {"text": data}
    return cast("object", parsed) if isinstance(parsed, dict | list) else {"text": data}


def _reach_of_path(call: RestCall, access: Access) -> tuple[str, ...]:
    return _gather(access.endpoints, lambda rule: _covers(rule, call))


def _reach_of_tool(tool: str, access: Access) -> tuple[str, ...]:
    return _gather(access.tools, lambda rule: fnmatchcase(tool, rule.match))


def _gather(rules: Sequence[AccessRule], applies: Callable[[AccessRule], bool]) -> tuple[str, ...]:
    return tuple(glob for rule in rules if applies(rule) for glob in rule.reach)
