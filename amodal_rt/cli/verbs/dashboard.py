"""`amodal-rt dashboard`."""

from collections.abc import Callable

from amodal_rt.cli import output as codes
from amodal_rt.cli.verbs.door import Door

LINK = "/v1/dashboard/link"


def link(door: Door, *, show: Callable[[str], bool] | None) -> int:
    """Print a link to the dashboard, and let `show` open it; 1 when that found no browser."""
    found = door.daemon.post(LINK)
    door.output.answer(found, found["url"])
    if show is not None and not show(found["url"]):
        door.output.remark("no browser could be opened here: open the link yourself")
        return codes.FAILED
    return codes.OK
