"""The store: bounded, shared, never in the way; and episodes that are the same with and without it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mledojo_env import Action, ActionName, MLEDojoEnv
from mledojo_env.errors import ConfigError
from mledojo_env.execution_cache import ExecutionCache, key_of
from mledojo_env.sandbox.local import LocalSandbox

TASK = "offline/concrete-strength"
SUBMIT = """
import pandas as pd
sample = pd.read_csv('/data/sample_submission.csv')
sample.iloc[:, 1] = {value}
sample.to_csv('submission.csv', index=False)
print({value})
"""


def put(cache: ExecutionCache, key: str, value: bytes) -> None:
    asyncio.run(cache.keep(key, value))


def get(cache: ExecutionCache, key: str) -> bytes | None:
    return asyncio.run(cache.find(key))


def test_what_was_used_longest_ago_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = [1000.0]
    monkeypatch.setattr("mledojo_env.execution_cache.time.time", lambda: clock[0])
    cache = ExecutionCache(tmp_path, max_mb=1)
    for number in range(9):
        clock[0] += 100
        put(cache, f"k{number}", bytes(110_000))
    assert get(cache, "k0") == bytes(110_000)
    clock[0] += 100
    put(cache, "k9", bytes(110_000))
    assert get(cache, "k0") is not None, "it was used a moment ago"
    assert get(cache, "k1") is None and get(cache, "k9") is not None
    cache.close()


def test_a_value_beyond_the_bound_is_not_kept(tmp_path: Path):
    cache = ExecutionCache(tmp_path, max_mb=1)
    put(cache, "large", bytes(2_000_000))
    assert get(cache, "large") is None
    cache.close()


def test_it_is_nobody_elses_to_read(tmp_path: Path):
    cache = ExecutionCache(tmp_path / "made")
    put(cache, "k", b"v")
    for path in (tmp_path / "made").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    cache.close()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "v1.sqlite").write_bytes(content)
    with pytest.raises(ConfigError, match=r"v1\.sqlite.*Remove the file"):
        ExecutionCache(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file"):
        ExecutionCache(tmp_path / "file" / "below")


def test_a_store_that_fails_later_costs_a_miss(tmp_path: Path):
    cache = ExecutionCache(tmp_path)
    put(cache, "k", b"v")
    cache.close()
    assert get(cache, "k") is None
    put(cache, "k", b"v")
    assert cache.stats.failures == 2


def test_processes_share_it(tmp_path: Path):
    code = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from mledojo_env.execution_cache import ExecutionCache\n"
        "cache = ExecutionCache(Path(sys.argv[1]), max_mb=1)\n"
        "for n in range(150):\n"
        "    asyncio.run(cache.keep(f'{sys.argv[2]}-{n}', bytes(20_000)))\n"
        "assert asyncio.run(cache.find(f'{sys.argv[2]}-149')) == bytes(20_000)\n"
        "assert cache.stats.failures == 0, cache.stats\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], env={**os.environ})
        for name in ("a", "b", "c")
    ]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 8_000_000


def test_any_difference_gives_another_key():
    assert key_of(a=1, b="x") == key_of(b="x", a=1)
    assert len({key_of(a=1), key_of(a="1"), key_of(b=1), key_of(a=1, b=None), key_of(a="\ud800")}) == 5


@pytest.fixture(scope="module")
def sandbox():
    with LocalSandbox() as made:
        yield made


async def play(sandbox: LocalSandbox, cache: ExecutionCache | None) -> list[tuple]:
    codes = [
        SUBMIT.format(value=30),
        "open('note.txt', 'w').write('kept')",
        "print(open('note.txt').read())\n1 / 0",
        "open('submission.csv', 'w').write('id,nonsense\\n1,2\\n')",
        SUBMIT.format(value=35) + "print(open('note.txt').read())",
    ]
    env = MLEDojoEnv(TASK, sandbox=sandbox, cache=cache, max_steps=8)
    seen = []
    await env.areset(seed=3)
    for action in (
        *(Action(ActionName.EXECUTE_CODE, code) for code in codes),
        Action(ActionName.VALIDATE_CODE, codes[0]),
        Action(ActionName.GET_HISTORY, "3"),
    ):
        observation, reward, terminated, truncated, info = await env.astep(action)
        told = observation.to_dict()
        del told["seconds_left"]
        seen.append((told, reward, terminated, truncated, info["private"]))
    seen.append(tuple((k, v) for k, v in env.episode_result().items() if "seconds" not in k))
    await env.aclose()
    return seen


async def test_episodes_are_the_same_with_and_without_it(sandbox: LocalSandbox, tmp_path: Path):
    cache = ExecutionCache(tmp_path)
    plain = await play(sandbox, None)
    first = await play(sandbox, cache)
    assert cache.stats.hits == 0
    second = await play(sandbox, cache)
    assert cache.stats.hits == 6 and cache.stats.grade_hits >= 3
    assert plain == first == second
    cache.close()
