"""The console scripts `amodal-rt` and `ops`.

`ops …` is `amodal-rt ops …`. Everyday verbs in their plain form are answered from the
standard library alone; everything else goes to typer.
"""

import sys

from amodal_rt.cli import fast


def amodal_rt() -> None:
    """Entry point of `amodal-rt`."""
    sys.exit(main(sys.argv[1:], program="amodal-rt"))


def ops() -> None:
    """Entry point of `ops`."""
    sys.exit(main(["ops", *sys.argv[1:]], program="ops"))


def main(argv: list[str], *, program: str) -> int:
    """Run one command line; returns its exit code."""
    try:
        code = fast.run(argv)
        if code is not None:
            return code
        from amodal_rt.cli import app

        return app.run(argv, program=program)
    except BrokenPipeError:
        # The reader of a pipe (`head`) has seen enough; Python would complain once more at exit.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
