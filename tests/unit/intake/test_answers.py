"""The answers of the webhook table."""

import pytest

from amodal_rt.domain.run import RunStatus
from amodal_rt.errors import UnavailableError
from amodal_rt.intake import answers
from amodal_rt.intake.requests import Refusal
from amodal_rt.ports import Receipt, RunRef


def _receipt(*, duplicate: bool, status: RunStatus, reason: str | None = None) -> Receipt:
    run = RunRef(run_id="run_1", automation="hook", status=status, reason=reason)
    return Receipt(event_id="evt_1", duplicate=duplicate, runs=(run,))


def test_an_accepted_event_is_202_with_its_run() -> None:
    answer = answers.received(_receipt(duplicate=False, status=RunStatus.PENDING))

    assert answer.status == 202
    assert answer.document == {"status": "accepted", "event_id": "evt_1", "run_id": "run_1"}


def test_a_skipped_run_is_202_too_and_says_why() -> None:
    answer = answers.received(_receipt(duplicate=False, status=RunStatus.SKIPPED, reason="paused"))

    assert answer.status == 202
    assert answer.document == {
        "status": "skipped",
        "event_id": "evt_1",
        "run_id": "run_1",
        "reason": "paused",
    }


@pytest.mark.parametrize("status", RunStatus)
def test_a_duplicate_is_200_with_the_first_run_and_a_hint(status: RunStatus) -> None:
    answer = answers.received(_receipt(duplicate=True, status=status))

    assert answer.status == 200
    assert answer.document["status"] == "duplicate"
    assert answer.document["run_id"] == "run_1"
    assert "ops runs replay run_1" in str(answer.document["hint"])


def test_an_event_whose_run_is_gone_is_still_answered() -> None:
    answer = answers.received(Receipt(event_id="evt_1", duplicate=True, runs=()))

    assert answer.document["run_id"] is None
    assert "evt_1" in str(answer.document["hint"])


def test_a_refusal_keeps_its_cause_to_itself() -> None:
    refusal = Refusal(status=405, code="method_not_allowed", message="POST only",
                      headers={"Allow": "POST"})  # fmt: skip

    answer = answers.refused(refusal)

    assert (answer.status, answer.headers) == (405, {"Allow": "POST"})
    assert answer.document == {"error": {"code": "method_not_allowed", "message": "POST only"}}


def test_what_is_not_durable_is_503_with_retry_after_and_no_internals() -> None:
    answer = answers.unavailable(UnavailableError("disk /dev/sda1 is full", code="queue_full"))

    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "sda1" not in str(answer.document)
    assert "queue_full" in str(answer.document)
