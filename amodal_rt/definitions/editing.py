"""Put values into a JSON text, or take them out, and leave every other byte as it is."""

import json

from amodal_rt.definitions.positions import Offsets, escape


def add(text: str, pointer: str, value: object, *, key: str | None = None) -> str:
    """`value` as the last of the list at `pointer`; with `key`, of the object there.

    It is parted from those before it as these are from what encloses them. `text` is valid JSON
    in which nothing stands at the new place.
    """
    offsets = Offsets(text)
    begin, end = offsets.values[pointer]
    written = json.dumps(value, ensure_ascii=False)
    written = f"{json.dumps(key, ensure_ascii=False)}: {written}" if key is not None else written
    inside = _inside(offsets, pointer)
    if not inside:
        return f"{text[: begin + 1]}{written}{text[end - 1 :]}"
    space = text[begin + 1 : offsets.keys[inside[0]]]
    # One line goes on as one line, whatever stands after its bracket.
    space = space if "\n" in space else " "
    last = offsets.values[inside[-1]][1]
    return f"{text[:last]},{space}{written}{text[last:]}"


def remove(text: str, pointer: str) -> str:
    """Take out the member of an object, or the item of a list, with its comma."""
    offsets = Offsets(text)
    outer = pointer.rpartition("/")[0]
    inside = _inside(offsets, outer)
    place = inside.index(pointer)
    if len(inside) == 1:
        begin, end = offsets.values[outer]
        return text[: begin + 1] + text[end - 1 :]
    if place == 0:
        return text[: offsets.keys[pointer]] + text[offsets.keys[inside[1]] :]
    return text[: offsets.values[inside[place - 1]][1]] + text[offsets.values[pointer][1] :]


def replace(text: str, pointer: str, value: object) -> str:
    """Another value in the place of the one at `pointer`."""
    begin, end = Offsets(text).values[pointer]
    return text[:begin] + json.dumps(value, ensure_ascii=False) + text[end:]


def under(pointer: str, key: str) -> str:
    """The pointer to the member `key` of what `pointer` leads to."""
    return f"{pointer}/{escape(key)}"


def _inside(offsets: Offsets, pointer: str) -> list[str]:
    """The pointers of what stands right inside, in the order of the text."""
    depth = pointer.count("/") + 1
    start = f"{pointer}/"
    return [each for each in offsets.keys if each.startswith(start) and each.count("/") == depth]
