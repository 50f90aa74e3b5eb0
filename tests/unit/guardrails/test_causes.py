"""Nobody can make up a cause, and nobody else is told of one."""

import pytest

from amodal_rt.domain.cause import Cause
from amodal_rt.guardrails.causes import HEADER, Causes, reaches

RUN = "run_0123456789abcdef"
OWN = Causes(b"key", lambda url: url.startswith("http://own/"))


@pytest.mark.parametrize("cause", [Cause(depth=0, run_id=RUN), Cause(depth=3), Cause(depth=41)])
def test_a_token_says_what_was_put_in(cause: Cause) -> None:
    assert OWN.read([OWN.token(cause)]) == cause


def test_the_deepest_genuine_token_counts() -> None:
    shallow, deep = OWN.token(Cause(depth=1)), OWN.token(Cause(depth=2, run_id=RUN))
    forged = Causes(b"other", lambda url: True).token(Cause(depth=3))
    assert OWN.read([shallow, "nonsense", deep, forged]) == Cause(depth=2, run_id=RUN)


def test_no_change_of_a_token_is_believed() -> None:
    token = OWN.token(Cause(depth=3, run_id=RUN))
    for place in range(len(token)):
        for other in "0z.-":
            changed = token[:place] + other + token[place + 1 :]
            assert changed == token or OWN.read([changed]) is None, changed
    for changed in ("", token[:-1], token + "0", token.upper(), "0" + token, token.encode().hex()):
        assert OWN.read([changed]) is None, changed
    assert OWN.read([]) is None


def test_only_own_addresses_are_told() -> None:
    cause = Cause(depth=1, run_id=RUN)
    assert OWN.headers("http://own/webhooks/x", cause) == {HEADER: OWN.token(cause)}
    assert OWN.headers("http://other/webhooks/x", cause) == {}


@pytest.mark.parametrize(
    ("url", "base", "reached"),
    [
        ("http://127.0.0.1:3847/webhooks/a", "http://127.0.0.1:3847", True),
        ("http://localhost:3847/webhooks/a", "http://127.0.0.1:3847", True),
        ("http://[::1]:3847/", "http://127.0.0.1:3847", True),
        ("http://127.9.9.9:3847/", "http://127.0.0.1:3847", True),
        ("https://127.0.0.1:3847/", "http://127.0.0.1:3847", False),
        ("http://127.0.0.1:3848/", "http://127.0.0.1:3847", False),
        ("http://198.51.100.7:3847/", "http://127.0.0.1:3847", False),
        ("http://127.evil.example:3847/", "http://127.0.0.1:3847", False),
        ("https://hooks.acme.example/webhooks/a", "https://hooks.acme.example", True),
        ("https://HOOKS.acme.example:443/x", "https://hooks.acme.example/base", True),
        ("https://hooks.acme.example.evil.example/x", "https://hooks.acme.example", False),
        ("http://user@127.0.0.1:3847/", "http://127.0.0.1:3847", False),
        ("not a url", "http://127.0.0.1:3847", False),
    ],
)
def test_an_address_of_ours_is_known_by_its_other_names(url: str, base: str, reached: bool) -> None:
    assert reaches(url, base) is reached
