"""The client itself: one method an operation of the API."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Self, cast

from amodal_rt.api.automations import AutomationsApi
from amodal_rt.api.events import EventsApi
from amodal_rt.api.objects import ENDED, AutomationRun, Spend, SpendGroup
from amodal_rt.api.problems import ApiError
from amodal_rt.api.routes import INVOKE, LOCAL_APP, OPENAPI, SPEND, STREAM
from amodal_rt.api.runs import RunsApi
from amodal_rt.api.stream import follow
from amodal_rt.api.transport import Transport
from amodal_rt.clock import Clock, SystemClock
from amodal_rt.ids import Ids, SystemIds


class ApiClient:
    """Speaks to one daemon over HTTP, as the bearer of `token`.

        async with ApiClient("http://127.0.0.1:3847", token) as client:
            run = await client.invoke("weekly-report", {"week": 12}, idempotency_key="w-12")
            run = await client.wait(run["id"])

    Automations go by id (`aut_…`), stem or `lookupKey`; runs by `atr_…` or `run_…`. Whatever goes
    wrong is an `ApiError`. Each answer has `timeout_seconds`; what may be asked twice without harm
    (looking, invoking with a key, emitting) is asked again, at most `retries` times, when the
    daemon says 503 or does not answer. One event loop at a time.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        app: str = LOCAL_APP,
        timeout_seconds: float = 30,
        retries: int = 3,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._clock = clock
        self._transport = Transport(
            url, token, timeout_seconds=timeout_seconds, retries=retries, clock=clock
        )
        self.automations = AutomationsApi(self._transport, app=app)
        self.runs = RunsApi(self._transport, app=app)
        self.events = EventsApi(self._transport, ids=ids or SystemIds(clock))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of every connection; the next call opens new ones."""
        await self._transport.close()

    async def invoke(
        self,
        automation: str,
        payload: Mapping[str, object] | None = None,
        *,
        participants: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> AutomationRun:
        """Start a run; the same `idempotency_key` gives the same run for a week.

        Without a key it is not asked twice. Raises ApiError (`payload_misfit`, `not_invoked`,
        `idempotency_mismatch`, …).
        """
        given = {
            "payload": payload,
            "participants": participants,
            "idempotency_key": idempotency_key,
        }
        body = {name: each for name, each in given.items() if each is not None}
        again = idempotency_key is not None
        call = INVOKE.call({"automation": automation}, body=body, again=again)
        return cast("AutomationRun", await self._transport.ask(call))

    async def stream(self, run: str) -> AsyncGenerator[AutomationRun, None]:
        """The run now and at each change, until it has ended; it may take days.

        What breaks off on the way is taken up again. Raises ApiError.
        """
        call = STREAM.call({"run": run})
        async with aclosing(follow(self._transport, call)) as changes:
            async for each in changes:
                yield each

    async def wait(self, run: str, *, timeout_seconds: float | None = None) -> AutomationRun:
        """The run, once it has ended.

        Raises ApiError, `still_running` when it has not ended within `timeout_seconds`: it goes
        on.
        """
        try:
            async with self._clock.deadline(timeout_seconds):
                async with aclosing(self.stream(run)) as changes:
                    async for each in changes:
                        if each["status"] in ENDED:
                            return each
                # Told to nobody that it ended: whoever came again too late asks.
                return await self.runs.get(run)
        except TimeoutError:
            raise ApiError(
                f"{run} has not ended within {timeout_seconds:g} s",
                status=None,
                code="still_running",
                kind="timed_out",
            ) from None

    async def spend(
        self,
        *,
        days: int | None = None,
        by: SpendGroup | None = None,
        automation: str | None = None,
    ) -> Spend:
        """What models cost today, or in the last `days` with today, by automation, model or day;
        and how the budgets of today stand. Needs a token that may read."""
        call = SPEND.call({}, query={"days": days, "by": by, "automation": automation})
        return cast("Spend", await self._transport.ask(call))

    async def openapi(self) -> dict[str, object]:
        """The OpenAPI document of the daemon."""
        return cast("dict[str, object]", await self._transport.ask(OPENAPI.call({})))
