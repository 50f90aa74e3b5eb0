"""amodal-rt: a directory of files in git becomes unattended AI-agent runs.

`Runtime` embeds the daemon in a Python program, `ApiClient` speaks to one elsewhere; everything
else is reached through the command line and the control socket. Importing the package imports
nothing heavy.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["ApiClient", "ApiError", "Runtime", "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load them on first use, so that `ops` never pays for the daemon's imports."""
    if name == "Runtime":
        from amodal_rt.daemon.embedding import Runtime

        return Runtime
    if name in ("ApiClient", "ApiError"):
        from amodal_rt.api import ApiClient, ApiError

        return ApiClient if name == "ApiClient" else ApiError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
