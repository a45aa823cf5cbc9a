"""The scripts that scripted agents write: short, regular, and blind to the task's schema.

A script reads every column name from the files themselves, so the same lines run on any task of the same
domain. That is what lets a model of a few million parameters learn the moves, and GRPO learn which of them
score. A `Plan` is a choice for each part of a script; `write` turns it into source.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

HEADER = """\
import numpy as np, pandas as pd
train = pd.read_csv("/data/train.csv")
test = pd.read_csv("/data/test.csv")
sub = pd.read_csv("/data/sample_submission.csv")
key, target = sub.columns[0], sub.columns[-1]
y = train[target]
both = pd.concat([train, test], ignore_index=True).drop(columns=[key, target])"""

# Loops, so that a table without a date column passes through unchanged.
_CALENDAR = """\
for c in both.filter(like="date"):
    when = pd.to_datetime(both[c])
    both["month"], both["weekday"], both["hour"] = when.dt.month, when.dt.day_of_week, when.dt.hour"""
_DATES = {
    "ignore": "",
    "calendar": _CALENDAR,
    "calendar+trend": f"""\
{_CALENDAR}
    both["day"], both["trend"] = when.dt.day_of_year, (when - when.min()).dt.days""",
}

_TABLE = {
    "numeric": 'X = both.select_dtypes("number").fillna(0).values',
    "codes": """\
for c in both.select_dtypes(exclude="number"): both[c] = both[c].factorize()[0]
X = both.fillna(-1).values""",
    "one-hot": """\
wide = [c for c in both.select_dtypes(exclude="number") if both[c].nunique() > 40]
X = pd.get_dummies(both.drop(columns=wide), dtype=float).fillna(0).values""",
}

# What all variants share comes first, and an import stands right before the line that needs it: see `write`.
_READ_TEXT = 'text = both.select_dtypes(exclude="number").agg(" ".join, axis=1)'
_COUNTS = f"{_READ_TEXT}\nfrom sklearn.feature_extraction.text import CountVectorizer"
_TFIDF = f"{_READ_TEXT}\nfrom sklearn.feature_extraction.text import TfidfVectorizer"
_TEXT = {
    "length": f"{_READ_TEXT}\nX = np.c_[text.str.len(), text.str.split().str.len()]",
    "counts": f"{_COUNTS}\nX = CountVectorizer(max_features=2000).fit_transform(text)",
    "tf-idf": f"{_TFIDF}\nX = TfidfVectorizer(sublinear_tf=True).fit_transform(text)",
    "tf-idf pairs": f"""\
{_TFIDF}
X = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)).fit_transform(text)""",
    "tf-idf letters": f"""\
{_TFIDF}
X = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), max_features=20000).fit_transform(text)""",
}

_LOAD_IMAGES = """\
images = [np.load(f"/data/{part}_images.npz")["images"] for part in ("train", "test")]
images = np.concatenate(images) / 255"""
_IMAGE = {
    "mean": f"{_LOAD_IMAGES}\nX = images.mean(axis=(1, 2)).reshape(-1, 1)",
    "pixels": f"{_LOAD_IMAGES}\nX = images.reshape(len(images), -1)",
    "coarse": f"{_LOAD_IMAGES}\nX = images[:, ::4, ::4].reshape(len(images), -1)",
    "pca": f"""\
{_LOAD_IMAGES}
from sklearn.decomposition import PCA
X = PCA(30, random_state=0).fit_transform(images.reshape(len(images), -1))""",
    "histogram": f"""\
{_LOAD_IMAGES}
X = np.array([np.histogram(image, 32, (0, 1))[0] for image in images])""",
    "spectrum": f"""\
{_LOAD_IMAGES}
X = np.log1p(np.abs(np.fft.rfft2(images))).reshape(len(images), -1)""",
}

_SCALE = "from sklearn.preprocessing import StandardScaler\nX = StandardScaler().fit_transform(X)"

# name -> (module, class for labels, class for numbers, arguments); None where there is no such class.
_MODELS: dict[str, tuple[str, str | None, str | None, str]] = {
    "dummy": ("dummy", "DummyClassifier", "DummyRegressor", ""),
    "linear": ("linear_model", "LogisticRegression", "Ridge", ""),
    "neighbors-1": ("neighbors", "KNeighborsClassifier", "KNeighborsRegressor", "n_neighbors=1"),
    "neighbors-15": ("neighbors", "KNeighborsClassifier", "KNeighborsRegressor", "n_neighbors=15"),
    "stump": ("tree", "DecisionTreeClassifier", "DecisionTreeRegressor", "max_depth=2"),
    "tree": ("tree", "DecisionTreeClassifier", "DecisionTreeRegressor", "random_state=0"),
    "small-forest": (
        "ensemble",
        "RandomForestClassifier",
        "RandomForestRegressor",
        "n_estimators=5, max_depth=4",
    ),
    "forest": ("ensemble", "RandomForestClassifier", "RandomForestRegressor", "n_estimators=30"),
    "extra-trees": ("ensemble", "ExtraTreesClassifier", "ExtraTreesRegressor", "n_estimators=30"),
    "boosting": (
        "ensemble",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
        "max_iter=25",
    ),
    "slow-boosting": (
        "ensemble",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
        "max_iter=5",
    ),
    "svm": ("svm", "SVC", "SVR", "C=10"),
    "bayes": ("naive_bayes", "GaussianNB", None, ""),
    "counts-bayes": ("naive_bayes", "MultinomialNB", None, "alpha=0.1"),
    "linear-svm": ("svm", "LinearSVC", None, "C=0.3"),
}

TEXT_MODELS = (
    "dummy",
    "linear",
    "neighbors-15",
    "stump",
    "small-forest",
    "counts-bayes",
    "linear-svm",
)
IMAGE_MODELS = tuple(name for name in _MODELS if name not in (*TEXT_MODELS[-2:], "boosting", "slow-boosting"))
TABLE_MODELS = tuple(name for name in _MODELS if name not in (*TEXT_MODELS[-2:], "svm"))


@dataclass(frozen=True)
class Plan:
    """The choices behind one script."""

    domain: str  # tabular | time-series | nlp | vision
    output: str  # label | probability | number
    features: str
    model: str
    dates: str = "ignore"
    scale: bool = False
    log_target: bool = False
    mistake: str | None = None


MISTAKES = (
    "typo",
    "missing import",
    "wrong file",
    "unclosed bracket",
    "wrong column",
    "text left in",
    "not saved",
    "whole table",
)
"""Ways in which a script goes wrong; each is a small change of an otherwise good one."""


def random_plan(rng: random.Random, domain: str, output: str) -> Plan:
    """Draw a plan over all skills, mistakes left out; every domain falls back to tabular choices."""
    if domain == "nlp":
        features, model = rng.choice(list(_TEXT)), rng.choice(TEXT_MODELS)
    elif domain == "vision":
        features, model = rng.choice(list(_IMAGE)), rng.choice(IMAGE_MODELS)
    else:
        features, model = rng.choice(list(_TABLE)), rng.choice(TABLE_MODELS)
    dates = rng.choice(list(_DATES)) if domain not in ("nlp", "vision") else "ignore"
    plan = Plan(domain, output, features, model, dates)
    if not _MODELS[model][2 if output == "number" else 1] or (model, output) == ("linear-svm", "probability"):
        return random_plan(rng, domain, output)
    scalable = domain != "nlp" and model in ("linear", "neighbors-1", "neighbors-15", "svm")
    return replace(
        plan,
        scale=scalable and rng.random() < 0.5,
        log_target=output == "number" and rng.random() < 0.3,
    )


def write(plan: Plan) -> str:
    """Return the source of a plan's script, its mistake included.

    Lines that depend on each other stand next to each other, and the comments say again what the task's card
    said: a model that reads a short way back then has one thing to remember at a time.
    """
    module, labels, numbers, arguments = _MODELS[plan.model]
    name = numbers if plan.output == "number" else labels
    if plan.model == "svm" and plan.output == "probability":
        arguments += ", probability=True"
    predict = "lambda X: model.predict_proba(X)[:, 1]" if plan.output == "probability" else "model.predict"
    fit, save = ("np.log1p(y)", "np.expm1(predict(X[n:]))") if plan.log_target else ("y", "predict(X[n:])")
    parts = [
        f"# predict {plan.output}\nfrom sklearn.{module} import {name}",
        f"model = {name}({arguments})\npredict = {predict}",
        HEADER,
        f"# {plan.domain}",
        _DATES[plan.dates],
        _features(plan),
        _SCALE if plan.scale else "",
        f"n = len(train)\nmodel.fit(X[:n], {fit})\nsub[target] = {save}",
        'sub.to_csv("submission.csv", index=False)\nprint("saved", sub.shape)',
    ]
    source = "\n".join(part for part in parts if part) + "\n"
    return _spoil(source, plan.mistake) if plan.mistake else source


def _features(plan: Plan) -> str:
    if plan.domain == "nlp":
        return _TEXT[plan.features]
    if plan.domain == "vision":
        return _IMAGE[plan.features]
    return _TABLE[plan.features]


def _spoil(source: str, mistake: str) -> str:
    """Change a good script into one that fails in the way named by `mistake`."""
    changes = {
        "typo": ("model.fit(", "modle.fit("),
        "missing import": ("import numpy as np, pandas as pd\n", "import numpy as np\n"),
        "wrong file": ("/data/test.csv", "/data/tests.csv"),
        "unclosed bracket": ("y = train[target]\n", "y = train[target\n"),
        "wrong column": ("sub.columns[-1]\n", "sub.columns[2]\n"),
        "text left in": ("X = ", "X = both.values #"),
        "not saved": ('sub.to_csv("submission.csv", index=False)\n', ""),
        "whole table": ("model.fit(X[:n], ", "model.fit(X, "),
    }
    old, new = changes[mistake]
    return source.replace(old, new, 1)
