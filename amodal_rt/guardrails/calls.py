"""What a call would do, before anything judges it: a request over a connection, or an MCP tool."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

Stated = Literal["read", "write", "confirmed_write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestCall:
    """A request as it would leave. `path` is the endpoint without query, already checked."""

    method: str
    path: str
    params: tuple[tuple[str, object], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    data: object = None
    stated: Stated | None = None

    @property
    def label(self) -> str:
        """`POST /search`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of an MCP tool. `read_only_hint` is what its server says of it."""

    tool: str
    read_only_hint: bool | None = None
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def label(self) -> str:
        """The tool's name."""
        return self.tool


Call = RestCall | ToolCall


def endpoint_matches(match: str, method: str, path: str, *, exact: bool) -> bool:
    """Whether `METHOD /path/{id}` covers a call; `*` is any method or part, a last `**` any rest.

    What restricts also holds for other capitals, percent-encoding, a trailing slash and
    parameters of a part (`/reboot;a=b`) (`exact` False): many servers do not tell these apart.
    """
    wanted_method, _, wanted_path = match.strip().partition(" ")
    if wanted_method not in {method, "*"}:
        return False
    wanted, given = _parts(wanted_path.strip(), exact), _parts(path, exact)
    if wanted and wanted[-1] == "**":
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    return len(wanted) == len(given) and all(
        part == other or (is_open(part) and other != "")
        for part, other in zip(wanted, given, strict=True)
    )


def _parts(path: str, exact: bool) -> list[str]:
    if exact:
        return path.split("/")
    # Twice, because a proxy on the way may decode once more than the server's router.
    parts = unquote(unquote(path)).rstrip("/").casefold().split("/")
    return [part.partition(";")[0].strip() for part in parts]


def is_open(part: str) -> bool:
    """Whether this part of a pattern stands for any one part of a path."""
    return part == "*" or (part.startswith("{") and part.endswith("}"))
