"""`amodal-rt dashboard`: the link is printed, and opened where somebody asks."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs import dashboard
from amodal_rt.cli.verbs.door import Door

URL = "http://127.0.0.1:3847/dashboard/link/x"


class _Daemon:
    """Makes one link."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        raise AssertionError("a look makes no link")

    def post(self, path: str, body: object = None) -> Any:
        assert path == "/v1/dashboard/link"
        return {"url": URL, "expires_at": "2026-03-02T08:05:00Z"}

    def lines(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[Any]:
        return iter(())


def test_the_link_is_printed_for_a_person_to_open(capsys: pytest.CaptureFixture[str]) -> None:
    assert dashboard.link(Door(_Daemon(), Output()), show=None) == 0
    assert capsys.readouterr().out == f"{URL}\n"


@pytest.mark.parametrize(("found", "code"), [(True, 0), (False, 1)])
def test_a_browser_is_opened_where_there_is_one(
    capsys: pytest.CaptureFixture[str], found: bool, code: int
) -> None:
    opened: list[str] = []

    def show(url: str) -> bool:
        opened.append(url)
        return found

    assert dashboard.link(Door(_Daemon(), Output()), show=show) == code
    assert opened == [URL]
    assert ("open the link yourself" in capsys.readouterr().err) is not found
