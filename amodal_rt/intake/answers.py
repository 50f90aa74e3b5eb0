"""The answers of specification §4.2, in one place."""

from amodal_rt.domain.event import Event
from amodal_rt.domain.run import RunStatus
from amodal_rt.errors import AmodalError
from amodal_rt.intake.requests import RETRY_AFTER_SECONDS, Answer, Refusal
from amodal_rt.ports import Receipt


def received(receipt: Receipt) -> Answer:
    """202 for a new event, 200 for one seen before; both only after the commit."""
    run = receipt.runs[0] if receipt.runs else None
    run_id = run.run_id if run else None
    if receipt.duplicate:
        hint = f"ops runs replay {run_id}" if run_id else f"ops events replay {receipt.event_id}"
        return Answer(
            status=200,
            document={
                "status": "duplicate",
                "event_id": receipt.event_id,
                "run_id": run_id,
                "hint": f"seen before; to run it again: {hint}",
            },
        )
    document: dict[str, object] = {
        "status": "accepted",
        "event_id": receipt.event_id,
        "run_id": run_id,
    }
    # A 4xx for a paused automation would make senders drop the subscription.
    skipped = run is not None and run.status is RunStatus.SKIPPED
    if run and skipped and all(each.status is RunStatus.SKIPPED for each in receipt.runs):
        document |= {"status": "skipped", "reason": run.reason}
    return Answer(status=202, document=document)


def broadcast(receipt: Receipt) -> Answer:
    """As `received`, for an event that any number of automations may have heard: `run_id` is
    the first run's, `run_ids` and `runs` name all of them."""
    answer = received(receipt)
    runs = [
        {
            "run_id": each.run_id,
            "automation": each.automation,
            "status": each.status.value,
            "reason": each.reason,
        }
        for each in receipt.runs
    ]
    more = {"run_ids": [each.run_id for each in receipt.runs], "runs": runs}
    return Answer(status=answer.status, document={**answer.document, **more})


def called_back(event: Event) -> Answer:
    """202 with the server's own name of the type: all that the trigger binding promises."""
    connection = event.source.rpartition("/")[2]
    type = event.type.removeprefix(f"{connection}.")
    return Answer(status=202, document={"ok": True, "type": type})


def refused(refusal: Refusal) -> Answer:
    """The refusal's own status and headers, and a body without its cause."""
    if refusal.status == 202:
        return Answer(status=202, document={"status": "skipped", "reason": refusal.code})
    return Answer(
        status=refusal.status,
        document={"error": {"code": refusal.code, "message": refusal.message}},
        headers=refusal.headers,
    )


def unavailable(error: AmodalError) -> Answer:
    """503 with `Retry-After`: nothing is durable, so the sender must come again."""
    return Answer(
        status=503,
        document={"error": {"code": error.code, "message": "not possible right now"}},
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
