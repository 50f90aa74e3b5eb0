"""Events over the API: what a program says that happened."""

from typing import cast

from amodal_rt.api import routes
from amodal_rt.api.objects import EventReceipt
from amodal_rt.api.transport import Asks
from amodal_rt.ids import Ids

SOURCE = "/program"
"""Where an event comes from that a program emits without saying."""
_CLOUD_EVENT = "application/cloudevents+json"


class EventsApi:
    """Emit. Needs a token that may trigger."""

    def __init__(self, asks: Asks, *, ids: Ids) -> None:
        self._asks = asks
        self._ids = ids

    async def emit(
        self,
        type: str,
        data: object = None,
        *,
        subject: str | None = None,
        source: str = SOURCE,
        id: str | None = None,
        time: str | None = None,
    ) -> EventReceipt:
        """Say that something happened; committed on return.

        `source` and `id` together make it the same event: a second one is a `duplicate` and
        starts nothing. Without an `id` it has a fresh one, the same for every try of this call.
        `time` is ISO 8601 with its zone.
        """
        given = {
            "specversion": "1.0",
            "id": id or self._ids.event(),
            "source": source,
            "type": type,
            "subject": subject,
            "time": time,
            "data": data,
        }
        body = {name: each for name, each in given.items() if each is not None}
        call = routes.EVENTS.call({}, body=body, media=_CLOUD_EVENT, again=True)
        return cast("EventReceipt", await self._asks.ask(call))
