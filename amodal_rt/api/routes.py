"""Where the operations are, as the OpenAPI document names them."""

from collections.abc import Mapping
from dataclasses import dataclass

from amodal_rt.api.transport import Call, Query

LOCAL_APP = "dap_local"
"""The app of who names none: a daemon serves one workspace, and takes any."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. GET is asked again where that may help, anything else on request."""

    method: str
    path: str

    def call(
        self,
        parts: Mapping[str, str],
        *,
        query: Query | None = None,
        body: object = None,
        media: str = "application/json",
        again: bool = False,
    ) -> Call:
        """One request of it."""
        return Call(
            method=self.method,
            path=self.path,
            parts=parts,
            query=query,
            body=body,
            media=media,
            again=again or self.method == "GET",
        )


_PUBLIC = "/api/v1"
_MANAGED = "/apps/{app}/automations"

INVOKE = Route("POST", f"{_PUBLIC}/automations/{{automation}}/invoke")
RUN = Route("GET", f"{_PUBLIC}/automation_runs/{{run}}")
JOURNAL = Route("GET", f"{_PUBLIC}/automation_runs/{{run}}/journal")
STREAM = Route("GET", f"{_PUBLIC}/automation_runs/{{run}}/stream")
SPEND = Route("GET", f"{_PUBLIC}/spend")
OPENAPI = Route("GET", "/openapi.json")
EVENTS = Route("POST", "/events")
"""CloudEvents. It has a guard of its own, and so no place in the OpenAPI document."""

AUTOMATIONS = Route("GET", _MANAGED)
CREATE = Route("POST", _MANAGED)
EVENT_NAMES = Route("GET", f"{_MANAGED}/events")
RUNS = Route("GET", f"{_MANAGED}/runs")
AUTOMATION = Route("GET", f"{_MANAGED}/{{automation}}")
UPDATE = Route("PATCH", f"{_MANAGED}/{{automation}}")
DELETE = Route("DELETE", f"{_MANAGED}/{{automation}}")
ACTIVATE = Route("POST", f"{_MANAGED}/{{automation}}/activate")
PAUSE = Route("POST", f"{_MANAGED}/{{automation}}/pause")
RUNS_OF = Route("GET", f"{_MANAGED}/{{automation}}/runs")
