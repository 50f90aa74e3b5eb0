"""http.md: the routes of the public door and of the control socket."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from amodal_rt.clock import SystemClock
from amodal_rt.servers.api.openapi import ABOUT
from amodal_rt.servers.control_socket import control_app
from amodal_rt.servers.events import EventsDoor
from amodal_rt.servers.webhooks import webhook_routes
from generating import markdown
from generating.markdown import code, table

# Each route needs its sentence: a new one without fails the build of this page.
_PUBLIC: Mapping[str, str] = {
    "* /webhooks/{endpoint}": "Takes an event; the answers stand below. Anything but POST is 405.",
    "* /integrations/{endpoint}/{key}": (
        "Takes an event of a provider, for every automation that waits for it. Anything but POST "
        "is 405."
    ),
    "* /api/trigger-callback": (
        "Takes what an MCP server watched for, with the token of its trigger; see [Start from what "
        "an MCP server watches for](../how-to/mcp-triggers.md). Anything but POST is 405."
    ),
    "* /events": (
        "Takes CloudEvents of programs that have a token; see "
        "[Send events](../how-to/send-events.md). Anything but POST is 405."
    ),
    "GET /healthz": "200 while the process answers at all.",
    "GET /readyz": (
        "200 once every part has started, while the ledger takes writes and the node has its "
        "lease; else 503 with a `reason`."
    ),
}
_CONTROL: Mapping[str, str] = {
    "GET /v1/status": (
        "The daemon: `version`, `pid`, `workspace`, `state_dir`, `url`, `ready`, `degraded` "
        "(why the ledger takes no writes, and alerts that reached nobody) …"
    ),
    "GET /v1/automations": "`ops automations list`",
    "GET /v1/automations/{name}": "`ops automations show`",
    "GET /v1/automations/{name}/powers": "`ops automations powers`",
    "GET /v1/automations/{name}/why": "`ops automations why`; `at`, `limit`",
    "GET /v1/runs": "`ops runs list`; `automation`, `status`, `since`, `limit`",
    "GET /v1/runs/{id}": "`ops runs show`",
    "GET /v1/runs/{id}/journal": "`ops runs logs`, as JSON Lines; `after` a sequence, `follow=1`",
    "GET /v1/events": "`ops events list`; `automation`, `type` (a glob), `rejected=1`, `limit`",
    "GET /v1/events/{id}": "`ops events show`; `cloudevents=1`",
    "GET /v1/events/types": "`ops events types`; `fitting`, `source`",
    "GET /v1/events/types/{name}": "One type, with its schema and sample",
    "GET /v1/identities": "`ops identities list`",
    "POST /v1/identities/link": "`ops identities link`; `{member, provider, account, create?}`",
    "POST /v1/identities/unlink": "`ops identities unlink`; `{provider, account}`",
    "GET /v1/integrations": "The integrations and their addresses",
    "POST /v1/automations/{name}/test-event": "`ops automations test-event`",
    "GET /v1/tokens": "`amodal-rt tokens list`",
    "GET /v1/approvals": "`ops approvals list`; `automation`, `limit`",
    "GET /v1/approvals/{id}": "`ops approvals show`; by the id of a parked write, or the run's",
    "GET /v1/deliveries": "`ops deliveries list`; `status`, `limit`",
    "GET /v1/deliveries/{id}": "`ops deliveries show`",
    "GET /v1/connections": "`ops connections list`",
    "GET /v1/connections/{name}/tools": "`ops connections tools`",
    "GET /v1/nodes": "`ops nodes list`; `all=1`",
    "GET /v1/spend": "`ops spend`; `days`, `by`, `automation`",
    "GET /v1/audit": "`amodal-rt audit list`; `since`, `run`, `automation`, `limit`",
    "POST /v1/audit/verify": "`amodal-rt audit verify`; `{head?}`",
    "GET /v1/stores": "`ops stores`",
    "GET /v1/stores/{name}": "`ops stores show`; `limit`",
    "POST /v1/events": (
        "`ops events emit`; `{type, data?, subject?, source?, id?, time?}`. Takes CloudEvents as "
        "the public door does, without a token."
    ),
    "POST /v1/events/{id}/replay": "`ops events replay`; `{again?}`",
    "POST /v1/tokens": "`amodal-rt tokens create`; `{name, scopes}`. `secret` is told this once.",
    "POST /v1/tokens/{id}/revoke": "`amodal-rt tokens revoke`; a name will do",
    "POST /v1/automations": (
        "`ops automations create`; `{name, keys}` with keys of the file, or `{name, text, ending?}`"
        " with a whole file, whose `ending` is `.json` or `.md`. Answers the automation."
    ),
    "POST /v1/automations/{name}/update": (
        "`ops automations update`; `{keys}`, of which null takes one away, or `{text, ending?}`"
    ),
    "POST /v1/automations/{name}/delete": (
        "`ops automations delete`; answers `{name, deleted, file}`"
    ),
    "POST /v1/automations/pause": "`ops automations pause --all`; `{reason?}`",
    "POST /v1/automations/{name}/pause": "`ops automations pause`; `{reason?}`",
    "POST /v1/automations/{name}/resume": "`ops automations resume`",
    "POST /v1/automations/{name}/activate": "`ops automations activate`",
    "POST /v1/automations/{name}/reset": "`ops automations reset`",
    "POST /v1/automations/{name}/rotate-url": "`ops automations rotate-url`",
    "POST /v1/automations/{name}/trigger": (
        "`ops automations trigger`; `{payload?, rehearse?}`. Answers as soon as the run is on disk."
    ),
    "POST /v1/runs/{id}/cancel": "`ops runs cancel`",
    "POST /v1/runs/{id}/replay": "`ops runs replay`",
    "POST /v1/approvals/{id}/approve": (
        "`ops approvals approve`; `{step?, note?, call?}`. Refused where a run asks for it."
    ),
    "POST /v1/approvals/{id}/deny": "`ops approvals deny`; `{step?, note?}`",
    "POST /v1/deliveries/retry": "`ops deliveries retry --since`; `{since, target?}`",
    "POST /v1/deliveries/{id}/retry": "`ops deliveries retry`",
    "POST /v1/connections/{name}/approve": "`ops connections approve`",
    "POST /v1/connections/{name}/test": "`ops connections test`",
    "POST /v1/dashboard/link": (
        "`amodal-rt dashboard`: `{url, expires_at}` of a link that opens the dashboard once, "
        "within five minutes. On the socket alone."
    ),
}

_DOOR = """
## The TCP door

On `listen` (default `127.0.0.1:3847`). These routes need none of our tokens, but for `/events`:
"""

_GUARDED = """
### The dashboard

Pages for people at `/` and below `/dashboard/`, for who has a session: see
[Use the dashboard](../how-to/use-the-dashboard.md). They are no interface for programs, and may
change.

### All else

Everything else wants a token with the scope that it names (`amodal-rt tokens create`), as
`Authorization: Bearer …`, `x-archastro-api-key` or `x-api-key`. `Host` must be an address, a name
of this machine or that of `publicUrl`; an `Origin` must be ours. A body has at most 1 MiB and no
`Content-Encoding`.

What is wrong is told as `{"error": {"code", "kind", "message", "hint"}}`, and nothing of what is
inside. Without a token every path answers 401 alike, those too where nothing is.
"""

_API = """
See [Use the API](../how-to/use-the-api.md); `/openapi.json` has every shape. The paths under
`/apps/{app}` are served under `/protected/api/v1/developer/apps/{app}`, too; any `{app}` will do.
Lists hold `{"data", "before_cursor", "after_cursor", "has_more"}`: `before_cursor` leads to older
rows, `after_cursor` to newer ones, `limit` is 50 and at most 100. A wrong cursor or limit is 400.
Runs that were skipped are listed to who asks for `status=skipped`.

`POST /mcp` is the MCP server, for tokens of any scope: each tool has its own. See
[Let agents use it over MCP](../how-to/use-mcp.md).

`GET /metrics` tells the state of the daemon to Prometheus, for tokens that may read. See
[Measure with Prometheus](../how-to/measure-with-prometheus.md).

The routes of the control socket, below, are served here with the same documents and errors, but
for the link to the dashboard, and that a request which is malformed as such is 400. Starting a run
or an event needs `trigger`, looking `read`, and all else `manage`; `webhook_url` is shown to tokens
that may trigger.
"""

_ANSWERS = """
| answer | body | when |
|---|---|---|
| 202 | `{"status": "accepted", "event_id", "run_id"}` | the event and its run are on disk |
| 202 | `{"status": "skipped", "event_id", "run_id", "reason"}` | recorded, not run |
| 202 | `{"status": "skipped", "reason": "other_account"}` | of an account that the file excludes |
| 200 | `{"status": "duplicate", "event_id", "run_id", "hint"}` | seen before; the first one's ids |
| 400 | `{"error": {"code", "message"}}` | the body broke off |
| 401 | | the signature is wrong or missing; one body for every cause |
| 404 | | no such id |
| 405 | | not POST |
| 408 | | the body did not come in time |
| 413 | | larger than `limits.webhookBytes` |
| 415 | | a compressed body |
| 503 | with `Retry-After` | not durable right now; the sender should come again |

Answers of integrations have `run_ids` and `runs` (`run_id`, `automation`, `status`, `reason`), too:
one event starts each automation that waits for it, at most once. `run_id` is the first.

What a provider asks to see whether an endpoint is ours is answered once its signature is right, and
becomes no event: Slack's `url_verification`, Zoom's `endpoint.url_validation`, Discord's pings.
Discord takes 204 without a body as the only answer to an event. Providers are answered within a
second, if need be with 503: what they send again is known by then.

Skipped is what comes while the automation is paused or over a limit, and what its filter leaves
out. 503 means a full queue or disk, an invalid automation, or a secret that is unset, shorter than
16 bytes or no key.

A body is kept whatever it is: JSON and forms parsed, text and binary as they came, malformed JSON
as text, an empty body as null.

At most 512 connections are open at once, 32 of them from one public address; past that, the one
that has been silent longest is closed, and where none is silent a new one is answered 503.
`Amodal-Rt-Cause` is the runtime's own: it says which run caused a request, counts only where the
runtime made it, and is not kept.
"""

_EVENT_ANSWERS = """
| answer | body | when |
|---|---|---|
| 202 | `{"status": "accepted", "event_id", "runs"}` | the event and its runs are on disk |
| 200 | `{"status": "duplicate", "event_id", "runs", "hint"}` | source and id were seen before |
| 202, 200 | `{"receipts": […]}` | a batch: one of the above each, in order; 200 when none is new |
| 400 | `{"error": {"code", "message", "hint"?}}` | an attribute is wrong; nothing is taken |
| 401 | | no token, a wrong one or a revoked one; one body for all three |
| 403 | | the scope `trigger` is missing, `Host` or `Origin` is not ours, or the type is another's |
| 405 | | not POST |
| 408 | | the body did not come in time |
| 413 | | more than 1 MiB or 1,000 events |
| 415 | | no CloudEvent, or a compressed body |
| 503 | with `Retry-After` | not durable right now; send all of it again |

`runs` holds `{"run_id", "automation", "status", "reason"}` of each run that the event led to.
"""

_SOCKET = """
HTTP/1.1 on `control.sock` in the state folder (a shorter place in the user's runtime folder when
its path is too long for a socket). Only the daemon's own user and root are let in. Documents are
those of [JSON output](json-output.md). The command line uses nothing else; `amodal-rt mcp` hands
its messages to `POST /mcp` here.

Errors are `{"error": {"code", "kind", "message", "hint"}}` with the status of their
[kind](errors.md). `X-Actor` names who asks; it is kept with the run.
"""


class _Nothing:
    """Has every verb, and none of them does anything: only the routes are asked for."""

    def __getattr__(self, name: str) -> None:
        return None


def page() -> str:
    """The page."""
    nothing: Any = _Nothing()
    public = webhook_routes(
        nothing, nothing, integrations=nothing, callbacks=nothing, clock=SystemClock()
    )
    public += EventsDoor(nothing, nothing, nothing, clock=SystemClock()).routes()
    socket = control_app(nothing).router.routes()
    return markdown.page(
        "HTTP",
        _DOOR,
        _rows(
            ((each.method, each.path) for each in public if isinstance(each, web.RouteDef)), _PUBLIC
        ),
        "### What a webhook is answered",
        _ANSWERS,
        "### What a program that sends events is answered",
        _EVENT_ANSWERS,
        _GUARDED,
        "### The API",
        _API,
        table(
            ("route", "what"),
            [(code(each), about.summary) for each, about in ABOUT.items() if not _twin(each)],
        ),
        "## The control socket",
        _SOCKET,
        _rows(
            (
                (each.method, each.resource.canonical)
                for each in socket
                if each.resource and each.method != "HEAD"
            ),
            _CONTROL,
        ),
    )


def _twin(route: str) -> bool:
    """Whether the same stands under another prefix."""
    return " /protected/" in route


def _rows(routes: Iterable[tuple[str, str]], said: Mapping[str, str]) -> str:
    found = [f"{method} {path}" for method, path in routes]
    gone = set(said) - set(found)
    if gone:
        raise KeyError(f"no such route any more: {', '.join(sorted(gone))}")
    return table(
        ("route", "what"), [(code(each.replace("* ", "POST ")), said[each]) for each in found]
    )
