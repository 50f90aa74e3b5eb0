"""A sign of life while something takes long. Only on a terminal: a pipe gets nothing of it."""

from collections.abc import Generator
from contextlib import contextmanager

from amodal_rt.cli.output import Output


@contextmanager
def waiting(output: Output, sentence: str) -> Generator[None, None, None]:
    """Show `sentence` with a moving mark below whatever the block prints."""
    if not output.styled:
        yield
        return
    # Loaded while the daemon works, so that nobody waits for it.
    from rich.console import Console
    from rich.text import Text

    with Console().status(Text(sentence, style="dim"), spinner="dots"):
        yield
