"""`python -m bench [MEASURE …] [--json FILE]`: run the measures and print their figures."""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

from bench import (
    clockwork,
    doors,
    events,
    guardrails,
    history,
    postgres,
    reloading,
    sandboxes,
    sessions,
    storm,
    streams,
    words,
)

_MEASURES = {
    "webhooks": doors.measure,
    "events": events.measure,
    "storm": storm.measure,
    "streams": streams.measure,
    "schedules": clockwork.measure,
    "sessions": sessions.measure,
    "history": history.measure,
    "postgres": postgres.measure,
    "reload": reloading.measure,
    "sandboxes": sandboxes.measure,
    "guardrails": guardrails.measure,
    "cli": words.measure,
}


def main() -> int:
    """Print every figure; exit 0 whatever the figures are: they are not a verdict."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(_MEASURES))
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    unknown = set(options.measures) - set(_MEASURES)
    if unknown:
        parser.error(f"no measure {', '.join(sorted(unknown))}: there are {', '.join(_MEASURES)}")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}")
    figures = []
    for name in options.measures or _MEASURES:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        for figure in _MEASURES[name]():
            figures.append(figure)
            print(figure.line(), flush=True)
    if options.json:
        options.json.write_text(json.dumps([figure.document() for figure in figures], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
