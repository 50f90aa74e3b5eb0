"""The filter `uniq`, which meets lists of strangers."""

from typing import Any

import pytest
from liquid import Undefined
from liquid.builtin.filters.array import uniq

from amodal_rt.definitions.liquid import render_key
from amodal_rt.definitions.printing import Printing
from amodal_rt.errors import InvalidError

ROWS = [{"n": 1, "x": 1}, {"n": 1.0}, {"x": 2}, {"x": 3}, {"n": None}, {"n": [1]}, {"n": [1]}]


class Told(dict[str, Any]):
    """An object that counts how often it is compared."""

    compared = 0
    __hash__ = None

    def __eq__(self, other: object) -> bool:
        Told.compared += 1
        return super().__eq__(other)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([1, 1.0, True, "1", None, None, 0, False], ()),
        ([{"a": 1}, {"a": 1}, [1], [1], {"a": 2}, "[1]"], ()),
        (ROWS, ("n",)),
        (["b", "a", "b"], ()),
    ],
)
def test_it_keeps_what_the_librarys_keeps(values: list[object], key: tuple[str, ...]) -> None:
    ours = Printing(Undefined).filters["uniq"]

    assert ours(values, *key) == uniq(values, *key)


def test_it_compares_no_value_with_all_others() -> None:
    Told.compared = 0
    values = [Told(n=number % 900) for number in range(1_000)]

    assert len(Printing(Undefined).filters["uniq"](values)) == 900
    assert Told.compared < 1_000


def test_a_member_of_what_has_none_is_an_error_of_the_template() -> None:
    with pytest.raises(InvalidError, match="can't read property"):
        render_key("{{ payload | uniq: 'n' | size }}", {"payload": [1]})
