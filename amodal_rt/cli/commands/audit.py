"""`amodal-rt audit …`."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import connect, find_state, use, user
from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs import audit
from amodal_rt.cli.verbs.door import wanted
from amodal_rt.client import Client
from amodal_rt.errors import AmodalError
from amodal_rt.operations.audit import Audit
from amodal_rt.ports import Caller
from amodal_rt.settings import load_process_settings, process_environment

VERIFY_SECONDS = 3_600.0
"""How long a daemon elsewhere may look at its record: it answers when it has seen every row."""

_Asked = Callable[[Audit, Caller], Awaitable[Any]]


def group() -> typer.Typer:
    """The verbs of the record."""
    made = typer.Typer(
        help="The record of who did what, and proof that nobody touched it. Read from the ledger "
        "itself, with or without a daemon; with --url from the daemon there.",
        no_args_is_help=True,
        callback=_reached_at,
    )
    made.command("list")(list_trail)
    made.command("verify")(verify)
    return made


def _reached_at(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Ask the daemon there, with the token in AMODAL_RT_TOKEN; default AMODAL_RT_URL.",
        ),
    ] = None,
) -> None:
    if url is not None:
        # As if it had been set for this one command: whoever connects asks there.
        os.environ["AMODAL_RT_URL"] = url


def list_trail(
    since: Annotated[
        str | None, typer.Option(metavar="T", help="Not before: an ISO time, or 24h.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Only what this run did, or had done."),
    ] = None,
    automation: Annotated[
        str | None,
        typer.Option(help="Only what was done to it, and what its runs did.", show_default=False),
    ] = None,
    limit: options.Limit = 50,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """List who did what through which door, and the writes of runs, those refused too."""
    asked = wanted(since=since, run=run, automation=automation, limit=limit)

    async def read(audit: Audit, caller: Caller) -> Any:
        return await audit.list_all(
            caller, since=since, run_id=run, automation=automation, limit=limit
        )

    if _remote(workspace):
        return use(
            lambda door: audit.show_trail(door.output, door.daemon.get("/v1/audit", asked)),
            as_json=as_json,
            workspace=workspace,
        )
    return _local(read, audit.show_trail, as_json=as_json, workspace=workspace)


def verify(
    head: Annotated[
        str | None,
        typer.Option(
            metavar="HEAD",
            help="A head that was kept, from the log (audit.head) or an earlier check: what it "
            "names must be there still.",
        ),
    ] = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Check that no row of the record was changed, deleted, put in or moved. Exits 1 naming the
    first that was."""

    async def read(audit: Audit, caller: Caller) -> Any:
        return await audit.verify(caller, head=head)

    if _remote(workspace):
        body = {"head": head} if head else {}
        return use(
            lambda door: audit.show_verdict(
                door.output, _patient(workspace).post("/v1/audit/verify", body)
            ),
            as_json=as_json,
            workspace=workspace,
        )
    return _local(read, audit.show_verdict, as_json=as_json, workspace=workspace)


def _patient(workspace: str | None) -> Client:
    return connect(workspace).within(VERIFY_SECONDS)


def _remote(workspace: str | None) -> bool:
    return bool(load_process_settings().url) and workspace is None


def _local(
    read: _Asked, show: Callable[[Output, Any], int], *, as_json: bool, workspace: str | None
) -> int:
    """Ask the ledger itself: a daemon need not run, nor be believed."""
    output = Output(as_json=as_json)
    try:
        from amodal_rt.daemon.recording import audit_of

        root, state = find_state(Path(workspace) if workspace else None)
        with audit_of(root, state, process_environment()) as verbs:
            found = asyncio.run(_answer(read, verbs))
        return show(output, found)
    except AmodalError as error:
        return output.error(error)


async def _answer(read: _Asked, verbs: Audit) -> Any:
    return await read(verbs, Caller(actor=user(), door="cli"))
