"""Links by which whoever a message reaches decides on a parked write.

A link is made when its message leaves, once for each attempt, and only its digest is kept: neither
the ledger nor a list of deliveries can decide anything. It ends with the write.
"""

import hashlib
import hmac
from dataclasses import replace

from amodal_rt.clock import Clock
from amodal_rt.domain import parked
from amodal_rt.domain.delivery import MessageKind, OutboxMessage
from amodal_rt.domain.parked import Around, Change, Link, ParkedWrite
from amodal_rt.errors import NotFoundError
from amodal_rt.ids import Ids
from amodal_rt.operations import parked as verbs
from amodal_rt.operations.address import Address
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller, ParkedLedger

DOOR = "link"
_TOKEN_BYTES = 32
_RUNTIME = Caller(actor="runtime", door="runtime")


class DecisionLinks:
    """Makes links, and takes what they decide."""

    def __init__(
        self,
        ledger: ParkedLedger,
        writes: verbs.Writes,
        address: Address,
        *,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._ledger = ledger
        self._writes = writes
        self._address = address
        self._clock = clock
        self._ids = ids

    async def fill(self, message: OutboxMessage) -> OutboxMessage:
        """The message as it leaves: with a link of its own where it asks about a write that is
        open still, and there is an address that others reach."""
        base = self._address.public
        if message.kind is not MessageKind.APPROVAL or base is None:
            return message
        token, now = self._ids.token(_TOKEN_BYTES), self._clock.now()
        link = Link(digest=_digest(token), label=message.target.label)

        def rule(write: ParkedWrite, _: Around) -> Change | None:
            return parked.linked(write, link, now)

        write_id = str(message.body["write_id"])
        try:
            kept = await self._ledger.rule_on_parked(write_id, rule, caller=_RUNTIME, at=now)
        except NotFoundError:
            return message
        if kept is None:
            return message
        url = f"{base}/approvals/{write_id}/{token}"
        return replace(
            message,
            body={**message.body, "url": url, "text": f"{message.body['text']}\n{url}"},
        )

    async def show(self, write_id: str, token: str) -> Document:
        """The write behind a link, as `ops approvals show` has it. Raises NotFoundError
        (`no_such_link`)."""
        write, _ = await self._behind(write_id, token)
        return self._writes.document(write)

    async def decide(
        self, write_id: str, token: str, *, approved: bool, note: str | None
    ) -> Document:
        """Say yes or no in the name of the target that the link went to. Raises NotFoundError
        (`no_such_link`), and ConflictError as `Writes.decide`."""
        write, link = await self._behind(write_id, token)
        caller = Caller(actor=f"link:{link.label}", door=DOOR)
        decided = await self._writes.settle(caller, write, approved=approved, note=note)
        return self._writes.document(decided)

    async def _behind(self, write_id: str, token: str) -> tuple[ParkedWrite, Link]:
        write = await self._ledger.find_parked(write_id)
        digest = _digest(token)
        for link in write.links if write else ():
            if write is not None and hmac.compare_digest(link.digest, digest):
                return write, link
        raise NotFoundError(
            "this link is none of ours, or none any more",
            code="no_such_link",
            hint="`ops approvals list` has what waits for an answer",
        )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
