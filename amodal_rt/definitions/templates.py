"""Whether a Liquid template can be read, before any result waits for it."""

from functools import lru_cache


@lru_cache(maxsize=512)
def template_error(template: str) -> str | None:
    """What is wrong with the text of a template, in one line; None when it can be read.

    The tags and filters are those that deliveries know; names may be missing.
    """
    # A fifth of a second to load, and most workspaces have no template.
    from amodal_rt.definitions.printing import trouble  # noqa: PLC0415

    return trouble(template)
