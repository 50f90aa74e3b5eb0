"""What of a run is shown beside its journal."""

from dataclasses import dataclass

from amodal_rt.domain.run import OPEN, Run, Usage
from amodal_rt.operations.run_pages import Tally
from amodal_rt.servers.dashboard.words import cut, money, number, pretty

RESULT = 8000
"""Characters of a result that stand on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The figures of a run, as they are now. `cost` is `not yet known` while it goes on; of a run
    that asked no model there is neither cost nor tokens."""

    turns: str
    tokens: str
    cost: str
    calls: str
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came out; `missing` characters of the text are left out."""

    text: str
    missing: int
    output: tuple[str, ...]


def facts_of(run: Run, tally: Tally) -> Facts:
    """From the journal while the run goes on, from its row once it has ended."""
    goes_on = run.status in OPEN
    # What an attempt has used up is in its run's row when that ends, and in entries before.
    usage = tally.usage if goes_on or not run.usage.turns else run.usage
    return Facts(
        turns=number(usage.turns),
        tokens=_tokens(usage) if usage.turns else "–",
        cost=_cost(run) if usage.turns else "–",
        calls=number(tally.calls),
        refused=tally.refused,
    )


def result_of(run: Run) -> Result | None:
    """The text of an agent, else the value of a workflow; None where there is neither."""
    if run.result_text is None and run.result_payload is None and not run.output:
        return None
    whole = run.result_text
    if whole is None:
        whole = "" if run.result_payload is None else pretty(run.result_payload)
    text, missing = cut(whole, RESULT)
    return Result(text=text, missing=missing, output=run.output[:50])


def _tokens(usage: Usage) -> str:
    return f"{number(usage.input_tokens)} in, {number(usage.output_tokens)} out"


def _cost(run: Run) -> str:
    return "not yet known" if run.status in OPEN else money(run.usage.cost_usd)
