"""Where the parts of the simulator are found."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
