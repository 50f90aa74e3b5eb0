"""Which language models a run may use, and what they need from the environment."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from amodal_rt.domain.automation import Automation
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workspace import Provider, ProviderType, WorkspaceSettings
from amodal_rt.errors import InvalidError

REHEARSAL = "rehearsal"
"""The built-in model that reads and quotes. Never a fallback."""

BUILT_IN: Mapping[str, Provider] = {
    name: Provider(name=name, type=ProviderType(name))
    for name in ("anthropic", "openai", "google", "ollama")
}
"""Providers that need no entry in `amodal.json`."""

KEYS: Mapping[ProviderType, tuple[str, ...]] = {
    ProviderType.ANTHROPIC: ("ANTHROPIC_API_KEY",),
    ProviderType.OPENAI: ("OPENAI_API_KEY",),
    ProviderType.GOOGLE: ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
}
"""Where a provider without `apiKey` finds its key: any one of these. Absent: it needs none."""

BASE_URLS: Mapping[ProviderType, str] = {
    ProviderType.ANTHROPIC: "ANTHROPIC_BASE_URL",
    ProviderType.OPENAI: "OPENAI_BASE_URL",
    ProviderType.OLLAMA: "OLLAMA_BASE_URL",
}
"""Which variable moves a provider without `baseUrl`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """One model of one provider; `reference` is how the files spell it (`provider:name`)."""

    reference: str
    provider: Provider
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A model needs one of `variables`, whichever is set first."""

    model: str
    variables: tuple[str, ...]

    def sentence(self) -> str:
        """What is missing, for people: names the model and every variable that would do."""
        names = " or ".join(self.variables)
        return f"the model {self.model} needs {names}, which is not set"


def configured_models(
    automation: Automation, agent: Agent | None, settings: WorkspaceSettings
) -> tuple[str, ...]:
    """The automation's own models, else its agent's, else the workspace's; empty: rehearsal. An
    agent whose loop is a program has none."""
    if agent is not None and agent.program is not None:
        return ()
    return automation.models or (agent.models if agent else ()) or settings.model


def budget_models(automation: Automation, settings: WorkspaceSettings) -> tuple[str, ...]:
    """What is asked instead once a budget of cost is nearly spent; empty: nothing is."""
    return automation.limits.budget_models or settings.limits.budget_models


def resolve_models(
    references: Sequence[str], settings: WorkspaceSettings
) -> tuple[ModelChoice, ...]:
    """The models to try in order, tiers replaced by what they name, repeats dropped.

    Empty for no reference and for `rehearsal` alone. Raises InvalidError
    (`unknown_model`) for a tier or provider that does not exist, a ring of tiers, or
    `rehearsal` among others.
    """
    names = _expand(tuple(references), settings, ())
    if names == (REHEARSAL,):
        return ()
    return tuple(_choice(name, settings) for name in dict.fromkeys(names))


def requirements(references: Sequence[str], settings: WorkspaceSettings) -> tuple[Requirement, ...]:
    """What the models need from the environment, one entry per missing-or-not variable.

    Raises as `resolve_models`.
    """
    needed: list[Requirement] = []
    for choice in resolve_models(references, settings):
        provider = choice.provider
        if isinstance(provider.base_url, SecretRef):
            needed.append(Requirement(model=choice.reference, variables=(provider.base_url.name,)))
        if isinstance(provider.api_key, SecretRef):
            needed.append(Requirement(model=choice.reference, variables=(provider.api_key.name,)))
        elif provider.api_key is None and provider.type in KEYS:
            needed.append(Requirement(model=choice.reference, variables=KEYS[provider.type]))
    return tuple(needed)


def missing_requirements(
    references: Sequence[str], settings: WorkspaceSettings, find: Callable[[str], str | None]
) -> tuple[Requirement, ...]:
    """Those of `requirements` that no variable meets; `find` is `Environment.find`."""
    return tuple(
        each
        for each in requirements(references, settings)
        if not any(find(name) for name in each.variables)
    )


def found_keys(find: Callable[[str], str | None]) -> tuple[str, ...]:
    """Usual key variables that are set: worth a word where only the rehearsal serves."""
    return tuple(name for names in KEYS.values() for name in names if find(name))


def _expand(
    references: tuple[str, ...], settings: WorkspaceSettings, seen: tuple[str, ...]
) -> tuple[str, ...]:
    names: list[str] = []
    for reference in references:
        if reference in seen:
            raise InvalidError(
                f"the model tier {reference} leads back to itself", code="unknown_model"
            )
        tier = settings.models.get(reference)
        names += [reference] if tier is None else _expand(tier, settings, (*seen, reference))
    if REHEARSAL in names and len(names) > 1:
        raise InvalidError(
            "rehearsal cannot stand in a list of models",
            code="unknown_model",
            hint="it quotes and understands nothing, so it is never a fallback",
        )
    return tuple(names)


def _choice(reference: str, settings: WorkspaceSettings) -> ModelChoice:
    prefix, colon, name = reference.partition(":")
    provider = settings.providers.get(prefix) or BUILT_IN.get(prefix)
    if not colon or not name:
        tiers = ", ".join(sorted(settings.models)) or "none"
        raise InvalidError(
            f"{reference!r} is neither provider:name nor a tier of models (tiers: {tiers})",
            code="unknown_model",
            hint="write provider:name, or say in amodal.json what it stands for: "
            f'"models": {{{json.dumps(reference)}: "provider:name"}}',
        )
    if provider is None:
        known = ", ".join(sorted({*settings.providers, *BUILT_IN}))
        raise InvalidError(
            f"no model provider is called {prefix!r} (known: {known})",
            code="unknown_model",
            hint='add it under "providers" in amodal.json',
        )
    return ModelChoice(reference=reference, provider=provider, name=name)
