from agent_house import AgentHouse, calls_then_done, request

from amodal_rt.domain.run import RunStatus


async def test_a_run_reads_and_reports(house: AgentHouse) -> None:
    house.rest()
    house.model.script(*calls_then_done(request("GET", "/deals", params={"limit": 3})))

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED
    assert outcome.text == "done"
    print(house.types(), outcome, house.entries)
    assert house.service.requests[0].path == "/deals?limit=3"
