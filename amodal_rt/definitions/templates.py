"""Whether a Liquid template can be read, before any result waits for it."""

from functools import lru_cache


@lru_cache(maxsize=512)
def template_error(template: str) -> str | None:
    """What is wrong with the text of a template, in one line; None when it can be read.

    The tags and filters are those that deliveries know.
    """
    # A fifth of a second to load, and most workspaces have no template.
    from liquid import Environment  # noqa: PLC0415
    from liquid.exceptions import LiquidError  # noqa: PLC0415

    environment = Environment()
    for name in ("include", "render"):
        del environment.tags[name]
    try:
        used = environment.from_string(template).analyze().filters
    except LiquidError as error:
        return " ".join(str(error.args[0] if error.args else error).split())[:200]
    unknown = sorted(used.keys() - environment.filters.keys() - {"json"})
    return f"there is no filter {unknown[0]}" if unknown else None
