"""The console scripts `amodal-rt` and `ops`.

`ops …` is `amodal-rt ops …`. Everyday verbs in their plain form are answered from the
standard library alone; everything else goes to typer.
"""

import errno
import os
import sys
from contextlib import suppress

from amodal_rt.cli import fast

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def amodal_rt() -> None:
    """Entry point of `amodal-rt`."""
    sys.exit(main(sys.argv[1:], program="amodal-rt"))


def ops() -> None:
    """Entry point of `ops`."""
    sys.exit(main(["ops", *sys.argv[1:]], program="ops"))


def main(argv: list[str], *, program: str) -> int:
    """Run one command line; returns its exit code."""
    # `>&-`: a program without a stdout still has an exit code.
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    try:
        code = _run(argv, program)
        # What is still in the buffer fails here or, without an exit code of ours, at exit.
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of a pipe (`head`) has seen enough; Python would complain once more at exit.
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in _FULL:
            raise
        with suppress(OSError):
            sys.stdout.close()
        print(f"error: cannot write the output: {os.strerror(error.errno)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(argv: list[str], program: str) -> int:
    code = fast.run(argv)
    if code is not None:
        return code
    from amodal_rt.cli import app

    return app.run(argv, program=program)
