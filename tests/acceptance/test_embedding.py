"""`from amodal_rt import Runtime`: the same runtime inside another program."""

import json
from pathlib import Path

from files import Workspace
from outside import Site
from stub_model import Model, Say

PROGRAM = """
import asyncio
import json
import sys

from amodal_rt import Runtime

received = []
done = asyncio.Event()


async def on_automation_result(payload, target):
    received.append({"payload": dict(payload), "target": target})
    done.set()


async def main():
    runtime = Runtime(sys.argv[1], listen="127.0.0.1:0", on_automation_result=on_automation_result)
    async with runtime:
        run_id = await runtime.trigger("report")
        run = await runtime.wait(run_id)
        await asyncio.wait_for(done.wait(), 30)
    print(json.dumps({"run": run, "received": received}, default=str))


asyncio.run(main())
"""


def test_an_embedding_program_gets_results_in_its_own_function(site: Site, model: Model) -> None:
    files = Workspace(site.workspace)
    files.settings(model.settings())
    files.secrets(MODEL_KEY="key")
    model.brain = lambda _: Say(json.dumps({"answer": 42}))
    files.automation("report", delivery={"targets": [{"type": "callback", "name": "mine"}]})
    script = Path(files.write("../program.py", PROGRAM))
    done = site.run("python", str(script), str(site.workspace), cwd=site.empty)

    assert done.code == 0, done.err
    said = json.loads(done.out.splitlines()[-1])
    (received,) = said["received"]
    assert said["run"]["status"] == "completed"
    assert received["target"] == "mine"
    assert received["payload"]["automation"] == "report"
    assert received["payload"]["data"] == {"answer": 42}
    assert received["payload"]["run_id"] == said["run"]["run_id"]
