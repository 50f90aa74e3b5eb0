"""What is printed into a page is escaped, and hides nothing."""

from markupsafe import Markup

from amodal_rt.servers.dashboard.pages import harmless


def test_hidden_characters_go_and_line_feeds_stay() -> None:
    assert harmless("a\x1b[31mb\u202ec\u200bd\ne") == "abcd\ne"


def test_nothing_is_printed_for_nothing() -> None:
    assert harmless(None) == ""


def test_markup_of_our_own_is_left_alone() -> None:
    assert harmless(Markup("<b>")) == Markup("<b>")
