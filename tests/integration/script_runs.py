"""Runs scripts in their sandbox, as a graph would."""

from collections.abc import Mapping

import pytest

from amodal_rt.domain.workflow import Script
from amodal_rt.errors import AmodalError
from amodal_rt.executors.workflow.feeding import Function
from amodal_rt.executors.workflow.scripts import Scripts

SECONDS = 0.5
LOOP = "while True: pass"


async def ran(
    scripts: Scripts,
    source: str,
    *,
    functions: Mapping[str, Function] | None = None,
    seconds: float = 5,
    file: str = "scripts/tidy.py",
    first_line: int = 1,
    heard: list[str] | None = None,
    **names: object,
) -> object:
    script = Script(name="tidy", source=source, file=file, first_line=first_line)
    return await scripts.run(script, names, functions=functions or {}, seconds=seconds, heard=heard)


async def fault(scripts: Scripts, source: str, **more: object) -> AmodalError:
    with pytest.raises(AmodalError) as caught:
        await ran(scripts, source, **more)  # pyright: ignore[reportArgumentType]
    after = await ran(scripts, "40 + 2")
    assert after == 42, "the next script is harmed"
    return caught.value
