"""What an answer costs: by the workspace's file, else by the table that comes with the library.

The table (`genai-prices`) is read from the installed package; nothing is fetched.
"""

import math
from collections.abc import Mapping

from genai_prices import calc_price
from genai_prices.types import AbstractUsage
from pydantic_ai.usage import RequestUsage

from amodal_rt.domain.models import ModelChoice
from amodal_rt.domain.price import Price
from amodal_rt.domain.workspace import ProviderType

_KNOWN: Mapping[ProviderType, str] = {
    ProviderType.ANTHROPIC: "anthropic",
    ProviderType.OPENAI: "openai",
    ProviderType.GOOGLE: "google",
}


def cost_of(
    usage: RequestUsage, choice: ModelChoice, prices: Mapping[str, Price], url: str | None
) -> float | None:
    """In USD, or None where nobody knows the model's price. `url` is the provider's address: of a
    provider that only speaks another one's language it alone tells whose prices hold."""
    own = prices.get(choice.reference)
    if own is not None:
        return own.cost(usage.input_tokens, usage.output_tokens)
    if usage.cost is not None:
        return float(usage.cost)
    return _by_table(usage, choice, url)


def _by_table(usage: AbstractUsage, choice: ModelChoice, url: str | None) -> float | None:
    known = _KNOWN.get(choice.provider.type)
    try:
        if known is not None:
            found = calc_price(usage, model_ref=choice.name, provider_id=known)
        elif url:
            found = calc_price(usage, model_ref=choice.name, provider_api_url=url)
        else:
            return None
    except (LookupError, ValueError):
        return None
    price = float(found.total_price)
    return price if math.isfinite(price) else None
