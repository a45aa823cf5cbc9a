"""Episodes as the page shows them: packed one by one, so that a browser unpacks what is looked at."""

from __future__ import annotations

import base64
import functools
import json
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mledojo_train.report.sources import Source
from mledojo_train.results import Row
from mledojo_train.trajectory import Step, Trajectory, read_trajectories

_CODE = ("validate_code", "execute_code")
_SHOWN = (
    "status", "error_class", "error_message", "traceback", "feedback", "score", "rank", "best_score",
    "best_rank", "steps_left", "files",
)  # fmt: skip


def packed_episodes(source: Source) -> list[tuple[Row, str]]:
    """Return the rows whose trajectory is kept, each with it: JSON, deflated, base64.

    Of an episode that broke and was played again the last record counts, as it does in the results.
    """
    found: list[tuple[Row, str]] = []
    for run, folder in source.folders.items():
        rows = {row["id"]: row for row in source.rows if row["run"] == run and "id" in row}
        path = folder / "trajectories.jsonl"
        if not path.is_file():
            source.notes.append(f"{run}: no trajectories.jsonl, so its episodes cannot be looked at")
            continue
        texts: dict[str, str] = {}
        for trajectory in read_trajectories(path):
            row = rows.get(trajectory.id)
            if row and row["broken"] == trajectory.broken:
                texts[trajectory.id] = _pack(_view(trajectory))
        found += [(rows[name], text) for name, text in texts.items()]
    return found


def _pack(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 6)).decode()


def _view(trajectory: Trajectory) -> dict[str, Any]:
    opening = len(trajectory.messages)
    for place, message in enumerate(trajectory.messages):
        if message.get("role") == "assistant":
            opening = place
            break
    return {
        "opening": [[str(m.get("role")), str(m.get("content"))] for m in trajectory.messages[:opening]],
        "steps": [_step(step) for step in trajectory.steps],
        "reward": trajectory.reward,
        "stop": trajectory.stop_reason,
        "error": trajectory.error,
        "result": trajectory.result,
        "wall": round(trajectory.wall_s, 3),
        "tokens": _tokens(trajectory),
    }


def _step(step: Step) -> dict[str, Any]:
    observation = {
        key: step.observation.get(key) for key in _SHOWN if step.observation.get(key) not in (None, "")
    }
    return {
        "action": step.action or "malformed",
        "reply": step.reply,
        "reasoning": step.reasoning,
        "argument": _highlighted(step.argument) if step.action in _CODE else [["", step.argument]],
        "observation": observation,
        "reward": step.reward,
        "so_far": step.rank,
        "seconds": [round(value, 3) for value in (step.generate_s, step.execute_s, step.run_s)],
        "tokens": [step.prompt_tokens, step.completion_tokens],
        "cost": step.cost,
        "version": step.policy_version,
    }


@functools.lru_cache(maxsize=4096)  # scripted agents write the same script again and again
def _highlighted(code: str) -> list[list[str]]:
    """Return code as pairs of a class (k, s, c, n, f or none) and a text."""
    from pygments.lexers import PythonLexer
    from pygments.token import Comment, Keyword, Name, Number, Operator, String

    if len(code) > 50_000:
        return [["", code]]
    kinds = (
        (Keyword, "k"), (Operator.Word, "k"), (String, "s"), (Comment, "c"), (Number, "n"),
        (Name.Builtin, "f"), (Name.Function, "f"),
    )  # fmt: skip
    parts: list[list[str]] = []
    for kind, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(code):
        name = next((name for parent, name in kinds if kind in parent), "")
        if parts and parts[-1][0] == name:
            parts[-1][1] += text
        else:
            parts.append([name, text])
    return parts


def _tokens(trajectory: Trajectory) -> dict[str, Any] | None:
    """Return the sampled conversation token by token; ids where its tokenizer is not here."""
    if not trajectory.completion_ids:
        return None
    decode = _decoder(trajectory.policy)
    return {
        "text": [decode(token) for token in trajectory.completion_ids],
        "mask": "".join(str(int(bool(value))) for value in trajectory.mask),
        "logprobs": [round(value, 3) for value in trajectory.logprobs],
    }


@functools.lru_cache(maxsize=16)
def _decoder(spec: str) -> Callable[[int], str]:
    for place in _places(spec):
        path = place / "tokenizer.json"
        if path.is_file():
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(path))

            @functools.cache
            def decode(token: int, tokenizer: Any = tokenizer) -> str:
                return tokenizer.decode([token], skip_special_tokens=False) or f"<{token}>"

            return decode
    return lambda token: f"<{token}>"


def _places(spec: str) -> Iterable[Path]:
    kind, _, rest = spec.partition(":")
    model, _, adapter = rest.partition("+")
    return [Path(place) for place in (adapter, model) if kind == "local" and place]
