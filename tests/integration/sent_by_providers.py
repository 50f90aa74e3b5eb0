"""Requests as providers send them: their headers, bodies of their shape, signatures made by their
own recipe and not by ours."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET = "a-secret-that-is-long-enough"
STANDARD_SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, or so").decode()
DISCORD = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
DISCORD_KEY = DISCORD.public_key().public_bytes_raw().hex()

Headers = dict[str, str]


def _hex(content: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def body_of(document: object) -> bytes:
    return json.dumps(document).encode()


def github(body: bytes, event: str = "issues", delivery: str = "72d3162e") -> Headers:
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": f"sha256={_hex(body)}",
    }


def slack(body: bytes, late: int = 0) -> Headers:
    at = str(int(time.time()) - late)
    signature = _hex(b"v0:" + at.encode() + b":" + body)
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={signature}"}


def stripe(body: bytes, late: int = 0) -> Headers:
    at = str(int(time.time()) - late)
    return {"Stripe-Signature": f"t={at},v1={_hex(at.encode() + b'.' + body)},v0=ignored"}


def linear(body: bytes, delivery: str = "234d1a4e") -> Headers:
    return {"Linear-Delivery": delivery, "Linear-Event": "Issue", "Linear-Signature": _hex(body)}


def pagerduty(body: bytes) -> Headers:
    return {"X-PagerDuty-Signature": f"v1={'0' * 64},v1={_hex(body)}"}


def jira(body: bytes) -> Headers:
    return {"X-Hub-Signature": f"sha256={_hex(body)}"}


def shopify(body: bytes) -> Headers:
    digest = hmac.digest(SECRET.encode(), body, "sha256")
    return {
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Webhook-Id": "b54557e4",
        "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
    }


def sentry(body: bytes) -> Headers:
    return {
        "Sentry-Hook-Resource": "issue",
        "Request-ID": "e1",
        "Sentry-Hook-Signature": _hex(body),
    }


def zoom(body: bytes) -> Headers:
    at = str(int(time.time()))
    signature = _hex(b"v0:" + at.encode() + b":" + body)
    return {"x-zm-request-timestamp": at, "x-zm-signature": f"v0={signature}"}


def gitlab_token(body: bytes) -> Headers:
    return {"X-Gitlab-Event": "Issue Hook", "X-Gitlab-Token": SECRET, "Idempotency-Key": "f1"}


def standard(body: bytes, prefix: str = "webhook", id: str = "msg_1") -> Headers:
    at = str(int(time.time()))
    key = base64.b64decode(STANDARD_SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{id}.{at}.".encode() + body, "sha256")
    return {
        f"{prefix}-id": id,
        f"{prefix}-timestamp": at,
        f"{prefix}-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def discord(body: bytes) -> Headers:
    at = str(int(time.time()))
    return {
        "X-Signature-Timestamp": at,
        "X-Signature-Ed25519": DISCORD.sign(at.encode() + body).hex(),
    }


def twilio(url: str, fields: dict[str, str]) -> Headers:
    text = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.digest(SECRET.encode(), text.encode(), "sha1")
    return {"X-Twilio-Signature": base64.b64encode(digest).decode()}


def github_issue(action: str = "opened", **more: Any) -> bytes:
    issue = {"number": 7, "title": "It breaks", "updated_at": "2026-03-01T12:00:00Z", **more}
    return body_of(
        {
            "action": action,
            "issue": issue,
            "repository": {"full_name": "acme/site", "owner": {"login": "Acme"}},
            "sender": {"login": "octocat"},
        }
    )


def slack_mention(text: str = "hello", event_id: str = "Ev08MFMKH6", team: str = "T1") -> bytes:
    event = {"type": "app_mention", "user": "U061F7AUR", "text": text, "channel": "C0LAN2Q65",
             "ts": "1772366400.000002", "event_ts": "1772366400.000002"}  # fmt: skip
    return body_of(
        {"type": "event_callback", "team_id": team, "event_id": event_id, "event": event}
    )


def stripe_failure(id: str = "evt_1NG8Du2eZvKYlo2CUI79vXWy") -> bytes:
    return body_of(
        {
            "id": id,
            "object": "event",
            "created": int(time.time()),
            "type": "invoice.payment_failed",
            "data": {"object": {"id": "in_1", "amount_due": 4200}},
        }
    )


def linear_issue(late: int = 0) -> bytes:
    return body_of(
        {
            "action": "update",
            "type": "Issue",
            "actor": {"id": "b5ea5f1f", "name": "Ada"},
            "data": {"id": "1", "identifier": "ENG-7", "title": "It breaks"},
            "organizationId": "org-1",
            "webhookTimestamp": int((time.time() - late) * 1000),
        }
    )
