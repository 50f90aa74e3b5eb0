"""Secrets taken out of every text that leaves: prompts, journal, logs, errors, answers."""

import base64
import html
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from amodal_rt.domain.models import BASE_URLS, KEYS
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.settings import Environment

REPLACEMENT = "[secret]"
SHORTEST = 4
"""Shorter values are not masked: they would take words out of ordinary text."""
_SECRET_PART = 16
"""So long is what makes a URL secret."""
_LONG, _LONGEST_KEPT, _MOST_KEPT = 2_000, 100_000, 8


class Redactor:
    """Masks known secret values, in every spelling that they are likely to appear in.

    Each value of at least four characters is masked as it is and as base64 (standard and
    URL-safe, at any offset), hexadecimal, percent-encoded, HTML- and (up to twice) JSON-escaped
    text; of a value of several lines each long line counts too, of a URL its password, its path
    with the query, and each long part of these.

    `secrets` is asked at each call, so that a changed `.env` counts at once; it should be
    cheap and return values in a stable order. `replace` sets the values instead.
    """

    def __init__(self, secrets: Callable[[], Iterable[str]] = tuple) -> None:
        self._secrets = secrets
        self._known: tuple[str, ...] = ()
        self._forms: tuple[str, ...] = ()
        self._clean: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def replace(self, values: Iterable[str]) -> None:
        """Mask exactly these values from now on."""
        kept = tuple(values)
        self._secrets = lambda: kept

    def mask(self, text: str) -> str:
        """`text` with `[secret]` for each secret."""
        forms = self._current()
        if self._clean[0] is forms and text in self._clean[1]:
            return text
        for form in forms:
            if form in text:
                text = text.replace(form, REPLACEMENT)
        if _LONG <= len(text) <= _LONGEST_KEPT:
            # It passes several masks on its way to a model and to the journal.
            before = self._clean[1][1 - _MOST_KEPT :] if self._clean[0] is forms else ()
            self._clean = (forms, (*before, text))
        return text

    def mask_document(self, document: object) -> object:
        """The same JSON document with every text masked, keys and numbers included."""
        if not self._current():
            return document
        return self._masked(document)

    def _masked(self, value: object) -> object:
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, Mapping):
            pairs = cast("Mapping[object, object]", value)
            return {self.mask(str(key)): self._masked(each) for key, each in pairs.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            return [self._masked(each) for each in cast("Sequence[object]", value)]
        if isinstance(value, int | float) and not isinstance(value, bool):
            text = str(value)
            return value if self.mask(text) == text else REPLACEMENT
        return value

    def _current(self) -> tuple[str, ...]:
        values = tuple(self._secrets())
        if values != self._known:
            forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
            # Longest first: a short form would leave the rest of a longer one standing.
            self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
            self._known = values
        return self._forms


def secret_values(snapshot: Snapshot, environment: Environment) -> tuple[str, ...]:
    """The values of every variable that the workspace's files may use, and of the usual model
    keys; in a stable order, without repeats."""
    names: dict[str, None] = {}
    for state in snapshot.automations.values():
        if state.definition:
            names |= dict.fromkeys(state.definition.secrets)
    for each in (*snapshot.connections.values(), *snapshot.integrations.values()):
        names |= dict.fromkeys(each.secrets)
    for provider in snapshot.settings.providers.values():
        names |= _variables(provider.api_key, provider.base_url)
    for profile in snapshot.profiles:
        names |= dict.fromkeys(profile.secrets)
    alerts = snapshot.settings.alerts
    names |= _variables(alerts.heartbeat_url, snapshot.settings.database)
    for target in (*snapshot.settings.targets.values(), *alerts.targets):
        names |= _variables(target.url, target.secret)
    for keys in KEYS.values():
        names |= dict.fromkeys(keys)
    public = set(BASE_URLS.values())
    values = (environment.find(name) for name in names if name not in public)
    return tuple(dict.fromkeys(value for value in values if value))


def _variables(*texts: Text | None) -> dict[str, None]:
    return {text.name: None for text in texts if isinstance(text, SecretRef)}


def _forms(secret: str) -> set[str]:
    pieces = {secret, secret.strip()}
    pieces |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= 16}
    pieces |= set(_url_parts(secret))
    forms: set[str] = set()
    for piece in pieces:
        if len(piece) >= SHORTEST:
            forms |= _spellings(piece)
    return {form for form in forms if len(form) >= SHORTEST}


def _spellings(text: str) -> set[str]:
    raw = text.encode("utf-8", "surrogatepass")
    escaped = {json.dumps(text, ensure_ascii=narrow)[1:-1] for narrow in (True, False)}
    # Answers that are documents hold texts that are documents.
    escaped |= {json.dumps(each)[1:-1] for each in escaped}
    percent = {quote(raw, safe=safe) for safe in ("", "/")} | {quote_plus(raw)}
    spelled = {text, *escaped, *percent, html.escape(text), raw.hex(), raw.hex().upper()}
    spelled |= {_lower_percent(each) for each in percent}
    return spelled | _base64(raw)


def _lower_percent(text: str) -> str:
    """`%2F` as `%2f`: both are in use."""
    parts = text.split("%")
    return parts[0] + "".join("%" + part[:2].lower() + part[2:] for part in parts[1:])


def _base64(raw: bytes) -> set[str]:
    """What base64 of any text that contains `raw` must contain.

    The characters at either end also depend on the neighbours, so they are left out; a
    short middle would match by chance.
    """
    found = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    found |= {each.rstrip("=") for each in found}
    for offset in range(3):
        padded = bytes(offset) + raw
        start, end = (0, 2, 3)[offset], len(padded) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            middle = encode(padded).decode()[start:end]
            if len(middle) >= 8:
                found.add(middle)
    return found


def _url_parts(secret: str) -> tuple[str, ...]:
    if "://" not in secret:
        return ()
    try:
        parts = urlsplit(secret)
    except ValueError:
        return ()
    # As it is written in the URL of a database, and as its server is told it.
    texts = [parts.password, unquote(parts.password)] if parts.password else []
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    if secret.startswith(("http://", "https://")):
        # A webhook URL's path is what makes it secret, and its last part alone; `/v1` is not.
        said = [path, *parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
        texts += [each for each in said if len(each) >= _SECRET_PART]
    return tuple(texts)
