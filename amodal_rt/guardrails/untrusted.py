"""Text of untrusted origin, made harmless for prompts and for terminals.

Imports nothing but the standard library's smallest modules: the command line starts with it.
"""

import json
import re
import unicodedata

EVENT_BYTES = 10_240
"""How much of an event enters a prompt (specification §6.3)."""

_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|\Z)"  # OSC, DCS and kin
    r"|\x9b[0-?]*[ -/]*[@-~]?"  # CSI in one byte
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)
_LINES = re.compile("\r\n|[\u2028\u2029]")
# Joiners shape Arabic, Indic and Persian letters and emoji of several parts; U+FE0F makes an
# emoji of a sign (of a digit before U+20E3). Fillers and selectors look like nothing at all.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\ue000-\uf8ff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U0010ffff\ud800-\udfff]"
    "|[\u200c\u200d](?![\u0600-\u0fff\u1000-\u109f\u1780-\u17d3\u2190-\u2bff\U0001f000-\U0001faff])"
    "|(?<![\u0600-\u0fff\u1000-\u109f\u1780-\u17d3\u2190-\u2bff\U0001f000-\U0001faff\ufe0f])"
    "[\u200c\u200d]"
    "|[\ufe00-\ufe0d]|(?<![0-9#*\xa9\xae\u203c-\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f]"
)
_SUSPECT = re.compile(r"[<>&]|[^\x00-\x7f]")
_KEPT = frozenset("\n\t")
# Format characters, surrogates, private use and unassigned ones, beside the controls:
# bidi overrides, zero-width marks and tag characters hide one text inside another.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str) -> str:
    """`text` as a terminal may print it: no escape sequence, no control or invisible character.

    Line feeds and tabs stay; everything else is taken away without a trace, whole sequences
    with their parameters.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        for character in _SEQUENCES.sub("", text)
        if character in _KEPT or unicodedata.category(character) not in _HIDDEN
    )


def visible(text: str) -> str:
    """`text` as a chat may show it: `plain`, but for what emoji and scripts are joined with.

    Carriage returns go, separators of lines become line feeds. A joiner or a selector of an image
    stays between what it may join, alone: rows of them would carry hidden text.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub("", _SEQUENCES.sub("", _LINES.sub("\n", text)))


def plain_line(text: str, limit: int | None = None) -> str:
    """`plain`, on one line, runs of white space folded; longer than `limit` ends in `…`."""
    line = " ".join(plain(text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def exact_json(value: object) -> str:
    """JSON with indents in which nothing is hidden and nothing is missing: what `plain` would take
    away stands as `\\u….`. For who must see a value as it is."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return "".join(
        "\\u007f"
        if character == "\x7f"
        else json.dumps(character)[1:-1]
        if character not in _KEPT and unicodedata.category(character) in _HIDDEN
        else character
        for character in text
    )


def event_block(data: object, token: str) -> str:
    """The event's data as the one untrusted block of a prompt.

    `<event_data id="TOKEN">`, then a single JSON string that holds the data (JSON text, or
    the text itself where the sender sent text), then the closing tag. No payload can hold
    the tag: `<`, `>`, `&` and every invisible character are written as `\\u….`. The string is
    cut at 10,240 bytes, with a note that names `read_event`.
    """
    return data_block("event_data", event_text(data), token, more="read_event returns the whole")


def data_block(tag: str, text: str, token: str, *, more: str | None = None) -> str:
    """`text` as one escaped JSON string between `<tag id="token">` and `</tag>`, then a note
    when it was cut at 10,240 bytes."""
    literal, kept = _literal(text, EVENT_BYTES)
    block = f'<{tag} id="{token}">\n{literal}\n</{tag}>'
    if kept == len(text):
        return block
    shown, whole = (len(part.encode("utf-8", "replace")) for part in (text[:kept], text))
    note = f"(cut: the first {shown:,} of {whole:,} bytes are shown"
    return f"{block}\n{note}; {more})" if more else f"{block}\n{note})"


def data_text(value: object) -> str:
    """`value` as one line of JSON in which no text can hold a tag or an invisible character.

    Halves of characters, which no program could read back, are question marks.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    # Outside its texts JSON holds none of what is replaced.
    return _SUSPECT.sub(
        lambda found: _escaped(found.group()), text.encode("utf-8", "replace").decode()
    )


def event_text(data: object) -> str:
    """What the sender said, as text: a text itself, anything else as compact JSON."""
    if isinstance(data, str):
        return data
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str)


def _literal(text: str, limit: int) -> tuple[str, int]:
    """The JSON string of the longest beginning of `text` that fits, and its length."""
    room = limit - 2
    parts: list[str] = []
    for index, character in enumerate(text):
        part = _escaped(character)
        room -= len(part) if part.isascii() else len(part.encode())
        if room < 0:
            return '"' + "".join(parts) + '"', index
        parts.append(part)
    return '"' + "".join(parts) + '"', len(text)


def _escaped(character: str) -> str:
    if character in "<>&":
        return f"\\u{ord(character):04x}"
    if character.isascii():
        return json.dumps(character)[1:-1]
    if unicodedata.category(character) in _HIDDEN:
        return json.dumps(character)[1:-1]
    return character
