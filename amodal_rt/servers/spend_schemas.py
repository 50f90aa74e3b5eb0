"""What models cost as JSON Schemas, for the documents of every door that has some."""

from collections.abc import Mapping

_COUNT = {"type": "integer", "minimum": 0}
USED: Mapping[str, object] = {
    "requests": _COUNT,
    "input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "unpriced_tokens": _COUNT,
    "cost_usd": {"type": "number"},
}
"""The properties of a sum."""
BUDGET: Mapping[str, object] = {
    "automation": {"type": ["string", "null"]},
    "measure": {"enum": ["cost_usd", "tokens", "unpriced_tokens"]},
    "limit": {"type": "number"},
    "spent": {"type": "number"},
    "is_spent": {"type": "boolean"},
    "rule": {"type": "string"},
}
"""The properties of a budget as it stands."""
GROUP: Mapping[str, object] = {"enum": ["automation", "model", "day"]}
"""What may be summed up by."""
