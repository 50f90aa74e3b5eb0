"""Secrets hidden in whole documents."""

from collections.abc import Callable, Mapping
from typing import cast


def masked(value: object, mask: Callable[[str], str]) -> object:
    """The same JSON value with every text masked, keys included."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return {mask(str(key)): masked(item, mask) for key, item in items}
    if isinstance(value, list | tuple):
        return [masked(item, mask) for item in cast("list[object]", value)]
    return value
