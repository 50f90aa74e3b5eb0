"""`ops approvals …`, against a real daemon, over its socket and from afar."""

import json
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, write
from dashboard_house import ASKING

from amodal_rt.cli.entry import main
from amodal_rt.client import Client, TcpClient
from amodal_rt.domain.cause import Cause
from amodal_rt.errors import AmodalError, DeniedError
from amodal_rt.guardrails.causes import Causes
from amodal_rt.servers.peers import user_name

KEY = "k" * 32
ME = user_name(os.getuid())


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Generator[Child, None, None]:
    """One daemon for the module."""
    root = tmp_path_factory.mktemp("approvals") / "workspace"
    write(root, "workflows/asking.json", ASKING)
    write(root, "automations/asking.json", {"title": "Asking", "workflow": "asking"})
    automation(root, "plain", connections=[])
    with daemon(root, AMODAL_RT_WEBHOOK_KEY=KEY) as running:
        yield running


class Ops:
    """`ops …` in this process, on the daemon's workspace."""

    def __init__(self, child: Child, capsys: pytest.CaptureFixture[str]) -> None:
        self.child = child
        self.capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        code = main(["ops", *words, "--workspace", str(self.child.root)], program="ops")
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def json(self, *words: str) -> tuple[int, Any]:
        code, out, _ = self(*words, "--json")
        return code, json.loads(out)

    def asked(self, what: str) -> str:
        """A run that asks; its id."""
        payload = json.dumps({"what": what})
        code, run = self.json("automations", "trigger", "asking", "--payload", payload, "--wait")
        assert (code, run["status"], run["reason"]) == (6, "pending", "awaiting_approval")
        return run["run_id"]


@pytest.fixture
def ops(child: Child, capsys: pytest.CaptureFixture[str]) -> Ops:
    return Ops(child, capsys)


@pytest.mark.parametrize(
    ("verb", "status", "sentence", "payload"),
    [
        ("approve", "approved", "Approved: {} goes on", "deleted"),
        ("deny", "denied", "Denied: {} goes on without it", "kept"),
    ],
)
def test_a_question_is_listed_shown_and_answered(
    ops: Ops, verb: str, status: str, sentence: str, payload: str
) -> None:
    run_id = ops.asked("the old branch")
    _, rows = ops.json("approvals", "list")
    listed = ops("approvals", "list", "--automation", "asking")
    shown = ops("approvals", "show", run_id)
    waiting = ops("runs", "show", run_id)
    answered = ops("approvals", verb, run_id, "--note", "as agreed")
    run = ops.child.finished(run_id)
    _, after = ops.json("approvals", "show", run_id)

    (row,) = [each for each in rows if each["run_id"] == run_id]
    assert (row["status"], row["by"], row["answered_at"]) == ("open", None, None)
    assert row["step"] == row["node"] == "ask"
    assert listed[0] == 0
    (line,) = [each for each in listed[1].splitlines() if each.startswith(run_id)]
    assert " ".join(line.split()).endswith("in 7 d Delete the old branch?")
    assert " asking " in line
    assert "  status      open\n" in shown[1]
    assert shown[1].endswith("  question\nDelete the old branch?\n")
    assert f"ops approvals approve {run_id}" in shown[2]
    assert "  status      pending (awaiting_approval)\n" in waiting[1]
    assert answered[:2] == (0, sentence.format(run_id) + "\n")
    assert (run["status"], run["result"]["payload"]) == ("completed", payload)
    assert after.keys() == row.keys()
    assert (after["status"], after["by"], after["note"]) == (status, ME, "as agreed")
    assert after["answered_at"] >= after["asked_at"]
    assert run_id not in ops("approvals", "list")[1]


def test_who_starts_it_is_told_how_to_answer_and_not_kept_waiting(ops: Ops) -> None:
    code, out, err = ops("automations", "trigger", "asking", "--payload", '{"what": "x"}')

    run_id = out.split()[0]
    assert code == 6
    assert "Delete x?" in out
    assert out.splitlines()[-1] == "pending: it waits for a person's answer"
    assert err == f"answer with `ops approvals approve {run_id}`, or `deny`\n"


def test_what_cannot_be_answered_says_why(ops: Ops) -> None:
    run_id = ops.asked("x")
    other = ops("approvals", "approve", run_id, "--step", "another")
    long = ops("approvals", "deny", run_id, "--note", "x" * 1001)
    first = ops("approvals", "deny", run_id, "--step", "ask")
    again = ops("approvals", "approve", run_id)
    _, plain = ops.json("automations", "trigger", "plain", "--wait")
    never = ops("approvals", "show", plain["run_id"])
    nobody = ops("approvals", "approve", "run_" + "0" * 16)

    assert [each[0] for each in (other, long, first, again)] == [1, 2, 0, 1]
    assert f"{run_id} does not ask this, or any more" in again[2]
    assert f"ops approvals show {run_id}" in again[2]
    assert (never[0], f"{plain['run_id']} asks nobody anything" in never[2]) == (4, True)
    assert (nobody[0], "no run run_0000" in nobody[2]) == (4, True)
    assert ops("approvals", "list", "--limit", "0")[0] == 2


def test_a_question_of_a_run_that_was_cancelled_is_withdrawn(ops: Ops) -> None:
    run_id = ops.asked("x")
    ops("runs", "cancel", run_id)

    assert ops.json("approvals", "show", run_id)[1]["status"] == "withdrawn"
    assert ops("approvals", "approve", run_id)[0] == 1


def test_from_afar_a_token_answers_that_may_manage(ops: Ops) -> None:
    def client(name: str, scope: str) -> TcpClient:
        made = ops.child.client.post("/v1/tokens", {"name": name, "scopes": [scope]})
        return TcpClient(ops.child.url, token=made["secret"])

    run_id = ops.asked("x")
    reader, starter, boss = client("r", "read"), client("t", "trigger"), client("boss", "manage")
    seen = reader.get(f"/v1/approvals/{run_id}")
    for each in (reader, starter):
        with pytest.raises(DeniedError) as refused:
            each.post(f"/v1/approvals/{run_id}/approve")
        assert refused.value.code == "scope_missing"
    answered = boss.post(f"/v1/approvals/{run_id}/approve", {"note": "ok"})

    assert (seen["status"], seen["message"]) == ("open", "Delete x?")
    assert (answered["status"], answered["by"]) == ("approved", "token:boss")
    with closing(sqlite3.connect(ops.child.state / "ledger.sqlite")) as ledger:
        rows = ledger.execute(
            "SELECT actor, door FROM audit WHERE action = 'approval.answered' AND subject = ?",
            (run_id,),
        ).fetchall()
    assert rows == [("token:boss", "api")]


def test_no_run_answers_what_a_person_is_asked(ops: Ops) -> None:
    run_id = ops.asked("x")
    causes = Causes(KEY.encode(), lambda _: False)
    mark = causes.token(Cause(depth=0, run_id=run_id))
    made = ops.child.client.post("/v1/tokens", {"name": "own", "scopes": ["manage"]})
    inside = (
        Client(ops.child.client.path, actor="ada", cause=mark),
        TcpClient(ops.child.url, token=made["secret"], cause=mark),
    )

    for each in inside:
        with pytest.raises(AmodalError) as refused:
            each.post(f"/v1/approvals/{run_id}/approve")
        assert (refused.value.kind, refused.value.code) == ("denied", "own_approval")

    assert ops.json("approvals", "show", run_id)[1]["status"] == "open"
