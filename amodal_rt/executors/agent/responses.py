"""A model's answer as the journal keeps it, whole, so that it need not be asked for again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse

from amodal_rt.executors.acting.past import gap
from amodal_rt.executors.acting.session import Tally

RESPONSE_BYTES = 2 * 1_048_576
"""How large an answer may be, as JSON, to be kept whole. A run with a larger one cannot go on
from its journal."""


@dataclass(frozen=True, slots=True)
class Kept:
    """`document` is None for an answer that is too large. `altered` says that a call's arguments
    held a secret, which is not kept: such a call cannot be made from the journal."""

    document: object
    altered: bool


def kept(response: ModelResponse, mask: Callable[[object], object]) -> Kept:
    """The answer as JSON, without secrets and without what is null."""
    [whole] = ModelMessagesTypeAdapter.dump_python([response], mode="json")
    document = _without_null(whole)
    document["parts"] = [_without_null(each) for each in document["parts"]]
    masked = cast("dict[str, Any]", mask(document))
    if len(json.dumps(masked, ensure_ascii=False).encode("utf-8", "replace")) > RESPONSE_BYTES:
        return Kept(None, altered=False)
    pairs = zip(document["parts"], masked["parts"], strict=True)
    altered = any(before.get("args") != after.get("args") for before, after in pairs)
    return Kept(masked, altered)


def restored(document: object) -> ModelResponse:
    """The inverse of `kept`. Raises ConflictError (`journal_gap`)."""
    if not isinstance(document, Mapping):
        raise gap("an answer of the model is not kept whole")
    try:
        [response] = ModelMessagesTypeAdapter.validate_python([document])
    except ValidationError:
        raise gap("an answer of the model cannot be read any more") from None
    if not isinstance(response, ModelResponse):
        raise gap("an answer of the model cannot be read any more")
    return response


def count(tally: Tally, response: ModelResponse, reference: str, cost: float | None) -> None:
    """Add what an answer consumed, given by the model `reference`; `cost` in USD, where known."""
    usage = response.usage
    tally.served = reference
    tally.answered += 1
    tally.input_tokens += usage.input_tokens
    tally.output_tokens += usage.output_tokens
    if cost is not None:
        tally.cost_usd = (tally.cost_usd or 0.0) + cost


def count_lost(tally: Tally, cost: float) -> None:
    """Add what a request may have cost whose answer nobody saw, in USD."""
    if cost > 0:
        tally.cost_usd = (tally.cost_usd or 0.0) + cost


def _without_null(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
