"""The services that automations read: Stripe, QuickBooks, PagerDuty, Datadog, GitHub, Slack.

Each answers in the shape of its real REST API, and only with the right credential.
"""

from collections.abc import Callable, Mapping
from typing import Any

from stub_http import Reply, Request, Stub

TOKENS = {
    "stripe": "sk_test_c4n4ry51ripe",
    "quickbooks": "qb-c4n4ry-access",
    "pagerduty": "Token token=pd-c4n4ry-key",
    "datadog": "dd-c4n4ry-key",
    "github": "ghp_c4n4rygithub",
}


class Service(Stub):
    """A REST service behind a credential. `documents` maps `GET` paths to what they answer;
    any other method is remembered and done."""

    def __init__(self, header: str, value: str, documents: Mapping[str, Any]) -> None:
        super().__init__()
        self._header, self._value = header.lower(), value
        self._documents = documents

    def answer(self, request: Request) -> Reply:
        """401 without the credential, 404 for unknown paths."""
        if request.headers.get(self._header) != self._value:
            return Reply(401, {"error": {"message": "invalid credential"}})
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            return Reply(201, {"id": "new_1", "ok": True})
        if request.path not in self._documents:
            return Reply(404, {"error": {"message": f"no route {request.path}"}})
        return Reply(200, self._documents[request.path])

    @property
    def writes(self) -> list[Request]:
        """What came that could have changed something."""
        reading = {"GET", "HEAD", "OPTIONS"}
        return [each for each in list(self.requests) if each.method not in reading]


def stripe() -> Service:
    """Payments of yesterday, with the region in the customer's metadata."""
    charges = [
        {"id": f"ch_{n}", "object": "charge", "amount": amount, "currency": "usd",
         "metadata": {"region": region}}
        for n, (region, amount) in enumerate([("NA", 125_000), ("EMEA", 50_000), ("APAC", 25_000)])
    ]  # fmt: skip
    listed = {"object": "list", "url": "/v1/charges", "has_more": False, "data": charges}
    documents = {"/v1/charges": listed, "/v1/balance": {"object": "balance", "livemode": False}}
    return Service("Authorization", f"Bearer {TOKENS['stripe']}", documents)


def quickbooks() -> Service:
    """Invoices of yesterday."""
    invoices = [{"Id": "130", "DocNumber": "1037", "TotalAmt": 362.07, "Balance": 0}]
    answer = {"QueryResponse": {"Invoice": invoices, "maxResults": 1}, "time": "2026-01-05T09:00Z"}
    documents = {"/v3/company/4620816365/query": answer}
    return Service("Authorization", f"Bearer {TOKENS['quickbooks']}", documents)


def pagerduty() -> Service:
    """One incident."""
    incident = {"id": "PT4KHLK", "status": "triggered", "urgency": "high", "title": "5xx above 4 %"}
    documents = {"/incidents/PT4KHLK": {"incident": incident}}
    return Service("Authorization", TOKENS["pagerduty"], documents)


def datadog() -> Service:
    """One metric with an anomaly."""
    series = [
        {"metric": "http.5xx", "scope": "service:checkout", "pointlist": [[1, 0.2], [2, 41.5]]}
    ]
    documents = {"/api/v1/query": {"status": "ok", "series": series}}
    return Service("DD-API-KEY", TOKENS["datadog"], documents)


def github() -> Service:
    """The last deployment of a service."""
    deployments = [{"id": 42, "sha": "a84d88e", "ref": "main", "environment": "production"}]
    documents = {"/repos/acme/checkout/deployments": deployments}
    return Service("Authorization", f"Bearer {TOKENS['github']}", documents)


class Slack(Stub):
    """Incoming webhooks: Slack refuses what has no text. `said` is what arrived, by path."""

    def answer(self, request: Request) -> Reply:
        """`ok`, or `no_text` as Slack says it."""
        if not request.json().get("text"):
            return Reply(400, content=b"no_text", content_type="text/plain")
        return Reply(200, content=b"ok", content_type="text/plain")

    def said(self, path: str) -> list[dict[str, Any]]:
        """The documents posted to one incoming webhook."""
        return [each.json() for each in self.sent("POST", path)]


def rest(url: str, auth: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The `spec.json` of a REST connection."""
    return {"protocol": "rest", "baseUrl": url, "auth": auth, **more}


SPECS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "stripe": lambda url: rest(
        url, {"type": "bearer", "token": "env:STRIPE_KEY"}, testPath="/v1/balance"
    ),
    "quickbooks": lambda url: rest(url, {"type": "bearer", "token": "env:QUICKBOOKS_TOKEN"}),
    "pagerduty": lambda url: rest(
        url, {"type": "header", "token": "env:PAGERDUTY_KEY", "header": "Authorization"}
    ),
    "datadog": lambda url: rest(
        url, {"type": "header", "token": "env:DATADOG_KEY", "header": "DD-API-KEY"}
    ),
    "github": lambda url: rest(url, {"type": "bearer", "token": "env:GITHUB_TOKEN"}),
}  # fmt: skip

VARIABLES = {
    "STRIPE_KEY": TOKENS["stripe"],
    "QUICKBOOKS_TOKEN": TOKENS["quickbooks"],
    "PAGERDUTY_KEY": TOKENS["pagerduty"],
    "DATADOG_KEY": TOKENS["datadog"],
    "GITHUB_TOKEN": TOKENS["github"],
}
"""The `.env` that those connections need."""
