"""The runtime as a connection of its own agents: read-only, and without capabilities."""

from collections.abc import Mapping

from amodal_rt.clock import Clock
from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.errors import AmodalError
from amodal_rt.operations import asked
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.deliveries import Deliveries
from amodal_rt.operations.runs import Runs
from amodal_rt.ports import Caller

_CALLER = Caller(actor="agent", door="runtime")
_STATUS = {"invalid": 422, "not_found": 404, "unavailable": 503}


class LedgerRuntimeView:
    """Implements `ports.RuntimeView` over the same operations as every other door.

    Webhook URLs are left out: whoever holds the URL of an unsigned webhook may start it,
    and an agent reads text of strangers.
    """

    def __init__(
        self, automations: Automations, runs: Runs, deliveries: Deliveries, *, clock: Clock
    ) -> None:
        self._automations = automations
        self._runs = runs
        self._deliveries = deliveries
        self._clock = clock

    async def get(self, path: str, params: Mapping[str, str]) -> tuple[int, object]:
        """`/automations`, `/runs` and `/deliveries`, each also with a name or id behind it."""
        room, _, name = path.strip("/").partition("/")
        try:
            document = await self._find(room, name, params)
        except AmodalError as error:
            return _STATUS.get(error.kind, 500), {"error": error.document()}
        if document is None:
            known = "GET /automations, /runs or /deliveries"
            message = f"the runtime connection has no {path}: {known}"
            return 404, {"error": {"code": "not_found", "message": message}}
        return 200, document

    async def _find(self, room: str, name: str, params: Mapping[str, str]) -> object:
        limit = asked.limit(params.get("limit"))
        match room, bool(name):
            case "automations", False:
                rows = await self._automations.list_all(_CALLER)
                return [{**row, "webhook_url": None} for row in rows[:limit]]
            case "automations", True:
                return {**await self._automations.show(_CALLER, name), "webhook_url": None}
            case "runs", False:
                return await self._runs.list_all(
                    _CALLER,
                    automation=params.get("automation"),
                    status=asked.run_status(params.get("status")),
                    since=asked.instant(params.get("since"), now=self._clock.now()),
                    limit=limit,
                )
            case "runs", True:
                return await self._runs.show(_CALLER, name)
            case "deliveries", False:
                status = asked.choice(DeliveryStatus, params.get("status"), what="status")
                return await self._deliveries.list_all(_CALLER, status=status, limit=limit)
            case "deliveries", True:
                return await self._deliveries.show(_CALLER, name)
            case _:
                return None
