"""Which ledger a workspace has."""

import sys
from pathlib import Path

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.ledgers import DATABASE_MARK, in_touch, is_shared, ledger_of, mark_ledger
from amodal_rt.errors import InvalidError, UnavailableError
from amodal_rt.ids import SystemIds
from amodal_rt.storage.filesystem import LEDGER_FILE
from amodal_rt.storage.ledger import DatabaseLedger
from amodal_rt.storage.sqlite import SqliteLedger

URL = "postgresql://ada:planted@db.example/amodal"


def made(root: Path, **variables: str) -> DatabaseLedger:
    clock = SystemClock()
    return ledger_of(root, root / "state", variables=variables, clock=clock, ids=SystemIds(clock))


def say(root: Path, text: str) -> None:
    (root / "amodal.json").write_text(text)


@pytest.mark.parametrize("text", [None, "{}", '{"database": null}'])
def test_without_a_database_it_is_a_file_of_its_own(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        say(tmp_path, text)

    ledger = made(tmp_path)

    assert isinstance(ledger, SqliteLedger)
    assert not is_shared(ledger)
    touch = in_touch(ledger, sender="a", hear=print, may_act=lambda: True, clock=SystemClock())
    assert touch is None


@pytest.mark.parametrize("place", ["environment", ".env", "file"])
def test_a_database_is_found_where_its_variable_is(tmp_path: Path, place: str) -> None:
    pytest.importorskip("psycopg")
    say(tmp_path, '{"database": "env:DATABASE_URL"}')
    variables: dict[str, str] = {}
    if place == "environment":
        variables["DATABASE_URL"] = URL
    elif place == ".env":
        (tmp_path / ".env").write_text(f"DATABASE_URL={URL}\n")
    else:
        (tmp_path / "secret").write_text(f"{URL}\n")
        variables["DATABASE_URL_FILE"] = str(tmp_path / "secret")

    assert is_shared(made(tmp_path, **variables))


def test_an_unset_variable_is_no_reason_to_take_another_ledger(tmp_path: Path) -> None:
    say(tmp_path, '{"database": "env:DATABASE_URL"}')

    with pytest.raises(UnavailableError, match="DATABASE_URL is not set"):
        made(tmp_path)


def test_a_broken_settings_file_names_no_ledger(tmp_path: Path) -> None:
    say(tmp_path, '{"database": ')

    with pytest.raises(InvalidError, match=r"amodal\.json"):
        made(tmp_path)


def test_what_is_no_url_is_said_without_repeating_it(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    say(tmp_path, '{"database": "env:DATABASE_URL"}')

    with pytest.raises(InvalidError) as caught:
        made(tmp_path, DATABASE_URL="not a url: planted")

    assert "planted" not in str(caught.value)


def test_a_missing_driver_is_said_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(tmp_path, '{"database": "env:DATABASE_URL"}')
    loaded = ("amodal_rt.storage.postgres", "amodal_rt.daemon.telling_postgres")
    for name in [name for name in sys.modules if name.startswith(loaded)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(UnavailableError) as caught:
        made(tmp_path, DATABASE_URL=URL)

    assert caught.value.code == "postgres_missing"
    assert "amodal-rt[postgres]" in (caught.value.hint or "")
    assert "planted" not in str(caught.value)


def test_a_workspace_whose_ledger_is_a_database_gets_no_file_in_its_place(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    (tmp_path / "state").mkdir()
    say(tmp_path, '{"database": "env:DATABASE_URL"}')
    for _ in range(2):
        mark_ledger(made(tmp_path, DATABASE_URL=URL), tmp_path / "state")
    assert "planted" not in (tmp_path / "state" / DATABASE_MARK).read_text()
    (tmp_path / "amodal.json").unlink()

    for text in (None, "{}"):
        if text is not None:
            say(tmp_path, text)
        with pytest.raises(InvalidError) as caught:
            made(tmp_path)
        assert caught.value.code == "ledger_elsewhere"
        assert DATABASE_MARK in (caught.value.hint or "")

    say(tmp_path, '{"database": "env:DATABASE_URL"}')
    assert is_shared(made(tmp_path, DATABASE_URL=URL))
    (tmp_path / "amodal.json").unlink()
    (tmp_path / "state" / DATABASE_MARK).unlink()
    assert not is_shared(made(tmp_path))


def test_a_workspace_with_a_ledger_file_is_not_marked(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    mark_ledger(made(tmp_path), tmp_path / "state")

    assert list((tmp_path / "state").iterdir()) == []


def test_a_settings_file_that_broke_since_leaves_the_ledger_file_in_its_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / LEDGER_FILE).touch()
    say(tmp_path, '{"name": ')
    assert not is_shared(made(tmp_path))

    (tmp_path / "state" / DATABASE_MARK).touch()
    with pytest.raises(InvalidError, match=r"amodal\.json"):
        made(tmp_path)
