"""`ops events types …` and `ops identities …`."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NoReturn

import typer

from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import connect, use
from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs import catalogue
from amodal_rt.cli.verbs.door import Daemon, Document, Door
from amodal_rt.errors import AmodalError, NotFoundError, UnavailableError

_Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="For example github.")]
_Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="As the provider's events name it: a login, an id.")
]


def add_events(group: typer.Typer) -> None:
    """Add the verb of the catalogue to `ops events`."""
    group.command("types")(types)


def identities() -> typer.Typer:
    """`ops identities`."""
    group = typer.Typer(help="Members, and the accounts that are theirs.", no_args_is_help=True)
    group.command("list")(list_members)
    group.command("link")(link)
    group.command("unlink")(unlink)
    return group


def types(
    type: Annotated[
        str | None, typer.Argument(metavar="TYPE", help="One type, or a glob as in 'github.*'.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Only of this source (github, runtime, a connection) or origin."),
    ] = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """List the types of event that are known, or show one with its schema and a sample."""
    output = Output(as_json=as_json)
    try:
        door = Door(_daemon(workspace), output)
        if type is not None and "*" not in type:
            return catalogue.show_type(door, type)
        return catalogue.list_types(door, fitting=type, source=source)
    except AmodalError as error:
        return output.error(error)


def list_members(as_json: options.AsJson = False, workspace: options.Workspace = None) -> int:
    """List the members and their accounts."""
    return use(catalogue.list_members, as_json=as_json, workspace=workspace)


def link(
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id.")],
    provider: _Provider,
    account: _Account,
    create: Annotated[
        bool, typer.Option("--create", help="Make the member, where there is none of that id.")
    ] = False,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Make an account a member's, in identities.json."""
    return use(
        lambda door: catalogue.link(door, member, provider, account, create=create),
        as_json=as_json,
        workspace=workspace,
    )


def unlink(
    provider: _Provider,
    account: _Account,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Take an account from the member whose it is, in identities.json."""
    return use(
        lambda door: catalogue.unlink(door, provider, account),
        as_json=as_json,
        workspace=workspace,
    )


def _daemon(workspace: str | None) -> Daemon:
    """The daemon; outside of any workspace, one that is not there."""
    try:
        return connect(workspace)
    except NotFoundError:
        if workspace is not None:
            raise
        return _NoDaemon()


class _NoDaemon:
    """Answers nothing."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        self._refuse()

    def post(self, path: str, body: object = None) -> Any:
        self._refuse()

    def lines(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[Document]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UnavailableError("no workspace here, and no daemon", code="daemon_unreachable")
