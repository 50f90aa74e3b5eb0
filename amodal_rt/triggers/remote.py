"""Keeps MCP servers in step with the files: who watches for what, and calls back with what.

Every registration has a token of its own, of which only a digest is kept. A server that said yes
has the one that counts; one that said nothing in time may have it, so its digest is kept beside
the older one until a later attempt succeeds; one that said no has none.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Protocol

from amodal_rt.clock import Clock, first_of
from amodal_rt.domain.connection import Connection
from amodal_rt.domain.remote_trigger import SPARE, RemoteState, RemoteTrigger
from amodal_rt.errors import AmodalError
from amodal_rt.ids import Ids
from amodal_rt.logs import Log
from amodal_rt.ports import (
    FACTS,
    SNAPSHOT,
    AutomationFacts,
    Catalogue,
    Lease,
    NodeLedger,
    RemoteTriggerLedger,
    Signals,
    TriggerConnections,
)
from amodal_rt.triggers.at_once import few_at_once
from amodal_rt.triggers.callback_tokens import CallbackTokens, digest_of
from amodal_rt.triggers.registrations import Place, Registration, registrations
from amodal_rt.triggers.remote_standing import (
    LOOK_SECONDS,
    Failure,
    Refused,
    RemoteStanding,
    Told,
    absent,
    failed_again,
    standing_of,
)

RENEW_SECONDS = 3600.0
"""How often a server elsewhere is told anew: it may forget without an end."""
BLIND_SECONDS = 300.0
"""The same of one whose quick end and new start nobody would see."""
AT_ONCE = 8
"""Of how many triggers a server elsewhere is told at a time."""
MOST_SPARES = 4
"""Tokens that a silent server may have; servers that work off what they were sent end with the
newest."""

_log = Log("triggers")


class RegistrationLedger(RemoteTriggerLedger, NodeLedger, Protocol):
    """What registering needs of the ledger."""

    async def automation_facts(self) -> Mapping[str, AutomationFacts]:
        """As `ports.FactLedger`."""
        ...


class RemoteTriggers:
    """Registers, ends and repairs. Of several nodes the one with the oldest life does it alone;
    while two believe that they are it, the row of the ledger says whose token counts, and the
    other's look finds it replaced and registers anew."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        ledger: RegistrationLedger,
        connections: TriggerConnections,
        callback_url: Callable[[], str | None],
        lease: Lease,
        signals: Signals,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._tokens = CallbackTokens(ledger, clock)
        self._connections = connections
        self._callback_url = callback_url
        self._lease = lease
        self._signals = signals
        self._clock = clock
        self._ids = ids
        self._wanted: Mapping[Place, Registration] = {}
        self._places: dict[str, list[Place]] = {}
        self._told: dict[Place, Told] = {}
        self._failures: dict[Place, Failure] = {}
        self._away: dict[str, str] = {}
        self._known: dict[str, Connection] = {}
        self._rows: Sequence[RemoteTrigger] = ()

    @property
    def tokens(self) -> CallbackTokens:
        """What servers call back with."""
        return self._tokens

    async def run(self) -> None:
        """Until cancelled."""
        with self._signals.listen(SNAPSHOT) as read, self._signals.listen(FACTS) as changed:
            while True:
                try:
                    await self.look()
                except AmodalError as error:
                    _log.warning("trigger.look_failed", error=error.message)
                await first_of(read(), changed(), self._clock.sleep(LOOK_SECONDS))

    async def look(self) -> None:
        """Bring every server in step, as far as it lets itself be brought. Raises what the
        ledger raises; what a server does is kept as its trigger's failure."""
        self._rows = await self._tokens.read()
        snapshot = self._catalogue.snapshot()
        self._wanted = registrations(snapshot, await self._ledger.automation_facts())
        self._places = {}
        for place, each in self._wanted.items():
            for name in each.automations:
                self._places.setdefault(name, []).append(place)
        if not (self._wanted or self._rows or self._told) or not await self._rules():
            return
        for each in snapshot.connections.values():
            if each.mcp is not None:
                self._known[each.name] = each
        ended = await self._forget_unwanted()
        url = self._callback_url()
        names = {each.connection for each in ended}
        names |= {each.connection.name for each in self._wanted.values()}
        # A server that hangs holds up its own triggers alone.
        async with asyncio.TaskGroup() as tasks:
            for name in names:
                over = [each for each in ended if each.connection == name]
                tasks.create_task(self._settle(name, over, url))
        self._rows = await self._tokens.read()

    def standings(self, automation: str | None = None) -> list[RemoteStanding]:
        """What the files ask servers for, by automation and as it stands there, as this node
        knows it."""
        places = self._wanted if automation is None else self._places.get(automation, ())
        return [
            standing_of(
                self._wanted[place],
                self._of(place),
                failure=self._failures.get(place),
                told=self._told.get(place),
                has_address=self._callback_url() is not None,
            )
            for place in places
        ]

    async def _rules(self) -> bool:
        """Whether this node registers. One that does not any more knows nothing from then on:
        the next one may have told the servers otherwise."""
        living = [each.node_id for each in await self._ledger.list_nodes() if not each.gone_at]
        rules = self._lease.held() and min(living, default=self._ledger.node_id) == (
            self._ledger.node_id
        )
        if not rules:
            for known in (self._told, self._failures, self._away):
                known.clear()
        return rules

    async def _settle(self, name: str, over: Iterable[RemoteTrigger], url: str | None) -> None:
        connection = self._known.get(name)
        # A child of ours has one pipe, and what is said first should be heard first.
        most = 1 if _is_child(connection) else AT_ONCE
        await self._visit(name, connection)
        await few_at_once([partial(self._disable, each) for each in over], most)
        mine = [each for each in self._wanted.values() if each.connection.name == name]
        if url is not None:
            await few_at_once([partial(self._keep, each, url) for each in mine], most)

    async def _visit(self, name: str, connection: Connection | None) -> None:
        """Note whether the server is away: nobody else would tell of one elsewhere."""
        self._away.pop(name, None)
        if connection and (away := await self._connections.visit(connection)):
            self._away[name] = away

    async def _keep(self, registration: Registration, url: str) -> None:
        place = registration.place
        told, failure = self._told.get(place), self._failures.get(place)
        away = self._away.get(registration.connection.name)
        if away is not None and registration.fault is None:
            self._note(registration, absent(registration, url, away, clock=self._clock))
            return
        if told is not None and self._stands(told, registration, url):
            if told.row.digest in {each.digest for each in self._tokens.unsaved(*place)}:
                await self._save(told.row)
            self._failures.pop(place, None)
            return
        if registration.fault is not None:
            self._fail(registration, url, registration.fault, ambiguous=False)
            return
        if failure is not None and failure.registration.same(registration) and failure.url == url:
            if failure.retry_at is None or self._clock.monotonic() < failure.retry_at:
                return
        elif failure is not None:
            del self._failures[place]
        if told is not None and _moved(told.registration.connection, registration.connection):
            await self._ask(told.registration, None)
            del self._told[place]
        await self._configure(registration, url)

    def _stands(self, told: Told, registration: Registration, url: str) -> bool:
        """Whether its server still watches for exactly this, as far as anybody can tell."""
        life = self._connections.life(registration.connection)
        digests = {each.digest for each in self._tokens.unsaved(*registration.place)}
        digests |= {each.digest for each in self._rows}
        return (
            told.registration.same(registration)
            and told.url == url
            and told.row.digest in digests
            and life is not None
            and life == told.life
            and self._clock.monotonic() < told.at + self._good_for(registration.connection)
        )

    def _good_for(self, connection: Connection) -> float:
        """Seconds for which a server that seems to be the same may be trusted to watch."""
        if _is_child(connection):
            return inf
        return RENEW_SECONDS if self._connections.end_is_seen(connection) else BLIND_SECONDS

    async def _configure(self, registration: Registration, url: str) -> None:
        token = self._ids.token(32)
        row = RemoteTrigger(
            automation=registration.place[0],
            key=registration.place[1],
            connection=registration.connection.name,
            type=registration.type,
            params=registration.params,
            digest=digest_of(token),
            state=RemoteState.ACTIVE,
            configured_at=self._clock.now(),
        )
        # It may call back before it has answered.
        self._tokens.expect(row)
        answer = await self._ask(registration, (url, token))
        if not isinstance(answer, Refused):
            await self._save(row)
            self._failures.pop(registration.place, None)
            self._told[registration.place] = Told(
                registration=registration,
                url=url,
                row=row,
                life=self._connections.life(registration.connection),
                at=self._clock.monotonic(),
                remark=answer,
            )
            _log.info(
                "trigger.registered", automations=", ".join(registration.automations),
                connection=row.connection, type=row.type,
            )  # fmt: skip
            return
        if answer.ambiguous:
            await self._save_spare(row, answer.error)
        else:
            self._tokens.forget(row.digest)
        self._fail(registration, url, answer.error, ambiguous=answer.ambiguous)

    async def _ask(
        self, registration: Registration, callback: tuple[str, str] | None
    ) -> str | Refused | None:
        """Tell the server. Where it said yes, what of it it does not know."""
        connection = registration.connection
        try:
            return await self._connections.configure(
                connection,
                watcher=registration.watcher,
                type=registration.type,
                params=registration.params,
                callback=callback,
            )
        except TimeoutError:
            said = f"the MCP server of {connection.name} did not answer; it may watch or not"
            return Refused(error=said, ambiguous=True)
        except AmodalError as error:
            return Refused(error=error.message)
        except Exception as error:  # noqa: BLE001 - whatever a foreign server provokes ends here
            _log.exception("trigger.configure_broke", error, connection=connection.name)
            return Refused(error=f"the MCP server of {connection.name} broke it", ambiguous=True)

    async def _save(self, row: RemoteTrigger) -> None:
        """Let its token count from now on, and no older one of the trigger."""
        place = (row.automation, row.key)
        try:
            await self._ledger.set_remote_trigger(row)
            for each in self._of(place):
                if each.key != row.key:
                    await self._ledger.remove_remote_trigger(each.automation, each.key)
            # Read before they are forgotten: a call in between would meet neither.
            await self._tokens.read()
            for each in self._tokens.unsaved(*place):
                self._tokens.forget(each.digest)
        except AmodalError as error:
            # The server has the token: this process knows it, and the next look keeps it.
            _log.warning("trigger.not_kept", connection=row.connection, error=error.message)

    async def _save_spare(self, row: RemoteTrigger, error: str) -> None:
        """Let a token in beside the older ones: its server may have it, or not."""
        spares = sorted(
            (each for each in self._of((row.automation, row.key)) if each.is_spare),
            key=lambda each: each.configured_at,
        )
        keys = [f"{row.key}{SPARE}{number}" for number in range(MOST_SPARES)]
        free = [key for key in keys if key not in {each.key for each in spares}]
        spare = RemoteTrigger(
            automation=row.automation,
            key=free[0] if free else spares[0].key,
            connection=row.connection,
            type=row.type,
            params=row.params,
            digest=row.digest,
            state=RemoteState.AMBIGUOUS,
            configured_at=row.configured_at,
            error=error,
        )
        try:
            await self._ledger.set_remote_trigger(spare)
            self._rows = await self._tokens.read()
            self._tokens.forget(row.digest)
        except AmodalError as failed:
            _log.warning("trigger.not_kept", connection=row.connection, error=failed.message)

    async def _forget_unwanted(self) -> list[RemoteTrigger]:
        """Let no token in that no file asks for; what its servers are still to be told."""
        told = {place: each.row for place, each in self._told.items()}
        on_record = {each.place: each for each in self._rows}
        ended: list[RemoteTrigger] = []
        for place, row in (on_record | told).items():
            wanted = self._wanted.get(place)
            asked = wanted and (wanted.connection.name, wanted.type, wanted.params, wanted.fault)
            if asked == (row.connection, row.type, dict(row.params), None):
                continue
            for each in self._of(place):
                await self._ledger.remove_remote_trigger(each.automation, each.key)
            for each in self._tokens.unsaved(*place):
                self._tokens.forget(each.digest)
            self._failures.pop(place, None)
            ended.append(row)
        if ended:
            self._rows = await self._tokens.read()
        return ended

    async def _disable(self, row: RemoteTrigger) -> None:
        """Tell its server to watch no more: it may not hear, and then calls in vain."""
        place = row.place
        told = self._told.pop(place, None)
        connection = told.registration.connection if told else self._known.get(row.connection)
        if connection is None or self._connections.life(connection) is None:
            return
        over = Registration(
            place=place,
            automations=(),
            connection=connection,
            type=row.type,
            params=row.params,
        )
        if isinstance(no := await self._ask(over, None), Refused):
            _log.warning("trigger.not_ended", connection=row.connection, error=no.error)
        # A server that knows types only, and not who asked, has now ended its siblings too.
        for sibling, each in list(self._told.items()):
            if (each.row.connection, each.row.type) == (row.connection, row.type):
                del self._told[sibling]

    def _of(self, place: Place) -> list[RemoteTrigger]:
        return [each for each in self._rows if each.place == place]

    def _fail(self, registration: Registration, url: str, error: str, *, ambiguous: bool) -> None:
        before = self._failures.get(registration.place)
        found = failed_again(
            before, registration, url, error, ambiguous=ambiguous, clock=self._clock
        )
        self._note(registration, found)

    def _note(self, registration: Registration, found: Failure) -> None:
        before = self._failures.get(registration.place)
        self._failures[registration.place] = found
        if before is None or before.error != found.error:
            _log.warning(
                "trigger.not_registered", automations=", ".join(registration.automations),
                connection=registration.connection.name, type=registration.type,
                error=found.error,
            )  # fmt: skip


def _is_child(connection: Connection | None) -> bool:
    """Whether its server is a process of ours."""
    return connection is not None and connection.mcp is not None and connection.mcp.url is None


def _moved(old: Connection, new: Connection) -> bool:
    """Whether a server elsewhere would go on watching although its connection names another. A
    child ends when another command takes its place."""
    return old.mcp is not None and old.mcp.url is not None and old.mcp != new.mcp
