"""What a sender is told, over real HTTP, and what is kept of what it sent."""

import base64
import gzip
import hashlib
import hmac
import http.client
import json
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
import shapes
from files import Workspace
from outside import Site, post_json, send
from waiting import eventually

SECRET = "a-webhook-secret-of-ours"
PUSH = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "acme/shop"}}).encode()


def signed(body: bytes, secret: str = SECRET) -> str:
    """The value that GitHub and its imitators put into the header."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.fixture(scope="module")
def hooks(shared_site: Site) -> Site:
    files = Workspace(shared_site.workspace)
    files.secrets(HOOK_SECRET=SECRET, OLD_SECRET="the-secret-before-it")
    files.automation("open-hook", trigger="webhook")
    generic = {"type": "hmac-sha256", "secret": "env:HOOK_SECRET"}
    files.automation("signed-hook", trigger="webhook", webhookAuth=generic)
    rotating = {"type": "hmac-sha256", "secret": ["env:HOOK_SECRET", "env:OLD_SECRET"]}
    files.automation(
        "custom-hook",
        trigger="webhook",
        webhookAuth=rotating | {"header": "X-Acme-Signature", "dedupeHeader": "X-Acme-Id"},
    )
    github = {"type": "github", "secret": "env:HOOK_SECRET"}
    files.automation("github-hook", trigger="webhook", webhookAuth=github)
    files.automation("small-hook", trigger="webhook", limits={"webhookBytes": 100})
    files.automation("mute-hook", trigger="webhook", status="paused")
    unset = {"type": "hmac-sha256", "secret": "env:NOT_SET_ANYWHERE"}
    files.automation("unset-hook", trigger="webhook", webhookAuth=unset)
    files.automation("daily", schedule="0 9 * * *")
    shared_site.up()
    return shared_site


def test_a_new_event_is_accepted_with_its_run(hooks: Site) -> None:
    answer = post_json(hooks.hook("open-hook"), {"n": 1})

    assert answer.status == 202
    assert answer.json().keys() == {"status", "event_id", "run_id"}
    assert answer.json()["status"] == "accepted"
    assert re.fullmatch(shapes.RUN_ID, answer.json()["run_id"])
    run = hooks.finished(answer.json()["run_id"])
    assert (run["trigger"], run["event_id"]) == ("webhook", answer.json()["event_id"])


def test_a_duplicate_is_told_the_first_run_and_how_to_replay(hooks: Site) -> None:
    url = hooks.hook("open-hook")
    first = send(url, b'{"n": 2}', {"Idempotency-Key": "k-1"})
    second = send(url, b'{"n": 2}', {"Idempotency-Key": "k-1"})
    other_body = send(url, b'{"n": 3}', {"Idempotency-Key": "k-1"})
    no_id = [send(url, b'{"n": 4}') for _ in range(2)]

    assert (first.status, second.status) == (202, 200)
    assert second.json().keys() == {"status", "event_id", "run_id", "hint"}
    assert second.json()["status"] == "duplicate"
    for key in ("event_id", "run_id"):
        assert second.json()[key] == first.json()[key]
    assert "replay" in second.json()["hint"]
    assert other_body.status == 202
    assert [each.status for each in no_id] == [202, 202]
    assert no_id[0].json()["run_id"] != no_id[1].json()["run_id"]


def test_a_bad_signature_has_one_answer_for_all_causes(hooks: Site) -> None:
    url, body = hooks.hook("signed-hook"), b'{"n": 1}'
    wrong: list[Mapping[str, str]] = [
        {},
        {"X-Signature-256": ""},
        {"X-Signature-256": "sha256="},
        {"X-Signature-256": "sha256=zz"},
        {"X-Signature-256": signed(body, "another secret")},
        {"X-Signature-256": signed(b'{"n":1}')},
        {"X-Signature-256": signed(body)[:-2]},
        {"X-Other-Signature": signed(body)},
    ]
    answers = [send(url, body, headers) for headers in wrong]

    assert {each.status for each in answers} == {401}
    assert len({each.body for each in answers}) == 1
    rejected = hooks.ask("events", "list", "--rejected")
    assert sum(each["automation"] == "signed-hook" for each in rejected) >= len(wrong)


def test_a_signature_over_the_raw_bytes_opens_the_door(hooks: Site) -> None:
    url, body = hooks.hook("signed-hook"), '{"b":1 ,\n "a": "é"}'.encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
    values = [
        "sha256=" + digest.hex(),
        digest.hex(),
        digest.hex().upper(),
        base64.b64encode(digest).decode(),
        "sha256=" + base64.b64encode(digest).decode(),
    ]

    statuses = [send(url, body, {"X-Signature-256": value}).status for value in values]

    assert statuses == [202] * len(values)


def test_either_secret_of_a_rotation_opens_and_one_header_is_the_key(hooks: Site) -> None:
    url = hooks.hook("custom-hook")

    def post(body: bytes, secret: str, key: str) -> int:
        headers = {"X-Acme-Signature": signed(body, secret), "X-Acme-Id": key}
        return send(url, body, headers).status

    assert post(b"[1]", SECRET, "a") == 202
    assert post(b"[2]", "the-secret-before-it", "b") == 202
    assert post(b"[3]", "the-secret-before-it", "b") == 200
    assert post(b"[4]", "a third one", "c") == 401


def test_github_deliveries_are_known_by_id_and_by_body(hooks: Site) -> None:
    url = hooks.hook("github-hook")

    def post(body: bytes, delivery: str, event: str = "push") -> int:
        headers = {
            "X-Hub-Signature-256": signed(body),
            "X-GitHub-Delivery": delivery,
            "X-GitHub-Event": event,
        }
        return send(url, body, headers).status

    ping = json.dumps({"zen": "Keep it logically awesome.", "hook_id": 7}).encode()

    assert post(PUSH, "11111111-0000-4000-8000-000000000001") == 202
    assert post(PUSH, "11111111-0000-4000-8000-000000000001") == 200
    assert post(PUSH, "11111111-0000-4000-8000-000000000002") == 200
    assert post(ping, "11111111-0000-4000-8000-000000000003", "ping") == 202
    assert post(ping, "11111111-0000-4000-8000-000000000004", "ping") == 202
    assert send(url, PUSH, {"X-GitHub-Delivery": "x"}).status == 401


def test_unknown_endpoints_do_not_exist(hooks: Site) -> None:
    url = hooks.hook("open-hook")
    root = url.rpartition("/")[0]

    for path in ("auto_0000000000000000", "open-hook", "", "..%2fhealthz", "auto_" + "a" * 5000):
        assert send(f"{root}/{path}").status in {404, 400, 414}
    assert send(f"{root}/auto_0000000000000000").status == 404
    assert send(f"{url}/more").status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_only_post_is_a_webhook(hooks: Site, method: str) -> None:
    answer = send(hooks.hook("open-hook"), None, method=method)

    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"


def test_a_body_over_the_limit_is_too_large(hooks: Site) -> None:
    url = hooks.hook("small-hook")

    assert send(url, b"x" * 100).status == 202
    assert send(url, b"x" * 101).status == 413
    assert _chunked(url, [b"y" * 60, b"y" * 60]) == 413


def test_a_compressed_body_is_not_taken(hooks: Site) -> None:
    packed = gzip.compress(b'{"n": 1}')

    assert send(hooks.hook("open-hook"), packed, {"Content-Encoding": "gzip"}).status == 415


def test_an_unset_secret_is_not_durable_right_now(hooks: Site) -> None:
    answer = send(hooks.hook("unset-hook"), b"{}", {"X-Signature-256": signed(b"{}", "")})

    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    row = hooks.automation("unset-hook")
    assert row["status"] == "invalid"
    assert "NOT_SET_ANYWHERE" in row["reason"]


def test_a_paused_automation_answers_that_it_skipped(hooks: Site) -> None:
    answer = post_json(hooks.hook("mute-hook"), {"n": 1})

    assert answer.status == 202
    assert answer.json()["status"] == "skipped"
    assert answer.json()["reason"] == "paused"
    assert answer.json()["run_id"]


def test_a_schedule_has_no_endpoint(hooks: Site) -> None:
    assert hooks.automation("daily")["webhook_url"] is None


BODIES: list[tuple[str, bytes, object]] = [
    ("application/json", b'{"a": [1, null, "\\u00e9"]}', {"a": [1, None, "é"]}),
    ("application/json", b"[1, 2]", [1, 2]),
    ("application/json", b'"text"', "text"),
    ("application/json", b"0", 0),
    ("application/json", b"", None),
    ("application/json", b'{"broken": ', '{"broken": '),
    ("application/vnd.api+json", b'{"b": 1}', {"b": 1}),
    ("application/x-www-form-urlencoded", b"a=1&b=x%20y", {"a": "1", "b": "x y"}),
    ("text/plain; charset=utf-8", "Grüße".encode(), "Grüße"),
]


@pytest.mark.parametrize(("kind", "body", "kept"), BODIES)
def test_bodies_of_every_kind_are_kept(hooks: Site, kind: str, body: bytes, kept: object) -> None:
    answer = send(hooks.hook("open-hook"), body, {"Content-Type": kind})

    assert answer.status == 202
    assert hooks.ask("events", "show", answer.json()["event_id"])["data"] == kept


def test_binary_bodies_lose_no_byte(hooks: Site) -> None:
    body = bytes(range(256))
    answer = send(hooks.hook("open-hook"), body, {"Content-Type": "application/octet-stream"})
    kept = hooks.ask("events", "show", answer.json()["event_id"])["data"]

    assert answer.status == 202
    assert base64.b64encode(body).decode() in json.dumps(kept)


def test_a_new_url_ends_the_old_one(hooks: Site) -> None:
    old = hooks.hook("small-hook")
    row = hooks.ask("automations", "rotate-url", "small-hook")
    new = row["webhook_url"]

    assert new != old
    assert hooks.hook("small-hook") == new
    assert (send(old).status, send(new).status) == (404, 202)


def test_urls_follow_the_key_that_the_environment_gives(hooks: Site, site: Site) -> None:
    """Two machines that deploy the same folder with the same key have the same URLs."""
    Workspace(site.workspace).automation("open-hook", trigger="webhook")
    paths = []
    for name in ("one", "two"):
        state = str(site.root / f"state-{name}")
        daemon = site.up(AMODAL_RT_WEBHOOK_KEY="shared-key", AMODAL_RT_STATE_DIR=state)
        shown = site.run(
            "ops", "automations", "show", "open-hook", "--json", AMODAL_RT_STATE_DIR=state
        )
        paths.append(urlsplit(shown.json()["webhook_url"]).path)
        assert daemon.stop() == 0

    assert paths[0] == paths[1]
    assert paths[0] != urlsplit(hooks.hook("open-hook")).path


def test_health_is_open_and_everything_else_is_closed(hooks: Site) -> None:
    root = hooks.hook("open-hook").partition("/webhooks/")[0]

    assert send(f"{root}/healthz", None, method="GET").status == 200
    assert send(f"{root}/readyz", None, method="GET").status == 200
    for path in ("/v1/automations", "/v1/status", "/api/v1/automations"):
        assert send(f"{root}{path}", None, method="GET").status in {401, 403, 404}


def test_a_sender_that_breaks_off_leaves_no_event(hooks: Site) -> None:
    parts = urlsplit(hooks.hook("open-hook"))
    before = len(hooks.ask("events", "list", "--limit", "1000"))
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=10)
    connection.putrequest("POST", parts.path)
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b'{"half": ')
    connection.close()

    answer = post_json(hooks.hook("open-hook"), {"after": True})
    assert answer.status == 202
    eventually(
        lambda: len(hooks.ask("events", "list", "--limit", "1000")) == before + 1, "one event"
    )


def _chunked(url: str, chunks: list[bytes]) -> int:
    """The status of a POST whose length is not said beforehand."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=10)
    try:
        connection.request("POST", parts.path, iter(chunks), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        return connection.getresponse().status
    finally:
        connection.close()
