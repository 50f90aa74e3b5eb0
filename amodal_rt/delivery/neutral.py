"""Untrusted text on its way into a chat.

What a model wrote may have been dictated by a stranger. It may say anything, but it may not
act: ring everybody's bell, hide one link behind another, load an image whose address carries
what the model has read, or turn the reading direction. Where the run is known to have read what
strangers write, links lead only to hosts that a file names, and others are shown as text.
Ordinary marks (`*bold*`, lists) stay as they are, and so does what the operator's own template
says.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from amodal_rt.domain.delivery import Format
from amodal_rt.domain.outcome import UNTAINTED, Origin
from amodal_rt.guardrails.links import GAP, Unlinking, tagless
from amodal_rt.guardrails.untrusted import visible

# Mattermost and others ring at the bare word; Slack does where a hook parses names.
_EVERYBODY = re.compile(r"@(?=(?:channel|here|everyone|all)\b)", re.IGNORECASE)
_IMAGE = re.compile(r"!(?=\[)")
# `<!here>`, `<@U1>`, `<#C1>`, `<users/all>` (Google Chat), `<https://evil|https://good>`.
_ACTING = re.compile(r"<(?=[!@#]|users/|[^<>\n]*\|)")


@dataclass(slots=True)
class Neutral:
    """Writes what may be a stranger's as a target of that format may show it; `strange` collects
    the hosts whose addresses came out as text alone."""

    format: Format
    origin: Origin = UNTAINTED
    strange: dict[str, None] = field(default_factory=dict[str, None])

    def __call__(self, text: str) -> str:
        """Ordinary text of an untainted run comes out unchanged, but for the escapes of Slack."""
        seen = _EVERYBODY.sub("@" + GAP, visible(text))
        if self.origin.tainted:
            seen = Unlinking(self.origin.hosts, self.strange).write(seen)
        else:
            seen = _IMAGE.sub("!" + GAP, seen)
        return _OPENINGS[self.format](seen, self.origin.tainted)


def _chat(text: str, tainted: bool) -> str:
    """For the `text` of a JSON message: only what a chat program would act on is defused."""
    return tagless(text, "&lt;") if tainted else _ACTING.sub("&lt;", text)


def _slack(text: str, _tainted: bool) -> str:
    """`&`, `<` and `>` as Slack's rules say: shown as written, with bold, code, quotes and bare
    links working; no mention, channel or labelled link can be formed."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _discord(text: str, _tainted: bool) -> str:
    """Discord knows no entities: a `<` that could open a mention is set apart."""
    return tagless(text, "<" + GAP)


_OPENINGS: dict[Format, Callable[[str, bool], str]] = {
    Format.JSON: _chat,
    Format.SLACK: _slack,
    Format.DISCORD: _discord,
}
