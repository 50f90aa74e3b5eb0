import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amodal_rt.guardrails.links import GAP, Unlinking, hosts_in

HOSTS = frozenset({"status.acme.example", "ci.acme.example:8443", "*.docs.acme.example", "[::1]"})

LIVING = [
    "https://status.acme.example",
    "https://status.acme.example.",
    "see https://status.acme.example/x?a=1&b=2#c, and more",
    "HTTPS://STATUS.ACME.EXAMPLE/x",
    "(https://status.acme.example/x)",
    "https://status.acme.example:443/x",
    "http://status.acme.example:80",
    "https://ci.acme.example:8443/job/1",
    "https://a.b.docs.acme.example/x",
    "[status](https://status.acme.example/x)",
    '[status](https://status.acme.example/x "now")',
    "[status](<https://status.acme.example/x>)",
    "[1]: https://status.acme.example/x",
    "https://status.acme.example/@ann/post?next=a.example",
    "http://[::1]/x",
    "status.acme.example/x",
]
UNTOUCHED = [
    "*bold* _italic_ `code` ~~gone~~",
    "- first\n- second\n\n> quoted\n\n| a | b |\n|---|---|",
    "3 < 4 & 5 > 4, a | b, f(x)[0]",
    "main.py, README.md and src/app.test.ts:12 at 10.0.0.1",
    "os.path, v1.2.3, e.g. this, i.e. that, U.S. and 9 a.m.",
    "mail ann@acme.example",
    "data: 5 rows; note: none; HTTP: the protocol",
    "今天很好。明天也好。",
    "один. два",
]
STRANGE = {
    "https://evil.example/?q=s": "hxxps://evil[.]example/?q=s",
    "http://evil.example": "hxxp://evil[.]example",
    "HttpS://Evil.Example/": "hxxps://Evil[.]Example/",
    "https://status.acme.example.evil.example/": "hxxps://status[.]acme[.]example[.]evil[.]example/",
    "https://status.acme.example@evil.example/": "hxxps://status[.]acme[.]example@evil[.]example/",
    "https://status.acme.example:443@evil.example/":
        "hxxps://status[.]acme[.]example:443@evil[.]example/",
    "https://status.acme.example:444/": "hxxps://status[.]acme[.]example:444/",
    "https://ci.acme.example/": "hxxps://ci[.]acme[.]example/",
    "https://docs.acme.example.evil.example": "hxxps://docs[.]acme[.]example[.]evil[.]example",
    "https://status.acme.example,x.evil.example/":
        "hxxps://status[.]acme[.]example,x[.]evil[.]example/",
    "https://status.acme.example)x.evil.example/":
        "hxxps://status[.]acme[.]example)x[.]evil[.]example/",
    "https:evil.example": "hxxps:evil[.]example",
    "https:\\\\evil.example\\x": "hxxps:\\\\evil[.]example\\x",
    "https:/evil.example/x": "hxxps:/evil[.]example/x",
    "https://evil。example/": "hxxps://evil[.]example/",
    "https://\u0435vil.example/": "hxxps://\u0435vil[.]example/",
    "https://127.0.0.1/x": "hxxps://127[.]0[.]0[.]1/x",
    "http://0x7f000001/": "hxxp://0x7f000001/",
    "https://status.acme.example/?u=https://evil.example/":
        "https://status.acme.example/?u=hxxps://evil[.]example/",
    "www.evil.example": "www[.]evil[.]example",
    "evil.example/x": "evil[.]example/x",
    "c2VjcmV0.evil.com": "c2VjcmV0[.]evil[.]com",
    "evil.com": "evil[.]com",
    "evil.unusual/x": "evil[.]unusual/x",
    "xn--e1afmkfd.xn--p1ai": "xn--e1afmkfd[.]xn--p1ai",
    "//evil.example/x": "//evil[.]example/x",
    "ftp://evil.example/x": "ftp[:]//evil[.]example/x",
    "slack://channel?id=1": "slack[:]//channel?id=1",
    "mailto:eve@evil.example?body=s": "mailto[:]eve@evil.example?body=s",
    "javascript:alert(1)": "javascript[:]alert(1)",
    "data:text/html,<b>": "data[:]text/html,<b>",
    "data:;base64,AAAA": "data[:];base64,AAAA",
    "tel:+4930": "tel[:]+4930",
    "![x](https://evil.example/?q=s)": f"!{GAP}[x]{GAP}(hxxps://evil[.]example/?q=s)",
    "![x](https://status.acme.example/?q=s)": f"!{GAP}[x](https://status.acme.example/?q=s)",
    "[bank](https://evil.example)": f"[bank]{GAP}(hxxps://evil[.]example)",
    "[x](\n  <https://evil.example> )": f"[x]{GAP}(\n  <hxxps://evil[.]example> )",
    "[x](/login?q=s)": f"[x]{GAP}(/login?q=s)",
    "[x](&#104;ttps://evil.example)": None,
    "[x]: //evil.example/x": f"[x]{GAP}: //evil[.]example/x",
    "[x]:\nhttps://evil.example": f"[x]{GAP}:\nhxxps://evil[.]example",
    "[![x](https://evil.example/i)](https://status.acme.example/)": None,
    "hello @ann and @team-b": f"hello @{GAP}ann and @{GAP}team-b",
    "@**Ann** @_**all**": f"@{GAP}**Ann** @{GAP}_**all**",
}  # fmt: skip


def _written(text: str) -> str:
    return Unlinking(HOSTS).write(text)


@pytest.mark.parametrize("text", LIVING)
def test_an_address_of_a_host_that_a_file_names_lives(text: str) -> None:
    assert _written(text) == text


@pytest.mark.parametrize("text", UNTOUCHED)
def test_what_is_no_address_stays_as_it_is(text: str) -> None:
    assert _written(text) == text


@pytest.mark.parametrize(("text", "shown"), STRANGE.items())
def test_any_other_address_can_be_read_and_not_followed(text: str, shown: str | None) -> None:
    written = _written(text)

    assert shown is None or written == shown
    assert not re.search(r"https?:[/\\]*[^/\s]*evil", written)
    assert not re.search(r"\]\((?!https://status\.acme\.example)", written)


_PARTS = st.sampled_from(
    ["https://", "http:", "evil.example", "status.acme.example", "/", "?q=", "[x]", "](", ")", "(",
     "!", "<", ">", "@", ":", ".", ",", "\\", " ", "\n", "www.", "//", "ftp://", "]: ", "%2e", "|",
     "*", "_", ";", "&", "#", "。", "data:", "é"]
)  # fmt: skip


@given(st.lists(_PARTS, max_size=14).map("".join))
def test_no_mixture_makes_an_address_of_a_strangers_host(text: str) -> None:
    """No scheme is followed by a stranger's name, nor by a known one that goes on as another."""
    written = _written(text)

    beginning = re.compile(r"https?:[/\\]*((?:(?!https?\b)[^\s/\\?#])*)", re.IGNORECASE)
    for found in beginning.finditer(written):
        known = re.fullmatch(r"status\.acme\.example(:443)?[^\w@]*", found[1])
        assert known or not re.search(r"(evil|acme)\.example", found[1]), (text, written)


def test_the_hosts_that_were_only_shown_are_told() -> None:
    unlinking = Unlinking(HOSTS)

    unlinking.write("https://status.acme.example https://Evil.example/x, www.evil.com (a.b.io/x)")

    assert list(unlinking.strange) == ["evil.example", "www.evil.com", "a.b.io"]


def test_a_file_names_hosts_by_addresses_and_patterns_alone() -> None:
    said = (
        'Read https://api.github.com/repos, "http://crm:8080/x", *.docs.acme.example and README.md;'
        " ask ann@evil.example, (https://www.acme.example)."
    )

    assert hosts_in([said]) == {
        "api.github.com", "github.com", "crm:8080", "*.docs.acme.example",
        "www.acme.example", "acme.example",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["a-" * 8_000, "a." * 8_000, "https://" + "-" * 16_000 + "_", "](" * 8_000, "a_" * 8_000,
     "https://" * 2_000, "https://x" + ")" * 16_000 + "a", "![" * 8_000, "@" * 16_000,
     "x:" * 8_000, "www." * 4_000, "data:" * 3_000 + "/"],
)  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    before = time.process_time()

    _written(text)

    assert time.process_time() - before < 0.5
