"""A message with a link to a page that decides: what previews it, guesses it or sends it again."""

import re
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, daemon, eventually, write
from parked_scene import LARGE, SECRET, Bank, bank, furnish, parked

PUBLIC = "https://hooks.acme.example"
APPROVALS = {"targets": ["alerts"], "approvers": ["boss"]}


@dataclass
class Page:
    """One answer."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def form(self) -> dict[str, str]:
        """What the form of the page holds, with the cookie that goes with it."""
        found = re.search(r'name="form_token" value="([^"]+)"', self.text)
        assert found, self.text
        return {"form_token": found[1]}


class Browser:
    """Somebody else's, who comes by the public name."""

    def __init__(self, child: Child) -> None:
        self.base = child.url
        self.cookies = ""

    def __call__(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Page:
        sent = {"Host": "hooks.acme.example", "Cookie": self.cookies, **headers}
        data = None
        if form is not None:
            data = urllib.parse.urlencode(form).encode()
            sent = {"Origin": PUBLIC, "Sec-Fetch-Site": "same-origin", **sent}
        request = urllib.request.Request(self.base + path, data=data, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                page = Page(answer.status, answer.read().decode(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                page = Page(error.code, error.read().decode(), dict(error.headers))
        if cookie := page.headers.get("Set-Cookie"):
            self.cookies = cookie.partition(";")[0]
        return page


@pytest.fixture
def service() -> Iterator[Bank]:
    with bank() as found:
        yield found


@pytest.fixture
def child(tmp_path: Path, service: Bank) -> Iterator[Child]:
    root = tmp_path / "workspace"
    furnish(root, service.url, approvals=APPROVALS)
    settings = {
        "egress": {"allowPrivate": ["127.0.0.0/8"]},
        "targets": {"alerts": {"type": "webhook", "url": f"{service.url}/alerts"}},
        "publicUrl": PUBLIC,
    }
    write(root, "amodal.json", settings)
    with daemon(root, **SECRET) as running:
        yield running


def asked(child: Child, service: Bank) -> tuple[str, str, dict[str, Any]]:
    """A write that waits, the path of the link to it, and the message."""
    write_id = parked(child)

    def message() -> dict[str, Any] | None:
        return next((each for each in service.told if each.get("write_id") == write_id), None)

    told = eventually(message)
    return write_id, told["url"].removeprefix(PUBLIC), told


def status_of(child: Child, write_id: str) -> str:
    return child.client.get(f"/v1/approvals/{write_id}")["status"]


def test_looking_decides_nothing_and_the_form_decides_once(child: Child, service: Bank) -> None:
    write_id, path, told = asked(child, service)
    browser = Browser(child)
    looked = [browser(path) for _ in range(3)]
    before = status_of(child, write_id)
    said = browser(path, {**looked[-1].form, "answer": "approve", "note": "fine"})
    again = browser(path, {**looked[-1].form, "answer": "deny"})
    after = child.client.get(f"/v1/approvals/{write_id}")

    assert (told["status"], told["call"], told["until"]) == (
        "awaiting_approval", "POST /deals", after["until"],
    )  # fmt: skip
    assert told["text"].endswith(told["url"])
    assert (before, [each.status for each in looked]) == ("open", [200] * 3)
    assert "&#34;amount&#34;: 700" in looked[0].text
    policy = looked[0].headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert looked[0].headers["Referrer-Policy"] == "no-referrer"
    assert looked[0].headers["Cache-Control"] == "no-store"
    assert "<b>performed</b>" in said.text
    assert (again.status, "was approved by link:alerts through link" in again.text) == (409, True)
    assert (after["status"], after["by"], after["door"], after["note"]) == (
        "performed", "link:alerts", "link", "fine",
    )  # fmt: skip
    assert [each["body"] for each in service.reached] == [LARGE]


def test_a_form_of_somebody_else_decides_nothing(child: Child, service: Bank) -> None:
    write_id, path, _ = asked(child, service)
    browser = Browser(child)
    form = {**browser(path).form, "answer": "approve"}
    stranger = Browser(child)
    tried = [
        stranger(path, {"answer": "approve"}),
        stranger(path, form),
        browser(path, {"answer": "approve"}),
        browser(path, form, Origin="https://evil.example"),
        browser(path, {**form, "answer": "yes"}),
        browser(path, form, **{"Sec-Fetch-Site": "cross-site"}),
        browser(path, form, Host="evil.example"),
    ]

    assert {each.status for each in tried} == {403, 422}
    assert status_of(child, write_id) == "open"
    assert service.reached == []


def test_a_link_is_kept_nowhere_and_guessed_by_nobody(child: Child, service: Bank) -> None:
    write_id, path, _ = asked(child, service)
    token = path.rpartition("/")[2]
    other_id, other, _ = asked(child, service)
    browser = Browser(child)
    wrong = [
        browser(f"/approvals/{write_id}/{token[:-1]}"),
        browser(f"/approvals/{other_id}/{token}"),
        browser(f"/approvals/write_0000000000000000/{token}"),
    ]
    with closing(sqlite3.connect(child.state / "ledger.sqlite")) as ledger:
        kept = "\n".join(ledger.iterdump())
    refused = [browser(f"/approvals/{write_id}/x{each}").status for each in range(20)]

    assert [each.status for each in wrong] == [404] * 3
    assert len(token) > 50
    assert token not in kept
    assert token not in child.output
    assert 429 in refused
    assert other != path


def test_an_expired_link_shows_that_and_decides_nothing(child: Child, service: Bank) -> None:
    write_id, path, _ = asked(child, service)
    browser = Browser(child)
    form = {**browser(path).form, "answer": "approve"}
    with closing(sqlite3.connect(child.state / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE parked_writes SET expires_at = 1 WHERE id = ?", (write_id,))
    said = browser(path, form)

    assert (said.status, "has expired" in said.text) == (409, True)
    eventually(lambda: status_of(child, write_id) == "expired")
    assert "<b>expired</b>" in browser(path).text
    assert service.reached == []


def test_without_a_public_url_the_message_names_the_command(tmp_path: Path, service: Bank) -> None:
    root = tmp_path / "workspace"
    furnish(root, service.url, approvals=APPROVALS)
    with daemon(root, **SECRET) as child:
        write_id = parked(child)
        eventually(lambda: any("write_id" in each for each in service.told))
        told = next(each for each in service.told if "write_id" in each)

    assert (told["url"], told["write_id"]) == (None, write_id)
    assert f"ops approvals show {write_id}" in told["text"]


def test_where_all_else_has_a_door_of_its_own_links_stay_on_the_public_one(
    tmp_path: Path, service: Bank
) -> None:
    root = tmp_path / "workspace"
    furnish(root, service.url, approvals=APPROVALS)
    settings = {
        "egress": {"allowPrivate": ["127.0.0.0/8"]},
        "targets": {"alerts": {"type": "webhook", "url": f"{service.url}/alerts"}},
        "publicUrl": PUBLIC,
        "adminListen": "127.0.0.1:0",
    }
    write(root, "amodal.json", settings)
    with daemon(root, **SECRET) as child:
        write_id, path, _ = asked(child, service)
        browser = Browser(child)
        page = browser(path)
        said = browser(path, {**page.form, "answer": "deny"})
        other = browser("/dashboard/approvals")

        assert (page.status, said.status, other.status) == (200, 200, 404)
        assert status_of(child, write_id) == "denied"
