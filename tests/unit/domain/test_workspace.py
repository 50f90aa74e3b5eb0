"""Which version of an automation a run may execute."""

from dataclasses import replace
from datetime import UTC, datetime

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workspace import (
    MODEL_KEY_MISSING,
    AutomationState,
    Snapshot,
    WorkspaceSettings,
)

DEFINITION = parse_automation(
    b'{"title": "Job", "prompt": "x"}',
    file="automations/job.json",
    settings=WorkspaceSettings(),
    read_prompt=str,
).definition
RUN = Run(
    run_id="run_1",
    automation="job",
    title="Job",
    trigger=TriggerKind.MANUAL,
    status=RunStatus.RUNNING,
    definition="d",
    created_at=datetime(2026, 3, 2, tzinfo=UTC),
)
REHEARSAL = replace(RUN, rehearse=True)


def snapshot(*codes: str) -> Snapshot:
    blocked = tuple(Problem(file="automations/job.json", code=code, message="x") for code in codes)
    state = AutomationState(
        name="job", file="automations/job.json", definition=DEFINITION, blocked=blocked
    )
    return Snapshot(version=1, automations={"job": state})


def test_a_missing_model_key_stops_every_run_but_a_rehearsal():
    """Wiring is checked before tokens are paid for, so before there is a key."""
    stopped = snapshot(MODEL_KEY_MISSING)

    assert stopped.find_for(RUN) is None
    assert stopped.find_for(REHEARSAL) is DEFINITION


def test_another_missing_variable_stops_a_rehearsal_too():
    stopped = snapshot(MODEL_KEY_MISSING, "env_missing")

    assert stopped.find_for(REHEARSAL) is None


def test_without_obstacles_both_run():
    assert snapshot().find_for(RUN) is snapshot().find_for(REHEARSAL) is DEFINITION


def test_a_deleted_automation_has_no_version():
    assert Snapshot(version=1).find_for(REHEARSAL) is None
