from mledojo_env import load_task
from mledojo_train.codec import make_codec
from mledojo_train.prompts import opening

TASK = load_task("concrete-strength")


def test_the_brief_card_is_the_same_for_all_tasks_of_a_domain_and_an_output() -> None:
    (card,) = opening(TASK, make_codec("fenced"), "brief", 3)
    assert card == {"role": "user", "content": "domain: tabular\npredict: number"}


def test_the_full_opening_explains_the_format_and_the_task() -> None:
    system, user = opening(TASK, make_codec("fenced"), "full", 3)
    assert "execute_code" in system["content"]
    for fact in (TASK.title, TASK.description.strip(), "metric: rmse (lower is better)", "3 steps in all"):
        assert fact in user["content"]
