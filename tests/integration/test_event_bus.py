"""The bus of a real daemon: events over TCP and the socket, tokens, chains and what ends them."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, eventually, write

from amodal_rt.errors import AmodalError, ConflictError, DeniedError, NotFoundError

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
DEPLOY = {"specversion": "1.0", "id": "1", "source": "/ci", "type": "deploy.finished"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    write(folder, "connections/runtime/spec.json", {"protocol": "runtime"})
    write(folder, "amodal.json", {"egress": {"allowPrivate": ["127.0.0.0/8"]}})
    return folder


class Sender:
    """A program with a token."""

    def __init__(self, child: Child, scope: str = "trigger", name: str = "ci") -> None:
        made = child.client.post("/v1/tokens", {"name": name, "scopes": [scope]})
        self.child, self.secret, self.id = child, str(made["secret"]), str(made["token_id"])

    def send(self, event: object, kind: str = STRUCTURED, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        given = {"Content-Type": kind, "Authorization": f"Bearer {self.secret}", **named}
        return self.child.post(f"{self.child.url}/events", body, **given)


def runs_of(child: Child, name: str) -> list[dict[str, Any]]:
    return child.client.get("/v1/runs", {"automation": name, "limit": "200"})


def ended(child: Child, name: str, count: int) -> list[dict[str, Any]]:
    """The runs of an automation, newest first, once there are so many and all have ended."""

    def look() -> list[dict[str, Any]] | None:
        found = runs_of(child, name)
        over = all(each["status"] not in ("pending", "running") for each in found)
        return found if over and len(found) >= count else None

    return eventually(look)


@contextmanager
def served(root: Path) -> Generator[tuple[Child, Sender], None, None]:
    with daemon(root) as child:
        yield child, Sender(child)


def test_an_event_that_a_program_sends_starts_what_waits_for_it(root: Path) -> None:
    automation(root, "release", trigger="deploy.*", connections=[])
    automation(root, "other", trigger="deploy.failed", connections=[])
    with served(root) as (child, ci):
        status, receipt = ci.send({**DEPLOY, "data": {"ok": True}, "subject": "web"})
        (run,) = ended(child, "release", 1)
        event = child.client.get(f"/v1/events/{receipt['event_id']}")
        handed_on = child.client.get(f"/v1/events/{receipt['event_id']}", {"cloudevents": "1"})
        listed = child.client.get("/v1/events", {"type": "deploy.*"})
        unlisted = child.client.get("/v1/events", {"type": "github.*"})

    assert (status, receipt["status"]) == (202, "accepted")
    assert [each["run_id"] for each in receipt["runs"]] == [run["run_id"]]
    assert (run["trigger"], run["status"]) == ("event", "completed")
    assert (event["actor"], event["subject"], event["data"]) == ("token:ci", "web", {"ok": True})
    assert (event["delivery_id"], event["missed"]) == ("1", 1)
    assert (handed_on["type"], handed_on["id"]) == ("deploy.finished", "1")
    assert handed_on["eventid"] == receipt["event_id"]
    assert (handed_on["data"], handed_on["datacontenttype"]) == ({"ok": True}, "application/json")
    assert [each["event_id"] for each in listed] == [receipt["event_id"]]
    assert unlisted == []


def test_what_was_sent_before_starts_nothing_even_after_a_crash(root: Path) -> None:
    automation(root, "release", trigger="deploy.*", connections=[])
    with daemon(root) as first:
        ci = Sender(first)
        _, receipt = ci.send(DEPLOY)
        first.kill()
    with daemon(root) as second:
        ci.child = second
        status, again = ci.send(DEPLOY)
        other, _ = ci.send({**DEPLOY, "source": "/cd"})
        ended(second, "release", 2)

    assert (status, again["status"]) == (200, "duplicate")
    assert again["event_id"] == receipt["event_id"]
    assert again["runs"][0]["run_id"] == receipt["runs"][0]["run_id"]
    assert f"ops events replay {receipt['event_id']} --again" in again["hint"]
    assert other == 202


def test_a_batch_has_one_receipt_each_and_is_taken_whole_or_not_at_all(root: Path) -> None:
    automation(root, "release", trigger="deploy.*", connections=[])
    batch = [{**DEPLOY, "id": str(number % 120)} for number in range(121)]
    with served(root) as (child, ci):
        wrong, refused = ci.send([*batch, {**DEPLOY, "type": "github.push"}], BATCHED)
        before = child.client.get("/v1/events")
        status, answer = ci.send(batch, BATCHED)

    assert (wrong, refused["error"]["code"]) == (403, "reserved_type")
    assert before == []
    assert status == 202
    said = [each["status"] for each in answer["receipts"]]
    assert said == ["accepted"] * 120 + ["duplicate"]


def test_binary_mode_says_the_same(root: Path) -> None:
    with served(root) as (child, ci):
        status, receipt = ci.send(
            b'{"ok": 1}',
            "application/vnd.acme+json",
            ce_specversion="1.0",
            ce_id="7",
            ce_source="/ci",
            ce_type="deploy.finished",
        )
        event = child.client.get(f"/v1/events/{receipt['event_id']}")
        handed_on = child.client.get(f"/v1/events/{receipt['event_id']}", {"cloudevents": "1"})

    assert status == 202
    assert (event["type"], event["data"]) == ("deploy.finished", {"ok": 1})
    assert handed_on["datacontenttype"] == "application/vnd.acme+json"


def test_who_has_no_token_learns_nothing(root: Path) -> None:
    with served(root) as (child, ci):
        reader = Sender(child, "read", "reader")
        url = f"{child.url}/events"
        anybody, none = child.post(url, json.dumps(DEPLOY).encode())
        ci.secret, right = "art_" + "0" * 32, ci.secret
        guessed, wrong = ci.send(DEPLOY)
        lacking, scope = reader.send(DEPLOY)
        ci.secret = right
        named, host = ci.send(DEPLOY, Host="evil.example:80")
        from_page, origin = ci.send(DEPLOY, Origin="https://evil.example")
        child.client.post(f"/v1/tokens/{ci.id}/revoke")
        late, revoked = ci.send(DEPLOY)
        rejected = child.client.get("/v1/events", {"rejected": "1"})
        stored = child.client.get("/v1/events")
        output = child.output

    assert (anybody, guessed, late) == (401, 401, 401)
    assert none == wrong == revoked
    assert (lacking, scope["error"]["code"]) == (403, "scope_missing")
    assert (named, host["error"]["code"]) == (403, "bad_host")
    assert (from_page, origin["error"]["code"]) == (403, "bad_origin")
    assert {each["reason"] for each in rejected} >= {"no_token", "bad_token", "bad_origin"}
    assert stored == []
    assert right not in output
    ledger = b"".join(each.read_bytes() for each in (root / ".amodal-rt").glob("ledger*"))
    assert right.encode() not in ledger


@pytest.mark.parametrize("type", ["github.issues.opened", "automation.run.failed", "GitHub.push"])
def test_nobody_speaks_in_anothers_name(root: Path, type: str) -> None:
    automation(root, "trusting", trigger="github.*", connections=[])
    with served(root) as (child, ci):
        status, refused = ci.send({**DEPLOY, "type": type})
        source, _ = ci.send({**DEPLOY, "source": "/automations/trusting"})
        managed, _ = Sender(child, "manage", "root").send({**DEPLOY, "type": type})
        emitted = child.client.post("/v1/events", {"type": type})

    assert (status, refused["error"]["code"]) == (403, "reserved_type")
    assert source == 403
    assert managed == 202
    assert emitted["status"] == "accepted"


def test_what_is_wrong_with_an_event_is_said(root: Path) -> None:
    with served(root) as (_, ci):
        bad, told = ci.send({**DEPLOY, "time": "now"})
        kind, _ = ci.send(DEPLOY, "text/plain")
        large, _ = ci.send({**DEPLOY, "data": "x" * 1_048_576})
        many, _ = ci.send([DEPLOY] * 1001, BATCHED)
        packed, _ = ci.send(DEPLOY, Content_Encoding="gzip")

    assert (bad, told["error"]["message"]) == (400, "time is no RFC 3339 instant with a zone")
    assert (kind, large, many, packed) == (415, 413, 413, 415)


def test_tokens_are_listed_without_their_secrets(root: Path) -> None:
    with served(root) as (child, ci):
        with pytest.raises(ConflictError) as taken:
            child.client.post("/v1/tokens", {"name": "ci", "scopes": ["trigger"]})
        with pytest.raises(AmodalError) as scope:
            child.client.post("/v1/tokens", {"name": "b", "scopes": ["everything"]})
        with pytest.raises(NotFoundError):
            child.client.post("/v1/tokens/nobody/revoke")
        child.client.post("/v1/tokens/ci/revoke")
        (row,) = child.client.get("/v1/tokens")

    assert taken.value.code == "token_exists"
    assert scope.value.code == "bad_scope"
    assert row["name"] == "ci"
    assert row["scopes"] == ["trigger"]
    assert row["created_by"] == "ada"
    assert row["revoked_at"] is not None
    assert "secret" not in row
    assert ci.secret.startswith("art_")


def test_a_replay_starts_only_who_has_no_run_of_the_event(root: Path) -> None:
    automation(root, "release", trigger="deploy.*", connections=[])
    with served(root) as (child, ci):
        _, receipt = ci.send(DEPLOY)
        ended(child, "release", 1)
        automation(root, "late", trigger="deploy.finished", connections=[])
        eventually(lambda: len(child.client.get("/v1/automations")) == 2)
        event = receipt["event_id"]
        first = child.client.post(f"/v1/events/{event}/replay", {})
        again = child.client.post(f"/v1/events/{event}/replay", {"again": True})
        shown = child.client.get(f"/v1/events/{again['event_id']}", {"cloudevents": "1"})
        with pytest.raises(NotFoundError):
            child.client.post("/v1/events/evt_0000000000000000/replay", {})

    ruled = {each["automation"]: (each["status"], each["reason"]) for each in first["runs"]}
    assert first["event_id"] == event
    assert ruled["release"] == ("skipped", "duplicate")
    assert ruled["late"][0] == "pending"
    assert again["event_id"] != event
    assert {each["automation"] for each in again["runs"]} == {"release", "late"}
    assert all(each["status"] == "pending" for each in again["runs"])
    assert shown["replayof"] == event
    # Under the id of the first it would be that one, wherever it is handed on to.
    assert shown["id"] == again["event_id"]


def test_what_is_emitted_by_hand_is_on_record_with_its_member(root: Path) -> None:
    automation(root, "release", trigger="deploy.*", connections=[])
    with daemon(root) as child:
        receipt = child.client.post("/v1/events", {"type": "deploy.finished", "data": [1]})
        event = child.client.get(f"/v1/events/{receipt['event_id']}")
        with pytest.raises(AmodalError) as wrong:
            child.client.post("/v1/events", {"type": "deploy.*"})
        with pytest.raises(AmodalError) as unknown:
            child.client.post("/v1/events", {"type": "a.b", "actor": "github:octocat"})

    assert (event["actor"], event["source"], event["data"]) == ("member:ada", "/cli", [1])
    assert wrong.value.code == unknown.value.code == "bad_event"


def test_a_run_speaks_in_nobodys_name_over_the_socket(root: Path) -> None:
    from amodal_rt.domain.cause import Cause
    from amodal_rt.guardrails.causes import Causes

    key = "k" * 52
    token = Causes(key.encode(), lambda url: False).token(
        Cause(depth=2, run_id="run_0000000000000000")
    )
    automation(root, "release", trigger="deploy.*", connections=[])
    with daemon(root, AMODAL_RT_WEBHOOK_KEY=key) as child:
        client = child.client
        client._cause = token
        with pytest.raises(DeniedError):
            client.post("/v1/events", {"type": "github.push"})
        receipt = client.post("/v1/events", {"type": "deploy.finished"})
        event = child.client.get(f"/v1/events/{receipt['event_id']}")
        status, deeper = Sender(child).send(
            {**DEPLOY, "id": "deep"},
            Amodal_Rt_Cause=Causes(key.encode(), lambda url: False).token(Cause(depth=3)),
        )

    assert (event["depth"], event["actor"]) == (3, "run:run_0000000000000000")
    assert receipt["runs"][0]["status"] == "pending"
    assert status == 202
    assert deeper["runs"][0]["reason"] == "depth_limit"
