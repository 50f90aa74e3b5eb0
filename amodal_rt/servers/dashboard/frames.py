"""What stands round every page: where one is, who one is, and what may be done."""

from collections.abc import Callable, Mapping

from aiohttp import web

from amodal_rt.domain.token import Scope
from amodal_rt.errors import AmodalError
from amodal_rt.operations.sessions import Session
from amodal_rt.servers.dashboard.pages import Pages
from amodal_rt.servers.dashboard.visits import SAID, TOKEN_FIELD, Visit


class Frames:
    """Makes answers of templates; `name` is what the workspace is called."""

    def __init__(self, pages: Pages, name: Callable[[], str]) -> None:
        self._pages = pages
        self._name = name

    async def page(
        self, visit: Visit, template: str, values: Mapping[str, object], *, title: str, current: str
    ) -> web.Response:
        """A page for who has a session; `current` is the part of the dashboard that it is in."""
        frame = {
            **self._frame(visit.session, title),
            "current": current,
            "said": SAID.get(visit.asked("said") or ""),
        }
        return await self._answer(template, {**frame, **values}, 200)

    async def open(
        self, template: str, values: Mapping[str, object], *, title: str, form_token: str
    ) -> web.Response:
        """A page for who has no session yet."""
        frame = {**self._frame(None, title), "form_token": form_token, "said": None}
        return await self._answer(template, {**frame, **values}, 200)

    async def problem(
        self, session: Session | None, error: AmodalError, *, status: int
    ) -> web.Response:
        """What is wrong, and what to do: no more than the error says itself."""
        values = {**self._frame(session, error.message), "said": None, "error": error}
        return await self._answer("problem.html", values, status)

    async def part(self, template: str, session: Session, values: Mapping[str, object]) -> str:
        """A piece of a page, for one that is open already."""
        return await self._pages.render(template, {**self._frame(session, ""), **values})

    def _frame(self, session: Session | None, title: str) -> dict[str, object]:
        return {
            "title": title,
            "workspace": self._name(),
            "current": "",
            "session": session,
            "token_field": TOKEN_FIELD,
            "form_token": session.form_token if session else "",
            "may_trigger": session is not None and session.allows(Scope.TRIGGER),
            "may_manage": session is not None and session.allows(Scope.MANAGE),
        }

    async def _answer(
        self, template: str, values: Mapping[str, object], status: int
    ) -> web.Response:
        text = await self._pages.render(template, values)
        return web.Response(status=status, text=text, content_type="text/html", charset="utf-8")
