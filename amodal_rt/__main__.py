"""`python -m amodal_rt` is `amodal-rt`."""

import sys

from amodal_rt.cli.entry import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], program="amodal-rt"))
