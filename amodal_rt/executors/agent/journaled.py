"""A model whose every request stands in the journal, before it and after it.

A request whose outcome stands there from an earlier attempt is answered with it and not sent.
"""

from collections.abc import Mapping

from pydantic_ai.exceptions import ModelAPIError, UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from amodal_rt.domain.budget import Hold
from amodal_rt.domain.journal import EntryType
from amodal_rt.executors.acting.past import PastTurn
from amodal_rt.executors.acting.session import NAME_CHARACTERS, Session
from amodal_rt.executors.acting.spoken import keep
from amodal_rt.executors.agent.failures import (
    MisreadAnswerError,
    ParkedEndError,
    RecordedEndError,
    RecordedFailureError,
    SilentModelError,
    SparedModelError,
    describe,
    may_cost,
)
from amodal_rt.executors.agent.provider_limits import note_limit, refuse_paced
from amodal_rt.executors.agent.purse import Purse
from amodal_rt.executors.agent.responses import count, count_lost, kept, restored
from amodal_rt.failpoints import hit


class JournaledModel(WrapperModel):
    """Serves one session. Counts what a request consumed, also where the run fails later."""

    def __init__(
        self,
        wrapped: Model,
        reference: str,
        session: Session,
        *,
        patience: float | None = None,
        purse: Purse | None = None,
        thrifty: bool = False,
    ) -> None:
        """`patience` is how long it may be silent, in seconds, where another model waits behind
        it; after that it is not asked again in this run. `purse` pays; None for a model that
        costs nothing. A `thrifty` one is asked only once a budget is nearly spent."""
        super().__init__(wrapped)
        self._purse = purse
        self._thrifty = thrifty
        self._reference = reference
        self._session = session
        self._patience = patience

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        if self._session.effects.whole.parked:
            raise ParkedEndError(_said_last(messages))
        past = self._session.past_turn()
        if past is not None:
            return self._recalled(past)
        self._refuse_again()
        if self._patience is not None:
            self._leave_to_the_next()
        if self._thrifty and not self._session.tally.thrifty:
            raise SparedModelError(self._reference, "it is asked once a budget is nearly spent")
        hold = await self._reserve(messages, model_request_parameters)
        step = await self._begin()
        try:
            response = await self._ask(messages, model_settings, model_request_parameters)
        except BaseException as error:
            lost = await self._write_off(hold, error)
            if isinstance(error, Exception):
                await self._record(EntryType.TURN_FAILED, step, self._note(error) | lost)
            raise
        self._session.services.pacing.answered(self._reference)
        # Before the answer is on record: one that is asked for again is paid for again.
        cost = await self._settle(hold, response.usage)
        count(self._session.tally, response, self._reference, cost)
        await self._record(EntryType.TURN_FINISHED, step, self._facts(response, cost))
        return response

    async def _reserve(
        self, messages: list[ModelMessage], parameters: ModelRequestParameters
    ) -> Hold | None:
        if self._purse is None:
            return None
        try:
            step = self._session.coming_turn()
            return await self._purse.reserve(messages, parameters, step)
        except SparedModelError:
            self._session.tally.thrifty = True
            raise

    async def _settle(self, hold: Hold | None, usage: RequestUsage) -> float | None:
        if self._purse is None or hold is None:
            return None
        return await self._purse.settle(hold, usage)

    async def _write_off(self, hold: Hold | None, error: BaseException) -> dict[str, object]:
        """Count what the request may have cost though there is no answer; what of it is on
        record."""
        if self._purse is None or hold is None:
            return {}
        if not may_cost(error):
            await self._purse.settle(hold, None)
            return {}
        lost = await self._purse.write_off(hold)
        count_lost(self._session.tally, lost.cost_usd)
        return {"unanswered": True, "cost_usd": lost.cost_usd}

    def _note(self, error: Exception) -> dict[str, object]:
        """What is on record of a request that failed; noted for the requests that follow too."""
        facts: dict[str, object] = {
            "model": self._reference,
            "error": describe(error, self._session.mask),
        }
        if not isinstance(error, ModelAPIError):
            facts["final"] = True
        if note_limit(self._session, self._reference, error):
            facts["passing"] = True
        if isinstance(error, SilentModelError):
            facts["silent"] = True
            self._session.tally.silent.add(self._reference)
        return facts

    def _recalled(self, past: PastTurn) -> ModelResponse:
        """The answer of an earlier attempt, counted as it was then."""
        response = restored(past.data.get("response"))
        count(self._session.tally, response, past.model, past.cost)
        return response

    def _leave_to_the_next(self) -> None:
        """Raise where another model stands behind this one and is the better one to ask."""
        if self._reference in self._session.tally.silent:
            raise SilentModelError(self._reference, "earlier in this run")
        refuse_paced(self._session, self._reference)

    def _refuse_again(self) -> None:
        """Raise what an earlier attempt got for this request from this model."""
        past = self._session.given_up.pop(self._reference, None)
        if past is None:
            return
        count_lost(self._session.tally, past.cost or 0.0)
        error = str(past.data.get("error", ""))
        if past.data.get("final"):
            raise RecordedEndError(error)
        raise RecordedFailureError(self._reference, error)

    async def _ask(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """What the provider answered. Raises MisreadAnswerError for an answer in no known
        shape and SilentModelError for none in time, upon which the next model of a list is
        asked."""
        try:
            hit("model.before_request")
            async with self._session.services.clock.deadline(self._patience):
                response = await self.wrapped.request(
                    messages, model_settings, model_request_parameters
                )
            hit("model.after_request")
            return response
        except TimeoutError:
            if self._patience is None:
                raise
            when = f"within {self._patience:g} seconds"
            raise SilentModelError(self._reference, when) from None
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # pydantic-ai reads an answer without choices or parts as if they were there.
            what = type(error).__name__
        except UnexpectedModelBehavior as error:
            if type(error) is not UnexpectedModelBehavior:
                raise
            what = error.message
        raise MisreadAnswerError(self.wrapped.model_name, what)

    async def _begin(self) -> str:
        """The step of this request, its row written."""
        if self._session.opening:
            step, rows = self._session.opening.pop()
            await rows
            return step
        step = self._session.next_turn()
        await self._record(EntryType.TURN_STARTED, step, {"model": self._reference})
        return step

    def _facts(self, response: ModelResponse, cost: float | None) -> Mapping[str, object]:
        text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        said, _ = keep(self._session.mask(text))
        calls = [
            {
                "id": part.tool_call_id[:NAME_CHARACTERS],
                "tool": part.tool_name[:NAME_CHARACTERS],
            }
            for part in response.parts
            if isinstance(part, ToolCallPart)
        ]
        whole = kept(response, self._session.services.redactor.mask_document)
        facts: dict[str, object] = {
            "model": self._reference,
            "text": said,
            "calls": calls,
            "finish": response.finish_reason,
            "input_tokens": response.usage.input_tokens,
            "output_tokens": response.usage.output_tokens,
            "cost_usd": cost,
            "response": whole.document,
        }
        return facts | ({"altered": True} if whole.altered else {})

    async def _record(self, kind: EntryType, step: str, data: Mapping[str, object]) -> None:
        await self._session.context.journal.record(
            kind, step=step, parent=self._session.parent, data=data
        )


def _said_last(messages: list[ModelMessage]) -> str:
    """The text beside the newest calls."""
    answers = [each for each in messages if isinstance(each, ModelResponse)]
    parts = answers[-1].parts if answers else ()
    return "".join(part.content for part in parts if isinstance(part, TextPart))
