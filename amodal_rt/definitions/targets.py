"""Receivers of messages, written out or by name."""

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from amodal_rt.definitions.automation_file import TargetShape
from amodal_rt.definitions.shapes import suggestion, text_or_secret
from amodal_rt.definitions.source import Loc
from amodal_rt.domain.delivery import Target, TargetType
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

    def target(self, shape: TargetShape, loc: Loc) -> Target | None:
        """The target, or None after a complaint."""
        if shape.ref is not None:
            return self._by_name(shape.ref, loc)
        if shape.type is None:
            self._complain("missing_key", "a target needs a type", loc, hint="webhook or callback")
            return None
        if shape.type == "callback":
            return self._callback(shape, loc)
        if shape.url is None:
            self._complain("missing_key", "a webhook target needs a url", loc)
            return None
        if shape.name is not None:
            self._complain(
                "wrong_value", "name belongs to callback targets", (*loc, "name"), hint="use label"
            )
            return None
        url = text_or_secret(shape.url)
        secret = text_or_secret(shape.secret) if shape.secret else None
        target = Target(
            type=TargetType.WEBHOOK,
            label=shape.label or label_of(url),
            url=url,
            format=shape.format,
            secret=secret,
        )
        return self._needing(target)

    def _callback(self, shape: TargetShape, loc: Loc) -> Target | None:
        for key, value in (("url", shape.url), ("secret", shape.secret)):
            if value is not None:
                self._complain("wrong_value", f"{key} belongs to webhook targets", (*loc, key))
                return None
        label = shape.label or (f"callback {shape.name}" if shape.name else "callback")
        return Target(type=TargetType.CALLBACK, label=label, name=shape.name)

    def _by_name(self, name: str, loc: Loc) -> Target | None:
        target = self._named.get(name)
        if target is None:
            hint = suggestion(name, self._named) or 'add it under "targets" in amodal.json'
            self._complain("unknown_target", f"no target is called {name!r}", loc, hint=hint)
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
