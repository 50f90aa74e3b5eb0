import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest

from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.domain.workspace import Provider, ProviderType, Snapshot, WorkspaceSettings
from amodal_rt.guardrails.redaction import Redactor, secret_values
from amodal_rt.settings import Environment

SECRET = 'canary/"Kö+9&x<y>'


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(json.dumps(SECRET)),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        re.sub("%..", lambda found: found[0].lower(), quote(SECRET, safe="")),
        html.escape(SECRET),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_every_spelling_of_a_secret_is_masked(spelled: str) -> None:
    masked = Redactor(lambda: [SECRET]).mask(f"before {spelled} after")

    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "[secret]" in masked
    for part in ("canary", SECRET.encode().hex()[:12], quote(SECRET)[:14]):
        assert part not in masked


@pytest.mark.parametrize("prefix", ["", "u", "us", "user", "user:"])
def test_base64_of_a_longer_text_is_masked_at_every_offset(prefix: str) -> None:
    encoded = base64.b64encode(f"{prefix}a-long-password:more".encode()).decode()

    masked = Redactor(lambda: ["a-long-password"]).mask(f"Basic {encoded}")

    assert "[secret]" in masked
    # What is left are the neighbours and at most one character of the secret on either side.
    assert all(len(piece) <= 10 for piece in masked.removeprefix("Basic ").split("[secret]"))


def test_documents_are_masked_in_texts_keys_and_numbers() -> None:
    redactor = Redactor()
    redactor.replace(["s3cret-value", "12345678"])

    document = {"s3cret-value": ["x s3cret-value", 12345678, 12, None, True], "n": {"k": 1.5}}

    assert redactor.mask_document(document) == {
        "[secret]": ["x [secret]", "[secret]", 12, None, True],
        "n": {"k": 1.5},
    }


def test_the_path_of_a_secret_url_and_the_lines_of_a_key_are_masked() -> None:
    url = "https://hooks.example/services/T000/B000/abcdefghij"
    key = "-----BEGIN-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END-----"
    redactor = Redactor(lambda: [url, key])

    assert redactor.mask("POST /services/T000/B000/abcdefghij 404") == "POST [secret] 404"
    longer = Redactor(
        lambda: ["https://hooks.example/v1/abcdefghijklmnopqrst?key=0123456789abcdef"]
    )
    said = longer.mask("abcdefghijklmnopqrst and 0123456789abcdef, hooks.example/v1")
    assert said == "[secret] and [secret], hooks.example/v1"
    assert redactor.mask("line MIIEvQIBADANBgkqhkiG9w0BAQ") == "line [secret]"


def test_the_password_in_the_url_of_a_database_is_masked_as_its_server_is_told_it() -> None:
    redactor = Redactor(lambda: ["postgresql://app:p%40ss-word@db.internal/ledger"])

    said = redactor.mask('"app" with "p@ss-word", p%40ss-word, at db.internal/ledger')

    assert said == '"app" with "[secret]", [secret], at db.internal/ledger'


def test_a_longer_secret_is_masked_before_a_shorter_one_inside_it() -> None:
    assert Redactor(lambda: ["abcd", "abcdefgh"]).mask("abcdefgh abcd") == "[secret] [secret]"


def test_very_short_values_and_changed_values() -> None:
    values = ["ok"]
    redactor = Redactor(lambda: values)
    assert redactor.mask("all ok") == "all ok"

    values.append("rotated")

    assert redactor.mask("rotated") == "[secret]"


def test_the_values_of_a_workspace_are_those_its_files_name() -> None:
    provider = Provider(
        name="local", type=ProviderType.OPENAI_COMPATIBLE, api_key=SecretRef("LOCAL_KEY")
    )
    connection = Connection(
        name="crm", protocol=Protocol.REST, hash="h", secrets=("CRM_TOKEN", "UNSET")
    )
    auth = WebhookAuth(scheme=SignatureScheme.GITHUB, secrets=(SecretRef("HOOK"),))
    integration = Integration(name="github", auth=auth, secrets=("HOOK",))
    snapshot = Snapshot(
        version=1,
        settings=WorkspaceSettings(providers={"local": provider}),
        connections={"crm": connection},
        integrations={"github": integration},
    )
    environment = Environment(
        process={
            "LOCAL_KEY": "k-1", "CRM_TOKEN": "t-1", "PATH": "/bin", "OPENAI_API_KEY": "o-1",
            "HOOK": "h-1",
        }
    )  # fmt: skip

    assert secret_values(snapshot, environment) == ("t-1", "h-1", "k-1", "o-1")


def test_a_long_text_that_was_clean_is_masked_once_a_secret_is_new() -> None:
    known = ["first-secret"]
    redactor = Redactor(lambda: known)
    text = "second-secret " * 300

    assert redactor.mask(text) == redactor.mask(text) == text
    known.append("second-secret")

    assert redactor.mask(text) == "[secret] " * 300
