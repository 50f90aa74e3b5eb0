from dataclasses import replace

import pytest

from amodal_rt.domain.connection import Access, AccessRule, Confirm, Connection, Intent, Protocol
from amodal_rt.guardrails.calls import RestCall, ToolCall
from amodal_rt.guardrails.writes import Powers, Verdict, decide, judge

READ_ONLY = Powers(write_enabled=False, place="automations/x.json:7")
WRITES = Powers(write_enabled=True, place="automations/x.json:7")
BARE = Connection(name="api", protocol=Protocol.REST, hash="h")


def _with(*endpoints: AccessRule, tools: tuple[AccessRule, ...] = ()) -> Connection:
    return replace(BARE, access=Access(endpoints=endpoints, tools=tools))


def _read(match: str) -> AccessRule:
    return AccessRule(match=match, intent=Intent.READ)


def _write(match: str) -> AccessRule:
    return AccessRule(match=match, intent=Intent.WRITE)


MUTATION = "mutation Change { remove(id: 1) { id } }"

# Each would change something on some server. None may leave a read-only run.
DISGUISED = {
    **{method: RestCall(method=method, path="/x") for method in ("POST", "PUT", "PATCH", "DELETE")},
    **{
        f"header {name}": RestCall(method="GET", path="/x", headers={name: "DELETE"})
        for name in (
            "X-HTTP-Method-Override", "x-http-method-override", "X-Method-Override",
            "X-HTTP-Method", "X_HTTP_Method_Override", "HTTP-Method-Override", "X-Method",
        )
    },
    **{
        f"parameter {name}": RestCall(method="GET", path="/x", params=((name, "delete"),))
        for name in ("_method", "_METHOD", "method", "httpMethod", "X-HTTP-Method-Override")
    },
    "two overrides": RestCall(
        method="GET", path="/x", headers={"X-HTTP-Method": "GET", "X-Method-Override": "PUT"}
    ),
    "odd override": RestCall(method="GET", path="/x", headers={"X-HTTP-Method": "PURGE"}),
    "mutation in the URL": RestCall(method="GET", path="/graphql", params=(("query", MUTATION),)),
    "mutation, odd capitals": RestCall(
        method="GET", path="/graphql", params=(("Query", MUTATION),)
    ),
    "mutation behind a comment": RestCall(
        method="GET", path="/g", params=(("query", "# query {\n" + MUTATION),)
    ),
    "mutation after a query": RestCall(
        method="GET", path="/g", params=(("query", 'query A { a(t: "}") } ' + MUTATION),)
    ),
    "subscription": RestCall(method="GET", path="/g", params=(("query", "subscription{a}"),)),
    "stored operation": RestCall(
        method="GET", path="/g", params=(("extensions", '{"persistedQuery": {}}'),)
    ),
    "said to be a write": RestCall(method="GET", path="/x", stated="write"),
    "said to be a confirmed write": RestCall(method="GET", path="/x", stated="confirmed_write"),
    "body of a GET": RestCall(method="GET", path="/g", data={"query": MUTATION}),
    "form override in a GET": RestCall(method="GET", path="/x", data="_method=DELETE"),
    "writer": ToolCall(tool="delete_all"),
    "writer that claims to read": ToolCall(tool="delete_all", read_only_hint=True),
}  # fmt: skip


@pytest.mark.parametrize("call", DISGUISED.values(), ids=DISGUISED.keys())
def test_no_disguised_write_may_leave_a_read_only_run(call: RestCall | ToolCall) -> None:
    decision = decide(call, BARE, READ_ONLY)

    assert decision.verdict is Verdict.DENY
    assert decision.intent is Intent.WRITE
    assert '"writeEnabled": true in automations/x.json:7' in decision.reason
    assert decide(call, BARE, WRITES).allowed


@pytest.mark.parametrize(
    "data",
    [
        {"query": MUTATION},
        [{"query": "{ a }"}, {"query": MUTATION}],
        '{"query": "mutation { a }"}',
        "mutation { a }",
        "query=mutation%20%7B%20a%20%7D",
        {"query": "fragment F on A { b } mutation M { a }"},
        {"query": "query Q($s: S = {mutation: 1}) { a } mutation { b }"},
        {"extensions": {"persistedQuery": {"sha256Hash": "x"}}},
        {"documentId": "x"},
        {"query": "\ufeffsubscription S { a }"},
        {"query": '""" text """ mutation @x { a }'},
        {"_method": "DELETE"},
        "_method=DELETE&a=1",
        '--x\r\nContent-Disposition: form-data; name="_method"\r\n\r\nDELETE\r\n--x--\r\n',
        "--x\nContent-Disposition: form-data; name=_method\nContent-Type: text/plain\n\nput\n--x--",
        "--x\r\nContent-Disposition: form-data; name*=utf-8''_method\r\n\r\nPATCH\r\n--x--",
        '--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"query": "mutation {a}"}',
    ],
)
def test_a_rule_that_an_endpoint_reads_does_not_cover_a_mutation_through_it(data: object) -> None:
    connection = _with(_read("POST /graphql"))

    assert not decide(
        RestCall(method="POST", path="/graphql", data=data), connection, READ_ONLY
    ).allowed


@pytest.mark.parametrize(
    "data",
    [
        {"query": "{ mutation { id } }"},
        {"query": "query mutationCount { a }"},
        {"query": 'query { a(text: "mutation { x }") }'},
        {"query": "# mutation { a }\n{ b }"},
        {"q": "mutation"},
        {"query": "mutation in gene BRCA1"},
        None,
        "plain",
    ],
)
def test_a_rule_that_an_endpoint_reads_covers_queries(data: object) -> None:
    connection = _with(_read("POST /graphql"))

    assert decide(
        RestCall(method="POST", path="/graphql", data=data), connection, READ_ONLY
    ).allowed


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_methods_are_reads(method: str) -> None:
    assert decide(RestCall(method=method, path="/x"), BARE, READ_ONLY).allowed


@pytest.mark.parametrize(
    "path",
    [
        "/admin/7/reboot", "/admin/7/reboot/", "/Admin/7/REBOOT", "/admin/7/%72eboot",
        "/admin/7/reboot;a=b", "/admin/7;x/reboot", "/admin/7/%2572eboot", "/admin/7/reboot%20",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_get_that_access_json_calls_a_write_is_one_however_it_is_spelt(
    method: str, path: str
) -> None:
    connection = _with(_write("GET /admin/{id}/reboot"))

    assert not decide(RestCall(method=method, path=path), connection, READ_ONLY).allowed


@pytest.mark.parametrize(
    ("match", "path", "allowed"),
    [
        ("POST /search", "/search", True),
        ("POST /deals/{id}/query", "/deals/7/query", True),
        ("POST /deals/{id}/query", "/deals/7/8/query", False),
        ("POST /deals/{id}/query", "/deals//query", False),
        ("POST /search", "/Search", False),
        ("POST /search", "/search/x", False),
        ("POST /reports/**", "/reports/a/b", True),
        ("PUT /search", "/search", False),
        ("* /search", "/search", True),
    ],
)
def test_what_permits_matches_exactly(match: str, path: str, allowed: bool) -> None:
    decision = decide(RestCall(method="POST", path=path), _with(_read(match)), READ_ONLY)

    assert decision.allowed is allowed


def test_the_more_specific_rule_wins_and_the_stricter_of_equals() -> None:
    call = RestCall(method="POST", path="/search/items")

    assert decide(
        call, _with(_write("POST /search/{x}"), _read("POST /search/items")), READ_ONLY
    ).allowed
    assert not decide(
        call, _with(_read("POST /search/{x}"), _write("POST /search/items")), READ_ONLY
    ).allowed
    assert not decide(
        call, _with(_read("POST /search/{x}"), _write("POST /search/{y}")), READ_ONLY
    ).allowed


def test_an_override_that_only_reads_changes_nothing() -> None:
    call = RestCall(method="GET", path="/x", headers={"X-HTTP-Method-Override": "HEAD"})

    assert decide(call, BARE, READ_ONLY).allowed


def test_a_write_that_says_read_is_refused_as_said() -> None:
    decision = decide(RestCall(method="POST", path="/x", stated="read"), BARE, WRITES)

    assert not decision.allowed
    assert "intent: read" in decision.reason


@pytest.mark.parametrize("confirm", list(Confirm))
def test_what_needs_a_person_is_parked_and_what_is_never_allowed_refused(confirm: Confirm) -> None:
    connection = _with(
        AccessRule(match="POST /pay", confirm=confirm, reason="money"),
        AccessRule(match="GET /payroll", confirm=confirm),
        tools=(AccessRule(match="delete_*", confirm=confirm),),
    )

    for call in (
        RestCall(method="POST", path="/pay"),
        RestCall(method="GET", path="/payroll"),
        ToolCall(tool="delete_all"),
    ):
        decision = decide(call, connection, WRITES)
        assert decision.verdict is (Verdict.DENY if confirm is Confirm.NEVER else Verdict.PARK)
        assert decision.review is (confirm is Confirm.REVIEW)
        assert decide(call, connection, READ_ONLY).verdict is Verdict.DENY
        assert f'"confirm": "{confirm}"' in decision.reason
        assert "connections/api/access.json" in decision.reason


def test_a_refusal_names_the_line_that_would_make_it_a_read() -> None:
    rest = decide(RestCall(method="POST", path="/search"), BARE, READ_ONLY)
    tool = decide(ToolCall(tool="query"), BARE, READ_ONLY)

    assert '{"endpoints": {"POST /search": {"intent": "read"}}}' in rest.reason
    assert '{"tools": {"query": {"intent": "read"}}}' in tool.reason


def test_tools_are_judged_by_the_most_specific_rule() -> None:
    connection = _with(
        tools=(
            _read("*"),
            _write("set_*"),
            _read("set_filter"),
            AccessRule(match="drop_*", confirm=Confirm.NEVER),
        )
    )

    def intent(tool: str) -> Intent:
        return judge(ToolCall(tool=tool), connection).intent

    assert [intent(name) for name in ("list", "set_x", "set_filter", "drop_all")] == [
        Intent.READ, Intent.WRITE, Intent.READ, Intent.WRITE,
    ]  # fmt: skip


def test_annotations_count_only_where_the_connection_is_trusted() -> None:
    call = ToolCall(tool="list", read_only_hint=True)

    assert not decide(call, BARE, READ_ONLY).allowed
    assert decide(call, replace(BARE, trust_annotations=True), READ_ONLY).allowed
    trusted = replace(_with(tools=(_write("list"),)), trust_annotations=True)
    assert not decide(call, trusted, READ_ONLY).allowed
