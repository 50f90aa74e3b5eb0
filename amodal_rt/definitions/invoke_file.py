"""Keys of automations that programs invoke."""

from typing import Annotated

from amodal_rt.definitions.shapes import FileShape, NotYet, described, later
from amodal_rt.domain.invocation import Invocation, InvokeAuth


class PrefillsShape(FileShape):
    """What an invoked run is always given."""

    payload: Annotated[
        dict[str, object] | None,
        described("Values that no caller can change, each at its key; objects are joined."),
    ] = None
    participants: Annotated[NotYet, later("Agents that take part.")] = None


def invocation(
    schema: dict[str, object] | None, prefills: PrefillsShape | None, auth: str | None
) -> Invocation | None:
    """None where no key speaks of it."""
    if schema is None and prefills is None and auth is None:
        return None
    return Invocation(
        schema=schema,
        prefills=(prefills.payload if prefills else None) or {},
        auth=InvokeAuth(auth) if auth else None,
    )
