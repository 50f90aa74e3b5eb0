"""The automation's shape → the domain's automation: what keys mean together."""

from collections.abc import Sequence
from datetime import timedelta

from amodal_rt.definitions.automation_file import PROPOSE, AutomationShape, CatchUpShape, RetryShape
from amodal_rt.definitions.delivery_file import (
    ApprovalsShape,
    DeliveryShape,
    FailureAlertShape,
    TargetShape,
)
from amodal_rt.definitions.document import MOST_PROBLEMS, Document, Loc, in_file_order, too_many
from amodal_rt.definitions.invoke_file import invocation
from amodal_rt.definitions.json_schema import schema_problem
from amodal_rt.definitions.limits_file import LimitsShape
from amodal_rt.definitions.targets import Targets
from amodal_rt.definitions.templates import template_error
from amodal_rt.definitions.triggering import Triggering
from amodal_rt.definitions.words import nearest, shown
from amodal_rt.definitions.working import Working
from amodal_rt.definitions.writes_file import write_grants
from amodal_rt.domain.automation import (
    Approvals,
    Automation,
    CatchUp,
    CatchUpPolicy,
    Lifecycle,
    Limits,
    OnLimit,
    Retry,
    WorkflowRun,
    WriteLimits,
)
from amodal_rt.domain.delivery import Delivery, FailureAlert, Target
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.profile import parse_reference
from amodal_rt.domain.workspace import WorkspaceSettings


class Builder:
    """Turns one shape into an automation; collects problems, secrets and named targets."""

    def __init__(
        self, document: Document, settings: WorkspaceSettings, run: WorkflowRun | None = None
    ) -> None:
        self._document = document
        self._problems: list[Problem] = []
        self._targets = Targets(settings.targets, self.complain)
        self._triggering = Triggering(document, self.complain)
        self._working = Working(document, self.complain, run)
        self._granted: set[str] = set()

    @property
    def secrets(self) -> set[str]:
        """Every environment variable that the automation needs."""
        return self._targets.secrets | self._triggering.secrets | self._granted

    def complain(self, code: str, message: str, loc: Loc = (), *, hint: str | None = None) -> None:
        """Add an error at `loc`."""
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(self._document.problem(code, message, loc, hint=hint))
        elif len(self._problems) == MOST_PROBLEMS:
            self._problems.append(too_many(self._document.file))

    def sorted_problems(self) -> tuple[Problem, ...]:
        """In the order of the file."""
        return in_file_order(self._problems)

    def automation(self, stem: str, shape: AutomationShape) -> Automation | None:
        """The automation, or None when anything was wrong."""
        work = self._working.work(shape)
        gate, coalesce = self._working.gate(shape), self._working.coalesce(shape.coalesce)
        expect = self._working.expect(shape)
        conversation_key = self._working.template(shape.conversation_key, ("conversationKey",))
        idempotency_key = self._working.template(shape.idempotency_key, ("idempotencyKey",))
        triggers = self._triggering.triggers(shape)
        title, run_as = self._title(shape), self._run_as(shape)
        delivery, alert = self._delivery(shape.delivery), self._alert(shape.failure_alert)
        approvals = self._approvals(shape.approvals)
        self._granted_by(shape)
        self._input_schema(shape)
        if self._problems or work is None:
            return None
        return Automation(
            name=stem,
            title=title,
            work=work,
            triggers=triggers,
            description=shape.description,
            metadata=shape.metadata,
            lookup_key=shape.lookup_key,
            timezone=shape.timezone or "UTC",
            agent=shape.agent or "main",
            models=tuple(shape.model or ()),
            temperature=shape.temperature,
            connections=None if shape.connections is None else tuple(shape.connections),
            tools=None if shape.tools is None else tuple(shape.tools),
            write_enabled=shape.write_enabled is True,
            proposes=shape.write_enabled == PROPOSE,
            profile=parse_reference(shape.profile or ""),
            writes=write_grants(shape.writes),
            env=tuple(dict.fromkeys(shape.env or ())),
            delivery=delivery,
            failure_alert=alert,
            limits=_limits(shape.limits),
            catch_up=_catch_up(shape.catch_up),
            retry=_retry(shape.retry),
            invocation=invocation(shape.input_schema, shape.prefills, shape.invoke_auth),
            conversation_key=conversation_key,
            idempotency_key=idempotency_key,
            coalesce=coalesce,
            gate=gate,
            expect=expect,
            run_as=run_as,
            created_by=shape.created_by,
            acknowledged=tuple(dict.fromkeys(shape.acknowledge)),
            approvals=approvals,
            status=Lifecycle(shape.status),
        )

    def _title(self, shape: AutomationShape) -> str:
        if shape.title is not None and shape.name is not None:
            self.complain(
                "conflict", "title and name are the same thing", ("name",), hint="keep title"
            )
        title = shape.title or shape.name
        if title is None:
            markdown = self._document.file.endswith(".md")
            example = "title: Daily Digest" if markdown else '"title": "Daily Digest"'
            self.complain("missing_key", "title is missing", hint=f"for example {example}")
        return " ".join((title or "").split())

    def _input_schema(self, shape: AutomationShape) -> None:
        if shape.input_schema is not None:
            problem = schema_problem(self._document, shape.input_schema, "inputSchema")
            self._problems += [problem] if problem else []

    def _granted_by(self, shape: AutomationShape) -> None:
        self._tools(shape)
        if shape.env and not any((shape.workflow, shape.config, shape.config_id)):
            message = "env goes with workflow, which is missing"
            hint = "an agent is given no variables: secrets never reach a prompt"
            self.complain("conflict", message, ("env",), hint=hint)
        self._granted.update(shape.env or ())

    def _run_as(self, shape: AutomationShape) -> str | None:
        if shape.run_as is not None and shape.run_as_user is not None:
            message = "runAs and runAsUser are the same thing"
            self.complain("conflict", message, ("runAsUser",), hint="keep runAs")
        return shape.run_as or shape.run_as_user

    def _delivery(self, shape: DeliveryShape | None) -> Delivery | None:
        if shape is None:
            return None
        targets = self._receivers(shape.targets, ("delivery", "targets"))
        wrong = template_error(shape.template) if shape.template else None
        if wrong is not None:
            hint = "Liquid, as in {{ result }}"
            message = f"delivery.template: {wrong}"
            self.complain("bad_template", message, ("delivery", "template"), hint=hint)
        return Delivery(targets=targets, template=shape.template, when=shape.when)

    def _alert(self, shape: FailureAlertShape | None) -> FailureAlert | None:
        if shape is None:
            return None
        return FailureAlert(
            targets=self._receivers(shape.targets, ("failureAlert", "targets")),
            after=shape.after,
            cooldown=timedelta(minutes=shape.cooldown_minutes),
        )

    def _approvals(self, shape: ApprovalsShape | None) -> Approvals:
        if shape is None:
            return Approvals()
        return Approvals(
            expires=shape.expires,
            approvers=tuple(dict.fromkeys(shape.approvers)),
            targets=self._receivers(shape.targets, ("approvals", "targets")),
        )

    def _receivers(self, shapes: Sequence[TargetShape], loc: Loc) -> tuple[Target, ...]:
        return self._targets.receivers(shapes, loc)

    def _tools(self, shape: AutomationShape) -> None:
        for place, tool in enumerate(shape.tools or ()):
            if tool != "*" and "." not in tool and "*" not in tool and tool not in OWN_TOOLS:
                near = nearest(tool, sorted(OWN_TOOLS))
                self.complain(
                    "bad_tool",
                    f"tools[{place}]: {shown(tool)} names no tool",
                    ("tools", place),
                    hint=f'did you mean "{near}"?' if near else "write connection.tool",
                )


OWN_TOOLS = frozenset(
    {
        "request",
        "read_connection",
        "dispatch_task",
        "query_store",
        "write_store",
        "read_knowledge",
        "read_event",
        "emit_event",
        "propose_write",
        "bash",
    }
)
"""Tools of the runtime itself, which belong to no connection (specification §6.2)."""


def _catch_up(shape: CatchUpShape) -> CatchUp:
    return CatchUp(policy=CatchUpPolicy(shape.policy), within=shape.within or timedelta(hours=24))


def _limits(shape: LimitsShape) -> Limits:
    return Limits(
        concurrency=shape.concurrency,
        on_limit=OnLimit(shape.on_limit) if shape.on_limit else None,
        timeout=timedelta(seconds=shape.timeout_seconds),
        max_turns=shape.max_turns,
        max_tokens=shape.max_tokens,
        max_cost_usd=shape.max_cost_usd,
        max_tokens_per_day=shape.max_tokens_per_day,
        max_cost_usd_per_day=shape.max_cost_usd_per_day,
        budget_models=tuple(shape.budget_model or ()),
        starts_per_hour=shape.starts_per_hour,
        webhook_bytes=shape.webhook_bytes,
        writes=WriteLimits(per_run=shape.writes.per_run, per_hour=shape.writes.per_hour),
    )


def _retry(shape: RetryShape) -> Retry:
    return Retry(
        attempts=shape.attempts,
        backoff=timedelta(seconds=shape.backoff_seconds),
        after_writes=shape.after_writes,
    )
