"""The page behind a link in a message: one parked write, and two buttons.

Looking changes nothing: whoever previews links decides nothing. What decides is a form of that
page.
"""

from collections.abc import Coroutine

from aiohttp import web

from amodal_rt.clock import Clock
from amodal_rt.errors import InvalidError, NotFoundError
from amodal_rt.operations.decision_links import DecisionLinks
from amodal_rt.operations.shapes import Document
from amodal_rt.servers.dashboard.signing import Signing
from amodal_rt.servers.dashboard.tries import Tries
from amodal_rt.servers.dashboard.visits import Form

DECIDE = "/approvals/{id}/{token}"
_ANSWERS = {"approve": True, "deny": False}


class Deciding:
    """Shows what waits, and takes the answer; needs no session, the link is the proof."""

    def __init__(self, links: DecisionLinks, signing: Signing, *, clock: Clock) -> None:
        self._links = links
        self._signing = signing
        self._tries = Tries(clock)

    async def look(self, request: web.Request) -> web.StreamResponse:
        """The exact call, or what became of it."""
        found = await self._known(request, self._links.show(*_parts(request)))
        return await self._page(request, found)

    async def answer(self, request: web.Request, form: Form) -> web.StreamResponse:
        """Yes or no."""
        said = form.get("answer", "")
        if said not in _ANSWERS:
            raise InvalidError("the answer is approve or deny", code="bad_answer")
        note = form.get("note", "").strip()[:1000] or None
        decided = self._links.decide(*_parts(request), approved=_ANSWERS[said], note=note)
        return await self._page(request, await self._known(request, decided))

    async def _known(
        self, request: web.Request, asked: Coroutine[object, object, Document]
    ) -> Document:
        address = request.remote or ""
        try:
            self._tries.require_room(address)
        except BaseException:
            asked.close()
            raise
        try:
            return await asked
        except NotFoundError:
            self._tries.failed(address)
            raise

    async def _page(self, request: web.Request, found: Document) -> web.Response:
        return await self._signing.page(
            request, "decide.html", {"found": found, "path": request.path}, title="Decide"
        )


def _parts(request: web.Request) -> tuple[str, str]:
    return request.match_info["id"], request.match_info["token"]
