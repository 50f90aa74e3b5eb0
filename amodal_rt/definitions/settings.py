"""`amodal.json` → the workspace's settings."""

import re
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from amodal_rt.definitions.automation_file import AutomationShape, TargetField
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import (
    Duration,
    EnvText,
    FileShape,
    Filled,
    Listed,
    NotYet,
    Url,
    complaint,
    suggestion,
    text_or_secret,
)
from amodal_rt.definitions.source import Document, Loc, SourceError, read_json
from amodal_rt.definitions.targets import Complain, Targets
from amodal_rt.domain.delivery import Target
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workspace import (
    Provider,
    ProviderType,
    WorkspaceLimits,
    WorkspaceSettings,
)

_LISTEN = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})")
_DEFAULTS = frozenset(
    {
        "timezone",
        "agent",
        "model",
        "temperature",
        "connections",
        "tools",
        "delivery",
        "failureAlert",
        "limits",
        "catchUp",
        "retry",
    }
)


def _listen(value: str) -> str:
    match = _LISTEN.fullmatch(value)
    if match is None or int(match[2]) > 65_535:
        raise complaint("bad_listen", f"{value!r} is not HOST:PORT", "for example 127.0.0.1:3847")
    return value


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError as error:
        raise complaint(
            "bad_network", f"{value!r} is no network: {error}", "as in 10.0.0.0/8"
        ) from None
    return value


class ProviderShape(FileShape):
    """A model provider."""

    type: Literal["anthropic", "openai", "openai-compatible", "google", "ollama"]
    base_url: Url | None = None
    api_key: EnvText | None = None


class WorkspaceLimitsShape(FileShape):
    """Bounds of the whole workspace."""

    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 10
    queue: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    start_within: Duration | None = None
    history: NotYet = None
    max_cost_usd_per_day: NotYet = None


class EgressShape(FileShape):
    """Where requests may go beside public addresses."""

    allow_private: list[Annotated[str, AfterValidator(_network)]] = Field(default_factory=list[str])


class SettingsShape(FileShape):
    """The settings of a workspace; every key is optional."""

    schema_: Annotated[
        str | None, Field(validation_alias="$schema", serialization_alias="$schema")
    ] = None
    name: Filled | None = None
    model: Annotated[list[Filled] | None, Listed, Field(min_length=1)] = None
    models: dict[str, Annotated[list[Filled], Listed, Field(min_length=1)]] = Field(
        default_factory=dict[str, list[str]]
    )
    providers: dict[str, ProviderShape] = Field(default_factory=dict[str, ProviderShape])
    targets: dict[str, TargetField] = Field(default_factory=dict)
    defaults: dict[str, object] = Field(default_factory=dict[str, object])
    alerts: NotYet = None
    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:3847"
    admin_listen: NotYet = None
    public_url: Url | None = None
    database: NotYet = None
    limits: WorkspaceLimitsShape = WorkspaceLimitsShape()
    egress: EgressShape = EgressShape()
    api: NotYet = None


def parse_settings(text: bytes, file: str) -> tuple[WorkspaceSettings | None, tuple[Problem, ...]]:
    """The settings, or None with at least one error."""
    try:
        document = read_json(text, file)
    except SourceError as error:
        return None, (error.problem,)
    shape, problems = judge(document, SettingsShape)
    if shape is None:
        return None, problems
    found: list[Problem] = [*_misplaced(document, shape)]

    def complain(
        code: str, message: str, loc: tuple[str | int, ...] = (), *, hint: str | None = None
    ) -> None:
        found.append(document.problem(code, message, loc, hint=hint))

    targets = _targets(shape, complain)
    if found:
        return None, tuple(found)
    return _settings(shape, targets), ()


def _targets(shape: SettingsShape, complain: Complain) -> dict[str, Target]:
    reader = Targets({}, complain)
    read = {name: reader.target(each, ("targets", name)) for name, each in shape.targets.items()}
    return {name: _labelled(name, shape, each) for name, each in read.items() if each is not None}


def _labelled(name: str, shape: SettingsShape, target: Target) -> Target:
    return target if shape.targets[name].label else replace(target, label=name)


def _misplaced(document: Document, shape: SettingsShape) -> list[Problem]:
    """Defaults must be keys of an automation that make sense for all, with valid values."""
    found: list[Problem] = []
    for key in shape.defaults:
        if key not in _DEFAULTS:
            hint = suggestion(key, _DEFAULTS) or f"one of {', '.join(sorted(_DEFAULTS))}"
            found.append(
                document.problem(
                    "unknown_key", f'"{key}" cannot be a default', ("defaults", key), hint=hint
                )
            )
    trial = {
        "title": "x",
        "prompt": "x",
        **{k: v for k, v in shape.defaults.items() if k in _DEFAULTS},
    }
    places = (
        {
            pointer.removeprefix("/defaults"): place
            for pointer, place in document.places.items()
            if pointer.startswith("/defaults")
        }
        if shape.defaults
        else {}
    )
    _, problems = judge(Document(document.file, trial, lambda: places), AutomationShape)
    return [*found, *problems]


def _settings(shape: SettingsShape, targets: dict[str, Target]) -> WorkspaceSettings:
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
        defaults=shape.defaults,
        listen=shape.listen,
        public_url=shape.public_url.rstrip("/") if shape.public_url else None,
        limits=WorkspaceLimits(
            concurrency=shape.limits.concurrency,
            queue=shape.limits.queue,
            start_within=shape.limits.start_within or timedelta(hours=1),
        ),
        allow_private=tuple(shape.egress.allow_private),
    )
