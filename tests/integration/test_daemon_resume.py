"""Daemons that are killed in the middle of a run: the next one goes on and repeats nothing.

The whole sweep, with every place that a run passes, stands in tests/reliability/resume.
"""

import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import resume_story as story
from daemon_child import eventually
from lives import Life, zygote
from resume_scene import Scene, World

from amodal_rt.testing.model_server import Asked, Turn


def bear(root: Path, log: Path, variables: Mapping[str, str]) -> Life:
    """A daemon in a process of its own."""
    return zygote().bear(root, log, variables, "127.0.0.1:0")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with World() as world:
        yield Scene(tmp_path, world, bear)


def test_without_a_fault_each_step_is_done_once(scene: Scene) -> None:
    played = scene.play()

    assert played.wrong() == []
    assert sorted(played.reached) == sorted(
        ["GET /a", "GET /b", "MCP lookup", "POST /w", "GET /one", "POST /two"]
    )
    assert played.run["attempt"] == 1


@pytest.mark.parametrize("fate", ["model.after_request:3", "tool.before_read:2"])
def test_killed_between_two_rows_it_goes_on(scene: Scene, fate: str) -> None:
    played = scene.play(f"{fate}=kill")

    assert len(played.deaths) == 1
    assert played.wrong() == []
    assert (played.run["status"], played.run["attempt"]) == ("completed", 2)


@pytest.mark.parametrize("place", ["recovery.before_return", "recovery.after_return"])
def test_killed_twice_in_a_row_and_in_recovery_it_goes_on(scene: Scene, place: str) -> None:
    played = scene.play("tool.after_read:1=kill", f"{place}:1=kill", "model.after_request:2=kill")

    assert len(played.deaths) == 3
    assert played.wrong() == []
    assert played.run["status"] == "completed"


def test_killed_in_a_write_it_fails_and_tells(scene: Scene) -> None:
    played = scene.play("tool.after_write:1=kill")

    assert played.unknown
    assert played.wrong() == []
    assert "POST /" in played.run["error"]
    assert [each["reason"] for each in played.alerts] == ["interrupted"]


@pytest.mark.parametrize("deed", ["delete", "rename"])
def test_killed_in_a_write_it_tells_though_its_file_is_gone(scene: Scene, deed: str) -> None:
    """Renamed, the same text is the newest version under another name."""

    def gone() -> None:
        path = scene.root / "automations/story.json"
        path.rename(path.with_stem("tale")) if deed == "rename" else path.unlink()

    played = scene.play("tool.after_write:1=kill", later=gone)

    assert played.unknown
    assert played.wrong() == []
    assert [each["reason"] for each in played.alerts] == ["interrupted"]


def test_killed_a_fourth_time_it_fails_and_tells(scene: Scene) -> None:
    played = scene.play(*["model.after_request:1=kill"] * 4)

    assert len(played.deaths) == 4
    assert played.repeated == []
    assert (played.run["status"], played.run["reason"]) == ("failed", "interrupted")
    assert "3 times" in played.run["error"]
    assert [each["reason"] for each in played.alerts] == ["interrupted"]


def test_a_file_that_changed_in_between_does_not_change_the_run(scene: Scene) -> None:
    """The new version has another prompt and may not run long enough for the story."""

    def edit() -> None:
        path = scene.root / "automations/story.json"
        path.write_text(path.read_text().replace('"maxTurns": 8', '"maxTurns": 3'))

    played = scene.play("model.after_request:2=kill", later=edit)

    assert played.wrong() == []
    assert played.run["status"] == "completed"


def test_stopped_in_the_middle_it_goes_on_at_the_next_start(scene: Scene) -> None:
    """Two signals wait for no run; what stands in the journal is asked for no more."""
    model = scene.world.model

    def hold(asked: Asked) -> Turn:
        late = story.turn_of(asked) == (None, 3)
        return replace(story.answer(asked), seconds=60 if late else 0)

    model.answer(hold)
    process = scene.start()
    eventually(lambda: scene.is_up() and process.alive)
    scene.client.post("/v1/automations/story/trigger")
    eventually(lambda: len(model.requests) == 3)
    assert isinstance(process, Life)
    # The second signal: do not wait for runs.
    process.send(signal.SIGTERM)
    eventually(lambda: "daemon.stopping" in process.output())
    process.send(signal.SIGTERM)
    process.wait()
    told = story.Told(scene.entries())
    model.answer(story.answer)
    scene.take()

    played = scene.play()

    assert (played.run["status"], played.run["attempt"]) == ("completed", 2)
    assert story.repeated(told, played.asked, played.reached) == []
    assert len(played.asked) == story.TURNS - 2
    assert played.wrong() == []
