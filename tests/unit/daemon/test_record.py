"""Commands find a daemon by its record, wherever its socket had to go."""

import json
from pathlib import Path

import pytest

from amodal_rt.client import find_client
from amodal_rt.daemon.record import Record, socket_path
from amodal_rt.errors import UnavailableError


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "amodal-rt"


def test_a_short_path_stays_in_the_state_folder() -> None:
    assert socket_path(Path("/srv/x/.amodal-rt")) == Path("/srv/x/.amodal-rt/control.sock")


@pytest.mark.parametrize(("length", "moves"), [(107, False), (108, True)])
def test_the_limit_is_107_bytes(length: int, moves: bool, runtime: Path) -> None:
    state = Path("/" + "d" * (length - len("/" + "/control.sock")))
    assert len(bytes(state / "control.sock")) == length

    assert (socket_path(state).parent == runtime) is moves


def test_two_deep_folders_get_two_sockets() -> None:
    assert socket_path(Path("/" + "a" * 120)) != socket_path(Path("/" + "b" * 120))


def test_without_a_private_folder_a_deep_path_is_refused(runtime: Path) -> None:
    runtime.mkdir()
    runtime.chmod(0o777)

    with pytest.raises(UnavailableError) as caught:
        socket_path(Path("/" + "a" * 120))

    assert caught.value.code == "socket_path"


def test_a_record_is_private_in_both_places_and_gone_when_removed(
    tmp_path: Path, runtime: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    record = Record(state)
    content = {"pid": 1, "socket": "/s", "workspace": "/w", "state_dir": str(state), "url": None}

    record.write(content)
    files = [state / "daemon.json", *runtime.iterdir()]

    assert [json.loads(path.read_text()) for path in files] == [content, content]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert find_client(state, actor="ada").path == Path("/s")

    record.remove()
    assert not any(path.exists() for path in files)
