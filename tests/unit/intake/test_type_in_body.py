"""What a body says of its type, and what it leaves open, is what the door would make of it."""

import pytest

from amodal_rt.domain.trigger import SignatureScheme
from amodal_rt.intake.providers import PROVIDERS
from amodal_rt.intake.type_in_body import agreed, shown, words_in_body

OPENED = {"action": "opened"}
GITHUB, SHOPIFY, SLACK = SignatureScheme.GITHUB, SignatureScheme.SHOPIFY, SignatureScheme.SLACK
MENTION = {"event": {"type": "app_mention"}}


@pytest.mark.parametrize(
    ("scheme", "data", "said", "wanted", "called"),
    [
        (SLACK, MENTION, "slack.app_mention", "slack.app_mention", "slack.app_mention"),
        (SLACK, MENTION, "slack.app_mention", "slack.*", "slack.app_mention"),
        (SLACK, MENTION, "slack.app_mention", "slack.message", None),
        (SLACK, MENTION, "slack.app_mention", "*", "slack.app_mention"),
        (SLACK, {"type": "slack"}, "slack.event", "slack.event", "slack.event"),
        (SLACK, None, "slack.event", "slack.app_mention", None),
        (GITHUB, OPENED, "github.*.opened", "github.issues.opened",
         "github.issues.opened"),
        (GITHUB, OPENED, "github.*.opened", "github.issues.*", "github.issues.opened"),
        (GITHUB, OPENED, "github.*.opened", "github.*", "github.*.opened"),
        (GITHUB, OPENED, "github.*.opened", "github.iss*", "github.iss*.opened"),
        (GITHUB, OPENED, "github.*.opened", "github.issues.closed", None),
        (GITHUB, OPENED, "github.*.opened", "github.push", None),
        (GITHUB, {"ref": "main"}, "github.*", "github.push", "github.push"),
        # What has no action is no `issues.opened`, whatever header came with it.
        (GITHUB, {"ref": "main"}, "github.*", "github.issues.opened", None),
        (SHOPIFY, {"id": 1}, "shopify.*", "shopify.orders.create", "shopify.orders.create"),
        (SHOPIFY, {"id": 1}, "shopify.*", "stripe.charge", None),
    ],
)  # fmt: skip
def test_a_type_is_known_as_far_as_the_body_says_it(
    scheme: SignatureScheme, data: object, said: str, wanted: str, called: str | None
) -> None:
    words = words_in_body(PROVIDERS[scheme].parts, scheme.value, data)

    assert (shown(words), agreed(words, wanted)) == (said, called)
