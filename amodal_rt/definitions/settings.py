"""`amodal.json` → the workspace's settings."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field

from amodal_rt.definitions.automation_file import DefaultsShape
from amodal_rt.definitions.delivery_file import TargetField, TargetShape
from amodal_rt.definitions.document import Document, Loc, in_file_order
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.limits_file import PriceShape
from amodal_rt.definitions.shapes import (
    DatabaseUrl,
    Dollars,
    Duration,
    EnvText,
    FileShape,
    Filled,
    Models,
    PlainUrl,
    SchemaKey,
    Tokens,
    Url,
    complaint,
    described,
    text_or_secret,
)
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.definitions.targets import Complain, Targets
from amodal_rt.definitions.words import camel, shown
from amodal_rt.domain.delivery import Target
from amodal_rt.domain.price import Price
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workspace import (
    Provider,
    ProviderType,
    WorkspaceAlerts,
    WorkspaceLimits,
    WorkspaceSettings,
)
from amodal_rt.ports import DEDUP_PROMISED

_LISTEN = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})")


def _listen(value: str) -> str:
    match = _LISTEN.fullmatch(value)
    if match is None or int(match[2]) > 65_535:
        raise complaint(
            "bad_listen", f"{shown(value)} is not HOST:PORT", "for example 127.0.0.1:3847"
        )
    return value


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        message = f"{shown(value)} is not a network"
        raise complaint("bad_network", message, "an address with /bits, as in 10.0.0.0/8") from None
    return value


def _history(value: timedelta | None) -> timedelta | None:
    if value is not None and value < DEDUP_PROMISED:
        raise complaint(
            "bad_history",
            "history is kept for seven days at least",
            "a delivery is recognised for as long",
        )
    return value


class ProviderShape(FileShape):
    """A model provider."""

    type: Annotated[
        Literal["anthropic", "openai", "openai-compatible", "google", "ollama"],
        described("Whose wire format it speaks."),
    ]
    base_url: Annotated[
        Url | None, described("Where it is; default the provider's own address.")
    ] = None
    api_key: Annotated[
        EnvText | None, described("`env:NAME` of its key; default the provider's usual variable.")
    ] = None


class WorkspaceLimitsShape(FileShape):
    """Bounds of the whole workspace."""

    concurrency: Annotated[
        int, Field(ge=1, le=1_000, description="How many runs execute at once.")
    ] = 10
    queue: Annotated[int, Field(ge=1, le=1_000_000, description="How many runs may wait.")] = 10_000
    start_within: Annotated[
        Duration | None,
        described('How long a new run may be held back by `concurrency` alone; default "1h".'),
    ] = None
    history: Annotated[
        Duration | None,
        AfterValidator(_history),
        described('How long what has ended is kept, at least "7d"; default "90d".'),
    ] = None
    max_cost_usd_per_day: Annotated[
        Dollars | None,
        described("What all runs of a day may cost, in US dollars; null for no bound."),
    ] = 5.0
    max_tokens_per_day: Annotated[
        Tokens | None, described("How many tokens all runs of a day may use.")
    ] = None
    max_unpriced_tokens_per_day: Annotated[
        Tokens | None,
        described(
            "How many tokens of models without a known price all runs of a day may use; null for "
            "no bound."
        ),
    ] = 10_000_000
    budget_model: Annotated[
        Models | None,
        described(
            "What is asked instead once a budget of cost is nearly spent, where the automation "
            "names none: a cheaper model."
        ),
    ] = None


class EgressShape(FileShape):
    """Where requests may go besides public addresses."""

    allow_private: Annotated[
        list[Annotated[str, AfterValidator(_network)]],
        Field(default_factory=list[str], description="Private networks, as in `10.0.0.0/8`."),
    ]


class AlertsShape(FileShape):
    """Who hears what no automation can report."""

    targets: Annotated[
        list[TargetField],
        Field(
            default_factory=list[TargetShape],
            description="Receivers of the workspace's own alerts; by name or written out.",
        ),
    ]
    heartbeat_url: Annotated[
        Url | None,
        described("Asked with GET every minute while the daemon is well, or `env:NAME`."),
    ] = None


class ApiShape(FileShape):
    """What programs may change over the API and MCP."""

    may_grant_powers: Annotated[
        bool,
        described(
            "Whether they may set or widen `writeEnabled`, `writes`, `command`, `profile`, "
            "`tools`, `connections`, `runAs` and where results are delivered."
        ),
    ] = False


class SettingsShape(FileShape):
    """The settings of a workspace; every key is optional."""

    schema_: SchemaKey = None
    name: Annotated[Filled | None, described("What the workspace is called.")] = None
    model: Annotated[
        Models | None, described("The model of agents that name none; a list falls back.")
    ] = None
    models: Annotated[
        dict[str, Models],
        Field(
            default_factory=dict[str, list[str]], description="Tiers: a word for models in order."
        ),
    ]
    providers: Annotated[
        dict[str, ProviderShape],
        Field(
            default_factory=dict[str, ProviderShape],
            description="Model providers by name; built-in ones need no entry.",
        ),
    ]
    targets: Annotated[
        dict[str, TargetField],
        Field(
            default_factory=dict[str, TargetShape],
            description="Receivers that automations name.",
        ),
    ]
    defaults: Annotated[
        DefaultsShape, described("Keys for every automation whose file has none of that name.")
    ] = DefaultsShape()
    prices: Annotated[
        dict[str, PriceShape],
        Field(
            default_factory=dict[str, PriceShape],
            description="What models cost, by `provider:name`; before the built-in table.",
        ),
    ]
    alerts: Annotated[
        AlertsShape, described("Who hears what no automation can report, and the heartbeat.")
    ] = AlertsShape(targets=[])
    listen: Annotated[
        str,
        AfterValidator(_listen),
        described("HOST:PORT of the server; port 0 takes a free one."),
    ] = "127.0.0.1:3847"
    admin_listen: Annotated[
        Annotated[str, AfterValidator(_listen)] | None,
        described("A second HOST:PORT: with it only webhooks and health stay on `listen`."),
    ] = None
    public_url: Annotated[
        PlainUrl | None, described("How the outside reaches `listen`; webhook URLs begin with it.")
    ] = None
    database: Annotated[
        DatabaseUrl | None,
        described(
            "The PostgreSQL database that several daemons share, as `env:NAME`; without it the "
            "ledger is a file in the state folder. Read at the start only."
        ),
    ] = None
    limits: Annotated[WorkspaceLimitsShape, described("Bounds of all runs together.")] = (
        WorkspaceLimitsShape()
    )
    egress: Annotated[EgressShape, described("Where requests may go besides public addresses.")] = (
        EgressShape(allow_private=[])
    )
    api: Annotated[ApiShape, described("What programs may change over the API and MCP.")] = (
        ApiShape()
    )


def parse_settings(text: bytes, file: str) -> tuple[WorkspaceSettings | None, tuple[Problem, ...]]:
    """The settings, or None with at least one error; beside settings, warnings may stand."""
    try:
        document = read_json(text, file)
    except SourceError as error:
        return None, (error.problem,)
    shape, problems = judge(document, SettingsShape)
    if shape is None:
        return None, problems
    found: list[Problem] = []

    def complain(code: str, message: str, loc: Loc = (), *, hint: str | None = None) -> None:
        found.append(document.problem(code, message, loc, hint=hint))

    targets = _targets(shape, complain)
    _check_defaults(shape.defaults, targets, complain)
    told = Targets(targets, complain).receivers(shape.alerts.targets, ("alerts", "targets"))
    if found:
        return None, in_file_order(found)
    heartbeat = shape.alerts.heartbeat_url
    alerts = WorkspaceAlerts(
        targets=told, heartbeat_url=text_or_secret(heartbeat) if heartbeat else None
    )
    settings = replace(_settings(document, shape, targets), alerts=alerts)
    return settings, tuple(_literal_keys(document, shape))


def _targets(shape: SettingsShape, complain: Complain) -> dict[str, Target]:
    reader = Targets({}, complain)
    found: dict[str, Target] = {}
    for name, each in shape.targets.items():
        if each.ref is not None:
            message = "a named target is written out, not a name itself"
            complain("wrong_type", message, ("targets", name), hint='{"type": "webhook", …}')
            continue
        target = reader.target(each, ("targets", name))
        if target is not None:
            found[name] = target if each.label else replace(target, label=name)
    return found


def _check_defaults(shape: DefaultsShape, targets: dict[str, Target], complain: Complain) -> None:
    """What every automation would complain of is said once, where it stands."""
    reader = Targets(targets, complain)
    if shape.delivery is not None:
        reader.receivers(shape.delivery.targets, ("defaults", "delivery", "targets"))
    if shape.failure_alert is not None:
        reader.receivers(shape.failure_alert.targets, ("defaults", "failureAlert", "targets"))
    if shape.approvals is not None:
        reader.receivers(shape.approvals.targets, ("defaults", "approvals", "targets"))


def _literal_keys(document: Document, shape: SettingsShape) -> Iterator[Problem]:
    for name, each in shape.providers.items():
        if each.api_key is not None and not each.api_key.startswith("env:"):
            yield document.problem(
                "secret_in_file",
                "a secret does not belong into a file",
                ("providers", name, "apiKey"),
                hint='put it into .env and write "env:NAME"',
                severity="warning",
            )
    if shape.database is not None and not shape.database.startswith("env:"):
        yield document.problem(
            "secret_in_file",
            "the URL of a database holds its password, which does not belong into a file",
            ("database",),
            hint='put it into .env and write "env:DATABASE_URL"',
            severity="warning",
        )


def _settings(
    document: Document, shape: SettingsShape, targets: dict[str, Target]
) -> WorkspaceSettings:
    given = cast("dict[str, object]", document.value.get("defaults", {}))
    return WorkspaceSettings(
        name=shape.name,
        model=tuple(shape.model or ()),
        models={tier: tuple(models) for tier, models in shape.models.items()},
        providers={
            name: Provider(
                name=name,
                type=ProviderType(each.type),
                base_url=text_or_secret(each.base_url) if each.base_url else None,
                api_key=text_or_secret(each.api_key) if each.api_key else None,
            )
            for name, each in shape.providers.items()
        },
        targets=targets,
        defaults={camel(key): value for key, value in given.items()},
        listen=shape.listen,
        admin_listen=shape.admin_listen,
        may_grant_powers=shape.api.may_grant_powers,
        public_url=shape.public_url.rstrip("/") if shape.public_url else None,
        database=text_or_secret(shape.database) if shape.database else None,
        limits=WorkspaceLimits(
            concurrency=shape.limits.concurrency,
            queue=shape.limits.queue,
            start_within=shape.limits.start_within or timedelta(hours=1),
            history=shape.limits.history or timedelta(days=90),
            max_cost_usd_per_day=shape.limits.max_cost_usd_per_day,
            max_tokens_per_day=shape.limits.max_tokens_per_day,
            max_unpriced_tokens_per_day=shape.limits.max_unpriced_tokens_per_day,
            budget_models=tuple(shape.limits.budget_model or ()),
        ),
        allow_private=tuple(shape.egress.allow_private),
        prices={
            name: Price(input=each.input, output=each.output) for name, each in shape.prices.items()
        },
    )
