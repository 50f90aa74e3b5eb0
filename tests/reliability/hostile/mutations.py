"""Bytes that somebody would send to break a parser: good ones, damaged at random from a seed."""

import random
from collections.abc import Sequence

TOKENS: tuple[bytes, ...] = (
    b"", b"\0", b"\n", b"\r\n", b" ", b"\t", b"\x1b[31m", b"\xff", b"\xc0\x80", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", "\u202e".encode(), "\u2028".encode(), "\u0663".encode(), "İ".encode(),
    b"\\ud800", b"\\u0000", b"-", b"--", b"0", b"-0", b"1e400", b"1e-400", b"NaN", b"Infinity",
    b"9" * 25, b"9" * 5000, b"0x10", b"true", b"null", b"[" * 200, b"{" * 200, b"[[" * 5000,
    b'{"a":' * 100, b"]" * 50, b'"', b"'", b"\\", b"/", b"//", b"*", b"**", b"*/0", b"*/1", b"?",
    b"L", b"#", b"@daily", b"env:", b"env:PATH", b"${A}", b"{{", b"}}", b"{%", b"%}", b"{{ a | b",
    b"&a", b"*a", b"!!python/object:os.system", b"? x", b"<<: *a", b"---\n", b"...\n", b"%00",
    b"%2e%2e/", b"../", b"a" * 300, b"A" * 70_000, b":", b";", b",", b"=", b"&", b"+", b"%",
    b"sha256=", b"=" * 8, b"\xc3\xa9",
)  # fmt: skip


class Mutator:
    """Endless damaged versions of `seeds`, the same ones for the same `rng`."""

    def __init__(self, rng: random.Random, seeds: Sequence[bytes]) -> None:
        self._rng = rng
        self._seeds = list(seeds)

    def next(self) -> bytes:
        """A seed with one to six wounds; now and then one that is well, or pure noise."""
        chance = self._rng.random()
        if chance < 0.02:
            return self._rng.choice(self._seeds)
        if chance < 0.05:
            return self._rng.randbytes(self._rng.randrange(64))
        text = bytearray(self._rng.choice(self._seeds))
        for _ in range(1 + int(self._rng.random() ** 2 * 6)):
            self._wound(text)
        return bytes(text)

    def _wound(self, text: bytearray) -> None:
        rng = self._rng
        at = int(rng.random() * (len(text) + 1))
        kind = int(rng.random() * 7)
        if kind == 0 and text:
            text[at % len(text)] ^= 1 << int(rng.random() * 8)
        elif kind == 1 and text:
            text[at % len(text)] = int(rng.random() * 256)
        elif kind == 2:
            del text[at : at + 1 + int(rng.random() * 8)]
        elif kind == 3:
            text[at:at] = text[at : at + 1 + int(rng.random() * 30)]
        elif kind == 4:
            other = rng.choice(self._seeds)
            place = int(rng.random() * (len(other) + 1))
            text[at:] = other[place:]
        else:
            # The long ones are rare: they are dear, and one of them is as good as many.
            token = TOKENS[int(rng.random() * len(TOKENS))]
            if len(token) < 1000 or rng.random() < 0.02:
                text[at : at + int(rng.random() * 3)] = token
