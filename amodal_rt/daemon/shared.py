"""What several rooms are built with."""

import socket
from dataclasses import dataclass

from amodal_rt.daemon.ground import Ground
from amodal_rt.daemon.known_secrets import KnownSecrets
from amodal_rt.guardrails.causes import Causes
from amodal_rt.guardrails.egress import Egress
from amodal_rt.guardrails.redaction import Redactor, secret_values
from amodal_rt.intake.endpoints import Endpoints
from amodal_rt.intake.integrations import IntegrationKeys
from amodal_rt.operations.address import Address
from amodal_rt.operations.changes import Changes
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.starting import Starting
from amodal_rt.triggers.matching import Matching


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What several rooms are built with."""

    redactor: Redactor
    egress: Egress
    endpoints: Endpoints
    keys: IntegrationKeys
    facts: KnownFacts
    address: Address
    causes: Causes
    starting: Starting
    matching: Matching
    changes: Changes


def share(ground: Ground, webhook_key: str) -> Shared:
    clock, ledger, workspace = ground.clock, ground.ledger, ground.workspace
    key = webhook_key.encode()
    endpoints = Endpoints(key, workspace, ledger)
    address = Address(workspace, endpoints)
    return Shared(
        redactor=Redactor(KnownSecrets(workspace, secret_values, (webhook_key,), clock)),
        egress=Egress(workspace.snapshot().settings.allow_private),
        endpoints=endpoints,
        keys=IntegrationKeys(key, workspace),
        facts=KnownFacts(ledger, ground.signals),
        address=address,
        causes=Causes(key, address.is_own),
        starting=Starting(workspace, ledger, signals=ground.signals, clock=clock, ids=ground.ids),
        matching=Matching(ground.ids),
        changes=Changes(
            ledger,
            root=ground.root,
            place=f"{socket.gethostname()}:{ground.state}",
            clock=clock,
            ids=ground.ids,
        ),
    )
