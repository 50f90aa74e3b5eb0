"""`ops deliveries|events|connections|stores …`."""

from typing import Annotated

import typer

from amodal_rt.cli.commands import bus, catalogue, options
from amodal_rt.cli.connect import use
from amodal_rt.cli.verbs import outside
from amodal_rt.cli.verbs.door import Door

_Id = Annotated[str, typer.Argument(metavar="ID")]
_Connection = Annotated[str, typer.Argument(metavar="NAME", help="A folder of connections/.")]


def groups() -> dict[str, typer.Typer]:
    """The four small groups by name."""
    deliveries = typer.Typer(help="Messages owed, sent and given up.", no_args_is_help=True)
    deliveries.command("list")(list_deliveries)
    deliveries.command("show")(show_delivery)
    deliveries.command("retry")(retry_delivery)
    events = typer.Typer(help="What happened outside.", no_args_is_help=True)
    events.command("list")(list_events)
    events.command("show")(show_event)
    bus.add_events(events)
    catalogue.add_events(events)
    connections = typer.Typer(help="What agents may reach.", no_args_is_help=True)
    connections.command("list")(list_connections)
    connections.command("tools")(list_tools)
    connections.command("approve")(approve_tools)
    connections.command("test")(test_connection)
    stores = typer.Typer(help="What agents have kept.", invoke_without_command=True)
    stores.callback()(all_stores)
    stores.command("list")(list_stores)
    stores.command("show")(show_store)
    return {
        "deliveries": deliveries,
        "events": events,
        "connections": connections,
        "stores": stores,
    }


def list_deliveries(
    status: options.Status = None,
    limit: options.Limit = 20,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """List messages, newest first; `--status dead` for what was given up."""
    return use(
        lambda door: outside.list_deliveries(door, status=status, limit=limit),
        as_json=as_json,
        workspace=workspace,
    )


def show_delivery(
    delivery: _Id, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Show one message with its body."""
    return use(
        lambda door: outside.show_delivery(door, delivery), as_json=as_json, workspace=workspace
    )


def retry_delivery(
    delivery: Annotated[str | None, typer.Argument(metavar="ID", help="One message.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="T", help="All that died or expired since: an ISO time, or 24h."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="LABEL", help="With --since: only of this target.")
    ] = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Send what was given up again, now, under the same webhook-id: one message, or all since."""
    if (delivery is None) == (since is None):
        raise typer.BadParameter("give the ID of one message, or --since T for all since then")
    if delivery is not None and target is not None:
        raise typer.BadParameter("--target goes with --since")

    def verb(door: Door) -> int:
        if delivery is not None:
            return outside.retry_delivery(door, delivery)
        return outside.retry_deliveries(door, since=str(since), target=target)

    return use(verb, as_json=as_json, workspace=workspace)


def list_events(
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Requests that were refused instead.")
    ] = False,
    automation: Annotated[str | None, typer.Option(help="Only this automation's.")] = None,
    type: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Only of this type, as in github.*")
    ] = None,
    limit: options.Limit = 20,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """List events with the runs that they led to, newest first."""
    return use(
        lambda door: outside.list_events(
            door, limit=limit, rejected=rejected, automation=automation, type=type
        ),
        as_json=as_json,
        workspace=workspace,
    )


def show_event(
    event: Annotated[
        str, typer.Argument(metavar="ID", help="An event id: evt_…; a type of event shows that.")
    ],
    cloudevents: Annotated[
        bool, typer.Option("--cloudevents", help="As a CloudEvent, as it is handed on.")
    ] = False,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Show one event with its data."""
    return use(
        lambda door: outside.show_event(door, event, cloudevents=cloudevents),
        as_json=as_json,
        workspace=workspace,
    )


def list_connections(as_json: options.AsJson = False, workspace: options.Workspace = None) -> int:
    """List the connections of the workspace."""
    return use(outside.list_connections, as_json=as_json, workspace=workspace)


def list_tools(
    name: _Connection, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """List what a connection offers, each read, write or unknown."""
    return use(lambda door: outside.list_tools(door, name), as_json=as_json, workspace=workspace)


def approve_tools(
    name: _Connection,
    tools: Annotated[
        list[str] | None, typer.Argument(metavar="TOOL…", help="Default: all that are off.")
    ] = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Approve tools of an MCP server that changed or are new, as they are now."""
    return use(
        lambda door: outside.approve_tools(door, name, list(tools or ())),
        as_json=as_json,
        workspace=workspace,
    )


def test_connection(
    name: _Connection, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Read once through a connection."""
    return use(
        lambda door: outside.test_connection(door, name), as_json=as_json, workspace=workspace
    )


def all_stores(
    context: typer.Context,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """What agents have kept."""
    # Runs before `list` and `show` too, which print for themselves.
    return 0 if context.invoked_subcommand else list_stores(as_json, workspace)


def list_stores(as_json: options.AsJson = False, workspace: options.Workspace = None) -> int:
    """List the stores."""
    return use(
        lambda door: outside.list_stores(door, None, limit=1), as_json=as_json, workspace=workspace
    )


def show_store(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    limit: options.Limit = 20,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Show the newest values of a store."""
    return use(
        lambda door: outside.list_stores(door, name, limit=limit),
        as_json=as_json,
        workspace=workspace,
    )
