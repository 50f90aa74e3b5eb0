"""Receivers of messages, written out or by name."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from amodal_rt.definitions.delivery_file import TargetShape
from amodal_rt.definitions.document import Loc
from amodal_rt.definitions.shapes import text_or_secret
from amodal_rt.definitions.words import shown, suggestion
from amodal_rt.domain.delivery import Format, Target, TargetType
from amodal_rt.domain.secret import SecretRef, Text


class Complain(Protocol):
    """Adds an error at a place of the file."""

    def __call__(self, code: str, message: str, loc: Loc = (), *, hint: str | None = None) -> None:
        """Add it."""
        ...


class Targets:
    """Reads targets against the named ones of the settings; collects the variables they need."""

    def __init__(self, named: Mapping[str, Target], complain: Complain) -> None:
        self._named = named
        self._complain = complain
        self.secrets: set[str] = set()

    def receivers(self, shapes: Sequence[TargetShape], loc: Loc) -> tuple[Target, ...]:
        """Those of a list that are as they should be; complaints for the others."""
        found = (self.target(each, (*loc, place)) for place, each in enumerate(shapes))
        return tuple(each for each in found if each is not None)

    def target(self, shape: TargetShape, loc: Loc) -> Target | None:
        """The target, or None after a complaint."""
        if shape.ref is not None:
            return self._by_name(shape.ref, loc)
        if shape.type is None:
            hint = 'write "type": "webhook", or "callback"'
            self._complain("missing_key", "a target needs a type", loc, hint=hint)
            return None
        if shape.type == "callback":
            return self._callback(shape, loc)
        if shape.url is None:
            hint = 'write "url": "https://…", or "env:NAME"'
            self._complain("missing_key", "a webhook target needs a url", loc, hint=hint)
            return None
        if shape.name is not None:
            message = "name belongs to callback targets, and this is a webhook"
            self._complain("conflict", message, (*loc, "name"), hint="use label")
            return None
        url = text_or_secret(shape.url)
        secret = text_or_secret(shape.secret) if shape.secret else None
        if isinstance(secret, str):
            # A literal would be written into the ledger with the definition.
            self._complain(
                "secret_in_file",
                "a secret does not belong into a file",
                (*loc, "secret"),
                hint='put it into .env and write "env:NAME"',
            )
            return None
        target = Target(
            type=TargetType.WEBHOOK,
            label=shape.label or label_of(url),
            url=url,
            format=Format(shape.format),
            secret=secret,
        )
        return self._needing(target)

    def _callback(self, shape: TargetShape, loc: Loc) -> Target | None:
        for key, value in (("url", shape.url), ("secret", shape.secret)):
            if value is not None:
                self._complain(
                    "conflict",
                    f"{key} belongs to webhook targets, and this is a callback",
                    (*loc, key),
                    hint=f'take {key} away, or say "type": "webhook"',
                )
                return None
        label = shape.label or (f"callback {shape.name}" if shape.name else "callback")
        return Target(type=TargetType.CALLBACK, label=label, name=shape.name)

    def _by_name(self, name: str, loc: Loc) -> Target | None:
        target = self._named.get(name)
        if target is None:
            hint = suggestion(name, self._named) or 'add it under "targets" in amodal.json'
            self._complain("unknown_target", f"no target is called {shown(name)}", loc, hint=hint)
            return None
        return self._needing(target)

    def _needing(self, target: Target) -> Target:
        for each in (target.url, target.secret):
            if isinstance(each, SecretRef):
                self.secrets.add(each.name)
        return target


def label_of(url: Text) -> str:
    """The variable's name, or the host: a URL's path is often the secret itself."""
    return url.name if isinstance(url, SecretRef) else (urlsplit(url).hostname or "webhook")
