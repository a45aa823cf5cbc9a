import pytest
from hypothesis import given
from hypothesis import strategies as st

from mledojo_env.actions import Action, ActionName, MalformedAction
from mledojo_env.errors import ConfigError
from mledojo_train.codec import MAX_REPLY_CHARS, FencedCodec, ToolCallCodec, make_codec

FENCED, TOOLS = FencedCodec(), ToolCallCodec()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("```request_info\noverview\n```", Action(ActionName.REQUEST_INFO, "overview")),
        ("I will look.\n```execute_code\nprint(1)\n```\nDone.", Action(ActionName.EXECUTE_CODE, "print(1)")),
        ("```execute_code final\nx\n```", Action(ActionName.EXECUTE_CODE, "x", final=True)),
        ("```reset\n```", Action(ActionName.RESET)),
        ("```get_history\n3\n```", Action(ActionName.GET_HISTORY, "3")),
        ("```python\nexample\n```\n```validate_code\nx = 1\n```", Action(ActionName.VALIDATE_CODE, "x = 1")),
        ("````execute_code\ns = '''\n```\n'''\n````", Action(ActionName.EXECUTE_CODE, "s = '''\n```\n'''")),
        (
            "<think>\n```reset\n```\n</think>\n```request_info\ndata\n```",
            Action(ActionName.REQUEST_INFO, "data"),
        ),
    ],
)
def test_fenced_replies_that_hold_one_action(reply: str, expected: Action) -> None:
    assert FENCED.parse(reply) == expected


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("I think we should use a forest.", "no fenced block"),
        ("```execute_code\nprint(1)", "not closed"),
        ("```execute_code\n\n```", "no code"),
        ("```exekute_code\nx\n```", "Did you mean 'execute_code'"),
        ("```python\nx\n```", "named 'python'"),
        ("```reset\n```\n" * 10, "10 actions"),
        ("```get_history\nall of it\n```", "takes a number"),
        ("x" * (MAX_REPLY_CHARS + 1), "at most"),
    ],
)
def test_fenced_replies_without_one_action_say_what_is_wrong(reply: str, problem: str) -> None:
    parsed = FENCED.parse(reply)
    assert isinstance(parsed, MalformedAction)
    assert problem in parsed.problem


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1))
def test_fenced_code_survives_the_round_trip(code: str) -> None:
    action = Action(ActionName.EXECUTE_CODE, code)
    if not code.strip() or "<think>" in code:
        return
    parsed = FENCED.parse(FENCED.assistant(action)["content"])
    assert isinstance(parsed, Action)
    assert parsed.argument.rstrip("\n") == code.rstrip("\n")


@given(st.text())
def test_no_reply_crashes_a_codec(reply: str) -> None:
    for codec in (FENCED, TOOLS):
        assert isinstance(codec.parse(reply), Action | MalformedAction)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            '<tool_call>{"name": "execute_code", "arguments": {"code": "a\\nb", "final": true}}</tool_call>',
            Action(ActionName.EXECUTE_CODE, "a\nb", final=True),
        ),
        (
            'Hm.<tool_call>{"name": "request_info", "arguments": "{\\"topic\\": \\"data\\"}"}</tool_call>',
            Action(ActionName.REQUEST_INFO, "data"),
        ),
        (
            '<tool_call>{"name": "get_history", "arguments": {"last": 2}}</tool_call>',
            Action(ActionName.GET_HISTORY, "2"),
        ),
    ],
)
def test_tool_calls(reply: str, expected: Action) -> None:
    assert TOOLS.parse(reply) == expected


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("no call", "no tool call"),
        ("<tool_call>{}</tool_call><tool_call>{}</tool_call>", "2 tool calls"),
        ("<tool_call>{'name': 1}</tool_call>", "not valid JSON"),
        (f"<tool_call>{'1' * 5000}</tool_call>", "not valid JSON"),
        ("<tool_call>[1]</tool_call>", "object"),
        ('<tool_call>{"name": "run", "arguments": {}}</tool_call>', "unknown tool 'run'"),
        (
            '<tool_call>{"name": "execute_code", "arguments": {"script": "x"}}</tool_call>',
            "unknown argument 'script'",
        ),
        ('<tool_call>{"name": "execute_code", "arguments": [1]}</tool_call>', "not a JSON object"),
        ('<tool_call>{"name": "execute_code", "arguments": {}}</tool_call>', "no code"),
    ],
)
def test_bad_tool_calls_say_what_is_wrong(reply: str, problem: str) -> None:
    parsed = TOOLS.parse(reply)
    assert isinstance(parsed, MalformedAction)
    assert problem in parsed.problem


def test_a_structured_tool_call_reads_back() -> None:
    for action in (
        Action(ActionName.EXECUTE_CODE, "print('`' * 3)", final=True),
        Action(ActionName.GET_HISTORY, "4"),
        Action(ActionName.RESET),
    ):
        call = TOOLS.assistant(action)["tool_calls"][0]["function"]
        assert TOOLS.from_call(call) == action


def test_unknown_format_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'fenced'"):
        make_codec("fence")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("```execute_code\nx = 1\n```\n", True),
        ("```execute_code\nx = 1\n```", False),  # a longer fence may be in the making
        ("```python\nx = 1\n```\n", False),  # an example, not an action
        ("````execute_code\n```\nx\n```\n", False),
        ("````execute_code\n```\nx\n```\n````\n", True),
        ("<think>\n```reset\n```\n", False),  # still thinking
        ("<think>\n```reset\n```\n</think>\n```reset\n```\n", True),
        ("", False),
        ("x" * (MAX_REPLY_CHARS + 1), True),
    ],
)
def test_a_fenced_reply_is_over_once_an_action_is_closed(reply: str, expected: bool) -> None:
    assert FENCED.is_over(reply) is expected


def test_a_tool_reply_is_over_once_a_call_is_closed() -> None:
    assert TOOLS.is_over('Hm.<tool_call>{"name": "reset"}</tool_call>')
    assert not TOOLS.is_over('<tool_call>{"name": "reset"}')
    assert not TOOLS.is_over('<think><tool_call>{"name": "reset"}</tool_call>')


@given(st.text(), st.sampled_from(["fenced", "tools"]))
def test_over_takes_one_of_the_endings_and_never_crashes(reply: str, name: str) -> None:
    codec = FENCED if name == "fenced" else TOOLS
    if codec.is_over(reply):
        assert any(ending in reply for ending in codec.endings) or len(reply) > MAX_REPLY_CHARS
