"""`amodal.json` and `identities.json` as the ledger keeps them, for a start that finds them
broken or gone."""

import json
from typing import cast

from amodal_rt.definitions.identities import parse_identities
from amodal_rt.definitions.settings import parse_settings
from amodal_rt.domain.identity import Identities
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.workspace.reading import IDENTITIES, SETTINGS

_SECRET = frozenset({"apikey", "secret"})


def document_of(text: bytes) -> str | None:
    """A good `amodal.json` without `database`, which is decided before there is a ledger; None
    when a secret is written out in it, for no secret reaches the ledger."""
    value = cast("dict[str, object]", json.loads(text.decode("utf-8-sig")))
    if _tells_secret(value):
        return None
    return json.dumps({key: each for key, each in value.items() if key != "database"})


def settings_of(document: str) -> WorkspaceSettings | None:
    """What `document_of` kept; None where this release does not understand it."""
    return parse_settings(document.encode(), SETTINGS)[0]


def identities_of(document: str) -> Identities | None:
    """What `identities.json` was; None where this release does not understand it."""
    return parse_identities(document.encode(), IDENTITIES)[0]


def _tells_secret(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_tells_secret, cast("list[object]", value)))
    if not isinstance(value, dict):
        return False
    return any(
        _is_plain(each) if key.replace("_", "").lower() in _SECRET else _tells_secret(each)
        for key, each in cast("dict[str, object]", value).items()
    )


def _is_plain(value: object) -> bool:
    """Whether it is more than the name of a variable."""
    each = cast("list[object]", value) if isinstance(value, list) else [value]
    return not all(text is None or str(text).startswith("env:") for text in each)
