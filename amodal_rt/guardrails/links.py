"""Addresses in text that strangers may have written: which may be links, which are only shown.

A link or an image carries data to whoever owns its host: the chat program that draws a preview
calls there before anybody has clicked. So a host lives that a file of the workspace names; any
other address is written so that a person can still read it and no program follows it:
`hxxps://evil[.]example/x`. Forms are those of CommonMark, of GFM's autolinks and of Slack.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

GAP = "\u200b"
"""A character without width: what stands on either side of it is no mark of a language any more."""

_NAME = r"(?>[a-z0-9-]+(?:\.[a-z0-9-]+)*\.?|\[[0-9a-f:.]+\])"
_WEB = rf"(?P<scheme>https?)://(?P<host>{_NAME})(?P<port>:[0-9]{{1,5}}+)?+"
# Programs differ in which marks may stand in a host, so nothing but a path, a space or closing
# marks before a space may follow it: `https://known.example,evil.example` is no known host.
_ENDED = r"(?=[/?#]|[^\w\s/?#@\\]*+(?:\s|\Z))"
# What follows belongs to the same link in every program, up to the next beginning of one.
_REST = r"(?:(?!https?:|://|www\.)[a-z0-9/?#&=%.~+@$_:-])*+"
_KNOWN = re.compile(rf"(?<![a-z0-9+.-]){_WEB}{_ENDED}{_REST}", re.IGNORECASE)
_LINK_TO = re.compile(rf"{_WEB}{_ENDED}", re.IGNORECASE)

_FILES = (
    "bat c cc cfg conf cpp cs css csv doc exe gif go gz h html htm ini ipynb jar java jpeg jpg js "
    "json jsonl jsx kt lock log lua md mjs pdf php pl png ps py pyi rb rs scss sh so sql svg tar "
    "tex toml ts tsv tsx txt vue wasm xls xml yaml yml zip"
)
_SPOKEN = (
    "academy agency app art biz blog cafe cc chat click cloud club codes com company digital email "
    "example finance fun games group host icu info io link live ltd me media mobi money monster "
    "name net network news one online org page party pro quest rest shop site skin space store "
    "stream support systems tech tel tips today tools top trade travel uno vip website wiki win "
    "work works world wtf xyz zone dev edu gov mil int"
)
_FILE_ENDINGS = frozenset(_FILES.split())
_ENDINGS = frozenset(_SPOKEN.split())

_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_STRANGE = re.compile(
    r"(?P<web>(?<![a-z0-9+.-])https?):(?P<slashes>[/\\]*)(?P<authority>(?:(?!https?:)[^\s/?#])+)"
    r"|(?P<scheme>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}(?=://\S)"
    r"|(?<![\w+.-])(?:javascript|vbscript|mailto|xmpp|sms|tel|blob|view-source)(?=:\S)"
    r"|(?<![\w+.-])data(?=:(?:[\w.+-]+/[\w.+-]+|[;,]))):"
    rf"|(?P<bare>(?:(?<![\w@./\\-])|(?<=//)){_LABEL}(?:\.{_LABEL})+)(?P<tail>\.?[/?#]|:(?=\d))?",
    re.IGNORECASE,
)
_DOTS = re.compile(r"(?<=[\w-])[.\u3002\uff0e\uff61](?=[\w-])")
_DESTINATION = re.compile(r"\](?=(?:\(|:)[ \t]*\n?[ \t]*<?(\S{0,300}))")
_IMAGE = re.compile(r"!(?=\[)")
_TAG = re.compile(r"<(?=[^\W\d_]|[/!?@#:&])")
_MENTION = re.compile(r"(?<!\w)@(?=[\w*_])")

_SAID = re.compile(
    r"https?://(?P<address>[^\s/?#\"'`<>@\\{}()|,;]+)|(?P<below>\*\.(?:[a-z0-9-]+\.)+[a-z0-9-]+)",
    re.IGNORECASE,
)
_SAME_SERVICE = ("api.", "www.")


def hosts_in(texts: Iterable[str]) -> frozenset[str]:
    """The hosts to which addresses in texts of the operator lead, with their port where one is
    written.

    `api.x.example` and `www.x.example` stand for `x.example` too, as the same service's page for
    people; `*.x.example` for all names below it. A name without `https://` is no address: it may
    be a file's (`README.md`).
    """
    found: set[str] = set()
    for text in texts:
        for match in _SAID.finditer(text):
            name = (match["address"] or match["below"]).lower().rstrip(".:!*_")
            found.add(name)
            found |= {name.removeprefix(each) for each in _SAME_SERVICE if name.count(".") > 1}
    return frozenset(found)


@dataclass(slots=True)
class Unlinking:
    """Writes text so that nothing in it is a link but to one of `hosts`, and nothing an image or a
    mention; `strange` collects the hosts of what was only shown."""

    hosts: frozenset[str]
    strange: dict[str, None] = field(default_factory=dict[str, None])

    def write(self, text: str) -> str:
        """Pictures, mentions and links behind words end; known addresses stay."""
        text = _DESTINATION.sub(self._destination, _IMAGE.sub("!" + GAP, text))
        parts: list[str] = []
        end = 0
        for match in _KNOWN.finditer(text):
            if self._knows(match):
                parts += [self._strangers(text[end : match.start()]), match[0]]
                end = match.end()
        return "".join([*parts, self._strangers(text[end:])])

    def _strangers(self, text: str) -> str:
        return _MENTION.sub("@" + GAP, _STRANGE.sub(self._shown, text))

    def _destination(self, match: re.Match[str]) -> str:
        # One that is cut here goes on with something else than a space.
        said = match[1] if len(match[1]) < 300 else match[1] + "a"
        link = _LINK_TO.match(said)
        return "]" if link is not None and self._knows(link) else "]" + GAP

    def _knows(self, link: re.Match[str]) -> bool:
        usual = ":80" if link["scheme"].lower() == "http" else ":443"
        port = link["port"] or ""
        return self._names(link["host"].lower().rstrip("."), "" if port == usual else port)

    def _names(self, host: str, port: str = "") -> bool:
        parts = host.split(".")
        above = (f"*.{'.'.join(parts[place:])}" for place in range(1, len(parts)))
        return host + port in self.hosts or any(each + port in self.hosts for each in above)

    def _shown(self, match: re.Match[str]) -> str:
        if match["web"] is not None:
            self._note(match["authority"])
            web = "hxxps" if match["web"][-1] in "sS" else "hxxp"
            return f"{web}:{match['slashes']}{_dotted(match['authority'])}"
        if match["scheme"] is not None:
            return f"{match['scheme']}[:]"
        name, tail = match["bare"], match["tail"] or ""
        if not _is_host(name.lower().split("."), tail) or self._names(name.lower()):
            return match[0]
        self._note(name)
        return _dotted(name) + tail

    def _note(self, authority: str) -> None:
        found = re.match(r"[\w.@:-]*\w", authority)
        self.strange.setdefault(found[0].lower() if found else authority)


def tagless(text: str, opening: str) -> str:
    """`text` with `opening` for each `<` that could open a tag, a mention or an address."""
    return _TAG.sub(opening, text)


def _is_host(labels: list[str], tail: str) -> bool:
    """Whether a program that looks for names of hosts in text would take it for one."""
    last = labels[-1]
    if not (last.isalpha() and len(last) > 1) and not last.startswith("xn--"):
        return False
    if len(labels) == 2 and last in _FILE_ENDINGS and tail != "/":
        return False
    usual = last in _ENDINGS or len(last) == 2 or last.startswith("xn--")
    return usual or bool(tail) or labels[0] == "www"


def _dotted(authority: str) -> str:
    return _DOTS.sub("[.]", authority)
