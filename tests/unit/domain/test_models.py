import pytest

from amodal_rt.domain.automation import AgentWork, Automation
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.models import (
    configured_models,
    found_keys,
    missing_requirements,
    requirements,
    resolve_models,
)
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workspace import Provider, ProviderType, WorkspaceSettings
from amodal_rt.errors import InvalidError

LOCAL = Provider(
    name="local",
    type=ProviderType.OPENAI_COMPATIBLE,
    base_url=SecretRef("LOCAL_URL"),
    api_key=SecretRef("LOCAL_KEY"),
)
SETTINGS = WorkspaceSettings(
    models={"smart": ("anthropic:claude", "fast"), "fast": ("local:small",)},
    providers={"local": LOCAL},
)


def test_tiers_are_replaced_by_what_they_name_in_order_and_once() -> None:
    resolved = resolve_models(["smart", "fast", "ollama:llama3:8b"], SETTINGS)

    assert [(each.reference, each.provider.name, each.name) for each in resolved] == [
        ("anthropic:claude", "anthropic", "claude"),
        ("local:small", "local", "small"),
        ("ollama:llama3:8b", "ollama", "llama3:8b"),
    ]


def test_nothing_and_the_rehearsal_alone_are_no_model() -> None:
    assert resolve_models([], SETTINGS) == ()
    assert resolve_models(["rehearsal"], SETTINGS) == ()


@pytest.mark.parametrize("reference", ["slow", "nobody:gpt", "openai:", ":x", ""])
def test_what_is_neither_tier_nor_model_is_named(reference: str) -> None:
    with pytest.raises(InvalidError) as refused:
        resolve_models([reference], SETTINGS)

    assert refused.value.code == "unknown_model"
    assert "amodal.json" in str(refused.value.hint)


def test_a_ring_of_tiers_and_the_rehearsal_as_a_fallback_are_refused() -> None:
    ring = WorkspaceSettings(models={"a": ("b",), "b": ("a",)})
    for references, settings in ((["a"], ring), (["anthropic:x", "rehearsal"], SETTINGS)):
        with pytest.raises(InvalidError):
            resolve_models(references, settings)


def test_each_model_says_which_variables_would_do() -> None:
    needed = requirements(["smart", "google:gemini", "ollama:llama3"], SETTINGS)

    assert [(each.model, each.variables) for each in needed] == [
        ("anthropic:claude", ("ANTHROPIC_API_KEY",)),
        ("local:small", ("LOCAL_URL",)),
        ("local:small", ("LOCAL_KEY",)),
        ("google:gemini", ("GOOGLE_API_KEY", "GEMINI_API_KEY")),
    ]


def test_any_one_of_the_usual_variables_is_enough() -> None:
    present = {"GEMINI_API_KEY": "x"}

    assert missing_requirements(["google:gemini"], SETTINGS, present.get) == ()
    [missing] = missing_requirements(["google:gemini"], SETTINGS, {}.get)
    assert missing.sentence() == (
        "the model google:gemini needs GOOGLE_API_KEY or GEMINI_API_KEY, which is not set"
    )


def test_an_own_entry_under_a_built_in_name_replaces_it() -> None:
    own = Provider(name="openai", type=ProviderType.OPENAI, api_key="literal")
    settings = WorkspaceSettings(providers={"openai": own})

    assert requirements(["openai:gpt"], settings) == ()


def test_the_automations_models_stand_before_the_agents_and_the_workspaces() -> None:
    def automation(*models: str) -> Automation:
        work = AgentWork(messages=())
        return Automation(name="a", title="A", work=work, triggers=(), models=models)

    agent = Agent(name="main", hash="h", instructions="", models=("b:b",))
    settings = WorkspaceSettings(model=("c:c",))

    assert configured_models(automation("a:a"), agent, settings) == ("a:a",)
    assert configured_models(automation(), agent, settings) == ("b:b",)
    assert configured_models(automation(), None, settings) == ("c:c",)
    assert configured_models(automation(), None, WorkspaceSettings()) == ()


def test_keys_that_lie_about_are_found() -> None:
    assert found_keys({"GEMINI_API_KEY": "x", "OTHER": "y"}.get) == ("GEMINI_API_KEY",)
