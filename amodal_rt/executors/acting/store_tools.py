"""`query_store` and `write_store`: typed collections that outlive a run."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from amodal_rt.clock import iso, parse_iso
from amodal_rt.domain.connection import Store
from amodal_rt.errors import InvalidError, NotFoundError
from amodal_rt.executors.acting.gate import Answer, CallKey, Wish, allowed
from amodal_rt.executors.acting.session import Session
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.ports import StoreItem

VALUE_BYTES = 262_144
"""How large one value may be, as JSON."""
KEY_CHARACTERS = 256


Where = Annotated[dict[str, str | int | float | bool | None], WithJsonSchema({"type": "object"})]


class QueryArguments(BaseModel):
    """Which values of a store."""

    model_config = ConfigDict(extra="forbid")

    store: str = Field(description="the store's name")
    where: Where | None = Field(default=None, description="top-level fields that must be equal")
    since: str | None = Field(
        default=None, description='ISO time, or "all"; default the last run\'s time'
    )
    limit: int = Field(default=50, ge=1, le=500)


class WriteArguments(BaseModel):
    """A value to keep."""

    model_config = ConfigDict(extra="forbid")

    store: str = Field(description="the store's name")
    key: str = Field(min_length=1, max_length=KEY_CHARACTERS, description="its key")
    value: object = Field(description="the value, as the store's schema says")


def prepare_query(session: Session, given: QueryArguments) -> Wish:
    """Read values, newest first."""
    store = find_store(session, given.store)
    since = _since(session, given.since)

    async def perform(_key: CallKey) -> Answer:
        services = session.services
        items = await services.ledger.query(
            store.name,
            now=services.clock.now(),
            where=given.where,
            since=since,
            limit=given.limit,
        )
        rows = [
            {"key": each.key, "value": each.value, "updated_at": iso(each.updated_at)}
            for each in items
        ]
        text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
        note = f" since {iso(since)}" if since else ""
        return Answer(text=f"{len(rows)} values{note}\n{text}", facts={"values": len(rows)})

    return Wish(decision=allowed(), perform=perform, facts={"store": store.name})


def prepare_write(session: Session, given: WriteArguments) -> Wish:
    """Check a value against the store's schema, then keep it together with its journal row."""
    store = find_store(session, given.store)
    value = session.services.redactor.mask_document(given.value)
    size = len(json.dumps(value, default=str).encode())
    if size > VALUE_BYTES:
        raise InvalidError(f"the value has {size:,} bytes, and {VALUE_BYTES:,} are allowed")
    faults = faults_of(store, value)
    if faults:
        raise InvalidError(
            f"the value does not fit the store {store.name}: {'; '.join(faults)}",
            code="store_schema",
        )

    async def perform(key: CallKey) -> Answer:
        services = session.services
        now = services.clock.now()
        item = StoreItem(
            key=session.mask(given.key),
            value=value,
            updated_at=now,
            run_id=session.context.run.run_id,
        )
        expires = now + store.ttl if store.ttl is not None else None
        # Kept by an earlier attempt, in one transaction with its row: another run may have
        # put something newer there since.
        if key.step not in session.past.kept:
            await services.ledger.put(
                store.name,
                item,
                expires_at=expires,
                step=key.step,
                term=session.context.run.term,
            )
        return Answer(text=f"kept {item.key} in {store.name}")

    return Wish(decision=allowed(), perform=perform, facts={"store": store.name})


def faults_of(store: Store, value: object) -> list[str]:
    """What is wrong with a value, at most five sentences."""
    return [plain_line(each, 200) for each in _checker(json.dumps(store.schema))(value)]


@lru_cache(maxsize=256)
def _checker(schema: str) -> Callable[[object], Iterable[str]]:
    from referencing import Registry

    from amodal_rt.definitions.json_patterns import SteadyValidator

    # An empty registry: a `$ref` to a URL must never make the daemon fetch it.
    registry = cast("Any", Registry)()
    validator = SteadyValidator(json.loads(schema), registry=registry)

    def faults(value: object) -> Iterable[str]:
        found: list[str] = []
        for error in validator.iter_errors(value):
            place = "/".join(map(str, error.absolute_path)) or "value"
            found.append(f"{place}: {error.message}")
            if len(found) == 5:
                break
        return found

    return faults


def find_store(session: Session, name: str) -> Store:
    """A store of the workspace. Raises NotFoundError."""
    store = session.context.snapshot.stores.get(name)
    if store is None:
        known = ", ".join(sorted(session.context.snapshot.stores)) or "none"
        # Cut after it is masked: half a secret would not be recognised.
        raise NotFoundError(
            f"there is no store {session.mask(name)[:60]!r}", hint=f"known: {known}"
        )
    return store


def _since(session: Session, given: str | None) -> datetime | None:
    if given is None or given == "":
        previous = session.context.previous
        return previous.finished_at if previous else None
    if given == "all":
        return None
    try:
        return parse_iso(given)
    except ValueError:
        raise InvalidError(
            f"since: {session.mask(given)[:60]!r} is no ISO time with zone",
            hint="2026-03-02T09:00:00Z, or all",
        ) from None
