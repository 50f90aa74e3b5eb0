"""The words of a result: its template printed, and safe to show where they are shown."""

from collections.abc import Callable, Iterable, Mapping

from amodal_rt.delivery.neutral import Neutral
from amodal_rt.delivery.payload import Result
from amodal_rt.domain.delivery import (
    Format,
    Target,
)
from amodal_rt.domain.outcome import (
    Origin,
)
from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.untrusted import plain_line


class Writer:
    """The words of one result: rendered once as they are, and once per kind of chat; `strange` are
    the hosts whose addresses came out as text alone."""

    def __init__(
        self,
        template: str | None,
        values: Mapping[str, object],
        result: Result,
        origin: Origin,
    ) -> None:
        self._template = template
        self._values = values
        self._result = result
        self._origin = origin
        self._texts: dict[Format, str] = {}
        self.strange: dict[str, None] = {}
        self._notes: tuple[str, ...] = ()
        self.message = self._render_noting()

    def text_for(self, target: Target) -> str:
        """`message`, else `result`, safe to show where `target` shows it."""
        if target.format not in self._texts:
            escape = Neutral(target.format, self._origin, self.strange)
            self._texts[target.format] = self._render(escape)
        return self._texts[target.format]

    @property
    def notes(self) -> tuple[str, ...]:
        """What its template missed, and whose addresses were shown as text, once all is written."""
        return (*self._notes, *_shown_only(self.strange))

    def _render_noting(self) -> str | None:
        if self._template is None:
            return None
        try:
            text, missing = _printed(self._template, self._values)
        except InvalidError as error:
            self._notes = (f"delivery.template: {error.message}; the result is sent instead",)
            return None
        self._notes = tuple(
            f"delivery.template: {name} is missing and prints empty" for name in missing[:20]
        )
        return text

    def _render(self, escape: Neutral) -> str:
        if self._template is None or self.message is None:
            return escape(self._result.text)
        try:
            return _printed(self._template, self._values, escape)[0]
        except InvalidError:
            # Escaping made it longer than a template may print.
            return escape(self.message)


def load_templates() -> None:
    """Load the template language now, so that no transaction has to wait for it."""
    _printed("", {})


def _printed(
    template: str, values: Mapping[str, object], escape: Callable[[str], str] = str
) -> tuple[str, tuple[str, ...]]:
    """What the template prints, and the names that it did not find. Raises InvalidError."""
    # Importing it is a tenth of the way to readiness, and many workspaces never use it.
    from amodal_rt.delivery.template import render

    rendered = render(template, values, escape=escape)
    return rendered.text, rendered.missing


def _shown_only(hosts: Iterable[str]) -> tuple[str, ...]:
    names = sorted(hosts)
    if not names:
        return ()
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    note = (
        f"delivery: addresses of {', '.join(names[:5])}{more} are shown as text: no file names "
        "these hosts. An address of theirs in the prompt or in a connection's file lets them link"
    )
    return (plain_line(note, 500),)
