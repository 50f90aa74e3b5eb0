"""Names with `*` in them: it stands for any text, dots included. Nothing else is special."""


def is_glob(name: str) -> bool:
    """Whether the name may stand for several."""
    return "*" in name


def fits(glob: str, name: str) -> bool:
    """Whether `name` is one of those that `glob` stands for; the case counts.

    Takes no longer than a few looks through `name`, whatever a stranger called it.
    """
    first, *rest = glob.split("*")
    if not rest:
        return glob == name
    *between, last = rest
    if not name.startswith(first) or len(name) < len(first) + len(last):
        return False
    place, end = len(first), len(name) - len(last)
    for part in between:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return name.endswith(last)
