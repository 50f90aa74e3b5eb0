"""From `webhookAuth`, or an integration's file, to how its senders prove themselves."""

import re
from collections.abc import Sequence
from typing import Literal

from amodal_rt.definitions.document import Loc
from amodal_rt.definitions.proof_file import (
    CustomShape,
    ProofShape,
    SignedTimeShape,
    WebhookAuthShape,
    WhereShape,
)
from amodal_rt.definitions.shapes import text_or_secret
from amodal_rt.definitions.targets import Complain
from amodal_rt.definitions.words import camel, nearest, shown, suggestion
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.domain.signing import (
    CustomScheme,
    Fields,
    Kind,
    Plain,
    Recipe,
    SignedTime,
    Where,
)
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth

_HEADER = "X-Signature-256"
_PLACES = {
    "{body}": "{body}",
    "{timestamp}": "{timestamp}",
    "{id}": "{id}",
    "{url}": "{url}",
    "{form_sorted}": "{form}",
}
_PIECES = re.compile(r"(\{[^{}]*\})")
_OF_SIGNATURES = ("algorithm", "encoding", "signed", "secret_encoding", "timestamp", "id_header")
"""Keys that mean nothing where the secret itself is sent."""


class Proofs:
    """Reads proofs; collects the variables that their secrets stand in."""

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self.secrets: set[str] = set()

    def auth(self, shape: WebhookAuthShape | None, loc: Loc) -> WebhookAuth | None:
        """The proof that senders must give; None after a complaint, or where none is asked."""
        return self.proof(shape, shape.type, loc, word="type") if shape else None

    def proof(self, shape: ProofShape, said: str, loc: Loc, *, word: str) -> WebhookAuth | None:
        """The proof by the scheme that `said`, the value of the key `word`, names."""
        known = [each.value for each in SignatureScheme]
        if said not in known:
            hint = suggestion(said, known) or f'there are {", ".join(known)}; or "custom"'
            message = f"{shown(said)} is no signature scheme"
            self._complain("unknown_scheme", message, (*loc, word), hint=hint)
            return None
        scheme = SignatureScheme(said)
        custom = None
        if scheme is SignatureScheme.CUSTOM:
            custom = self._custom(shape, loc)
        else:
            self._only_custom(shape, scheme, loc)
        return WebhookAuth(
            scheme=scheme,
            secrets=self._secrets(shape.secret, loc),
            header=None if custom else shape.header,
            dedupe_header=shape.dedupe_header,
            custom=custom,
        )

    def _secrets(self, given: Sequence[str], loc: Loc) -> tuple[Text, ...]:
        secrets = tuple(text_or_secret(each) for each in given)
        for place, secret in enumerate(secrets):
            if isinstance(secret, SecretRef):
                self.secrets.add(secret.name)
            else:
                self._complain(
                    "secret_in_file",
                    "a secret does not belong into a file",
                    (*loc, "secret", place),
                    hint='put it into .env and write "env:NAME"',
                )
        return secrets

    def _only_custom(self, shape: ProofShape, scheme: SignatureScheme, loc: Loc) -> None:
        """Complain of what only a scheme without preset has to say."""
        if scheme is not SignatureScheme.HMAC_SHA256 and shape.header is not None:
            message = f"the preset {scheme} knows its header"
            hint = 'take it away, or use "hmac-sha256" or "custom"'
            self._complain("conflict", message, (*loc, "header"), hint=hint)
        for name in CustomShape.model_fields:
            if getattr(shape, name) is not None:
                message = f"{camel(name)} belongs to the scheme custom, and this is {scheme}"
                hint = f'take {camel(name)} away, or use "custom"'
                self._complain("conflict", message, (*loc, camel(name)), hint=hint)

    def _custom(self, shape: ProofShape, loc: Loc) -> CustomScheme:
        kind = Kind(shape.scheme or "hmac")
        for name in _OF_SIGNATURES if kind is Kind.TOKEN else ():
            if getattr(shape, name) is not None:
                message = f"{camel(name)} belongs to signatures, and a token signs nothing"
                self._complain("conflict", message, (*loc, camel(name)), hint="take it away")
        if kind is Kind.ED25519 and shape.algorithm is not None:
            message = "algorithm belongs to hmac: ed25519 has its own"
            self._complain("conflict", message, (*loc, "algorithm"), hint="take it away")
        if kind is not Kind.HMAC and shape.header is None:
            message = f"the scheme {kind} needs the header that carries its proof"
            self._complain("missing_key", message, loc, hint='for example "header": "X-Token"')
        time = self._time(shape, loc)
        recipe = Recipe(
            header=(shape.header or _HEADER).lower(),
            kind=kind,
            algorithm=shape.algorithm or "sha256",
            spelled=self._spelled(shape, loc),
            encodings=(shape.encoding or "hex",),
            signed=self._signed(shape, time, loc) if kind is not Kind.TOKEN else ("{body}",),
            spelling=shape.secret_encoding or ("hex" if kind is Kind.ED25519 else "utf8"),
            time=time,
            id_header=shape.id_header.lower() if shape.id_header else None,
        )
        return CustomScheme(
            recipe=recipe, dedup=self._dedup(shape, loc), event_type=self._type(shape, loc)
        )

    def _spelled(self, shape: ProofShape, loc: Loc) -> Plain | Fields:
        if shape.key is None:
            if shape.separator is not None:
                message = "separator stands between the fields that key names"
                self._complain("conflict", message, (*loc, "separator"), hint='add "key": "v1"')
            return Plain(prefix=shape.prefix or "")
        if shape.prefix is not None:
            message = "prefix and key are two ways to find the signature"
            self._complain("conflict", message, (*loc, "prefix"), hint="keep one of them")
        part = shape.timestamp.part if shape.timestamp else None
        return Fields(key=shape.key, time=part, separator=shape.separator or ",")

    def _time(self, shape: ProofShape, loc: Loc) -> SignedTime | None:
        said = shape.timestamp
        if said is None:
            return None
        here = (*loc, "timestamp")
        if not self._one_of(said, ("header", "part", "body"), here):
            return None
        if said.part is not None and shape.key is None:
            message = "timestamp.part is a field of the signature header, which has none"
            self._complain("conflict", message, (*here, "part"), hint='add "key": "v1"')
        return SignedTime(
            header=said.header.lower() if said.header else None,
            body=self._path(said.body, (*here, "body")),
            unit=said.unit,
            tolerance_seconds=said.tolerance_seconds,
        )

    def _signed(self, shape: ProofShape, time: SignedTime | None, loc: Loc) -> tuple[str, ...]:
        text, here = shape.signed or "{body}", (*loc, "signed")
        pieces = [each for each in _PIECES.split(text) if each]
        for piece in pieces:
            if _PIECES.fullmatch(piece) and piece not in _PLACES:
                near = nearest(piece, _PLACES)
                hint = f'did you mean "{near}"?' if near else f"there are {', '.join(_PLACES)}"
                self._complain("bad_signed", f"signed: {shown(piece)} is unknown", here, hint=hint)
                return ("{body}",)
        wrong: str | None = None
        hint = ""
        if not {"{body}", "{form_sorted}"} & set(pieces):
            wrong, hint = "signed does not cover the body, so anybody can change it", "add {body}"
        elif "{timestamp}" in pieces and shape.timestamp is None:
            wrong, hint = "signed names {timestamp}, which stands nowhere", "add timestamp"
        elif time and not time.body and "{timestamp}" not in pieces:
            wrong, hint = "the timestamp is not signed, so a replay can renew it", "add {timestamp}"
        elif ("{id}" in pieces) != (shape.id_header is not None):
            wrong, hint = "{id} and idHeader belong together", "give both, or neither"
        if wrong:
            self._complain("bad_signed", wrong, here, hint=hint)
        return tuple(_PLACES.get(each, each) for each in pieces)

    def _dedup(self, shape: ProofShape, loc: Loc) -> Where | Literal["digest"] | None:
        said = shape.dedup
        if said is None:
            return None
        if shape.dedupe_header is not None:
            message = "dedup and dedupeHeader are two ways of one thing"
            self._complain("conflict", message, (*loc, "dedup"), hint="keep one of them")
        self._one_of(said, ("header", "body", "digest"), (*loc, "dedup"))
        return "digest" if said.digest else self._where(said, (*loc, "dedup"))

    def _type(self, shape: ProofShape, loc: Loc) -> Where | None:
        if shape.event_type is None:
            return None
        self._one_of(shape.event_type, ("header", "body"), (*loc, "eventType"))
        return self._where(shape.event_type, (*loc, "eventType"))

    def _where(self, shape: WhereShape, loc: Loc) -> Where:
        header = shape.header.lower() if shape.header else None
        return Where(header=header, body=self._path(shape.body, (*loc, "body")))

    def _one_of(self, shape: WhereShape | SignedTimeShape, keys: Sequence[str], loc: Loc) -> bool:
        given = [key for key in keys if getattr(shape, key) is not None]
        if len(given) != 1:
            message = f"{camel(str(loc[-1]))} has exactly one of {', '.join(keys)}"
            hint = f"it has {' and '.join(given)}" if given else f"as in {{{keys[0]!r}: …}}"
            self._complain("one_of", message, loc, hint=hint.replace("'", '"'))
        return len(given) == 1

    def _path(self, text: str | None, loc: Loc) -> tuple[str, ...]:
        keys = tuple(text.split(".")) if text else ()
        if not all(keys):
            hint = 'keys joined by dots, as in "event.id"'
            self._complain("bad_path", f"{shown(text)} is no path", loc, hint=hint)
        return keys
