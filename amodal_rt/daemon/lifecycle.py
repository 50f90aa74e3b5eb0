"""`amodal-rt up`: a process whose whole life is one daemon."""

import asyncio
import gc
import resource
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from amodal_rt.daemon.greeting import greeting
from amodal_rt.daemon.house import House
from amodal_rt.daemon.sdnotify import Systemd
from amodal_rt.daemon.serving import Daemon, Plan
from amodal_rt.daemon.stopping import Stopping
from amodal_rt.daemon.watchdog import DEAD_SECONDS, Watchdog
from amodal_rt.logs import Format, Log, configure
from amodal_rt.settings import load_process_settings

STOPPED, FAILED = 0, 1
FILES = 8192
"""Open files that connections and streams may need; many systems allow 1,024 unless asked."""

_log = Log("daemon")


def run_up(root: Path, *, listen: str | None, say: Callable[[str], None]) -> int:
    """Serve `root` until a signal stops it or something breaks; returns the exit status.

    `say` prints one line for people. Raises the `AmodalError` that keeps it from starting.
    """
    plan = Plan(root=root.absolute(), settings=load_process_settings(), listen=listen)
    stopping = Stopping(bound=True)
    _allow_files()
    try:
        return asyncio.run(_serve(plan, stopping, say))
    finally:
        stopping.over()


def _allow_files() -> None:
    """Raise this process's bound on open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # A system that promises more than it gives is no reason not to start.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(plan: Plan, stopping: Stopping, say: Callable[[str], None]) -> int:
    manager = Systemd(plan.variables)
    daemon = Daemon(plan, stopping)
    masks: list[Callable[[str], str]] = []
    form: Format = "json" if plan.settings.log_format == "json" else "text"
    # Before the workspace is read no secret is known, and none has been used.
    configure(form, mask=lambda line: masks[0](line) if masks else line)
    with stopping.on_signals():
        async with AsyncExitStack() as stack:
            house = await stack.enter_async_context(daemon.serving())
            masks.append(house.redactor.mask)
            if manager.watchdog_seconds is not None:
                watch = daemon.services.running("watchdog", manager.watch(plan.clock))
                await stack.enter_async_context(watch)
            await _watch_loop(daemon, plan, stack)
            await _greet(daemon, house, plan, say)
            manager.ready(f"serving {plan.root}")
            # What start-up made lives as long as the process: no collection looks at it again.
            gc.freeze()
            # A burst of webhooks makes many short-lived objects and no cycles: at the usual
            # 700 a tenth of its time goes into looking for some.
            gc.set_threshold(10_000, 20, 20)
            gc.enable()
            fault = await _until_stopped(daemon, stopping)
            manager.stopping()
    _log.info("daemon.stopped", fault=fault)
    return FAILED if fault else STOPPED


async def _watch_loop(daemon: Daemon, plan: Plan, stack: AsyncExitStack) -> None:
    said = plan.settings.watchdog_seconds
    watchdog = Watchdog(plan.clock, dead=DEAD_SECONDS if said is None else said)
    await stack.enter_async_context(daemon.services.running("loop watch", watchdog.beat()))
    stack.enter_context(watchdog.watching())


async def _greet(daemon: Daemon, house: House, plan: Plan, say: Callable[[str], None]) -> None:
    workspace = house.ground.workspace
    lines = greeting(
        await house.automations.standings(),
        workspace.snapshot(),
        workspace.environment(),
        now=plan.clock.now(),
        local_only=house.address.local_only,
        settings_file=_shown(plan.root / "amodal.json"),
        integrations=house.integrations.documents(),
        dashboard=house.address.dashboard,
    )
    for line in lines:
        say(line)
    if daemon.url:
        _log.info("daemon.ready", url=daemon.url, workspace=plan.root)


async def _until_stopped(daemon: Daemon, stopping: Stopping) -> str | None:
    """What broke, or None when somebody asked."""
    asked = asyncio.create_task(stopping.asked.wait())
    await asyncio.wait({asked, daemon.services.fault}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not daemon.services.fault.done():
        return None
    fault = daemon.services.fault.result()
    stopping.ask(fault)
    return fault


def _shown(path: Path) -> str:
    """As a person would type it here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
