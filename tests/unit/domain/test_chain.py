"""The digest of a row is that of its values with their lengths, however large they are."""

import hashlib

import pytest

from amodal_rt.domain.chain import digest_of


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 200_001])
def test_a_long_value_has_the_digest_of_the_whole(size: int) -> None:
    text = ("é€😀a\ud800\udc00" * (size // 6 + 1))[:size]
    whole = f"1:x-1:3{size}:{text}3:2.5"

    assert (
        digest_of("x", None, 3, text, 2.5)
        == hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
    )


def test_where_one_value_ends_is_part_of_it() -> None:
    assert len({digest_of("ab", "c"), digest_of("a", "bc"), digest_of("abc", None)}) == 3
