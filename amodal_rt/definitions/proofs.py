"""From `webhookAuth`, or an integration's file, to how its senders prove themselves."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import urlsplit

from amodal_rt.definitions.document import Loc, name_of
from amodal_rt.definitions.proof_file import (
    PUBLIC_KEY,
    SHARED_KEY,
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
    SIGNS_NOTHING,
    CustomScheme,
    Fields,
    Kind,
    Plain,
    QueryChallenge,
    Recipe,
    SignedTime,
    Spelling,
    TokenClaims,
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
"""Keys that mean nothing where the secret itself is sent, or a token that says for itself."""
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_OF_LISTS = ("prefix", "key", "separator")
_OF_ALGORITHMS = ("algorithm", "secret_encoding")
_HAS_HEADER = frozenset({Kind.HMAC, Kind.BASIC, Kind.JWT})
"""Kinds whose header needs no saying."""
_SPELLED: Mapping[Kind, Spelling] = {Kind.ED25519: "hex", Kind.ECDSA_P256: "spki", Kind.JWT: "pem"}


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
            secrets=() if _has_key_set(shape) else self._secrets(shape.secret, loc),
            header=None if custom else shape.header,
            dedupe_header=shape.dedupe_header,
            custom=custom,
        )

    def _secrets(self, given: Sequence[str] | None, loc: Loc) -> tuple[Text, ...]:
        if given is None:
            written = (camel(each) if isinstance(each, str) else each for each in loc)
            message = f"{name_of((*written, 'secret'))} is missing"
            self._complain("missing_key", message, loc, hint='for example "secret": "env:NAME"')
        return tuple(
            self._secret(each, (*loc, "secret", place)) for place, each in enumerate(given or ())
        )

    def _secret(self, given: str, loc: Loc) -> Text:
        secret = text_or_secret(given)
        if isinstance(secret, SecretRef):
            self.secrets.add(secret.name)
        else:
            self._complain(
                "secret_in_file", "a secret does not belong into a file", loc,
                hint='put it into .env and write "env:NAME"',
            )  # fmt: skip
        return secret

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
        self._check_keys(shape, kind, loc)
        if kind not in _HAS_HEADER and shape.header is None:
            message = f"the scheme {kind} needs the header that carries its proof"
            self._complain("missing_key", message, loc, hint='for example "header": "X-Token"')
        time = self._time(shape, loc)
        default = "base64" if kind in (Kind.BASIC, Kind.ECDSA_P256) else "hex"
        claims = self._claims(shape, kind, loc)
        shared = claims is not None and claims.algorithms[0] in SHARED_KEY
        recipe = Recipe(
            header=(shape.header or (_HEADER if kind is Kind.HMAC else "Authorization")).lower(),
            kind=kind,
            algorithm=shape.algorithm or "sha256",
            spelled=self._spelled(shape, loc),
            encodings=(shape.encoding or default,),
            signed=self._signed(shape, time, loc) if kind not in SIGNS_NOTHING else ("{body}",),
            spelling=shape.secret_encoding or ("utf8" if shared else _SPELLED.get(kind, "utf8")),
            time=time,
            id_header=shape.id_header.lower() if shape.id_header else None,
            claims=claims,
        )
        return CustomScheme(
            recipe=recipe,
            dedup=self._dedup(shape, loc),
            event_type=self._type(shape, loc),
            challenge=self._challenge(shape, loc),
        )

    def _check_keys(self, shape: ProofShape, kind: Kind, loc: Loc) -> None:
        """Complain of what means nothing to a kind of proof."""
        useless: Sequence[str] = ()
        message = ""
        if kind in SIGNS_NOTHING:
            useless = _OF_SIGNATURES + (() if kind is Kind.TOKEN else _OF_LISTS)
            message = "belongs to signatures, and a token signs nothing"
        elif kind is Kind.ED25519:
            useless, message = ("algorithm",), "belongs to hmac: ed25519 has its own"
        elif kind is Kind.ECDSA_P256:
            useless, message = _OF_ALGORITHMS, f"belongs to hmac: {kind} has its own"
        if kind is not Kind.JWT:
            useless = (*useless, "jwt")
        for name in useless:
            if getattr(shape, name) is not None:
                said = "belongs to the scheme jwt" if name == "jwt" else message
                if kind is Kind.JWT and name == "secret_encoding" and _is_shared(shape):
                    continue
                where = (*loc, camel(name))
                self._complain("conflict", f"{camel(name)} {said}", where, hint="take it away")

    def _claims(self, shape: ProofShape, kind: Kind, loc: Loc) -> TokenClaims | None:
        if kind is not Kind.JWT:
            return None
        said, here = shape.jwt, (*loc, "jwt")
        if said is None:
            hint = 'for example "jwt": {"algorithms": ["RS256"], "audience": "…", "jwksUrl": "…"}'
            self._complain("missing_key", "the scheme jwt needs jwt", loc, hint=hint)
            return TokenClaims(algorithms=PUBLIC_KEY)
        shared = [each for each in said.algorithms if each in SHARED_KEY]
        wrong: tuple[str, str] | None = None
        if shared and len(shared) < len(said.algorithms):
            # A public key must never pass for a shared secret.
            wrong = f"{shared[0]} has another kind of key than the others", "keep one kind of them"
        elif shared and said.jwks_url:
            wrong = f"{shared[0]} has a shared secret, and a key set is public", "take one away"
        elif said.jwks_url and not _is_safe(said.jwks_url):
            wrong = "jwksUrl is not https: anybody on the way could say who signs", "use https://"
        elif said.jwks_url and shape.secret is not None:
            wrong = "secret and jwksUrl are two ways to have the key", "keep one of them"
        elif said.jwks_url and said.audience is None:
            hint = "add audience: what the sender was told that the token is for"
            wrong = "whoever has such a key set signs for others too", hint
        if wrong is not None:
            self._complain("conflict", wrong[0], here, hint=wrong[1])
        return TokenClaims(
            algorithms=tuple(said.algorithms),
            issuer=said.issuer,
            audience=said.audience,
            key_set=said.jwks_url,
            body_claim=said.body_claim,
        )

    def _challenge(self, shape: ProofShape, loc: Loc) -> QueryChallenge | None:
        said = shape.challenge
        if said is None:
            return None
        token = self._secret(said.token, (*loc, "challenge", "token"))
        return QueryChallenge(echo=said.echo, token_in=said.token_in, token=token)

    def _spelled(self, shape: ProofShape, loc: Loc) -> Plain | Fields:
        if shape.key is None:
            return Plain(prefix=shape.prefix or "", separator=shape.separator)
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


def _has_key_set(shape: ProofShape) -> bool:
    return shape.scheme == "jwt" and shape.jwt is not None and shape.jwt.jwks_url is not None


def _is_shared(shape: ProofShape) -> bool:
    return shape.jwt is not None and shape.jwt.algorithms[0] in SHARED_KEY


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme.lower() == "https" or parts.hostname in _THIS_MACHINE
