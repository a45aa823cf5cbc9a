import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mledojo_train import summary as figures_of
from mledojo_train.results import row
from mledojo_train.trajectory import Step, Trajectory


def episode(
    task: str, rank: float, *, actions: str = "e", failed: str = "", error: str | None = None
) -> Trajectory:
    names = {"v": "validate_code", "e": "execute_code", "m": None}
    steps = [
        Step("", names[a], "", {"status": "failed" if str(i) in failed else "ok"}, "", 0.0, 1.0, 2.0)
        for i, a in enumerate(actions)
    ]
    result = {"rank": rank, "valid": rank > 0}
    return Trajectory(task, "local:x", 0, [], steps=steps, reward=rank, result=result, error=error)


def rows(name: str, *episodes: Trajectory) -> list[dict[str, Any]]:
    return [row(name, "tabular", "reference", one) for one in episodes]


def test_figures_by_hand() -> None:
    summary = figures_of.summarise(
        rows(
            "sft",
            episode("a", 0.5, actions="vee", failed="01"),
            episode("a", 0.0, actions="m", failed="0"),
            episode("b", 0.75, actions="ee"),
        )
    )
    figures = summary["policies"]["sft"]["all"]
    assert figures["episodes"] == 3
    assert figures["rank"]["mean"] == pytest.approx((0.25 + 0.75) / 2)
    assert figures["valid_rate"]["mean"] == pytest.approx((0.5 + 1) / 2)
    assert figures["execute_failure_rate"]["mean"] == pytest.approx((0.5 + 0) / 2)
    assert figures["validate_failure_rate"]["mean"] == 1.0
    assert figures["action_mix"] == pytest.approx(
        {"execute_code": 4 / 6, "validate_code": 1 / 6, "malformed": 1 / 6}
    )


def test_episodes_that_we_broke_are_counted_and_left_out() -> None:
    summary = figures_of.summarise(rows("sft", episode("a", 0.5), episode("a", 0.0, error="SandboxError: x")))
    assert summary["policies"]["sft"]["broken"] == 1
    assert summary["policies"]["sft"]["all"]["rank"]["mean"] == 0.5


def test_later_policies_are_compared_with_the_first() -> None:
    before, after = rows("sft", episode("a", 0.2), episode("a", 0.2)), rows("grpo", episode("a", 0.5))
    summary = figures_of.summarise(before + after)
    assert summary["compared"]["grpo - sft"]["mean"] == pytest.approx(0.3)


def test_all_broken_is_no_number_and_no_crash(tmp_path: Path) -> None:
    summary = figures_of.summarise(rows("sft", episode("a", 0.0, error="x")))
    assert summary["policies"]["sft"]["all"]["rank"] is None
    assert json.loads(figures_of.write_summary(summary, tmp_path).read_text()) == summary
    console = Console(record=True, width=150)
    console.print(figures_of.table(summary))
    assert "nan" not in console.export_text()


def test_the_table_shows_before_and_after_of_a_domain_together() -> None:
    summary = figures_of.summarise(rows("sft", episode("a", 0.2)) + rows("grpo", episode("a", 0.5)))
    console = Console(record=True, width=150)
    console.print(figures_of.table(summary))
    lines = [line for line in console.export_text().splitlines() if "tabular" in line]
    assert "sft" in lines[0]
    assert "grpo" in lines[1]
    assert "0.500" in lines[1]


def test_first_attempt_and_best_of_two_by_hand() -> None:
    first, second = episode("a", 0.2), episode("a", 0.6)
    first.seed, second.seed = 5, 6
    figures = figures_of.summarise(rows("p", second, first))["policies"]["p"]["all"]
    assert figures["first_attempt"]["mean"] == pytest.approx(0.2)
    assert figures["best_of"]["2"]["mean"] == pytest.approx(0.6)
    assert figures["rank"]["mean"] == pytest.approx(0.4)


def test_one_policy_is_rated_against_nobody_and_told_so() -> None:
    figures = figures_of.summarise(rows("p", episode("a", 0.2)))["policies"]["p"]["all"]
    assert figures["elo"]["elo"] is None
    assert "nobody" in figures["elo"]["reason"]
    assert figures["episodes_needed"] is None


def test_a_rank_is_human_only_on_boards_of_people() -> None:
    ours = rows("p", episode("a", 0.2))
    assert figures_of.rank_name(ours) == "reference rank"
    assert figures_of.rank_name([ours[0] | {"board": "human"}]) == "HumanRank"
    assert figures_of.rank_name([*ours, ours[0] | {"board": "human"}]) == "rank"


def test_the_curve_holds_who_ended_early() -> None:
    short, long = episode("a", 0.5), episode("a", 0.7, actions="ee")
    short.steps[0].rank, long.steps[0].rank, long.steps[1].rank = 0.5, None, 0.7
    figures = figures_of.summarise(rows("p", short, long))["policies"]["p"]["all"]
    assert figures["curve"] == pytest.approx([0.25, 0.6])


def test_order_and_names_of_policies_change_no_figure() -> None:
    one = rows("one", episode("a", 0.2), episode("b", 0.9))
    two = rows("two", episode("a", 0.5), episode("b", 0.3))
    there, back = figures_of.summarise(one + two), figures_of.summarise(two + one)
    for name in ("one", "two"):
        assert there["policies"][name] == back["policies"][name]
    named = figures_of.summarise([line | {"policy": line["policy"].upper()} for line in one + two])
    assert named["policies"]["ONE"] == there["policies"]["one"]
