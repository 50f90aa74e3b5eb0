import pytest
from hypothesis import given
from hypothesis import strategies as st

from amodal_rt.delivery.neutral import chat_text, slack_text

ORDINARY = [
    "*bold* _italic_ ~gone~ `code`",
    "• first\n• second\n\n> quoted",
    "see https://status.example/incidents/1?a=1&b=2",
    "Größe: 3 < 4 & 5 > 4",
    "mail ann@example.com, ask @ann",
    "a <b> c",
    "1.\tone",
    "שלום",
]
ACTING = [
    "<!here>",
    "<!channel> look",
    "<!everyone>",
    "<!subteam^S123|@oncall>",
    "<@U012AB3CD>",
    "<@W012AB3CD|boss>",
    "<#C123|general>",
    "<users/all>",
    "<https://evil.example|https://bank.example>",
    "<mailto:evil@example.com|ann>",
    "<<!here>>",
    "&lt;<!here>",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_of_a_json_message_is_unchanged(text: str) -> None:
    assert chat_text(text) == text


@pytest.mark.parametrize("text", ACTING)
def test_nothing_in_a_json_message_rings_or_disguises(text: str) -> None:
    told = chat_text(text)

    for opening in ("<!", "<@", "<#", "<users/", "<https:", "<mailto:"):
        assert opening not in told


def test_slack_marks_and_bare_links_still_work() -> None:
    assert slack_text("*bold* `code` https://a.example/x") == "*bold* `code` https://a.example/x"
    assert slack_text("3 < 4 & 5 > 4") == "3 &lt; 4 &amp; 5 &gt; 4"


@given(st.text())
def test_slack_text_holds_no_bracket_and_reads_as_written(text: str) -> None:
    """Slack turns the three entities back and nothing else."""
    told = slack_text(text)

    assert "<" not in told
    assert ">" not in told
    shown = told.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert chat_text(shown).replace("&lt;", "<") == chat_text(text).replace("&lt;", "<")


@pytest.mark.parametrize("word", ["@channel", "@here", "@everyone", "@all", "@HERE"])
def test_bare_broadcast_words_do_not_ring(word: str) -> None:
    for told in (chat_text(f"hey {word}!"), slack_text(f"hey {word}!")):
        assert word not in told
        assert told.replace("\u200b", "") == f"hey {word}!"


def test_longer_names_are_no_broadcast() -> None:
    assert chat_text("@hereford @allison") == "@hereford @allison"


def test_images_are_not_loaded() -> None:
    assert "![" not in chat_text("![x](https://evil.example/?q=secret)")
    assert "![" not in slack_text("![x](https://evil.example/?q=secret)")


def test_unseen_characters_are_dropped_and_line_breaks_kept() -> None:
    text = "a\x1b]8;;x\x07b\u202ec\u2066d\U000e0041e\r\nf\tg\x9b"

    assert chat_text(text) == "a]8;;xbcde\nf\tg"
