"""vLLM servers that fail in every way cost retries, not runs; the real one is in test_vllm.py."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fake_vllm import FakeVLLM, fakes

from mledojo_env.errors import ConfigError, GenerationError
from mledojo_train.codec import FencedCodec
from mledojo_train.generation import Sampling, StopRule
from mledojo_train.generation.vllm import VLLMGenerator, VLLMOptions, save_adapter

BASE = "base/model"


def generator(
    servers: list[FakeVLLM],
    tokenizer: Any = None,
    *,
    timeout_s: float = 1.0,
    patience_s: float = 10.0,
    **given: Any,
) -> VLLMGenerator:
    options = VLLMOptions(tuple(server.url for server in servers), timeout_s, patience_s)
    sampling = given.pop("sampling", Sampling(temperature=1.0))
    return VLLMGenerator(options, given.pop("model", BASE), tokenizer, sampling, **given)


async def test_requests_are_spread_and_carry_ids_and_sampling() -> None:
    async with fakes(2) as servers:
        made = generator(servers, sampling=Sampling(temperature=0.7, top_p=0.9, top_k=20))
        found = await asyncio.gather(*(made.generate([1, 2, place], 50) for place in range(8)))
        assert all((c.token_ids, c.logprobs, c.version) == ([7, 8], [-0.5, -0.5], 0) for c in found)
        assert [len(server.completions) for server in servers] == [4, 4]
        body = servers[0].completions[0]
        assert (body["temperature"], body["top_p"], body["top_k"]) == (0.7, 0.9, 20)
        assert body["prompt"][:2] == [1, 2] and body["return_token_ids"] is True and body["max_tokens"] == 50
        assert made.generated_tokens == 16 and made.busy_s > 0
        await made.aclose()


@pytest.mark.parametrize("fault", [500, 503, 429, "close", "hang"])
async def test_a_fault_costs_a_retry_on_another_server(fault: int | str) -> None:
    async with fakes(2) as servers:
        servers[0].faults.append(fault)
        made = generator(servers)
        found = await asyncio.gather(*(made.generate([1], 5) for _ in range(4)))
        assert [c.token_ids for c in found] == [[7, 8]] * 4
        assert made.servers.retries == 1
        await made.aclose()


async def test_a_server_that_dies_and_comes_back_gets_the_adapter_before_it_is_used(tmp_path: Path) -> None:
    async with fakes(2) as servers:
        made = generator(servers)
        await made.check(lora=True)
        await made.update(tmp_path, 3)
        await servers[0].stop()
        found = await asyncio.gather(*(made.generate([1], 5) for _ in range(6)))
        assert {c.version for c in found} == {3}
        await servers[0].start()
        assert servers[0].adapters == {}
        before = len(servers[0].completions)
        deadline = asyncio.get_running_loop().time() + 10
        while len(servers[0].completions) == before and asyncio.get_running_loop().time() < deadline:
            await asyncio.gather(*(made.generate([1], 5) for _ in range(6)))
            await asyncio.sleep(0.1)
        assert servers[0].adapters == {"mledojo-3": str(tmp_path)}
        await made.aclose()


async def test_a_server_that_restarted_unseen_is_found_out(tmp_path: Path) -> None:
    """It answers, but knows no adapter: that is a reason to load it, not to fail."""
    async with fakes(1) as servers:
        made = generator(servers)
        await made.update(tmp_path, 1)
        servers[0].adapters.clear()
        assert (await made.generate([1], 5)).token_ids == [7, 8]
        assert set(servers[0].adapters) == {"mledojo-1"}
        await made.aclose()


async def test_each_version_is_served_under_a_name_of_its_own(tmp_path: Path) -> None:
    async with fakes(2) as servers:
        made = generator(servers)
        for version in (0, 4):
            await made.update(tmp_path / str(version), version)
            assert (await made.generate([1], 5)).version == version
        for server in servers:
            assert server.adapters == {"mledojo-4": str(tmp_path / "4")}
        await made.aclose()


async def test_only_the_leading_process_loads_adapters(tmp_path: Path) -> None:
    async with fakes(1) as servers:
        follower, leader = generator(servers, leads=False), generator(servers)
        await follower.update(tmp_path, 1)
        assert servers[0].adapters == {}
        waiting = asyncio.create_task(follower.generate([1], 5))
        await asyncio.sleep(0.2)
        await leader.update(tmp_path, 1)
        assert (await waiting).version == 1
        await follower.aclose()
        await leader.aclose()


async def test_all_servers_gone_is_said_after_the_patience() -> None:
    async with fakes(2) as servers:
        made = generator(servers, patience_s=1.0)
        for server in servers:
            await server.stop()
        with pytest.raises(
            GenerationError, match=r"No server has answered for 1 s.*Connect.*Start them again"
        ):
            await made.generate([1], 5)
        await made.aclose()


async def test_a_request_that_is_wrong_is_not_tried_again() -> None:
    async with fakes(2) as servers:
        servers[0].faults.append(400)
        made = generator(servers)
        with pytest.raises(GenerationError, match="400: fault as ordered"):
            await made.generate([1], 5)
        assert sum(len(server.completions) for server in servers) == 1
        await made.aclose()


async def test_another_base_model_is_refused_with_both_names() -> None:
    async with fakes(1, root="other/model") as servers:
        made = generator(servers)
        with pytest.raises(ConfigError, match=r"serves 'other/model'.*'base/model'"):
            await made.check(lora=False)
        await made.aclose()


async def test_a_local_model_is_the_same_by_any_path(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    async with fakes(1, root=str(tmp_path / "model")) as servers:
        made = generator(servers, model=str(tmp_path / "x" / ".." / "model"))
        (tmp_path / "x").mkdir()
        await made.check(lora=True)
        await made.aclose()


async def test_a_server_that_takes_no_adapters_is_refused() -> None:
    async with fakes(1) as servers:
        servers[0].takes_adapters = False
        made = generator(servers)
        with pytest.raises(ConfigError, match=r"--enable-lora.*VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"):
            await made.check(lora=True)
        await made.aclose()


async def test_raw_logprobs_are_refused_where_they_would_be_wrong() -> None:
    async with fakes(1) as servers:
        servers[0].raw_logprobs = True
        plain = generator(servers)
        await plain.check(lora=False)  # at temperature 1 they are the same
        warm = generator(servers, sampling=Sampling(temperature=0.8))
        with pytest.raises(ConfigError, match="--logprobs-mode processed_logprobs"):
            await warm.check(lora=False)
        servers[0].raw_logprobs = False
        await warm.check(lora=False)
        await plain.aclose()
        await warm.aclose()


async def test_a_server_that_is_not_there_is_named() -> None:
    async with fakes(1) as servers:
        await servers[0].stop()
        made = generator(servers)
        with pytest.raises(GenerationError, match=f"{servers[0].url} does not answer"):
            await made.check(lora=False)
        await made.aclose()


async def test_what_stopped_inside_an_action_goes_on_from_there(nano: tuple[Any, Any]) -> None:
    tokenizer, codec = nano[1], FencedCodec()
    first, second = (
        tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in ("```python\nx\n```\n", "```reset\n```\n")
    )
    async with fakes(1) as servers:
        servers[0].says.extend({"ids": ids, "stop_reason": "```\n"} for ids in (first, second))
        made = generator(servers, tokenizer)
        found = await made.generate([1], 100, StopRule(codec.endings, codec.is_over))
        assert found.token_ids == first + second and len(found.logprobs) == len(found.token_ids)
        bodies = servers[0].completions
        assert bodies[1]["prompt"] == [1, *first] and bodies[1]["max_tokens"] == 100 - len(first)
        assert bodies[0]["stop"] == ["```\n"] and bodies[0]["include_stop_str_in_output"] is True
        await made.aclose()


async def test_an_answer_without_token_ids_is_said() -> None:
    async with fakes(1) as servers:
        servers[0].is_mute = True
        made = generator(servers)
        with pytest.raises(GenerationError, match="lacks token ids or log-probs"):
            await made.generate([1], 5)
        await made.aclose()


async def test_cancelling_a_request_leaves_the_others() -> None:
    async with fakes(1) as servers:
        servers[0].faults.append("hang")
        made = generator(servers, timeout_s=30)
        hanging = asyncio.create_task(made.generate([1], 5))
        await asyncio.sleep(0.2)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert (await made.generate([1], 5)).token_ids == [7, 8]
        await made.aclose()


def test_adapters_appear_whole_and_two_are_kept(tmp_path: Path) -> None:
    class Model:
        def save_pretrained(self, folder: Path) -> None:
            folder.mkdir(parents=True)
            (folder / "adapter_config.json").write_text("{}")

    for version in (0, 1, 2, 10, 2):
        assert save_adapter(Model(), tmp_path, version) == tmp_path / str(version)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "2"]


@pytest.mark.parametrize("options", [{"urls": ()}, {"timeout_s": 0}, {"patience_s": -1}])
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected at least one url"):
        VLLMOptions(**options)
