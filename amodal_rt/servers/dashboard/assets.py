"""Style, script and icon: each under an address that changes with its content."""

import hashlib
from importlib.resources import files

from aiohttp import web

from amodal_rt.errors import NotFoundError

PREFIX = "/dashboard/assets/"
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_DIGITS = 12


class Assets:
    """Read once, and kept for ever by whoever has them."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._served: dict[str, tuple[bytes, str]] = {}
        for each in (files("amodal_rt.servers.dashboard") / "assets").iterdir():
            stem, _, ending = each.name.rpartition(".")
            if ending not in _KINDS:
                continue
            content = each.read_bytes()
            name = f"{stem}.{hashlib.sha256(content).hexdigest()[:_DIGITS]}.{ending}"
            self._paths[each.name] = PREFIX + name
            self._served[name] = (content, _KINDS[ending])

    def path(self, name: str) -> str:
        """Where the file of that name is served."""
        return self._paths[name]

    def answer(self, name: str) -> web.Response:
        """The file that is served under that name. Raises NotFoundError."""
        found = self._served.get(name)
        if found is None:
            raise NotFoundError("there is no such file", code="no_such_path")
        content, kind = found
        return web.Response(
            body=content,
            content_type=kind,
            charset="utf-8",
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )
