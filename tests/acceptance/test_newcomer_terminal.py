"""A person at a terminal: what stands on the screen."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import shapes
from outside import Site
from waiting import eventually

TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed")


class Terminal:
    """A tmux session of its own server, with two panes' worth of screens."""

    def __init__(self, site: Site) -> None:
        self._socket = str(site.root / "tmux")
        self._site = site
        self._tmux("new-session", "-d", "-s", "first", "-x", "160", "-y", "50", "bash --norc")
        self._tmux("new-session", "-d", "-s", "second", "-x", "160", "-y", "50", "bash --norc")

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            [TMUX or "tmux", "-S", self._socket, "-f", "/dev/null", *words],
            env=self._site.environment(TERM="xterm-256color", PS1="$ "),
            cwd=self._site.empty,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    def type(self, line: str, *, screen: str = "first") -> None:
        """Type a line and press Enter."""
        self._tmux("send-keys", "-t", screen, "-l", line)
        self._tmux("send-keys", "-t", screen, "Enter")

    def press(self, key: str, *, screen: str = "first") -> None:
        """Press one key."""
        self._tmux("send-keys", "-t", screen, key)

    def shows(self, pattern: str, *, screen: str = "first") -> str:
        """The screen, once it shows the pattern."""

        def look() -> str | None:
            text = self._tmux("capture-pane", "-p", "-J", "-t", screen)
            return text if re.search(pattern, text) else None

        return eventually(look, f"the screen shows {pattern!r}", seconds=40)

    def close(self) -> None:
        """End the sessions with all that runs in them."""
        self._tmux("kill-server")


@pytest.fixture
def terminal(site: Site) -> Iterator[Terminal]:
    opened = Terminal(site)
    try:
        yield opened
    finally:
        opened.close()


def test_a_newcomer_sees_what_happens(terminal: Terminal, site: Site) -> None:
    terminal.type(f"cd {site.root} && amodal-rt init workspace && cd workspace")
    terminal.shows("made a workspace in")
    terminal.type("clear; amodal-rt up --listen 127.0.0.1:0")
    first = terminal.shows(r"echo-hook .*webhooks/auto_")
    second = "second"
    terminal.type(f"cd {site.workspace} && clear", screen=second)
    terminal.type("ops automations list", screen=second)
    listed = terminal.shows(r"weekly-review", screen=second)
    terminal.type("clear; ops automations trigger daily-digest", screen=second)
    run = terminal.shows(r"completed in [\d.]+ ?s, 0 tokens", screen=second)
    terminal.type("clear; ops automations history daily-digest", screen=second)
    past = terminal.shows(r"Run ID[\s\S]*completed", screen=second)
    terminal.press("C-c")
    terminal.type("echo ended with $?")
    terminal.shows(r"ended with 0")

    assert re.search(r"daily-digest .*0 9 \* \* 1-5.*next", first)
    assert "rehearsal" in first
    for head in ("Name", "Trigger", "Schedule", "Status", "Next Run or Webhook URL"):
        assert head in listed
    assert re.search(shapes.RUN_ID, run)
    assert "[rehearsal]" in run
    assert "Duration" in past
    assert "Traceback" not in first + listed + run + past
