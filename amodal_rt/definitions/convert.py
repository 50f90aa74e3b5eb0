"""A Markdown automation as JSON."""

import json
from pathlib import PurePosixPath

from amodal_rt.definitions import markdown
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.errors import InvalidError

_FIRST = ("title", "name", "description", "trigger", "schedule", "timezone", "triggers", "prompt")


def convert(text: bytes, file: str) -> str:
    """The JSON form, keys in the order of the documentation. Raises InvalidError.

    What the keys say is not judged: the result is as right or wrong as the file was.
    """
    suffix = PurePosixPath(file).suffix
    try:
        value = (read_json if suffix == ".json" else markdown.read)(text, file).value
    except SourceError as error:
        problem = error.problem
        raise InvalidError(problem.sentence(), code=problem.code) from None
    order = {key: place for place, key in enumerate(_FIRST)}
    ordered = dict(sorted(value.items(), key=lambda each: order.get(each[0], len(order))))
    return json.dumps(ordered, indent=2, ensure_ascii=False)
