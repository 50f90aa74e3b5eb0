"""The bounds of an automation, and of the workspace's money."""

from typing import Annotated, Literal

from pydantic import Field

from amodal_rt.definitions.shapes import Dollars, FileShape, Models, Tokens, described


class WriteLimitsShape(FileShape):
    """How many writes may leave."""

    per_run: Annotated[int, Field(ge=0, le=100_000, description="In one run.")] = 20
    per_hour: Annotated[int, Field(ge=0, le=100_000, description="In any hour, all runs.")] = 60


class LimitsShape(FileShape):
    """The bounds of one automation."""

    concurrency: Annotated[int, Field(ge=1, le=1_000, description="How many runs at once.")] = 3
    on_limit: Annotated[
        Literal["skip", "queue"] | None,
        described(
            "Over `concurrency`; default skip for cron and event, queue for all other starts "
            "and where there is a `conversationKey` or `coalesce`."
        ),
    ] = None
    timeout_seconds: Annotated[
        int, Field(ge=1, le=86_400, description="How long a run may execute.")
    ] = 300
    max_turns: Annotated[
        int, Field(ge=1, le=1_000, description="How many exchanges with the model a run has.")
    ] = 50
    max_tokens: Annotated[
        Tokens | None,
        described("How many tokens a run may use."),
    ] = None
    max_cost_usd: Annotated[Dollars | None, described("What a run may cost, in US dollars.")] = None
    max_tokens_per_day: Annotated[
        Tokens | None, described("How many tokens its runs may use in a day of the workspace.")
    ] = None
    max_cost_usd_per_day: Annotated[
        Dollars | None, described("What its runs may cost in a day of the workspace.")
    ] = None
    budget_model: Annotated[
        Models | None,
        described("What is asked instead once a budget of cost is nearly spent: a cheaper model."),
    ] = None
    starts_per_hour: Annotated[
        Annotated[int, Field(ge=1, le=1_000_000)] | None,
        described("How many runs may start in any hour."),
    ] = None
    webhook_bytes: Annotated[
        int, Field(ge=1, le=16_777_216, description="How large a webhook's body may be.")
    ] = 1_048_576
    writes: Annotated[WriteLimitsShape, described("How many writes may leave.")] = (
        WriteLimitsShape()
    )


class PriceShape(FileShape):
    """What a model costs, in US dollars for a million tokens."""

    input: Annotated[float, Field(ge=0, le=1_000_000, description="For what it is sent.")]
    output: Annotated[float, Field(ge=0, le=1_000_000, description="For what it answers.")]
