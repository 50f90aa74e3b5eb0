import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from amodal_rt.delivery.standard_webhooks import sign, signing_key
from amodal_rt.errors import InvalidError


def test_the_published_vector_is_met() -> None:
    """The example of the Standard Webhooks specification."""
    signature = sign(
        signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_library_agrees_on_a_body_beyond_ascii() -> None:
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef").decode().rstrip("=")
    body = '{"text": "Größe ✓"}'
    at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    signature = sign(
        signing_key(secret), message_id="msg_1", timestamp=int(at.timestamp()), body=body.encode()
    )

    assert signature == Webhook(secret).sign("msg_1", at, body)


def test_a_text_without_the_prefix_is_the_key_itself() -> None:
    assert signing_key("correct horse") == b"correct horse"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_===", "whsec_not base64", "whsec_a"])
def test_a_prefix_without_base64_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(InvalidError) as caught:
        signing_key(secret)

    assert caught.value.code == "bad_secret"
    assert "not base64" not in caught.value.message
