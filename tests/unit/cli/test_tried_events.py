"""What `ops automations test-event` prints."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs import event_tests
from amodal_rt.cli.verbs.door import Door

FOUND: dict[str, Any] = {
    "matches": True, "rule": "github.*: the type is all that it asks for", "rendered": "Look.",
    "fault": None, "type": "github.push", "conditions": [], "conversation_key": None,
    "idempotency_key": None, "coalesce_key": None, "requester": None, "skipped": None,
    "gate": None, "sample": None, "samples": [],
}  # fmt: skip


class Answering:
    """A daemon that gives one answer to everything."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        return self._answer

    def post(self, path: str, body: object = None) -> Any:
        return self._answer

    def lines(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        return iter(())


def printed(capsys: pytest.CaptureFixture[str], **changes: Any) -> list[str]:
    door = Door(Answering(FOUND | changes), Output())
    assert event_tests.show(door, "triage", {}) == 0
    return capsys.readouterr().out.splitlines()


def test_a_gate_that_would_still_read_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    gate = {"connection": "crm", "reads": "GET /deals", "path": "0.id", "must": "fit its filter"}

    lines = printed(capsys, gate=gate)

    assert lines[1] == (
        "a gate would still decide: what GET /deals (0.id) over crm says must fit its filter; "
        "it was not asked here"
    )
    assert not any("gate" in each for each in printed(capsys))


def test_the_sample_that_was_tried_is_named_with_how_many_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = printed(capsys, sample="github.push", samples=["github.push"])
    many = printed(capsys, sample="github.push", samples=["github.push", "github.fork"])

    assert one[0] == "tried with the sample of github.push"
    assert many[0] == (
        "tried with the sample of github.push, one of 2 samples; --type names another"
    )
    assert printed(capsys)[0].startswith("matches: ")
