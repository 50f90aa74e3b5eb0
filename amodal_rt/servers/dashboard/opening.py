"""The dashboard, whole."""

from collections.abc import Callable

from amodal_rt.ids import Ids
from amodal_rt.operations.address import Address
from amodal_rt.servers.dashboard.approvals import ApprovalPages
from amodal_rt.servers.dashboard.assets import Assets
from amodal_rt.servers.dashboard.automations import AutomationPages
from amodal_rt.servers.dashboard.deliveries import DeliveryPages
from amodal_rt.servers.dashboard.door import Dashboard
from amodal_rt.servers.dashboard.events import EventPages
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.pages import Pages
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.dashboard.runs import RunPagesDoor
from amodal_rt.servers.dashboard.spend import SpendPages


def dashboard(rooms: Rooms, address: Address, *, name: Callable[[], str], ids: Ids) -> Dashboard:
    """Its pages over these rooms; `name` is what the workspace is called."""
    assets = Assets()
    frames = Frames(Pages(assets, clock=rooms.clock), name)
    routes = [
        *AutomationPages(rooms, frames).routes(),
        *RunPagesDoor(rooms, frames).routes(),
        *EventPages(rooms, frames).routes(),
        *DeliveryPages(rooms, frames).routes(),
        *ApprovalPages(rooms, frames).routes(),
        *SpendPages(rooms, frames).routes(),
    ]
    return Dashboard(routes, rooms, address, frames, assets, ids=ids)
