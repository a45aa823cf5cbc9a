"""Places, memory and turns, with executions that only wait."""

import asyncio
from collections.abc import Awaitable, Callable

import psutil
import pytest

from mledojo_train.gate import ExecutionGate, GateSettings

GateTest = Callable[[ExecutionGate], Awaitable[None]]


def gate(always: int = 2, ceiling: int | None = None, memory_mb: float = 10_000) -> ExecutionGate:
    return ExecutionGate(GateSettings(always, ceiling or always, memory_mb))


async def hold(
    gate: ExecutionGate, group: str, log: list[str], seconds: float = 0.01, limit_mb: float = 100
) -> None:
    async with gate.place(group, group, limit_mb):
        log.append(group)
        await asyncio.sleep(seconds)


async def test_no_more_run_at_a_time_than_there_are_places() -> None:
    made, log = gate(3), list[str]()
    await asyncio.gather(*(hold(made, "a", log) for _ in range(10)))
    assert (made.most_running, len(log), len(made.waits)) == (3, 10, 10)


async def test_groups_take_turns_however_many_each_has_waiting() -> None:
    made, log = gate(1), list[str]()
    many = [asyncio.create_task(hold(made, "many", log)) for _ in range(6)]
    await asyncio.sleep(0)
    few = [asyncio.create_task(hold(made, name, log)) for name in ("x", "y", "x")]
    await asyncio.gather(*many, *few)
    assert log == ["many", "many", "x", "y", "many", "x", "many", "many", "many"]


async def test_the_group_with_the_least_running_goes_first() -> None:
    made, log = gate(3), list[str]()
    long = [asyncio.create_task(hold(made, "long", log, 0.2)) for _ in range(5)]
    await asyncio.sleep(0)
    short = [asyncio.create_task(hold(made, "short", log, 0.2)) for _ in range(2)]
    await asyncio.gather(*long, *short)
    assert log[:4] == ["long", "long", "long", "short"]


async def test_memory_is_promised_before_it_is_used() -> None:
    made, log = gate(8, memory_mb=1000), list[str]()
    await asyncio.gather(*(hold(made, "a", log, limit_mb=400) for _ in range(4)))
    assert made.most_running == 2


async def test_one_that_needs_more_than_there_is_runs_alone() -> None:
    made, log = gate(8, memory_mb=1000), list[str]()
    await asyncio.gather(*(hold(made, "a", log, limit_mb=4000) for _ in range(3)))
    assert (made.most_running, log) == (1, ["a"] * 3)


async def test_what_executions_of_a_task_have_used_makes_room_for_more() -> None:
    made, log = gate(8, memory_mb=1000), list[str]()
    made.used("a", 100)
    await asyncio.gather(*(hold(made, "a", log, limit_mb=1000) for _ in range(4)))
    assert made.most_running == 3  # of 256 MB each, the least that is promised


async def test_a_cancelled_wait_leaves_the_queue_and_a_cancelled_execution_its_place() -> None:
    made, log = gate(1), list[str]()
    running = asyncio.create_task(hold(made, "a", log, 60))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(hold(made, "b", log))
    await asyncio.sleep(0)
    for task in (waiting, running):
        task.cancel()
    await asyncio.gather(waiting, running, return_exceptions=True)
    await asyncio.wait_for(hold(made, "c", log), 1)
    assert log == ["a", "c"]


async def test_a_wait_that_is_cancelled_as_its_turn_comes_gives_the_turn_on() -> None:
    made, log = gate(1), list[str]()
    first = asyncio.create_task(hold(made, "a", log, 0.01))
    await asyncio.sleep(0)
    second = asyncio.create_task(hold(made, "b", log))
    await first  # admits the second, which has not woken yet
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await asyncio.wait_for(hold(made, "c", log), 1)


class _Cores:
    """Stands in for the machine's clock: so many cores idle."""

    def __init__(self, idle: float) -> None:
        self.idle_cores, self.idle, self.iowait = idle, 0.0, 0.0

    def __call__(self) -> "_Cores":
        made = _Cores(self.idle_cores)
        made.idle = self.idle_cores * asyncio.get_running_loop().time()
        return made


@pytest.mark.parametrize(("idle", "most"), [(0.0, 2), (1.8, 6)])
async def test_beyond_one_a_core_only_idle_cores_let_more_in(
    monkeypatch: pytest.MonkeyPatch, idle: float, most: int
) -> None:
    monkeypatch.setattr(psutil, "cpu_times", _Cores(idle))
    made, log = gate(2, ceiling=6), list[str]()
    await asyncio.gather(*(hold(made, "a", log, 0.9) for _ in range(6)))
    assert made.most_running == most


def test_the_machine_is_shared_between_processes_and_a_number_is_taken_at_its_word() -> None:
    alone, shared = GateSettings.for_machine(), GateSettings.for_machine(processes=2)
    assert shared.always <= alone.always and shared.memory_mb < alone.memory_mb
    assert alone.ceiling > alone.always
    assert (GateSettings.for_machine(5).always, GateSettings.for_machine(5).ceiling) == (5, 5)


async def test_what_has_been_learnt_counts_for_those_that_wait_already() -> None:
    made, log = gate(8, memory_mb=1000), list[str]()

    async def small() -> None:
        async with made.place("a", "a", 1000):
            await asyncio.sleep(0.01)
            made.used("a", 50)

    await asyncio.gather(small(), *(hold(made, "a", log, limit_mb=1000) for _ in range(6)))
    assert made.most_running == 3
