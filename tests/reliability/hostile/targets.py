"""What hostile bytes reach, each with good examples of its bytes and with what must hold.

A target returns, or raises an `AmodalError`: that is the tree of declared errors. Anything else
is a finding, and so is an answer that breaks the promise of its function.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from verifying import VERIFIER_SEEDS, verify

from amodal_rt import failpoints
from amodal_rt.definitions.agent import parse_agent
from amodal_rt.definitions.automation import parse_automation
from amodal_rt.definitions.connection import parse_connection
from amodal_rt.definitions.integration import parse_integration
from amodal_rt.definitions.knowledge import parse_knowledge
from amodal_rt.definitions.settings import parse_settings
from amodal_rt.definitions.store import parse_store
from amodal_rt.delivery.backoff import parse_retry_after
from amodal_rt.delivery.neutral import Neutral
from amodal_rt.delivery.template import OUTPUT_LIMIT, render
from amodal_rt.domain import schedule
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.delivery import Format
from amodal_rt.domain.outcome import Origin
from amodal_rt.domain.trigger import Schedule, SignatureScheme, WebhookAuth
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.errors import AmodalError, InvalidError
from amodal_rt.guardrails.causes import Causes, reaches
from amodal_rt.guardrails.egress import origin_of
from amodal_rt.guardrails.endpoints import check_headers, check_method, parse_endpoint
from amodal_rt.guardrails.untrusted import event_block, plain, plain_line
from amodal_rt.intake import dedup, naming
from amodal_rt.intake.bodies import DEEPEST, parse_body
from amodal_rt.intake.challenges import answer_to
from amodal_rt.intake.headers import Headers
from amodal_rt.operations import asked
from amodal_rt.servers.serve import parse_listen
from amodal_rt.workspace.dotenv import parse_dotenv

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"a-secret-of-the-fuzzer"
STRANGERS = Origin(tainted=True, hosts=frozenset({"a.example"}))
BODY = b'{"action": "opened", "issue": {"id": 7, "title": "x"}, "sender": {"login": "ada"}}'


@dataclass(frozen=True)
class Target:
    """`share`: executions of a million. `bad` of them are inputs that were refused."""

    name: str
    share: int
    seeds: tuple[bytes, ...]
    run: Callable[[bytes], object]


def _body(data: bytes) -> object:
    kind, _, body = data.partition(b"\n")
    found = parse_body(body, kind.decode("latin-1"))
    # What comes out can always be written down.
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    assert _depth(found) <= DEEPEST + 1
    return None


def _depth(value: object) -> int:
    depth, layer = 0, [value]
    while layer and depth < 200:
        depth += 1
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth


def _door(data: bytes) -> object:
    """What is made of a request's headers and data: names, keys, what is kept."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    pairs = [(name, value) for name, _, value in (line.partition(":") for line in lines[:70])]
    headers = Headers(pairs)
    body = lines[-1].encode("utf-8", "surrogateescape")
    parsed = parse_body(body, headers.first("content-type"))
    auths = [WebhookAuth(scheme=each, secrets=("s",)) for each in SignatureScheme]
    for auth in (None, *auths):
        data_of = naming.unwrapped(auth, parsed)
        called = dedup.name_in_headers(auth, headers)
        key = dedup.key_for("auto_x", auth, headers, called, body, data_of)
        assert key is None or key.keys
        for name in _names(auth, headers, data_of):
            json.dumps(asdict(name), default=str, ensure_ascii=False).encode()
            assert name.type.count("*") == 0
        if auth:
            answer_to(auth.scheme, data_of, "s")
        kept = headers.kept(also_secret="x-signature-256")
        json.dumps(dict(kept), ensure_ascii=False).encode()
        assert not any("authorization" in each or "cookie" in each for each in kept)
    return headers.compressed()


def _names(auth: WebhookAuth | None, headers: Headers, data: object) -> list[naming.EventName]:
    """What the request is called at both doors; no sender speaks in another's name."""
    own = naming.webhook_name(auth, "hook", headers, data)
    if auth is None:
        return [own]
    name = naming.integration_name(auth, "acme", headers, data)
    assert name.type.partition(".")[0] in (auth.scheme.value, "acme")
    return [own, name]


def _cron(data: bytes) -> object:
    text = data.decode("utf-8", "replace")[:200]
    schedule.parse_cron(text)
    made = Schedule(cron=schedule_text(text), timezone="Europe/Berlin")
    slots = schedule.slots(made, NOW, NOW + timedelta(days=40), 3)
    assert slots == sorted(set(slots))
    assert all(slot > NOW for slot in slots)
    return schedule.first_after(made, NOW)


def schedule_text(text: str) -> str:
    """As the file's reader hands it on: folded."""
    return " ".join(text.split())


def _template(data: bytes) -> object:
    text = data.decode("utf-8", "replace")
    values = {"automation": "a", "result": "<!here> & b", "data": {"items": [1, {"x": None}]}}
    made = render(text, values, escape=Neutral(Format.SLACK, STRANGERS))
    assert len(made.text.encode("utf-8", "replace")) <= OUTPUT_LIMIT + 4
    return made


def _files(data: bytes) -> object:
    kind, _, text = data.partition(b"\n")
    settings = WorkspaceSettings()
    match kind[:1]:
        case b"j" | b"m":
            file = "automations/a.json" if kind[:1] == b"j" else "automations/a.md"
            parsed = parse_automation(text, file=file, settings=settings, read_prompt=_no_prompt)
            if parsed.definition is None:
                assert any(each.severity == "error" for each in parsed.problems)
            for each in parsed.problems:
                assert "\n" not in each.sentence()
            return parsed
        case b"s":
            return parse_settings(text, "amodal.json")
        case b"c":
            return parse_connection("c", {"spec.json": text, "access.json": text})
        case b"a":
            return parse_agent(text, file="agents/a.md")
        case b"i":
            found, problems = parse_integration(text, file="integrations/i.json")
            assert found or problems
            return found
        case b"k":
            return parse_knowledge(text, file="knowledge/k.md")
        case b"e":
            # Its reader has refused what is not UTF-8.
            return parse_dotenv(text.decode("utf-8", "replace").encode(), file=".env")
        case _:
            return parse_store(text, file="stores/s.json")


def _no_prompt(path: str) -> str:
    raise InvalidError(f"there is no {path}", code="prompt_file")


DECLARED: tuple[type[Exception], ...] = (AmodalError,)
_CAUSES = Causes(SECRET, lambda url: False)
_GENUINE = {_CAUSES.token(Cause(depth=depth)) for depth in range(4)}


def _small(data: bytes) -> object:
    """One short word of a stranger, given to every reader of short words."""
    text = data.decode("utf-8", "surrogateescape")
    # The printed forms go to terminals, rooms and rows: they must be plain and storable.
    line = plain_line(text, 200)
    line.encode()
    assert line.isprintable() or not line
    plain(text).encode()
    for format in Format:
        Neutral(format)(Neutral(format, STRANGERS)(text))
    event_block({"said": text}, "token")
    found = _CAUSES.read([text])
    assert found is None or text.strip() in _GENUINE
    parse_retry_after(text, NOW)
    failures = (
        lambda: asked.instant(text, now=NOW),
        lambda: asked.limit(text),
        lambda: asked.run_status(text),
        lambda: parse_listen(text),
        lambda: origin_of(text),
        lambda: reaches(text, "http://127.0.0.1:1"),
        lambda: parse_endpoint(text),
        lambda: check_method(text),
        lambda: check_headers({text: text}),
        lambda: failpoints._parse(text),
    )
    refused = 0
    for each in failures:
        try:
            each()
        except DECLARED:
            refused += 1
    return refused


_JSON_FILE = (
    b'j\n{"title": "T", "prompt": "Look at {{event}}", "schedule": {"every": "15m"}, "limits": '
    b'{"concurrency": 2, "timeoutSeconds": 30}, "trigger": "webhook", "webhookAuth": {"type": '
    b'"github", "secret": "env:S"}, "delivery": {"targets": [{"type": "webhook", "url": "env:U"}], '
    b'"template": "{{ result }}"}, "catchUp": {"policy": "all", "within": "2h"}}'
)

TARGETS = (
    Target("verifier", 220_000, VERIFIER_SEEDS, verify),
    Target("bodies", 290_000, (
        b"application/json\n" + BODY,
        b"application/json; charset=utf-16\n" + '{"a": 1}'.encode("utf-16"),
        b"application/x-www-form-urlencoded\na=1&a=2&b=%C3%A9&c",
        b'text/plain; charset="iso-8859-1"\n\xe9t\xe9',
        b"application/cloudevents+json\n[1, 2.5, -3e8, \"\\ud83d\\ude00\", null, true]",
        b"application/octet-stream\n\x00\x01\x02",
    ), _body),
    Target("requests", 60_000, (
        b"Content-Type: application/json\nX-GitHub-Event: issues\nX-GitHub-Delivery: 72d3162e\n"
        b"Authorization: Bearer x\nwebhook-id: msg_1\n" + BODY,
        b'X-Shopify-Topic: orders/create\nX-Shopify-Webhook-Id: 1\n{"updated_at": "2026-03-01"}',
        b"Content-Type: application/x-www-form-urlencoded\npayload=%7B%22type%22%3A%22x%22%7D",
        b'{"type": "url_verification", "challenge": "c", "event": {"type": "app_mention"}}',
        b'{"event": "endpoint.url_validation", "payload": {"plainToken": "t"}, "event_ts": 17}',
        b"Content-Encoding: gzip\nX-Event-Topic: a/b\nCookie: c=d\n{}",
    ), _door),
    Target("cron", 150_000, (
        b"0 9 * * 1-5", b"*/15 8-18 1,15 jan-mar mon,fri", b"@daily", b"59 23 31 12 7",
        b"0 0 29 2 *", b"30 2 * * sun", b"5/10 * * * *",
    ), _cron),
    Target("words", 200_000, (
        b"2026-03-02T09:00:00Z", b"24h", b"50", b"failed", b"127.0.0.1:3847", b"[::1]:80",
        b"https://api.example.com:8443/v1/items?x=1#y", b"/v1/items/{id}?a=b", b"X-Custom-Header",
        b"GET", b"ledger.before_commit:3=kill,delivery.after_send=sleep:100",
        b"Wed, 21 Oct 2026 07:28:00 GMT", b"120", *(each.encode() for each in sorted(_GENUINE)),
        "<!here> [link](http://x) \u202e \x1b]8;;x\x07".encode(),
    ), _small),
    Target("templates", 40_000, (
        b"{{ automation }}: {{ result | upcase }}",
        b"{% for item in data.items %}{{ forloop.index }}{{ item }}{% endfor %}",
        b"{% if data.items.size > 1 %}many{% else %}{{ data | json }}{% endif %}",
        b"{% assign x = data.items[0] %}{{ x | plus: 1 | times: 3 | date: '%Y' }}",
        b"{% capture t %}{{ result }}{% endcapture %}{{ t | replace: 'a', 'b' | truncate: 5 }}",
    ), _template),
    Target("files", 40_000, (
        _JSON_FILE,
        b"m\n---\ntitle: T\nschedule: {cron: '0 9 * * *', timezone: UTC}\n---\nLook.\n",
        b"m\n# Automation: Brief\n\nSchedule: 0 7 * * *\n\n## Check\n\nLook closely.\n",
        b's\n{"model": "a:b", "limits": {"queue": 5, "startWithin": "1h"}, "listen": "x:1"}',
        b'c\n{"protocol": "rest", "baseUrl": "https://x.example", "endpoints": {"GET /a": {}}}',
        b"a\n---\nmodel: a:b\ntools: ['x.*']\n---\nBe brief.\n",
        (b'i\n{"provider": "custom", "secret": ["env:A", "env:B"], "header": "X-S", "key": "v1", '
        b'"signed": "{timestamp}.{body}", "timestamp": {"part": "t", "unit": "ms"}, "dedup": '
        b'{"body": "event.id"}, "eventType": {"header": "X-E"}, "account": "acme"}'),
        b"k\n# Known\n\ntext", b"e\nA=1\nexport B='x y'\n# c\nC=\"${A}\"\n",
        b't\n{"schema": {"type": "object", "properties": {"a": {"type": "string"}}}, "ttl": "1d"}',
    ), _files),
)  # fmt: skip
