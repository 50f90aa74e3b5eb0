"""The baseline of a session: pydantic-ai alone, its agent built beforehand."""

import asyncio
import json
import sys
import time

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def main() -> None:
    """`URL ROUNDS`: prints the wall-clock time of each start as a JSON list."""
    url, rounds = sys.argv[1], int(sys.argv[2])
    model = OpenAIChatModel("small", provider=OpenAIProvider(base_url=url, api_key="bench"))
    agent = Agent(model, instructions="Work.")
    starts: list[float] = []
    for _ in range(rounds):
        starts.append(time.time())
        await agent.run("Say done.")
    print(json.dumps(starts))


if __name__ == "__main__":
    asyncio.run(main())
