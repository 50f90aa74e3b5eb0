"""The keys of a start: what its templates print for the event."""

from collections.abc import Mapping
from dataclasses import dataclass

from amodal_rt.definitions.liquid import render_key, scope_of
from amodal_rt.domain.automation import Automation
from amodal_rt.domain.event import Event, order_at
from amodal_rt.domain.run import Coalesce
from amodal_rt.errors import InvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What the templates printed. `fault` says which of them could not, and why."""

    conversation: str | None = None
    idempotency: str | None = None
    coalesce: Coalesce | None = None
    fault: str | None = None


_NONE = Keys()


def keys_for(automation: Automation, event: Event) -> Keys:
    """The keys of a start of `automation` by `event`. Never raises: a template that fails is the
    start's fault, which then counts and is told of as a run that failed."""
    rule = automation.coalesce
    if not (automation.conversation_key or automation.idempotency_key or rule):
        return _NONE
    scope = scope_of(automation, event=event)
    faults: list[str] = []
    conversation = _printed("conversationKey", automation.conversation_key, scope, faults)
    idempotency = _printed("idempotencyKey", automation.idempotency_key, scope, faults)
    together = _printed("coalesce.key", rule.key if rule else None, scope, faults)
    if faults:
        # Made one with others, it would take the place of one that could have run.
        return Keys(conversation=conversation, idempotency=idempotency, fault=faults[0])
    coalesce = None
    if rule is not None and together is not None:
        coalesce = Coalesce(key=together, window=rule.window, longest=rule.longest)
    return Keys(conversation=conversation, idempotency=idempotency, coalesce=coalesce)


def order_key(event: Event) -> str | None:
    """Where the event stands in its conversation: as its source orders it, else as it came.

    A replay stands nowhere: it goes when its turn comes, and what happens meanwhile, told of a
    little later, is not stale for it.
    """
    if event.replay_of is not None:
        return None
    received = order_at(event.received_at)
    # Sources count in seconds, and name their deliveries at random: of one second, what comes
    # second would be stale half of the time.
    return f"{event.order or received}#{received}#{event.delivery_id or event.id}"


def _printed(
    name: str, template: str | None, scope: Mapping[str, object], faults: list[str]
) -> str | None:
    if template is None:
        return None
    try:
        return render_key(template, scope)
    except InvalidError as error:
        said = error.message.removeprefix("template_render_failed: ")
        faults.append(f"template_render_failed: {name}: {said}")
        return None
