"""A workspace of one webhook automation, as the intake sees it."""

from dataclasses import dataclass, field

from amodal_rt.clock import Clock, SystemClock
from amodal_rt.domain.automation import AgentWork, Automation, ChatMessage, Definition, Limits
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.trigger import ManualTrigger, WebhookAuth, WebhookTrigger
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.guardrails.causes import Causes
from amodal_rt.ids import SystemIds
from amodal_rt.intake.examining import Examiner
from amodal_rt.intake.requests import Answer, RawRequest, Refusal, Verified
from amodal_rt.intake.signatures.key_sets import KeySets
from amodal_rt.intake.webhooks import WebhookIntake
from amodal_rt.settings import Environment

ENDPOINT = "auto_0123456789abcdef"


@dataclass
class House:
    """A catalogue and its one endpoint; what a test changes counts for the next request."""

    auth: WebhookAuth | None = None
    variables: dict[str, str] = field(default_factory=dict)
    webhook_bytes: int = 1000
    has_webhook: bool = True
    blocked: bool = False
    broken: bool = False
    causes: Causes = field(default_factory=lambda: Causes(b"key", lambda url: False))
    endpoint: str = ENDPOINT
    kept: Snapshot | None = None
    """The newest snapshot; without it, each request finds another one."""
    documents: dict[str, list[bytes | Exception]] = field(default_factory=dict)
    """What stands at a URL, one for each time that it is asked for."""
    clock: Clock = field(default_factory=SystemClock)

    async def fetch(self, url: str) -> bytes:
        answer = self.documents[url].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def intake(self) -> WebhookIntake:
        clock = self.clock
        return WebhookIntake(
            self,
            self,
            Examiner(self.causes, KeySets(self.fetch, clock), clock=clock, ids=SystemIds(clock)),
        )

    def snapshot(self) -> Snapshot:
        return self.kept or self.read()

    def read(self) -> Snapshot:
        trigger = WebhookTrigger(auth=self.auth) if self.has_webhook else ManualTrigger()
        automation = Automation(
            name="hook",
            title="Hook",
            work=AgentWork(messages=(ChatMessage("user", "look"),)),
            triggers=(trigger,),
            limits=Limits(webhook_bytes=self.webhook_bytes),
        )
        definition = Definition(
            automation=automation, hash="0" * 64, document="{}", file="automations/hook.json"
        )
        problem = Problem(file="automations/hook.json", code="env_missing", message="unset")
        state = AutomationState(
            name="hook",
            file="automations/hook.json",
            definition=None if self.broken else definition,
            blocked=(problem,) if self.blocked else (),
        )
        return Snapshot(version=1, automations={"hook": state})

    def environment(self) -> Environment:
        return Environment(process=self.variables)

    def find(self, endpoint: str) -> str | None:
        return "hook" if endpoint == self.endpoint else None

    async def send(
        self,
        body: bytes = b"",
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        method: str = "POST",
        endpoint: str = ENDPOINT,
        intake: WebhookIntake | None = None,
    ) -> Verified | Refusal | Answer:
        async def read(limit: int) -> bytes | None:
            return body if len(body) <= limit else None

        pairs = list(headers.items()) if isinstance(headers, dict) else headers or []
        return await (intake or self.intake()).verify(
            RawRequest(endpoint=endpoint, method=method, headers=pairs, read_body=read)
        )
