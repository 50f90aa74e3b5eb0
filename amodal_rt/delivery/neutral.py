"""Untrusted text on its way into a chat.

What a model wrote may have been dictated by a stranger. It may say anything, but it may not
act: ring everybody's bell, hide one link behind another, load an image whose address carries
what the model has read, or turn the reading direction. Ordinary marks (`*bold*`, lists, bare
links) stay as they are, and so does what the operator's own template says.
"""

import re
from collections.abc import Callable

from amodal_rt.domain.delivery import Target

Escape = Callable[[str], str]

_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and line break
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates of direction
    "\U000e0000-\U000e007f"  # tags: invisible letters
    "]"
)
# Mattermost and others ring at the bare word; Slack does where a hook parses names.
_EVERYBODY = re.compile(r"@(?=(?:channel|here|everyone|all)\b)", re.IGNORECASE)
_IMAGE = re.compile(r"!(?=\[)")
# `<!here>`, `<@U1>`, `<#C1>`, `<users/all>` (Google Chat), `<https://evil|https://good>`.
_ACTING = re.compile(r"<(?=[!@#]|users/|[^<>\n]*\|)")
_GAP = "\u200b"


def chat_text(text: str) -> str:
    """For the `text` of a JSON message: ordinary text comes out unchanged.

    Only what a chat program would act on is defused; a `<` that opens a mention or a
    labelled link becomes `&lt;`.
    """
    return _ACTING.sub("&lt;", _quiet(text))


def slack_text(text: str) -> str:
    """For a target that says it is Slack: `&`, `<` and `>` escaped as Slack's rules say.

    Shown as written, with bold, code, quotes and bare links working; no mention, channel
    or labelled link can be formed.
    """
    escaped = _quiet(text).replace("&", "&amp;").replace("<", "&lt;")
    return escaped.replace(">", "&gt;")


def neutral_for(target: Target) -> Escape:
    """How untrusted text is written for what shows `target`'s messages."""
    return slack_text if target.format == "slack" else chat_text


def _quiet(text: str) -> str:
    seen = _UNSEEN.sub("", text.replace("\r\n", "\n"))
    return _IMAGE.sub("!" + _GAP, _EVERYBODY.sub("@" + _GAP, seen))
