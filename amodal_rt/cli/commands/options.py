"""Options and arguments that several commands share."""

from typing import Annotated

import typer

from amodal_rt.cli.connect import find_root
from amodal_rt.errors import AmodalError


def stems(incomplete: str) -> list[str]:
    """Names of automations for shell completion, read from the folder: no daemon is needed."""
    try:
        root = find_root(None)
    except AmodalError:
        return []
    names = {
        each.stem for each in (root / "automations").glob("*") if each.suffix in (".json", ".md")
    }
    return sorted(name for name in names if name.startswith(incomplete))


Name = Annotated[str, typer.Argument(help="The automation: its file's stem.", autocompletion=stems)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Workspace = Annotated[
    str | None, typer.Option("--workspace", metavar="DIR", help="The workspace of the daemon.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at the most.")]
Status = Annotated[str | None, typer.Option("--status", help="Only those with this status.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run id: run_…")]
