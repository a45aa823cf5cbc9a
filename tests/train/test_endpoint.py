"""Policies `openai:<model>` against an endpoint on loopback that misbehaves as a test asks it to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from fake_openai import FakeOpenAI, call, completion

from mledojo_env import Action, ActionName, MalformedAction, Observation
from mledojo_env.errors import ConfigError, GenerationError
from mledojo_env.observation import StepStatus
from mledojo_train.codec import FencedCodec, ToolCallCodec
from mledojo_train.config import EvalRun, parse_command_line
from mledojo_train.evaluate import evaluate
from mledojo_train.generation import Sampling
from mledojo_train.policy import EndpointOptions, load_policy
from mledojo_train.policy.base import Reply
from mledojo_train.policy.endpoint_options import Price, price_of
from mledojo_train.trajectory import read_trajectories

KEY = "sk-the-secret-of-a-test"
SEEN = Observation(StepStatus.OK, None, "hello")
RESET = "```reset\n```"
QUICK: dict[str, Any] = {"longest_wait_s": 0.01}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def policy(
    fake: FakeOpenAI, *, tools: bool = False, model: str = "m", max_tokens: int = 8192, **options: Any
) -> Any:
    made = EndpointOptions(base_url=fake.url, **{**QUICK, **options})
    codec = ToolCallCodec() if tools else FencedCodec()
    return load_policy(
        f"openai:{model}", codec, Sampling(max_new_tokens=50), max_tokens=max_tokens, endpoint=made
    )


def act(one: Any, turns: int = 1) -> list[Reply]:
    async def play() -> list[Reply]:
        actor = one.start(None, [{"role": "user", "content": "go"}], 0)
        try:
            return [await actor.act(SEEN) for _ in range(turns)]
        finally:
            await one.aclose()

    return asyncio.run(play())


def test_a_reply_is_read_and_sent_back_with_the_observation() -> None:
    with FakeOpenAI(completion(RESET)) as fake:
        replies = act(policy(fake), 2)
    assert replies[0].action == Action(ActionName.RESET)
    assert (replies[0].prompt_tokens, replies[0].completion_tokens, replies[0].cost) == (100, 20, None)
    first, second = fake.requests
    assert (first["max_tokens"], first["temperature"], "tools" in first) == (50, 0.8, False)
    assert [m["role"] for m in second["messages"]] == ["user", "assistant", "user"]
    assert second["messages"][2]["content"] == SEEN.to_text()
    assert fake.keys == [f"Bearer {KEY}"] * 2


@pytest.mark.parametrize("stream", [False, True])
def test_native_tool_calls(stream: bool) -> None:
    arguments = '{"code": "print(1)", "final": true}'
    answer: Any = completion(None, finish="tool_calls", tool_calls=[call("execute_code", arguments, "c7")])
    if stream:
        first = {"tool_calls": [call("execute_code", arguments[:9], "c7") | {"index": 0}]}
        answer = chunks([first, {"tool_calls": [{"index": 0, "function": {"arguments": arguments[9:]}}]}])
    with FakeOpenAI(answer) as fake:
        reply, _ = act(policy(fake, tools=True, stream=stream), 2)
    assert reply.action == Action(ActionName.EXECUTE_CODE, "print(1)", final=True)
    assert (
        reply.message["tool_calls"][0]["function"]["arguments"]["code"] == "print(1)"
    )  # as templates want it
    assert reply.prompt_tokens == 100
    sent = fake.requests[1]["messages"]
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == arguments  # as endpoints want it
    assert (sent[2]["role"], sent[2]["tool_call_id"]) == ("tool", "c7")
    assert {tool["function"]["name"] for tool in fake.requests[0]["tools"]} == set(ActionName)


def chunks(deltas: list[dict[str, Any]], finish: str | None = "stop") -> list[dict[str, Any]]:
    head = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    made = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    made.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return [*made, {**head, "choices": [], "usage": usage}]


def test_a_stream_is_put_together_and_one_that_breaks_off_is_asked_again() -> None:
    whole = chunks([{"reasoning_content": "let me "}, {"reasoning_content": "see"}, {"content": RESET[:4]},
                    {"content": RESET[4:]}])  # fmt: skip
    with FakeOpenAI(chunks([{"content": RESET[:4]}], finish=None), whole) as fake:
        reply = act(policy(fake, stream=True))[0]
    assert (reply.action, reply.reasoning) == (Action(ActionName.RESET), "let me see")
    assert len(fake.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        completion(RESET, reasoning_content="why"),
        completion(RESET, reasoning="why"),
        completion(f"<think>\nwhy\n</think>\n\n{RESET}"),
    ],
)
def test_reasoning_is_kept_apart_and_not_sent_back(answer: dict[str, Any]) -> None:
    with FakeOpenAI(answer) as fake:
        reply = act(policy(fake), 2)[0]
    assert (reply.reasoning, reply.message["content"]) == ("why", RESET)
    assert "why" not in str(fake.requests[1]["messages"])


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (completion(None, refusal="I will not."), "no fenced block"),
        (completion("", finish="content_filter"), "empty"),
        (completion("```execute_code\nprint(", finish="length"), "cut after 20 tokens"),
        (completion(None, tool_calls=[call("reset", "{}")]), "fenced block"),
    ],
)
def test_what_the_model_does_wrong_is_a_reply(answer: dict[str, Any], found: str) -> None:
    with FakeOpenAI(answer) as fake:
        replies = act(policy(fake), 2)
    assert isinstance(replies[0].action, MalformedAction)
    assert found in replies[0].action.problem
    assert len(fake.requests) == 2  # and the conversation goes on


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        ([call("reset", "{}"), call("reset", "{}", "c2")], "found 2 tool calls"),
        ([call("execute_code", "{not json")], "not a JSON object"),
        ([call("exec", "{}")], "unknown tool"),
    ],
)
def test_wrong_tool_calls_are_told_to_the_model(calls: list[Any], found: str) -> None:
    with FakeOpenAI(completion(None, tool_calls=calls)) as fake:
        replies = act(policy(fake, tools=True), 2)
    assert isinstance(replies[0].action, MalformedAction) and found in replies[0].action.problem
    answered = [m["tool_call_id"] for m in fake.requests[1]["messages"] if m["role"] == "tool"]
    assert answered == [one["id"] for one in calls]  # endpoints refuse a call without an answer


@pytest.mark.parametrize(
    "failure",
    [
        (500, "no", {}),
        (503, {"error": {"message": "busy"}}, {}),
        (429, {"error": {"message": "slow down"}}, {"retry-after": "0"}),
        (429, "", {"retry-after": format_datetime(datetime.now(UTC) + timedelta(hours=9))}),
        (200, '{"choices": [', {}),
        (200, "<html>a proxy</html>", {"content-type": "text/html"}),
        (200, {"choices": []}, {}),
        (200, chunks([{"content": "x"}]), {}),
    ],
)
def test_what_the_endpoint_does_wrong_is_tried_again(failure: Any) -> None:
    with FakeOpenAI(failure, failure, completion(RESET)) as fake:
        assert act(policy(fake))[0].action == Action(ActionName.RESET)
    assert len(fake.requests) == 3


def test_retry_after_is_kept_to() -> None:
    with FakeOpenAI((429, "", {"retry-after": "0.7"}), completion(RESET)) as fake:
        began = time.monotonic()
        act(policy(fake, longest_wait_s=5.0))
    assert time.monotonic() - began >= 0.7


def test_an_endpoint_that_hangs_is_given_up_on() -> None:
    with (
        FakeOpenAI(20.0) as fake,
        pytest.raises(GenerationError, match=r"failed 2 times.*no answer within 0\.2 s"),
    ):
        act(policy(fake, timeout_s=0.2, max_retries=1))


def test_one_that_keeps_failing_is_an_error_of_ours_without_the_key() -> None:
    said = (500, {"error": {"message": f"your key {KEY} broke us"}}, {})
    with (
        FakeOpenAI(said) as fake,
        pytest.raises(GenerationError, match=r"failed 3 times.*500.*\[key\]") as caught,
    ):
        act(policy(fake, max_retries=2))
    assert KEY not in str(caught.value) and fake.url.removesuffix("/v1") in str(caught.value)


@pytest.mark.parametrize(
    ("status", "found"),
    [(401, "OPENAI_API_KEY, which is set"), (403, "refused the key"), (404, "knows no model 'm'")],
)
def test_a_refused_key_or_model_ends_at_once(status: int, found: str) -> None:
    said = (status, {"error": {"message": f"bad {KEY}"}}, {})
    with FakeOpenAI(said) as fake:
        with pytest.raises(ConfigError, match=found.replace("'", ".")) as caught:
            act(policy(fake))
        assert len(fake.requests) == 1 and KEY not in str(caught.value)


def test_no_quota_ends_the_run_and_a_full_context_the_episode() -> None:
    quota = (429, {"error": {"message": "no money", "code": "insufficient_quota"}}, {})
    with FakeOpenAI(quota) as fake, pytest.raises(ConfigError, match="no quota left"):
        act(policy(fake))
    full = (400, {"error": {"message": "too long", "code": "context_length_exceeded"}}, {})
    with FakeOpenAI(full) as fake:
        assert act(policy(fake))[0].out_of_tokens


@pytest.mark.parametrize("options", [{"api_key_env": KEY}, {"base_url": f"https://u:{KEY}@x/v1"}])
def test_a_key_in_the_configuration_is_refused_and_not_shown(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_command_line(
            EvalRun, ["--output_dir", "x", *(w for k, v in options.items() for w in (f"--endpoint.{k}", v))]
        )
    assert KEY not in str(caught.value)


def test_an_endpoint_that_counts_no_tokens_is_kept_within_the_budget() -> None:
    answer = completion(RESET)
    del answer["usage"]
    with FakeOpenAI(answer) as fake:
        replies = act(policy(fake, budget_tokens=10), 4)
    assert (replies[0].completion_tokens, replies[0].cost) == (0, None)
    assert replies[-1].out_of_tokens


def test_fields_that_a_model_does_not_take_are_left_out() -> None:
    def answer(body: dict[str, Any]) -> Any:
        for name, problem in (
            ("max_tokens", "Use 'max_completion_tokens' instead."),
            ("temperature", "Unsupported."),
        ):
            if name in body:
                return (400, {"error": {"message": problem, "param": name}}, {})
        return completion(RESET)

    with FakeOpenAI(answer) as fake:
        act(policy(fake, extra={"reasoning_effort": "low"}), 2)
    assert len(fake.requests) == 4  # the second turn knows
    assert fake.requests[-1]["max_completion_tokens"] == 50
    assert fake.requests[-1]["reasoning_effort"] == "low"


def test_a_budget_of_tokens_ends_all_episodes_and_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeOpenAI(completion(RESET)) as fake:
        replies = act(policy(fake, budget_tokens=200), 4)
    assert [reply.out_of_tokens for reply in replies] == [False, False, True, True]
    assert capsys.readouterr().err.count("240 of 200 tokens") == 1


def test_a_budget_of_money_needs_a_price(tmp_path: Path) -> None:
    table = tmp_path / "prices.yaml"
    table.write_text("models: {m: {input: 1000, output: 5000, cached: 100}}")
    usage = completion(RESET)
    usage["usage"]["prompt_tokens_details"] = {"cached_tokens": 40}
    with FakeOpenAI(usage) as fake:
        with pytest.raises(ConfigError, match="no price of m is known"):
            policy(fake, budget_usd=1.0)
        replies = act(policy(fake, budget_usd=0.2, prices=str(table)), 3)
    assert replies[0].cost == pytest.approx((60 * 1000 + 40 * 100 + 20 * 5000) / 1e6)
    assert [reply.out_of_tokens for reply in replies] == [False, False, True]


def test_prices_are_known_or_said_to_be_unknown(tmp_path: Path) -> None:
    assert price_of("gpt-4o-mini", None) == Price(0.15, 0.6, 0.075)
    assert price_of("a-model-of-tomorrow", None) is None
    wrong = {
        "models: {m: {inputt: 1}}": "expected input",
        "models: {m: {input: -1, output: 1}}": "or more",
        "models: [": "Cannot read",
    }
    for text, found in wrong.items():
        (tmp_path / "p.yaml").write_text(text)
        with pytest.raises(ConfigError, match=found):
            price_of("m", str(tmp_path / "p.yaml"))


def test_an_episode_ends_with_its_own_tokens() -> None:
    with FakeOpenAI(completion(RESET, usage=(60, 40))) as fake:
        replies = act(policy(fake, max_tokens=120), 2)
    assert fake.requests[1]["max_tokens"] == 20
    assert not replies[1].out_of_tokens
    with FakeOpenAI(completion(RESET, usage=(60, 40))) as fake:
        assert [reply.out_of_tokens for reply in act(policy(fake, max_tokens=100), 2)] == [False, True]


def test_no_more_requests_at_a_time_than_allowed() -> None:
    async def play(one: Any) -> None:
        await asyncio.gather(*(one.start(None, [], 0).act(SEEN) for _ in range(8)))
        await one.aclose()

    with FakeOpenAI(completion(RESET), pause_s=0.05) as fake:
        asyncio.run(play(policy(fake, max_concurrent=3)))
    assert 1 < fake.most_busy <= 3


def run(folder: Path, fake: FakeOpenAI, *more: str) -> EvalRun:
    words = ["--output_dir", str(folder), "--tasks", "[offline/scorecard-earnings]", "--episodes", "2"]
    words += ["--policies.model", "openai:m", "--episode.max_steps", "2", "--endpoint.base_url", fake.url]
    return parse_command_line(EvalRun, [*words, "--endpoint.longest_wait_s", "0.01", *more])


def test_an_evaluation_keeps_tokens_and_reasoning_and_no_key(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    leak = "```execute_code\nimport os\nprint(dict(os.environ))\n```"
    with FakeOpenAI(completion(leak, reasoning_content="hm")) as fake:
        results = evaluate(run(tmp_path, fake))
    assert [row["broken"] for row in results.rows] == [False, False]
    assert results.rows[0]["policy_tokens"] == 40 and results.rows[0]["cost"] is None
    episodes = list(read_trajectories(tmp_path / "trajectories.jsonl"))
    assert episodes[0].steps[0].reasoning == "hm"
    assert episodes[0].steps[0].observation["feedback"]
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY not in path.read_text()
    assert KEY not in "".join(capfd.readouterr())


def test_an_episode_that_the_endpoint_broke_is_ours_and_is_played_again(tmp_path: Path) -> None:
    bodies: list[Callable[[Any], Any]] = []

    def once(body: dict[str, Any]) -> Any:
        bodies.append(body)  # type: ignore[arg-type]
        return (500, "down", {}) if len(bodies) == 1 else completion(RESET)

    more = ("--endpoint.max_retries", "0", "--endpoint.max_concurrent", "1")
    with FakeOpenAI(once) as fake:
        assert sorted(row["broken"] for row in evaluate(run(tmp_path, fake, *more)).rows) == [False, True]
        assert [row["broken"] for row in evaluate(run(tmp_path, fake, *more)).rows] == [False, False]
