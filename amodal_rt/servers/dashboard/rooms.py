"""What the pages ask."""

from dataclasses import dataclass

from amodal_rt.clock import Clock
from amodal_rt.operations.approvals import Approvals
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.bus import EventBus
from amodal_rt.operations.decision_links import DecisionLinks
from amodal_rt.operations.deliveries import Deliveries
from amodal_rt.operations.events import Events
from amodal_rt.operations.outlook import Outlook
from amodal_rt.operations.run_pages import RunPages
from amodal_rt.operations.runs import Runs
from amodal_rt.operations.sessions import Sessions
from amodal_rt.operations.spending import Spending
from amodal_rt.operations.why import Why
from amodal_rt.servers.sse import Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The operations behind the pages, and the streams of their door."""

    sessions: Sessions
    outlook: Outlook
    automations: Automations
    why: Why
    runs: Runs
    run_pages: RunPages
    events: Events
    bus: EventBus
    deliveries: Deliveries
    spending: Spending
    approvals: Approvals
    links: DecisionLinks
    streams: Streams
    clock: Clock
