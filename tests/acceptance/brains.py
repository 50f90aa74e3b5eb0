"""What a competent model does with the documented prompts: it works with what the tools say."""

import json
import re
from typing import Any

from stub_model import Chat, Say, Turn, Use, get, use


def revenue(chat: Chat) -> Turn:
    """Reads payments and invoices side by side and adds them up."""
    if chat.turn == 0:
        query = "select * from Invoice where TxnDate = '2026-01-04'"
        return Use(
            (
                get("stripe", "/v1/charges", limit=100),
                get("quickbooks", "/v3/company/4620816365/query", query=query),
            )
        )
    regions = {"NA": 0, "EMEA": 0, "APAC": 0}
    text = "".join(chat.results).replace('\\"', '"')
    for amount, region in re.findall(r'"amount": ?(\d+).*?"region": ?"(\w+)"', text, re.DOTALL):
        regions[region] += int(amount) // 100
    invoiced = sum(float(each) for each in re.findall(r'"TotalAmt": ?([\d.]+)', text))
    shares = ", ".join(f"{region} ${amount}" for region, amount in regions.items())
    return Say(f"*Revenue*: {shares}; invoiced ${invoiced}")


def incident(chat: Chat) -> Turn:
    """Looks at the incident's service in three systems and one page of knowledge."""
    data = event_data(chat)
    incident_id, service = data["event"]["data"]["id"], data["event"]["data"]["service"]["summary"]
    if chat.turn == 0:
        return Use(
            (
                get("pagerduty", f"/incidents/{incident_id}"),
                get("datadog", "/api/v1/query", query=f"sum:http.5xx{{service:{service}}}"),
                get("github", f"/repos/acme/{service}/deployments"),
                ("read_knowledge", {"name": "known-issues"}),
            )
        )
    text = "".join(chat.results)
    found = [
        word for word in ("5xx above 4 %", "41.5", "a84d88e", "pool exhausted") if word in text
    ]
    return Say(f"SEV2 {service}: {', '.join(found)}. Next: roll back.")


def drift(chat: Chat) -> Turn:
    """Compares one live specification with the stored one and keeps the difference."""
    if chat.turn == 0:
        return Use((("read_connection", {"name": "stripe"}), get("stripe", "/v1/balance")))
    if chat.turn == 1:
        value = {"connection": "stripe", "impact": "additive", "change": "livemode"}
        return use("write_store", store="drift_history", key="stripe@2026-01-05", value=value)
    if chat.turn == 2:
        return use("query_store", store="drift_history", since="2020-01-01T00:00:00Z")
    return Say("1 additive change: livemode" if "additive" in chat.results[-1] else "lost")


def push(chat: Chat) -> Turn:
    """Says what was pushed, from the event alone."""
    data = event_data(chat)
    return Say(f"{data['pusher']['name']} pushed {len(data['commits'])} commit(s) to {data['ref']}")


def by_prompt(chat: Chat) -> Turn:
    """The one of the above that the prompt speaks of."""
    told = chat.prompt
    if "Stripe" in told and "QuickBooks" in told:
        return revenue(chat)
    if "PagerDuty" in told:
        return incident(chat)
    if "drift" in told.lower():
        return drift(chat)
    if "pushed" in told:
        return push(chat)
    return Say("3 deals won, 1 lost")


def event_data(chat: Chat) -> Any:
    """The event as the prompt carries it: one JSON string in a marked block.

    The block's value may be the document itself or a JSON string that holds it.
    """
    found = re.findall(
        r'<event_data id="[^"]+"[^>]*>\s*(.*?)\s*</event_data', chat.prompt, re.DOTALL
    )
    assert len(found) == 1, f"{len(found)} event blocks in {chat.prompt!r}"
    value = json.loads(found[0])
    return json.loads(value) if isinstance(value, str) else value
