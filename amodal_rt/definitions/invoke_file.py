"""Keys of automations that programs invoke."""

from typing import Annotated

from amodal_rt.definitions.document import Document
from amodal_rt.definitions.json_schema import schema_problem
from amodal_rt.definitions.payload_schema import payload_schema_fault
from amodal_rt.definitions.shapes import FileShape, NotYet, described, later
from amodal_rt.domain.invocation import Invocation, InvokeAuth
from amodal_rt.domain.problem import Problem


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


def input_schema_problem(document: Document, schema: dict[str, object]) -> Problem | None:
    """What keeps the schema from judging what strangers send."""
    problem = schema_problem(document, schema, "inputSchema")
    if problem is not None:
        return problem
    fault = payload_schema_fault(schema)
    if fault is None:
        return None
    loc, message = fault
    return document.problem("bad_schema", message, ("inputSchema", *loc))
