from amodal_rt.domain.automation import AgentWork, Automation
from amodal_rt.domain.connection import Agent
from amodal_rt.guardrails.grants import Grants, grants_of

BUILT_IN = ("query_store", "write_store", "read_event")


def test_nothing_listed_means_everything() -> None:
    grants = Grants()

    assert grants.connection("a")
    assert grants.tool("a", "x")
    assert grants.built_in("query_store", BUILT_IN)


def test_globs_over_connection_and_tool() -> None:
    grants = Grants(connections=("crm", "pay"), tools=("crm.get_*", "pay.request"))

    assert grants.tool("crm", "get_deal")
    assert not grants.tool("crm", "delete_deal")
    assert grants.tool("pay", "request")
    assert not grants.tool("other", "get_x")
    assert grants.built_in("query_store", BUILT_IN)


def test_naming_a_tool_of_the_runtime_leaves_only_those_named() -> None:
    grants = Grants(tools=("crm.*", "query_store"))

    assert grants.built_in("query_store", BUILT_IN)
    assert not grants.built_in("write_store", BUILT_IN)
    assert not Grants(tools=()).built_in("query_store", BUILT_IN)
    assert not Grants(tools=()).tool("crm", "x")


def test_a_sub_agent_never_gets_more_than_its_parent() -> None:
    parent = Grants(connections=("crm",), tools=("crm.get_*",))

    for wish in (None, ["*"], ["crm.*"], ["pay.request", "crm.delete_all"]):
        child = parent.narrowed(wish)
        assert not child.tool("crm", "delete_all")
        assert not child.tool("pay", "request")
        assert not child.connection("pay")
    assert parent.narrowed(["crm.get_deal"]).tool("crm", "get_deal")
    assert parent.narrowed(["crm__get_deal"]).tool("crm", "get_deal")
    assert not parent.narrowed(["crm.get_deal"]).tool("crm", "get_other")
    assert not parent.narrowed(["crm.get_deal"]).built_in("query_store", BUILT_IN)


def test_the_automations_list_stands_before_the_agents() -> None:
    automation = Automation(
        name="a", title="A", work=AgentWork(messages=()), triggers=(), connections=("crm",)
    )
    agent = Agent(name="main", hash="h", instructions="", connections=("pay",), tools=("pay.*",))

    assert grants_of(automation, agent, None) == Grants(connections=("crm",), tools=("pay.*",))
    assert grants_of(automation, None, None) == Grants(connections=("crm",))
