"""What forking a warm interpreter could break: threads, locks, chance, and torch where it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from mledojo_env.sandbox import Limits, LocalSandbox
from mledojo_env.sandbox.packages import DEFAULT_PACKAGES
from mledojo_env.sandbox.preload import DEFAULT_MODULES

pytestmark = pytest.mark.usefixtures("isolation")

TORCH = """
import sys
assert "torch" in sys.modules and "sklearn.ensemble" in sys.modules
import torch
torch.set_num_threads(2)
data = torch.utils.data.TensorDataset(torch.randn(256, 8), torch.randn(256, 1))
model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters())
for x, y in torch.utils.data.DataLoader(data, batch_size=64, num_workers=2):
    optimizer.zero_grad(); torch.nn.functional.mse_loss(model(x), y).backward(); optimizer.step()
print(torch.get_num_threads())
"""


@pytest.fixture(scope="module")
def with_torch() -> Iterator[LocalSandbox]:
    if find_spec("torch") is None:
        pytest.skip("torch is not installed")
    with LocalSandbox((*DEFAULT_PACKAGES, "torch"), (*DEFAULT_MODULES, "torch")) as sandbox:
        yield sandbox


async def run(sandbox: LocalSandbox, task: Any, code: str, *, seed: int = 0, **limits: Any) -> str:
    session = await sandbox.session()
    result = await session.run(code, task.public, Limits(**{"timeout_s": 60.0, **limits}), seed=seed)
    await session.close()
    assert result.ok, result
    return result.stdout


@pytest.mark.slow
async def test_torch_preloaded_on_request_trains_with_threads_and_workers(with_torch: LocalSandbox, task):
    outputs = [run(with_torch, task, TORCH, threads=2, memory_mb=4096) for _ in range(2)]
    assert await asyncio.gather(*outputs) == ["2\n", "2\n"]


@pytest.mark.slow
async def test_torch_and_openmp_in_one_script(with_torch: LocalSandbox, task):
    code = """
from sklearn.ensemble import HistGradientBoostingClassifier
import numpy as np, torch
X = np.random.rand(2000, 5)
HistGradientBoostingClassifier(max_iter=5).fit(X, X[:, 0] > 0.5)
print((torch.ones(500, 500) @ torch.ones(500, 500)).sum().item())
"""
    assert await run(with_torch, task, code, threads=2, memory_mb=4096) == "125000000.0\n"


async def test_without_the_request_torch_is_neither_loaded_nor_there(task):
    with LocalSandbox(preload=["numpy"]) as sandbox:
        code = "import importlib.util, sys; print('torch' in sys.modules, importlib.util.find_spec('torch'))"
        assert await run(sandbox, task, code) == "False None\n"


@pytest.mark.slow
async def test_the_seed_is_that_of_the_run_for_torch_too(with_torch: LocalSandbox, task):
    code = "import random, numpy, torch; print(random.random(), numpy.random.rand(), torch.rand(1).item())"
    first, again, other = [await run(with_torch, task, code, seed=seed, memory_mb=4096) for seed in (1, 1, 2)]
    assert first == again
    assert all(a != b for a, b in zip(first.split(), other.split(), strict=True))


async def test_what_is_not_installed_is_left_out(task):
    with LocalSandbox(preload=["this_is_not_there"], packages=("numpy",)) as sandbox:
        assert await run(sandbox, task, "import numpy; print(1)") == "1\n"
