"""Statements in PostgreSQL's words, and text that it cannot hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amodal_rt.storage.postgres_speech import escaped, restored, translated


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("SELECT a FROM t WHERE b = ? AND c = ?", "SELECT a FROM t WHERE b = $1 AND c = $2"),
        (
            "UPDATE t SET a = ?2 WHERE b = ?1 OR a < ?2",
            "UPDATE t SET a = $2 WHERE b = $1 OR a < $2",
        ),
        ("SELECT a FROM t INDEXED BY t_by_a WHERE a", "SELECT a FROM t WHERE a"),
        ("SELECT '?', 'it''s ?1' FROM t WHERE a = ?", "SELECT '?', 'it''s ?1' FROM t WHERE a = $1"),
        (
            "a NOT IN (SELECT value FROM json_each(?)) LIMIT ?",
            "a NOT IN (SELECT value FROM jsonb_array_elements_text($1::jsonb)) LIMIT $2",
        ),
        (
            "FROM json_each(?) AS x WHERE a = json_extract(x.value, '$[1]')",
            "FROM jsonb_array_elements($1::jsonb) AS x WHERE a = (x.value ->> 1)",
        ),
        ("LIKE '100%'", "LIKE '100%'"),
    ],
)
def test_a_statement_is_translated(ours: str, theirs: str) -> None:
    assert translated(ours).decode() == theirs


texts = st.text(alphabet=st.sampled_from("a01\0\U0010fffd\U0010fffc"))


@given(texts)
def test_every_text_survives_and_none_keeps_a_nul(text: str) -> None:
    assert "\0" not in escaped(text)
    assert restored(escaped(text)) == text


@given(texts, texts)
def test_texts_that_differ_are_stored_differently(one: str, other: str) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)
