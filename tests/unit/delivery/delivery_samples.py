"""Runs, targets and definitions for the tests of this room."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

from amodal_rt.domain.automation import AgentWork, Automation, ChatMessage, Definition
from amodal_rt.domain.delivery import Delivery, FailureAlert, Format, Target, TargetType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.domain.trigger import TriggerKind

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class CountingIds:
    """Ids in order, jitter in the middle."""

    def __init__(self) -> None:
        self._numbers: Iterator[int] = count(1)

    def run(self) -> str:
        return f"run_{next(self._numbers):016d}"

    def event(self) -> str:
        return f"evt_{next(self._numbers):016d}"

    def delivery(self) -> str:
        return f"msg_{next(self._numbers):016d}"

    def write(self) -> str:
        return f"write_{next(self._numbers):016d}"

    def node(self) -> str:
        return f"node_{next(self._numbers):016d}"

    def token(self, size: int = 16) -> str:
        return f"{next(self._numbers):0{size}d}"

    def fraction(self) -> float:
        return 0.5


def webhook(url: str = "https://hooks.example/in", label: str = "reports", **more: str) -> Target:
    return Target(
        type=TargetType.WEBHOOK,
        label=label,
        url=url,
        format=Format(more.get("format", "json")),
        secret=more.get("secret"),
    )


def callback(name: str | None = None) -> Target:
    return Target(type=TargetType.CALLBACK, label=name or "callback", name=name)


def definition(
    *targets: Target,
    template: str | None = None,
    alert: FailureAlert | None = None,
    name: str = "digest",
) -> Definition:
    automation = Automation(
        name=name,
        title="Daily Digest",
        work=AgentWork(messages=(ChatMessage("user", "Report."),)),
        triggers=(),
        delivery=Delivery(targets=targets, template=template) if targets else None,
        failure_alert=alert,
    )
    return Definition(automation=automation, hash="0" * 64, document="{}", file=f"{name}.json")


def alerting(*targets: Target, after: int = 1, minutes: int = 60) -> FailureAlert:
    return FailureAlert(targets=targets, after=after, cooldown=timedelta(minutes=minutes))


def run(*, rehearse: bool = False, name: str = "digest") -> Run:
    return Run(
        run_id="run_0000000000000001",
        automation=name,
        title="Daily Digest",
        trigger=TriggerKind.CRON,
        status=RunStatus.RUNNING,
        definition="0" * 64,
        created_at=NOW,
        rehearse=rehearse,
    )


def completed(text: str | None = "All is well.", *, model: str = "local:small") -> Outcome:
    return Outcome(status=RunStatus.COMPLETED, text=text, model=model)


def failure(reason: str = "timed_out", error: str = "no end after 300 s") -> Outcome:
    return Outcome(status=RunStatus.FAILED, reason=reason, error=error)
