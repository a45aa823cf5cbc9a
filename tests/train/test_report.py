"""Reports: what they refuse, what they write, and the page in a real browser."""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mledojo_env.errors import ConfigError
from mledojo_train.cli.main import app
from mledojo_train.evaluate import episode_id
from mledojo_train.protocol import Protocol
from mledojo_train.published import RESULTS
from mledojo_train.report import load
from mledojo_train.results import FILE, row
from mledojo_train.summary import summarise
from mledojo_train.trajectory import Step, Trajectory, TrajectoryWriter

HOSTILE = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\x1b[31mred\u202egnirts\x00"
RULES = {
    "max_steps": 3,
    "max_seconds": 60.0,
    "execute_timeout_s": None,
    "score_visibility": "kaggle",
    "max_tokens": 9,
}


def episode(task: str, policy: str, seed: int, rank: float, text: str = "fine") -> Trajectory:
    code = f"# {text}\nimport pandas as pd\nprint('x')"
    seen = {"status": "ok", "feedback": text, "score": 1.5, "rank": rank, "files": {text[:30]: 3}}
    bad = {"status": "failed", "error_class": "KeyError", "error_message": text, "traceback": text}
    steps = [
        Step(f"reply {text}", "execute_code", code, bad, text, 0.0, 0.1, 0.2),
        Step(f"reply {text}", "execute_code", code, seen, text, rank, 0.1, 0.2, rank=rank, reasoning=text),
    ]
    return Trajectory(
        task,
        "scripted:x",
        seed,
        [{"role": "user", "content": text}],
        steps,
        reward=rank,
        stop_reason="steps",
        result={"rank": rank, "valid": True, "first_valid_step": 2, "medal": "bronze"},
        completion_ids=[1, 2, 3],
        mask=[1, 0, 1],
        logprobs=[-0.5, 0.0, -0.25],
    )


def make_run(
    folder: Path, policies: list[str], tasks: int = 3, episodes: int = 2, text: str = "fine", **rules: Any
) -> Path:
    folder.mkdir(parents=True)
    names = [f"offline/task-{place}" for place in range(tasks)]
    with TrajectoryWriter(folder / "trajectories.jsonl") as writer, (folder / FILE).open("w") as results:
        for place, policy in enumerate(policies):
            for number, task in enumerate(names):
                for seed in range(episodes):
                    made = episode(task, policy, seed, 0.1 + 0.2 * place + 0.1 * number + 0.01 * seed, text)
                    made.id = episode_id(policy, task, seed)
                    writer.write(made)
                    domain = ("tabular", "nlp")[number % 2]
                    results.write(json.dumps(row(policy, domain, "reference", made)) + "\n")
    protocol = Protocol(
        RULES | rules, dict.fromkeys(names, "h"), dict.fromkeys(policies, "scripted:x"), episodes, 0
    )
    protocol.save(folder)
    return folder


def report(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_every_file_is_written_and_holds_no_nan(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["one", "two"])
    assert report(run, "-o", tmp_path / "page.html").exit_code == 0
    data = json.loads((tmp_path / "page.json").read_text())
    assert data["summary"]["policies"]["two"]["all"]["rank"]["mean"] == pytest.approx(0.405)
    text = (tmp_path / "page.md").read_text()
    assert "reference rank" in text and "HumanRank / Elo published by MLE-Dojo" in text
    assert "nan" not in text.lower().split()
    assert len(list(csv.reader((tmp_path / "page.csv").open()))) == 1 + 12
    assert [line[0] for line in csv.reader((tmp_path / "page-tasks.csv").open())][1] == "offline/task-0"


def test_other_protocols_are_refused_or_shown_under_a_banner(tmp_path: Path) -> None:
    one, two = make_run(tmp_path / "one", ["a"]), make_run(tmp_path / "two", ["b"], max_steps=9)
    with pytest.raises(ConfigError, match="max_steps is 3 in one and 9 in the other"):
        load([one, two])
    result = report(one, two, "-o", tmp_path / "page.html", "--force")
    assert result.exit_code == 0
    assert "Not comparable" in (tmp_path / "page.html").read_text()
    assert "Not comparable" in (tmp_path / "page.md").read_text()


def test_a_name_of_two_policies_is_told_with_its_run(tmp_path: Path) -> None:
    one, two = make_run(tmp_path / "x" / "eval", ["a"]), make_run(tmp_path / "y" / "eval", ["a"])
    same = load([one, two])
    assert {r["policy"] for r in same.rows} == {"a"}
    assert any("counted once" in note for note in same.notes)
    lines = [json.loads(text) | {"spec": "local:other"} for text in (two / FILE).read_text().splitlines()]
    (two / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert {r["policy"] for r in load([one, two]).rows} == {"x/eval: a", "y/eval: a"}


@pytest.mark.parametrize("what", ["one task, one policy", "all failed", "all broke", "none"])
def test_little_to_tell_is_no_crash(tmp_path: Path, what: str) -> None:
    run = make_run(tmp_path / "run", ["a"], tasks=1, episodes=1)
    lines = [json.loads(text) for text in (run / FILE).read_text().splitlines()]
    if what == "all failed":
        lines = [
            line | {"rank": 0.0, "valid": False, "first_valid_step": None, "medal": None} for line in lines
        ]
    if what == "all broke":
        lines = [line | {"broken": True} for line in lines]
    if what == "none":
        lines = []
    (run / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = report(run, "-o", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert "NaN" not in (tmp_path / "page.json").read_text()
    if what in ("all broke", "none"):
        assert "no episode to tell of" in result.output


def test_a_folder_without_results_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mledojo-train eval"):
        load([tmp_path])


def test_a_spreadsheet_takes_no_cell_for_a_formula(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["=cmd()"])
    report(run, "-o", tmp_path / "page.html")
    assert "'=cmd()" in (tmp_path / "page.csv").read_text()


def test_the_published_table_is_whole() -> None:
    assert len(RESULTS) == 8
    for domain in range(4):
        assert sum(figures[domain][2] for figures in RESULTS.values()) / 8 == pytest.approx(1000, abs=1)


def test_what_a_model_wrote_is_no_markup_in_the_page(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["<script>pwned</script>"], text=HOSTILE)
    report(run, "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script>pwned" not in page
    assert "<script>window" not in page


# ---- the page in Chromium

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    contexts, said = [], []

    def go(path: Path, width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request",
            lambda sent: said.append(sent.url) if not sent.url.startswith(("file:", "data:")) else None,
        )
        page.goto(path.as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert said == []  # neither an error on the console nor a request


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    run = make_run(folder / "run", ["one", "two"], tasks=5, episodes=6, text=HOSTILE)
    assert report(run, "-o", folder / "page.html").exit_code == 0
    return folder / "page.html"


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_overflows(open_page: Any, page_file: Path, width: int, scheme: str) -> None:
    page = open_page(page_file, width, scheme)
    assert page.locator("figure svg").count() >= 5
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("#episode-table tbody tr >> nth=0")
    page.wait_for_selector("dialog[open] .step")
    assert page.evaluate("(d => d.scrollWidth <= d.clientWidth)(document.querySelector('dialog'))")


@pytest.mark.browser
def test_tables_sort_and_filter(open_page: Any, page_file: Path) -> None:
    page = open_page(page_file)
    head = page.locator("#task-table th button", has_text="one")
    column = "[...document.querySelectorAll('#task-table tbody tr')].map(r => r.cells[2].textContent)"
    head.click()
    up = page.evaluate(column)
    head.click()
    assert up == sorted(up) and page.evaluate(column) == up[::-1]
    page.fill("input[data-filters]", "task-3")
    assert page.locator("#task-table tbody tr:visible").count() == 1
    assert page.locator("#episode-table tbody tr").count() == 50
    page.click("#later")
    assert page.locator("#episode-table tbody tr").count() == 10
    page.select_option("#of", "two")
    page.fill("#find", "task-1 5")
    assert page.locator("#count").text_content() == "1 of 60"


@pytest.mark.browser
def test_an_episode_is_read_with_the_keyboard(open_page: Any, page_file: Path) -> None:
    from playwright.sync_api import expect

    page = open_page(page_file)
    page.locator(
        "#episode-table th button", has_text="rank"
    ).click()  # places are those of the data all the same
    page.focus("#episode-table tbody tr >> nth=0")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] .step.current")
    title = page.locator("dialog h3").first.text_content()
    assert title == "offline/task-0, one, seed 0"
    page.keyboard.press("j")
    assert page.locator(".step.current h4").text_content().startswith("2.")
    page.keyboard.press("n")
    expect(page.locator("dialog h3").first).not_to_have_text(title)
    page.keyboard.press("p")
    expect(page.locator("dialog h3").first).to_have_text(title)
    page.keyboard.press("t")
    page.wait_for_selector(".tokens pre b")
    assert page.locator(".tokens pre b").count() == 2 and page.locator(".tokens pre i").count() == 1
    page.keyboard.press("/")
    page.keyboard.type("rank so far")
    assert page.locator("dialog .step:visible").count() == 1
    page.select_option("#beside", index=1)
    page.wait_for_selector("article + article h3")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="attached")


@pytest.mark.browser
def test_hostile_text_is_shown_as_text(open_page: Any, page_file: Path) -> None:
    page = open_page(page_file)
    page.click("#episode-table tbody tr >> nth=0")
    page.wait_for_selector("dialog[open] .step")
    shown = page.locator("dialog").text_content()
    assert "<script>window.pwned=1</script>" in shown
    assert "\u241b[31m" in shown and "\u27e8U+202E\u27e9" in shown and "\u202e" not in shown
    assert page.evaluate("window.pwned") is None
    assert page.locator("dialog img").count() == 0


@pytest.mark.browser
def test_a_line_of_a_megabyte_is_clipped_until_asked_for(open_page: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["one"], tasks=1, episodes=1, text="x" * 1_000_000)
    report(run, "-o", tmp_path / "page.html")
    page = open_page(tmp_path / "page.html", 390)
    page.click("#episode-table tbody tr >> nth=0")
    page.wait_for_selector("dialog[open] .step")
    assert page.locator("button", has_text="show all 1000000 characters").count() >= 1
    assert page.evaluate("(d => d.scrollWidth <= d.clientWidth)(document.querySelector('dialog'))")


@pytest.mark.browser
@pytest.mark.slow
def test_a_thousand_episodes_open(open_page: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["one", "two"], tasks=25, episodes=20, text="y" * 3000)
    report(run, "-o", tmp_path / "page.html")
    began = time.monotonic()
    page = open_page(tmp_path / "page.html")
    assert page.locator("#count").text_content() == "1000 of 1000"
    print(f"opened in {time.monotonic() - began:.2f} s")  # the bar is 2 s, on a quiet machine


def test_figures_of_the_page_are_those_of_the_summary(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["one", "two"])
    report(run, "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    elo = summarise(load([run]).rows)["policies"]["one"]["all"]["elo"]
    assert elo["reason"] == "nobody to compare with: wins that lead to another policy and back"
    assert "0.205 [" in page
