"""What nodes do with the stores of the workspace."""

from typing import cast

from amodal_rt.clock import iso
from amodal_rt.domain.connection import Store
from amodal_rt.domain.workflow import StoreAction, StoreWork
from amodal_rt.errors import InvalidError
from amodal_rt.executors.acting.gate import Answer, CallKey, Wish, allowed
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.acting.store_tools import WriteArguments, find_store, prepare_write
from amodal_rt.ports import StoreItem


def prepare(session: Session, work: StoreWork, key: str | None, value: object) -> Wish:
    """Judge one call. Of a query, `value` holds the top-level fields that must be equal."""
    store = find_store(session, work.store)
    if work.action is StoreAction.QUERY:
        return _query(session, store, value, work.limit)
    if key is None:
        raise InvalidError("key: there is none")
    if work.action is StoreAction.GET:
        return _get(session, store, key)
    if work.action is StoreAction.DELETE:
        return _delete(session, store, key)
    return prepare_write(session, WriteArguments(store=store.name, key=key, value=value))


def _query(session: Session, store: Store, where: object, limit: int) -> Wish:
    if where is not None and not isinstance(where, dict):
        raise InvalidError("value: a query wants an object of fields that must be equal")
    wanted = cast("dict[str, object] | None", where)

    async def perform(_key: CallKey) -> Answer:
        services = session.services
        now = services.clock.now()
        items = await services.ledger.query(store.name, now=now, where=wanted, limit=limit)
        rows = [_row(each) for each in items]
        return Answer(text=f"{len(rows)} values", facts={"values": len(rows), "value": rows})

    return Wish(decision=allowed(), perform=perform, facts={"store": store.name})


def _get(session: Session, store: Store, key: str) -> Wish:
    async def perform(_key: CallKey) -> Answer:
        services = session.services
        item = await services.ledger.find_item(store.name, key, now=services.clock.now())
        value = None if item is None else item.value
        return Answer(text="found" if item else "not found", facts={"value": value})

    return Wish(decision=allowed(), perform=perform, facts={"store": store.name})


def _delete(session: Session, store: Store, key: str) -> Wish:
    async def perform(call: CallKey) -> Answer:
        services, run = session.services, session.context.run
        # Forgotten by an earlier attempt, in one transaction with its row: another run may have
        # put something newer there since.
        if call.step not in session.past.kept:
            await services.ledger.remove(
                store.name,
                session.mask(key),
                run_id=run.run_id,
                at=services.clock.now(),
                step=call.step,
                term=run.term,
            )
        return Answer(text=f"forgot {key} in {store.name}")

    return Wish(decision=allowed(), perform=perform, facts={"store": store.name})


def _row(item: StoreItem) -> dict[str, object]:
    return {"key": item.key, "value": item.value, "updated_at": iso(item.updated_at)}
