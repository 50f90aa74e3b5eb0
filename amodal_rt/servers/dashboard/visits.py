"""One request of a browser, and how pages answer it."""

import hmac
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from aiohttp import web

from amodal_rt.domain.token import Scope
from amodal_rt.errors import DeniedError, InvalidError
from amodal_rt.guardrails.doors import origin_allowed
from amodal_rt.intake.headers import Headers
from amodal_rt.operations.address import Address
from amodal_rt.operations.run_pages import Wish, page_size
from amodal_rt.operations.sessions import Session
from amodal_rt.ports import Caller

LARGEST_FORM = 262_144
"""Bytes of a form; a payload is typed or pasted."""
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 16
TOKEN_FIELD = "form_token"  # noqa: S105  the name of a field

SAID: Mapping[str, str] = {
    "approved": "Approved. The run goes on.",
    "cancelled": "The run was cancelled.",
    "denied": "Denied. The run goes on where its graph leads then.",
    "paused": "Paused. Nothing of it starts until it is resumed.",
    "replayed": "Replayed as a new event.",
    "resumed": "Resumed.",
    "retried": "The message is due now.",
    "started": "Started. The journal grows as the run goes on.",
    "write_approved": "Approved. The write will be made; its journal says when.",
    "write_denied": "Denied. The write is not made.",
    "write_failed": "Approved, and not made. The last steps of the journal say why.",
    "write_made": "Approved, and made.",
}
"""What a page says of the change that led to it, by the word in its address: never a text that
came with the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request whose sender is known. `form` is empty for a look."""

    request: web.Request
    session: Session
    form: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def caller(self) -> Caller:
        """Who asks, as the audit trail keeps it."""
        return self.session.caller

    def part(self, name: str) -> str:
        """A part of the address that the route names."""
        return self.request.match_info[name]

    def asked(self, name: str) -> str | None:
        """A question's value, or None where it is not given or empty."""
        return self.request.query.get(name) or None

    def given(self, name: str) -> str | None:
        """A form's value, or None where it is not given or blank."""
        return self.form.get(name, "").strip() or None

    def wish(self, usual: int) -> Wish:
        """Which page of a list is asked for. Raises InvalidError (`bad_limit`)."""
        limit = self.asked("limit")
        return Wish(
            limit=page_size(limit) if limit else usual,
            before=self.asked("before"),
            after=self.asked("after"),
        )

    def back(self, after: str | None, *, more: bool) -> str | None:
        """The cursor to the page in front of this one, or None on the first."""
        return after if self.asked("before") or (self.asked("after") and more) else None


Form = Mapping[str, str]
"""The fields of a form, the first of each name."""
Answer = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one address, and what a session needs for it."""

    method: str
    path: str
    scope: Scope
    answer: Answer


def see(path: str, *, said: str | None = None) -> NoReturn:
    """Send the browser to another page of ours, as after every change."""
    raise web.HTTPSeeOther(f"{path}?said={said}" if said else path)


def quoted(text: str) -> str:
    """One part of an address."""
    return urllib.parse.quote(text, safe="")


def require_own_form(request: web.Request, address: Address) -> None:
    """Raise DeniedError (`bad_origin`) unless a page of ours sent the form.

    Browsers send `Sec-Fetch-Site` where the connection is trustworthy, and no page can change it.
    `Origin: null` is what our own pages send, since they tell nobody where they are
    (`Referrer-Policy`): then the form's own token alone decides.
    """
    headers = Headers(tuple(request.headers.items()))
    sites, origins = headers.all("sec-fetch-site"), headers.all("origin")
    known = [address.public, address.bound, address.admin, *_own(request)]
    fine = origins == ["null"] or (bool(origins) and origin_allowed(origins, known))
    if sites:
        fine = sites == ["same-origin"] and (fine or not origins)
    if not fine:
        raise DeniedError("this form was not sent by a page of ours", code="bad_origin")


def require_token(form: Mapping[str, str], expected: str | None) -> None:
    """Raise DeniedError (`form_stale`) unless the form holds the token that was given out."""
    shown = form.get(TOKEN_FIELD, "").encode("utf-8", "replace")
    if not expected or not hmac.compare_digest(shown, expected.encode()):
        raise DeniedError(
            "this form is out of date",
            code="form_stale",
            hint="go back, load the page again, and send it once more",
        )


def form_of(request: web.Request, content: bytes) -> dict[str, str]:
    """The fields of a form, the first of each name. Raises InvalidError (`bad_form`,
    `unsupported`)."""
    if request.content_type != _FORM:
        raise InvalidError("only forms are taken here", code="unsupported")
    try:
        pairs = urllib.parse.parse_qsl(
            content.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise InvalidError("the form cannot be read", code="bad_form") from None
    return dict(reversed(pairs))


def _own(request: web.Request) -> list[str]:
    # Its name is one of ours, or the request would have gone no further.
    return [f"{scheme}://{request.host}" for scheme in ("http", "https")]
