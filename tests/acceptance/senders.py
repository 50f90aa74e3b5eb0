"""Providers as they are on the wire: their payloads' shape, and how each one signs."""

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from outside import Answer, Headers, send

_numbers = itertools.count(1)


def _hmac(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Sender:
    """One provider: `sign` gives the headers of a body that is sent now."""

    name: str
    secret: str
    sign: Callable[[str, bytes], dict[str, str]]

    def send(self, url: str, payload: object, *, body: bytes | None = None, **extra: str) -> Answer:
        """POST the payload, signed; `extra` are headers with `_` for `-`."""
        raw = json.dumps(payload).encode() if body is None else body
        more = {name.replace("_", "-"): value for name, value in extra.items()}
        return send(url, raw, {**self.sign(self.secret, raw), **more})


def github(event: str, delivery: str | None = None) -> Sender:
    """GitHub: the raw body; the event's name stands in a header."""

    def sign(secret: str, body: bytes) -> dict[str, str]:
        return {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery or f"72d3162e-cc78-11e3-81ab-{next(_numbers):012d}",
            "X-Hub-Signature-256": f"sha256={_hmac(secret, body)}",
            "User-Agent": "GitHub-Hookshot/044aadd",
        }

    return Sender("github", "github-secret-of-32-characters-xx", sign)


def _slack(secret: str, body: bytes) -> dict[str, str]:
    stamp = str(int(time.time()))
    signed = f"v0:{stamp}:".encode() + body
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={_hmac(secret, signed)}"}


def _linear(secret: str, body: bytes) -> dict[str, str]:
    return {
        "Linear-Signature": _hmac(secret, body),
        "Linear-Delivery": f"234d1a4e-b617-4388-90fe-{next(_numbers):012d}",
        "Linear-Event": "Issue",
    }


def _stripe(secret: str, body: bytes) -> dict[str, str]:
    stamp = str(int(time.time()))
    signed = f"{stamp}.".encode() + body
    return {"Stripe-Signature": f"t={stamp},v1={_hmac(secret, signed)},v0=0123456789abcdef"}


def _pagerduty(secret: str, body: bytes) -> dict[str, str]:
    return {
        "X-PagerDuty-Signature": f"v1={_hmac(secret, body)}",
        "X-Webhook-Id": f"PD{next(_numbers):010d}",
    }


SLACK = Sender("slack", "8f742231b10e8888abcd99yyyzzz85a5", _slack)
LINEAR = Sender("linear", "lin_wh_0123456789abcdef0123456789", _linear)
STRIPE = Sender("stripe", "whsec_0123456789abcdef0123456789abcdef", _stripe)
PAGERDUTY = Sender("pagerduty", "pd-secret-0123456789abcdef012345", _pagerduty)

SECRETS = {
    "GITHUB_WEBHOOK_SECRET": github("ping").secret,
    "SLACK_SIGNING_SECRET": SLACK.secret,
    "LINEAR_WEBHOOK_SECRET": LINEAR.secret,
    "STRIPE_WEBHOOK_SECRET": STRIPE.secret,
    "PAGERDUTY_WEBHOOK_SECRET": PAGERDUTY.secret,
}

_REPOSITORY = {
    "id": 35129377,
    "name": "checkout",
    "full_name": "acme/checkout",
    "private": False,
    "owner": {"login": "acme", "id": 6752317, "type": "Organization"},
    "html_url": "https://github.com/acme/checkout",
    "default_branch": "main",
}


def _user(login: str, kind: str = "User") -> dict[str, Any]:
    return {"login": login, "id": 21031067, "type": kind, "site_admin": False}


def github_issue(number: int, title: str, *, by: str = "octocat") -> dict[str, Any]:
    """`issues` with the action `opened`."""
    return {
        "action": "opened",
        "issue": {
            "id": 73464126,
            "number": number,
            "title": title,
            "body": "It is slow since Tuesday.",
            "state": "open",
            "user": _user(by),
            "labels": [],
            "created_at": "2026-01-05T09:00:00Z",
            "updated_at": "2026-01-05T09:00:00Z",
        },
        "repository": _REPOSITORY,
        "sender": _user(by),
    }


def github_pull_request(number: int, *, draft: bool) -> dict[str, Any]:
    """`pull_request` with the action `opened`."""
    return {
        "action": "opened",
        "number": number,
        "pull_request": {
            "id": 34778301,
            "number": number,
            "title": "Raise the pool size",
            "body": "Closes #1",
            "draft": draft,
            "state": "open",
            "user": _user("octocat"),
            "updated_at": "2026-01-05T10:00:00Z",
        },
        "repository": _REPOSITORY,
        "sender": _user("octocat"),
    }


def github_comment(number: int, text: str, *, at: str, kind: str = "User") -> dict[str, Any]:
    """`issue_comment` with the action `created`."""
    issue = github_issue(number, "Checkout is slow")["issue"]
    return {
        "action": "created",
        "issue": issue,
        "comment": {
            "id": 99262140 + next(_numbers),
            "user": _user("hubot", kind),
            "body": text,
            "created_at": at,
            "updated_at": at,
        },
        "repository": _REPOSITORY,
        "sender": _user("hubot", kind),
    }


def slack_mention(text: str, *, ts: str, thread: str | None = None) -> dict[str, Any]:
    """An `event_callback` with an `app_mention` in it."""
    event = {
        "type": "app_mention",
        "user": "U061F7AUR",
        "text": text,
        "ts": ts,
        "channel": "C0LAN2Q65",
        "event_ts": ts,
    }
    if thread is not None:
        event["thread_ts"] = thread
    return {
        "token": "ZZZZZZWSxiZZZ2yIvs3peJ",
        "team_id": "T061EG9R6",
        "api_app_id": "A0MDYCDME",
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev0MDYHUEL{next(_numbers)}",
        "event_time": int(float(ts)),
        "authed_users": ["U0LAN0Z89"],
    }


def linear_issue(identifier: str, title: str, *, action: str, priority: int) -> dict[str, Any]:
    """A data change event of an issue, as it is sent now."""
    return {
        "action": action,
        "type": "Issue",
        "createdAt": "2026-01-05T09:00:00.000Z",
        "organizationId": "b1b3a0c4-5d0b-4d4b-8f0b-3b1f0a9c2d11",
        "webhookTimestamp": int(time.time() * 1000),
        "webhookId": "000042e3-d123-4980-b49f-8e140eef9329",
        "actor": {"id": "2174add1-f7c8-44e3-bbf3-2d60b5ea8bc9", "name": "Anna", "type": "user"},
        "url": f"https://linear.app/acme/issue/{identifier}",
        "data": {
            "id": "539068e2-ae88-4d09-bd75-22eb4a59612f",
            "identifier": identifier,
            "title": title,
            "description": "Nobody can pay.",
            "priority": priority,
            "state": {"name": "Todo", "type": "unstarted"},
            "team": {"key": "PAY", "name": "Payments"},
        },
    }


def stripe_invoice(invoice: str, *, event: str, livemode: bool) -> dict[str, Any]:
    """An `invoice.payment_failed` event."""
    return {
        "id": event,
        "object": "event",
        "api_version": "2025-03-31.basil",
        "created": int(time.time()),
        "type": "invoice.payment_failed",
        "livemode": livemode,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "data": {
            "object": {
                "id": invoice,
                "object": "invoice",
                "customer": "cus_NffrFeUfNV2Hib",
                "amount_due": 4200,
                "currency": "eur",
                "attempt_count": 2,
                "billing_reason": "subscription_cycle",
            }
        },
    }


def pagerduty_incident(incident: str, *, urgency: str) -> dict[str, Any]:
    """An `incident.triggered` event of the third webhook version."""
    return {
        "event": {
            "id": f"01DEN0P8DDQ7E7K3A5V8C{next(_numbers):05d}",
            "event_type": "incident.triggered",
            "resource_type": "incident",
            "occurred_at": "2026-01-05T09:00:00.000Z",
            "agent": {"id": "PLH1HKV", "type": "user_reference", "summary": "Monitoring"},
            "client": None,
            "data": {
                "id": incident,
                "type": "incident",
                "number": 2,
                "status": "triggered",
                "title": "5xx above 4 %",
                "urgency": urgency,
                "service": {"id": "PF9KMXH", "type": "service_reference", "summary": "checkout"},
            },
        }
    }


def bearer(token: str) -> Headers:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


def whsec(raw: bytes) -> str:
    """A secret as Standard Webhooks spells it."""
    return "whsec_" + base64.b64encode(raw).decode()
