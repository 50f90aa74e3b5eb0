"""Known bugs, each a change of one text, and the tests that must turn red."""

from dataclasses import dataclass

LEDGER = "tests/contracts"
CRASH = "tests/integration/test_ledger_crash.py"


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in `file`. `tests` are what pytest is given; `only` is its `-k`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    only: str = ""
    quick: bool = False
    """Whether CI plants it too."""


MUTANTS = (
    Mutant(
        name="acknowledged before the commit",
        file="amodal_rt/storage/writer.py",
        old='            failpoints.hit("ledger.before_commit")\n',
        new="            self._resolve(batch)\n"
        "            threading.Event().wait(0.1)\n"
        '            failpoints.hit("ledger.before_commit")\n',
        tests=(f"{CRASH}::test_a_commit_that_fails_is_no_acknowledgement_and_the_last_word",),
        quick=True,
    ),
    Mutant(
        name="no dedup key",
        file="amodal_rt/storage/acceptance.py",
        old="        _KEYS.send(raw, list(keys.values()))\n",
        new="",
        tests=(f"{LEDGER}/test_event_ledger.py",),
        only="sqlite and seen_within_seven_days",
        quick=True,
    ),
    Mutant(
        name="dedup key in a transaction of its own",
        file="amodal_rt/storage/acceptance.py",
        old="        _KEYS.send(raw, list(keys.values()))\n",
        new="        _KEYS.send(raw, list(keys.values()))\n"
        '        raw.execute("COMMIT")\n        raw.execute("BEGIN IMMEDIATE")\n',
        tests=(f"{CRASH}::test_what_was_not_committed_is_absent",),
    ),
    Mutant(
        name="lease without term",
        file="amodal_rt/storage/outcomes.py",
        old="_RUNS.id == run.run_id, _RUNS.term == run.term, text(tables.RUNNING)",
        new="_RUNS.id == run.run_id, text(tables.RUNNING)",
        tests=(f"{LEDGER}/test_finishing.py", f"{LEDGER}/test_fencing.py"),
        only="sqlite and (old_term or after_a_takeover)",
        quick=True,
    ),
    Mutant(
        name="a takeover keeps the term",
        file="amodal_rt/storage/outcomes.py",
        old=".values(node=node, term=_RUNS.term + 1)",
        new=".values(node=node)",
        tests=(f"{LEDGER}/test_node_ledger.py",),
        only="sqlite and raised_term",
    ),
    Mutant(
        name="a claim without an answer is forgotten",
        file="amodal_rt/engine/runner.py",
        old="                except AmodalError:\n                    self._in_doubt = True\n",
        new="                except AmodalError:\n                    self._in_doubt = False\n",
        tests=("tests/unit/engine/test_other_nodes.py",),
        only="not_answered",
        quick=True,
    ),
    Mutant(
        name="a lease trusted from the answer on",
        file="amodal_rt/daemon/nodes.py",
        old="            self._trust(began)\n",
        new="            self._trust(self._clock.monotonic())\n",
        tests=("tests/unit/daemon/test_nodes.py",),
        only="counts_from_when",
    ),
    Mutant(
        name="cooldown in memory",
        file="amodal_rt/storage/failures.py",
        old="    news = _news(connection, automation)\n    others = _forgotten(row, news)\n",
        new="    newest = select(func.max(tables.outbox.c.number))\n"
        '    began = connection.info.setdefault("began", connection.scalar(newest) or 0)\n'
        "    found, others = _news(connection, automation), Told()\n"
        '    news = {k: [r for r in v if r["number"] > began] for k, v in found.items()}\n',
        tests=("tests/integration/test_delivery_alerts.py",),
        only="restart_between or cooldown",
        quick=True,
    ),
    Mutant(
        name="synchronous off",
        file="amodal_rt/storage/sqlite_file.py",
        old='"PRAGMA synchronous = FULL"',
        new='"PRAGMA synchronous = OFF"',
        tests=("tests/unit/storage/test_sqlite.py",),
        quick=True,
    ),
    Mutant(
        name="an error at the commit is forgotten",
        file="amodal_rt/storage/sqlite_file.py",
        old="        return Fate.BROKEN if beyond else Fate.AGAIN\n",
        new="        return Fate.AGAIN\n",
        tests=(
            f"{CRASH}::test_a_commit_that_fails_is_no_acknowledgement_and_the_last_word",
            "tests/integration/test_ledger_faults.py",
        ),
    ),
    Mutant(
        name="a retry after a write",
        file="amodal_rt/engine/ending.py",
        old="    if (wrote or outcome.wrote) and not retry.after_writes:\n        return None\n",
        new="",
        tests=("tests/unit/engine/test_runner.py",),
        only="may_have_written",
        quick=True,
    ),
    Mutant(
        name="a write of unknown outcome is done again",
        file="amodal_rt/engine/recovery.py",
        old="    if write is not None:\n",
        new="    if write is not None and run.resumes > 9:\n",
        tests=("tests/unit/engine/test_stopping.py", "tests/unit/engine/test_recovery.py"),
        quick=True,
    ),
    Mutant(
        name="resumed without end",
        file="amodal_rt/engine/recovery.py",
        old="    if run.resumes >= MOST_RESUMES:\n",
        new="    if run.resumes >= 1000:\n",
        tests=("tests/unit/engine/test_resuming.py", "tests/unit/engine/test_recovery.py"),
    ),
    Mutant(
        name="resumed however late",
        file="amodal_rt/engine/recovery.py",
        old="    if now - entries[-1].at > RESUMES_WITHIN and not waited_last(entries):\n",
        new="    if now - entries[-1].at > RESUMES_WITHIN * 1000:\n",
        tests=("tests/unit/engine/test_resuming.py", "tests/unit/engine/test_recovery.py"),
    ),
    Mutant(
        name="recorded before it was sent",
        file="amodal_rt/delivery/sender.py",
        old="        attempt = await self._attempts.make(record)\n",
        new="        from amodal_rt.domain.delivery import Attempt\n\n"
        "        attempt = Attempt(\n"
        "            delivery_id=record.message.delivery_id,\n"
        "            result=AttemptResult.DELIVERED,\n"
        "            at=self._clock.now(),\n"
        "        )\n"
        "        await self._outbox.record_attempt(attempt)\n"
        "        attempt = await self._attempts.make(record)\n",
        tests=("tests/integration/test_delivery_crash.py",),
        quick=True,
    ),
    Mutant(
        name="another id for each attempt",
        file="amodal_rt/delivery/request.py",
        old='        "webhook-id": message.delivery_id,\n',
        new='        "webhook-id": f"{message.delivery_id}-{timestamp}",\n',
        tests=("tests/integration/test_delivery_crash.py",),
    ),
    Mutant(
        name="redirects are followed",
        file="amodal_rt/delivery/request.py",
        old="                allow_redirects=False,\n",
        new="                allow_redirects=True,\n",
        tests=("tests/unit/delivery/test_sender.py",),
        only="redirect",
        quick=True,
    ),
    Mutant(
        name="a breaker that nobody keeps",
        file="amodal_rt/storage/breakers.py",
        old="        keep(connection, now)\n    failpoints",
        new="        pass\n    failpoints",
        tests=(f"{LEDGER}/test_breaker_ledger.py",),
        only="sqlite and open",
    ),
    Mutant(
        name="a heartbeat while unwell",
        file="amodal_rt/delivery/heartbeat.py",
        old="            self._withheld = True\n            return False\n",
        new="            self._withheld = True\n",
        tests=("tests/unit/delivery/test_heartbeat.py",),
        only="withheld",
        quick=True,
    ),
    Mutant(
        name="no catch-up",
        file="amodal_rt/triggers/cron.py",
        old="            self._put(definition, trigger, state.ruled, now)\n",
        new="            self._put(definition, trigger, now, now)\n",
        tests=("tests/unit/triggers/test_cron.py",),
        only="downtime or catch_up",
        quick=True,
    ),
    Mutant(
        name="schedules count from the second look",
        file="amodal_rt/triggers/cron.py",
        old="        await self._reconcile(snapshot)\n        self._version = snapshot.version\n\n",
        new="\n",
        tests=("tests/unit/triggers/test_cron.py",),
        only="armed_counts",
    ),
    Mutant(
        name="slots are not unique",
        file="amodal_rt/storage/admission.py",
        old="        if not self.has_slots and _SLOTS.send(self.raw, [slot]) == 0:\n",
        new="        if not self.has_slots and _SLOTS.send(self.raw, [slot]) < 0:\n",
        tests=(f"{LEDGER}/test_admission.py",),
        only="sqlite and taken",
        quick=True,
    ),
    Mutant(
        name="a retry does not wait",
        file="amodal_rt/storage/outcomes.py",
        old='        "not_before": to_millis(retry_at),\n',
        new='        "not_before": None,\n',
        tests=(f"{LEDGER}/test_finishing.py",),
        only="sqlite and retry_at",
    ),
    Mutant(
        name="a failed work is not undone",
        file="amodal_rt/storage/writer.py",
        old='                raw.execute("ROLLBACK TO work")\n',
        new="",
        tests=(f"{LEDGER}/test_finishing.py", f"{LEDGER}/test_admission.py"),
        only="sqlite and (plan_that_raises or failing_start)",
    ),
    Mutant(
        name="a deadline that waits for obedience",
        file="amodal_rt/engine/supervisor.py",
        old="        await asyncio.wait({task, patience}, return_when=asyncio.FIRST_COMPLETED)\n",
        new="        await asyncio.wait({task})\n",
        tests=("tests/unit/engine/test_runner.py",),
        only="swallows",
    ),
    Mutant(
        name="any signature will do",
        file="amodal_rt/intake/signatures/verifier.py",
        old="                signer = secret if _agrees(recipe, key, content, given) else signer\n",
        new="                signer = secret if given else signer\n",
        tests=("tests/unit/intake/test_verifier.py", "tests/unit/intake/test_vectors.py"),
        quick=True,
    ),
    Mutant(
        name="a limit counts only what this process runs",
        file="amodal_rt/storage/claiming.py",
        old="        return run.concurrency < self._overall and "
        "self.of(run.automation) >= run.concurrency\n",
        new="        return False\n",
        tests=(f"{LEDGER}/test_claiming.py",),
        only="sqlite and concurrency",
    ),
    Mutant(
        name="first come, first served",
        file="amodal_rt/storage/claiming.py",
        old="        return _Place(run.resumes == 0, running, turn, number)\n",
        new="        return _Place(run.resumes == 0, 0, 0, number)\n",
        tests=(f"{LEDGER}/test_claiming.py",),
        only="sqlite and fewest",
    ),
    Mutant(
        name="nodes write beside each other",
        file="amodal_rt/storage/postgres_session.py",
        old="; SELECT pg_advisory_xact_lock({LOCK})",
        new="",
        tests=("tests/integration/test_postgres_nodes.py",),
        only="claimed_twice or limits_hold or queue_is_bounded",
        quick=True,
    ),
    Mutant(
        name="a commit whose answer was lost is tried again",
        file="amodal_rt/storage/postgres_session.py",
        old="            return Fate.OVER if committing else Fate.AGAIN\n",
        new="            return Fate.AGAIN\n",
        tests=("tests/integration/test_postgres_faults.py",),
        only="lost_at_commit",
    ),
    Mutant(
        name="a paused node keeps the lock",
        file="amodal_rt/storage/postgres_session.py",
        old='"idle_in_transaction_session_timeout": "3s"',
        new='"idle_in_transaction_session_timeout": "60s"',
        tests=("tests/integration/test_postgres_crash.py",),
        only="paused_in_a_transaction",
    ),
    Mutant(
        name="as durable as the server likes",
        file="amodal_rt/storage/postgres_session.py",
        old='f"{_SET}; {_DURABLE}"',
        new="_SET",
        tests=("tests/integration/test_postgres_schema.py",),
        only="durable_and_bounded and synchronous",
    ),
)
