"""Each vector changed in forty ways and more, none of which anybody signed."""

from collections.abc import Iterator

from signed_vectors import Vector

Pairs = list[tuple[str, str]]


def mutations(vector: Vector) -> Iterator[tuple[str, Pairs, bytes]]:
    """Forty requests that nobody signed."""
    whole, body = vector.signature, vector.body
    others = list(vector.others.items())

    def signed(text: str) -> Pairs:
        return [*others, (vector.header, text)]

    for place in range(0, len(whole), max(len(whole) // 12, 1)):
        other = "0" if whole[place] != "0" else "1"
        yield f"character {place}", signed(f"{whole[:place]}{other}{whole[place + 1 :]}"), body
    for cut in (1, 2, 8, len(whole) // 2, len(whole) - 1, len(whole)):
        yield f"{cut} short", signed(whole[:-cut]), body
    for tail in ("0", "=", " ", "\n", "\0", "\u00e9", "\udcff"):
        yield f"{tail!r} more", signed(whole + tail), body
    for head in ("0", " ", "\t", "sha1=", "\ufeff"):
        yield f"{head!r} before", signed(head + whole), body
    yield "twice in the value", signed(whole + whole), body
    yield "header twice", [*others, (vector.header, whole), (vector.header, whole)], body
    yield "no header", others, body
    yield "empty header", signed(""), body
    yield "reversed", signed(whole[::-1]), body
    yield "no body", signed(whole), b""
    yield "a space in the body", signed(whole), body + b" "
    yield "a line break before", signed(whole), b"\n" + body
    yield "first byte of the body", signed(whole), bytes([body[0] ^ 1]) + body[1:]
    yield "last byte of the body", signed(whole), body[:-1] + bytes([body[-1] ^ 1])
    yield "no UTF-8", signed(whole), b"\xff\xfe" + body
    for name, value in others:
        rest = [pair for pair in others if pair[0] != name]
        for other in ("", f"{value}0", f"{value}.9", f" {value}", "1e9", "-1", "9" * 14):
            yield f"{name}: {other}", [*rest, (name, other), (vector.header, whole)], body
        yield f"no {name}", [*rest, (vector.header, whole)], body
