"""A model whose every request stands in the journal, before it and after it."""

import math
from collections.abc import Mapping

from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from amodal_rt.domain.journal import EntryType
from amodal_rt.executors.agent.failures import MisreadAnswerError, describe
from amodal_rt.executors.agent.session import Session
from amodal_rt.executors.agent.spoken import NAME_CHARACTERS, keep
from amodal_rt.failpoints import hit


class JournaledModel(WrapperModel):
    """Serves one session. Counts what a request consumed, also where the run fails later."""

    def __init__(self, wrapped: Model, reference: str, session: Session) -> None:
        super().__init__(wrapped)
        self._reference = reference
        self._session = session

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        step = await self._begin()
        try:
            response = await self._ask(messages, model_settings, model_request_parameters)
        except Exception as error:
            facts = {"model": self._reference, "error": self._session.mask(describe(error))}
            await self._record(EntryType.TURN_FAILED, step, facts)
            raise
        self._count(response)
        await self._record(EntryType.TURN_FINISHED, step, self._facts(response))
        return response

    async def _ask(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """What the provider answered. Raises MisreadAnswerError for an answer in no known
        shape, upon which the next model of a list is asked."""
        try:
            hit("model.before_request")
            response = await self.wrapped.request(
                messages, model_settings, model_request_parameters
            )
            hit("model.after_request")
            return response
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

    def _count(self, response: ModelResponse) -> None:
        tally, usage = self._session.tally, response.usage
        tally.served = self._reference
        tally.answered += 1
        tally.input_tokens += usage.input_tokens
        tally.output_tokens += usage.output_tokens
        cost = _cost(response)
        if cost is not None:
            tally.cost_usd = (tally.cost_usd or 0.0) + cost

    def _facts(self, response: ModelResponse) -> Mapping[str, object]:
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
        return {
            "model": self._reference,
            "text": said,
            "calls": calls,
            "finish": response.finish_reason,
            "input_tokens": response.usage.input_tokens,
            "output_tokens": response.usage.output_tokens,
        }

    async def _record(self, kind: EntryType, step: str, data: Mapping[str, object]) -> None:
        await self._session.context.journal.record(
            kind, step=step, parent=self._session.parent, data=data
        )


def _cost(response: ModelResponse) -> float | None:
    """In USD, or None where nobody knows the model's price."""
    if response.usage.cost is not None:
        return float(response.usage.cost)
    try:
        price = float(response.cost().total_price)
    except (LookupError, ValueError, AssertionError):
        return None
    return price if math.isfinite(price) else None
