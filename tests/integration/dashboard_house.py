"""The dashboard over a real daemon, and a browser without a screen in front of it."""

import asyncio
import html
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from api_house import ADA, ApiHouse, api_house
from daemon_child import automation, write

from amodal_rt.domain.delivery import DeliveryStatus

TOKEN = re.compile(r'name="form_token" value="([^"]*)"')
OWN = "same-origin"
HOSTILE = "<img src=x onerror=alert(1)>\"'</script>\u202e\x1b[31m{{7*7}}"
"""What a stranger would like a page to run, or to show otherwise than it is."""

ASKING = {
    "kind": "WorkflowGraph",
    "start_node": "ask",
    "nodes": [
        {
            "id": "ask",
            "kind": "approval",
            "message": "Delete {{ payload.what }}?",
            "on_true": "yes",
            "on_false": "no",
        },
        {"id": "yes", "kind": "transform", "value": "deleted"},
        {"id": "no", "kind": "transform", "value": "kept"},
    ],
}


@dataclass
class Page:
    """One answer."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def token(self) -> str:
        """The form token that stands in its forms."""
        found = TOKEN.search(self.text)
        assert found, self.text
        return found[1]

    @property
    def location(self) -> str:
        return self.headers["Location"]

    @property
    def words(self) -> str:
        """What a person reads of it."""
        text = re.sub(r"<(script|style|title)\b.*?</\1>", " ", self.text, flags=re.DOTALL)
        text = text.replace("<wbr>", "")
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


class Person:
    """Keeps cookies, and sends forms as a browser does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.jar = aiohttp.CookieJar(unsafe=True)
        self.session = aiohttp.ClientSession(cookie_jar=self.jar)

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Page:
        """One request, whatever it is, and its answer."""
        async with self.session.request(
            method,
            f"{self.url}{path}",
            data=body,
            headers=dict(headers or {}),
            allow_redirects=False,
        ) as answer:
            return Page(answer.status, await answer.text(), dict(answer.headers))

    async def see(self, path: str, **headers: str) -> Page:
        """A page that is there."""
        page = await self.ask("GET", path, headers=headers)
        assert page.status == 200, (page.status, page.words)
        return page

    async def send(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        token: str,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """A form of a page of ours."""
        body = urlencode({"form_token": token, **(fields or {})})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        own = {"Origin": "null", "Sec-Fetch-Site": OWN} if headers is None else headers
        return await self.ask("POST", path, body, {**kind, **own})

    async def form(self, page: str, path: str, fields: Mapping[str, str] | None = None) -> Page:
        """Open `page` and send one of its forms."""
        return await self.send(path, fields, token=(await self.see(page)).token)

    async def sign_in(self, secret: str) -> Page:
        return await self.form("/dashboard/sign-in", "/dashboard/sign-in", {"token": secret})

    async def close(self) -> None:
        await self.session.close()


class DashboardHouse:
    """People in front of one daemon."""

    def __init__(self, api: ApiHouse) -> None:
        self.api = api
        self.people: list[Person] = []
        self._count = 0

    def stranger(self) -> Person:
        person = Person(self.api.url)
        self.people.append(person)
        return person

    async def person(self, *scopes: str, name: str | None = None) -> Person:
        """Somebody who is signed in with a token of these scopes, `manage` by default."""
        self._count += 1
        secret = await self.api.secret(*(scopes or ("manage",)), name=name or f"p{self._count}")
        person = self.stranger()
        assert (await person.sign_in(secret)).status == 303
        return person

    async def local(self) -> Person:
        """Somebody who followed a link."""
        link = await self.api.house.sessions.make_link(ADA)
        path = str(link["url"]).removeprefix(self.api.url)
        person = self.stranger()
        assert (await person.form(path, path)).status == 303
        return person

    async def run(self, name: str, payload: object = None) -> str:
        """A run of that automation, once it has ended or waits."""
        made = await self.api.house.automations.trigger(ADA, name, payload=payload)
        run_id = str(made["run_id"])
        async for _ in self.api.house.pages.follow(run_id):
            run = await self.api.house.pages.get(ADA, run_id)
            if run.reason == "awaiting_approval":
                break
        return run_id

    async def dead_letter(self) -> str:
        """A message that died: nobody listens where it goes."""
        await self.run("telling")
        while True:
            rows = await self.api.house.deliveries.list_all(
                ADA, status=DeliveryStatus.DEAD, limit=1
            )
            if rows:
                return str(rows[0]["delivery_id"])
            await asyncio.sleep(0.01)

    async def audited(self, action: str) -> list[tuple[str, str, str]]:
        """Subject, actor and door of each such change."""
        return [each[1:] for each in await self.api.audited() if each[0] == action]


def workspace(root: Path) -> None:
    """One automation of each kind, and one that is broken."""
    automation(root, "digest", schedule="0 9 * * 1-5", timezone="Europe/Berlin", connections=[])
    automation(root, "often", schedule={"every": "1m"}, connections=[], status="draft")
    automation(root, "hook", trigger="webhook", connections=[])
    automation(root, "deployed", trigger="deploy.finished", connections=[])
    write(root, "automations/broken.json", '{\n "title": "Broken",\n "promt": "x"\n}')
    write(root, "workflows/asking.json", ASKING)
    write(root, "automations/asking.json", {"title": "Asking", "workflow": "asking"})
    telling = [{"id": "say", "kind": "transform", "value": "said"}]
    graph = {"kind": "WorkflowGraph", "start_node": "say", "nodes": telling}
    write(root, "workflows/telling.json", graph)
    order = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    asked = {"title": "Order", "workflow": "telling", "inputSchema": order}
    write(root, "automations/order.json", {**asked, "prefills": {"payload": {"team": "shop"}}})
    nobody = {"targets": [{"type": "callback", "name": "nobody"}]}
    write(
        root,
        "automations/telling.json",
        {"title": "Telling", "workflow": "telling", "delivery": nobody},
    )


@asynccontextmanager
async def dashboard_house(root: Path) -> AsyncGenerator[DashboardHouse, None]:
    """The workspace at `root`, served, with its dashboard."""
    async with api_house(root) as api:
        house = DashboardHouse(api)
        try:
            yield house
        finally:
            for each in house.people:
                await each.close()
