"""Writes that a person decides on, in a real daemon, over its socket and through its kills."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, daemon, eventually, write
from parked_scene import ACCESS, GRAPH, LARGE, SECRET, Bank, bank, furnish, parked

from amodal_rt.cli.entry import main
from amodal_rt.clock import SystemClock
from amodal_rt.domain.parked import Around, Change, ParkedWrite, Verdict, decided
from amodal_rt.errors import AmodalError
from amodal_rt.ports import Caller
from amodal_rt.servers.peers import user_name
from amodal_rt.storage.sqlite import SqliteLedger

ME = user_name(os.getuid())


@pytest.fixture
def service() -> Iterator[Bank]:
    with bank() as found:
        yield found


@pytest.fixture
def root(tmp_path: Path, service: Bank) -> Path:
    folder = tmp_path / "workspace"
    furnish(folder, service.url)
    return folder


@pytest.fixture
def child(root: Path) -> Iterator[Child]:
    with daemon(root, **SECRET) as running:
        yield running


def decide(child: Child, write_id: str, verb: str = "approve", **body: Any) -> dict[str, Any]:
    return child.client.post(f"/v1/approvals/{write_id}/{verb}", body)


def show(child: Child, write_id: str) -> dict[str, Any]:
    return child.client.get(f"/v1/approvals/{write_id}")


def settled(child: Child, write_id: str, *statuses: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = show(child, write_id)
        return found if found["status"] in statuses else None

    return eventually(look)


def code_of(work: Any) -> str:
    with pytest.raises(AmodalError) as refused:
        work()
    return refused.value.code


def test_what_needs_a_person_is_kept_and_made_once_as_it_was_shown(
    child: Child, service: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    def ops(*words: str) -> tuple[int, str, str]:
        code = main(["ops", *words, "--workspace", str(child.root)], program="ops")
        said = capsys.readouterr()
        return code, said.out, said.err

    started = ops("automations", "trigger", "pay", "--payload", json.dumps(LARGE))
    run_id = started[1].split()[0]
    [row] = child.client.get("/v1/approvals")
    listed, shown = ops("approvals", "list"), ops("approvals", "show", row["id"])
    untouched = list(service.reached)
    said = ops("approvals", "approve", row["id"], "--note", "as agreed")
    after, again = ops("approvals", "show", run_id), ops("approvals", "deny", row["id"])

    assert started[0] == 6
    assert f"POST /deals of crm waits for a person's approval: {row['id']}" in started[1]
    assert "went on" not in started[1]
    assert untouched == []
    assert listed[1].splitlines()[1].startswith(row["id"])
    assert '"amount": 700' in shown[1]
    assert "data.amount is 700, and its limit 100" in shown[1]
    assert said[:2] == (0, "Approved: POST /deals over crm was made\n")
    [made] = service.reached
    assert (made["path"], made["body"]) == ("/deals", LARGE)
    assert made["headers"]["idempotency-key"] == row["id"]
    assert made["headers"]["authorization"] == f"Bearer {SECRET['BANK_KEY']}"
    assert "  status      performed\n" in after[1]
    assert f"  by          {ME} (cli)\n" in after[1]
    assert (again[0], f"was approved by {ME} through cli" in again[2]) == (1, True)
    types = [each["type"] for each in child.client.lines(f"/v1/runs/{run_id}/journal")]
    assert types[-4:] == ["run.finished", "approval.answered", "write.started", "write.finished"]
    with closing(sqlite3.connect(child.state / "ledger.sqlite")) as ledger:
        rows = ledger.execute(
            "SELECT action, actor, door FROM audit WHERE subject = ?", (row["id"],)
        )
        assert rows.fetchall() == [
            ("write.parked", "pay", "run"),
            ("write.approved", ME, "cli"),
            ("write.begun", "runtime", "runtime"),
            ("write.performed", "runtime", "runtime"),
        ]
        kept = ledger.execute("SELECT data FROM parked_writes").fetchall()
    assert SECRET["BANK_KEY"] not in str(kept)


def test_below_the_threshold_it_leaves_at_once(child: Child, service: Bank) -> None:
    run = child.client.post("/v1/automations/pay/trigger", {"payload": {"amount": 7}})
    ended = child.finished(run["run_id"])

    assert (ended["status"], ended["reason"], ended["result"]["text"]) == (
        "completed", None, "went on",
    )  # fmt: skip
    assert [each["body"] for each in service.reached] == [{"amount": 7}]


def test_what_is_denied_is_not_made_and_an_answer_counts_once(child: Child, service: Bank) -> None:
    denied = decide(child, parked(child), "deny", note="too much")
    write_id = parked(child)
    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda _: _tried(child, write_id), range(8)))

    assert (denied["status"], denied["note"]) == ("denied", "too much")
    assert sorted(answers) == ["already_decided"] * 7 + ["performed"]
    assert len(service.reached) == 1


def _tried(child: Child, write_id: str) -> str:
    try:
        return decide(child, write_id)["status"]
    except AmodalError as error:
        return error.code


def test_a_service_that_says_no_is_told_of_and_not_asked_again(child: Child, service: Bank) -> None:
    service.status = 500
    said = decide(child, parked(child))

    assert (said["status"], said["write"]["outcome"]["status"]) == ("failed", 500)
    eventually(lambda: service.told)
    assert (service.told[0]["condition"], len(service.reached)) == ("write_failed", 1)


def test_branches_that_walk_side_by_side_end_together(
    child: Child, root: Path, service: Bank
) -> None:
    pay = {key: value for key, value in GRAPH["nodes"][0].items() if not key.startswith("on_")}
    nodes = [
        {"id": "both", "kind": "parallel", "branches": ["one", "two"], "on_error": "said"},
        {**pay, "id": "one", "on_error": "late"},
        {**pay, "id": "two", "data": {"amount": 1}, "on_success": "late"},
        {**pay, "id": "late", "data": {"amount": 2}},
        {"id": "said", "kind": "transform", "value": "went on"},
    ]
    graph = {"kind": "WorkflowGraph", "start_node": "both", "nodes": nodes}
    _saved(child, root, "workflows/pay.json", graph)

    write_id = parked(child)

    assert show(child, write_id)["write"]["call"]["data"] == LARGE
    # What had begun beside it is made, and nothing after it.
    assert [each["body"] for each in service.reached] in ([], [{"amount": 1}])


def test_what_the_files_forbid_by_then_is_refused_with_what_changed(
    child: Child, root: Path, service: Bank
) -> None:
    shut, moved, gone = parked(child), parked(child), parked(child)
    refused: list[dict[str, Any]] = []
    for write_id, file, text in (
        (shut, "automations/pay.json", {"title": "Pay", "workflow": "pay", "connections": ["crm"]}),
        (moved, "connections/crm/spec.json", {"protocol": "rest", "baseUrl": f"{service.url}/v2"}),
        (gone, "connections/crm/access.json", {"endpoints": {"POST /deals": {"confirm": "never"}}}),
    ):
        before = (root / file).read_text()
        _saved(child, root, file, text)
        refused.append(decide(child, write_id))
        _saved(child, root, file, json.loads(before))

    assert [each["status"] for each in refused] == ["refused"] * 3
    said = [each["write"]["outcome"]["error"] for each in refused]
    assert "automations/pay.json has changed since this was parked" in said[0]
    assert '"writeEnabled": true' in said[0]
    assert "connections/crm/spec.json has changed since this was parked" in said[1]
    assert "is never allowed" in said[2]
    assert service.reached == []


def _saved(child: Child, root: Path, file: str, content: object) -> None:
    """A file, live."""

    def version() -> int:
        return child.output.count("workspace.reloaded")

    before = version()
    write(root, file, content)
    eventually(lambda: version() > before)


def test_a_pause_of_everything_stops_parked_writes(child: Child, service: Bank) -> None:
    write_id = parked(child)
    child.client.post("/v1/automations/pause", {"reason": "stop it"})
    refused, shown = code_of(lambda: decide(child, write_id)), show(child, write_id)
    child.client.post("/v1/automations/pay/resume")
    said = decide(child, write_id)

    assert refused == "paused"
    assert "pay is paused (stop it)" in shown["write"]["waits_for"]
    assert said["status"] == "performed"
    assert len(service.reached) == 1


def test_who_may_decide_stands_in_files(child: Child, root: Path) -> None:
    _saved(child, root, "automations/pay.json", {
        "title": "Pay", "workflow": "pay", "writeEnabled": True, "connections": ["crm"],
        "approvals": {"approvers": ["boss", "token:*"]},
    })  # fmt: skip
    outsider = code_of(lambda: decide(child, parked(child)))
    _saved(child, root, "automations/pay.json", {
        "title": "Pay", "workflow": "pay", "writeEnabled": True, "connections": ["crm"],
    })  # fmt: skip
    review = {"endpoints": {"POST /deals": {"confirm": "review"}}}
    _saved(child, root, "connections/crm/access.json", review)
    own = code_of(lambda: decide(child, parked(child)))
    _saved(child, root, "connections/crm/access.json", ACCESS)

    assert (outsider, own) == ("not_an_approver", "own_run")


def test_whoever_proposes_earns_trust_by_numbers(
    child: Child, root: Path, service: Bank, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def ops(*words: str) -> tuple[int, str]:
        code = main(["ops", *words, "--workspace", str(child.root)], program="ops")
        return code, capsys.readouterr().out

    _saved(child, root, "automations/pay.json", {
        "title": "Pay", "workflow": "pay", "writeEnabled": "propose", "connections": ["crm"],
    })  # fmt: skip
    first, second, third, _ = (parked(child, {"amount": each}) for each in (1, 2, 3, 4))
    editor = tmp_path / "editor.sh"
    write(tmp_path, "editor.sh", '#!/bin/sh\nsed -i \'s/"amount": 2/"amount": 20/\' "$1"\n')
    editor.chmod(0o700)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EDITOR", str(editor))
        patched.delenv("VISUAL", raising=False)
        edited = ops("approvals", "approve", second, "--edit")
        untouched = ops("approvals", "approve", first, "--edit")
    call = json.dumps({**show(child, first)["write"]["call"], "method": "DELETE"})
    replaced = ops("approvals", "approve", first, "--call", call)
    ops("approvals", "approve", first)
    ops("approvals", "deny", third)
    shown, powers = ops("automations", "show", "pay")[1], ops("automations", "powers", "pay")[1]

    assert edited == (0, "Approved: POST /deals over crm was made\n")
    assert (untouched[0], replaced[0]) == (1, 1)
    assert [each["body"] for each in service.reached] == [{"amount": 20}]
    assert show(child, second)["write"]["original"]["data"] == {"amount": 2}
    assert show(child, first)["status"] == "failed"
    for text in (shown, powers):
        assert "2 approved (2 edited), 1 denied, 0 expired, 1 open" in text
        assert "; a person decides on each" in text


KILLS = {
    "write.before_park": (0, None),
    "write.after_park": (0, "open"),
    "parked.before_perform": (0, "unknown"),
    "parked.after_perform": (1, "unknown"),
}


@pytest.mark.parametrize("place", KILLS)
def test_killed_anywhere_it_is_made_at_most_once_and_doubt_is_told_of(
    root: Path, service: Bank, place: str
) -> None:
    made, status = KILLS[place]
    with daemon(root, AMODAL_RT_FAILPOINTS=f"{place}=kill", **SECRET) as first:
        first.client.post("/v1/automations/pay/trigger", {"payload": LARGE})
        if place.startswith("parked"):
            [row] = eventually(lambda: first.client.get("/v1/approvals"))
            with pytest.raises(AmodalError):
                decide(first, row["id"])
        eventually(lambda: not first.process.alive)
    with daemon(root, **SECRET) as second:
        [run] = eventually(lambda: _ended(second))
        ids = _ids(second)
        found = [settled(second, each, status or "open") for each in ids]

        assert (run["status"], run["reason"]) == ("completed", "awaiting_approval")
        # Nothing was kept at the first kill, so the run went on and parked it then.
        assert len(found) == 1
        assert len(service.reached) == made
        if status == "unknown":
            eventually(lambda: service.told)
            assert service.told[0]["condition"] == "unknown_write"
            assert found[0]["write"]["outcome"]["error"].endswith("is unknown")
            assert code_of(lambda: decide(second, ids[0])) == "already_decided"
        else:
            assert decide(second, ids[0])["status"] == "performed"
            assert len(service.reached) == 1


def _ended(child: Child) -> list[dict[str, Any]] | None:
    runs = child.client.get("/v1/runs", {"automation": "pay"})
    return runs if all(each["status"] not in ("pending", "running") for each in runs) else None


def _run_of(child: Child, write_id: str) -> str:
    with closing(sqlite3.connect(child.state / "ledger.sqlite")) as ledger:
        query = "SELECT run_id FROM parked_writes WHERE id = ?"
        return ledger.execute(query, (write_id,)).fetchone()[0]


def _ids(child: Child) -> list[str]:
    with closing(sqlite3.connect(child.state / "ledger.sqlite")) as ledger:
        return [row[0] for row in ledger.execute("SELECT id FROM parked_writes")]


async def _approve_in_the_ledger(child: Child, write_id: str) -> None:
    """As a daemon does that ends right after it."""
    now = datetime.now(UTC)
    verdict = Verdict(approved=True, by="boss", door="cli", at=now)
    caller = Caller(actor="boss", door="cli")

    def rule(found: ParkedWrite, around: Around) -> Change:
        return decided(found, verdict, around)

    async with SqliteLedger(child.state / "ledger.sqlite", clock=SystemClock()) as ledger:
        await ledger.rule_on_parked(write_id, rule, caller=caller, at=now)


def _alter(child: Child, old: str, new: str) -> None:
    """As somebody does who can write into the ledger."""
    with closing(sqlite3.connect(child.state / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE parked_writes SET data = replace(data, ?, ?)", (old, new))


def test_approved_and_not_begun_it_is_made_by_the_next_daemon(root: Path, service: Bank) -> None:
    with daemon(root, **SECRET) as first:
        write_id = parked(first)
        first.kill()
    asyncio.run(_approve_in_the_ledger(first, write_id))
    with daemon(root, **SECRET) as second:
        settled(second, write_id, "performed")

    assert len(service.reached) == 1


def test_what_is_altered_in_the_ledger_while_it_waits_is_not_made(
    root: Path, service: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    with daemon(root, **SECRET) as first:
        write_id, other = parked(first), parked(first)
        _alter(first, '"to":"ada"', '"to":"eve"')
        refused = code_of(lambda: decide(first, write_id))
        _alter(first, '"to":"eve"', '"to":"ada"')
        first.kill()
    asyncio.run(_approve_in_the_ledger(first, other))
    _alter(first, '"to":"ada"', '"to":"eve"')
    with daemon(root, **SECRET) as second:
        ended = settled(second, other, "refused")
        eventually(lambda: service.told)
    verified = main(["audit", "verify", "--workspace", str(root)], program="amodal-rt")

    assert refused == "parked_altered"
    assert "its row was changed after write.approved" in ended["write"]["outcome"]["error"]
    assert service.reached == []
    assert verified == 1
    said = capsys.readouterr().out
    for row in (
        f"parked_writes {write_id} (of {_run_of(first, write_id)}): its row was changed after",
        f"parked_writes {other} (of {ended['run_id']}): its row had been changed before",
    ):
        assert row in said
