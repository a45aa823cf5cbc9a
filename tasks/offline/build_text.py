"""Text features and classifiers for the reference leaderboards of the NLP tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from build_board import Entry, Fit, cross
from build_models import SEED, classification_dummies, scaled
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier


def drop_similar_texts(table: pd.DataFrame, column: str, *, similarity: float = 0.8) -> pd.DataFrame:
    """Keep the first of the rows whose texts share most of their letter sequences (cosine of TF-IDF)."""
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4)).fit_transform(table[column])
    dropped = np.zeros(len(table), dtype=bool)
    for start in range(0, len(table), 500):
        rows, others = (letters[start : start + 500] @ letters.T > similarity).nonzero()
        rows = rows + start
        for row in np.unique(rows[others < rows]):
            earlier = others[(rows == row) & (others < row)]
            dropped[row] = not dropped[earlier].all()
    return table[~dropped]


@dataclass(frozen=True)
class Terms:
    """Term weights of one text column, as a sparse matrix (rows, terms)."""

    column: str
    analyzer: str = "word"
    ngrams: tuple[int, int] = (1, 1)
    min_count: int = 1
    counts: bool = False
    sublinear: bool = False
    max_terms: int | None = None
    stop_words: str | None = None

    def __call__(
        self, train: pd.DataFrame, test: pd.DataFrame
    ) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Return the matrices of both tables; terms and weights come from train."""
        vectorizer = TfidfVectorizer(
            analyzer=self.analyzer,
            ngram_range=self.ngrams,
            min_df=self.min_count,
            use_idf=not self.counts,
            norm=None if self.counts else "l2",
            sublinear_tf=self.sublinear,
            max_features=self.max_terms,
            stop_words=self.stop_words,
        )
        return vectorizer.fit_transform(train[self.column]), vectorizer.transform(test[self.column])


@dataclass(frozen=True)
class Together:
    """Several term matrices side by side."""

    parts: tuple[Terms, ...]

    def __call__(
        self, train: pd.DataFrame, test: pd.DataFrame
    ) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Return the stacked matrices of both tables."""
        pairs = [part(train, test) for part in self.parts]
        return tuple(sparse.hstack(side, format="csr") for side in zip(*pairs, strict=True))


@dataclass(frozen=True)
class Shape:
    """Counts that ignore what the text says: length, words, punctuation."""

    column: str

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return dense matrices with one column a count."""

        def measure(text: pd.Series) -> np.ndarray:
            counts = [
                text.str.count(pattern) for pattern in (r"\w", r"\s", ",", ";", r"[.!?]", r"[-()\"']", r"\d")
            ]
            words = counts[1] + 1
            mean_length = counts[0] / words
            return np.column_stack([*counts, words, mean_length, text.str.count(r"\b\w{7,}\b") / words])

        return measure(train[self.column]), measure(test[self.column])


def feature_sets(column: str) -> dict[str, Terms | Together | Shape]:
    """Ways to read one text column, from naive to rich."""
    words = Terms(column, ngrams=(1, 2), sublinear=True)
    characters = Terms(column, analyzer="char_wb", ngrams=(2, 4), min_count=2, sublinear=True)
    return {
        "shape": Shape(column),
        "counts": Terms(column, counts=True),
        "top-100": Terms(column, counts=True, max_terms=100, stop_words="english"),
        "tfidf": Terms(column),
        "tfidf-stop": Terms(column, stop_words="english"),
        "tfidf-min-5": Terms(column, min_count=5),
        "bigrams": words,
        "chars": characters,
        "words+chars": Together((words, characters)),
    }


def linear_models() -> dict[str, BaseEstimator]:
    """Linear classifiers for sparse terms."""
    return {
        "logistic-0.1": LogisticRegression(C=0.1, max_iter=200),
        "logistic-1": LogisticRegression(max_iter=200),
        "logistic-20": LogisticRegression(C=20.0, max_iter=200),
        "logistic-balanced": LogisticRegression(C=5.0, class_weight="balanced", max_iter=200),
        "svm-0.1": LinearSVC(C=0.1, random_state=SEED),
        "svm-1": LinearSVC(random_state=SEED),
        "svm-balanced": LinearSVC(C=0.3, class_weight="balanced", random_state=SEED),
        "ridge": RidgeClassifier(random_state=SEED),
        "sgd": SGDClassifier(random_state=SEED),
    }


def bayes_models() -> dict[str, BaseEstimator]:
    """Naive Bayes, in its three multinomial shapes."""
    return {
        "bernoulli-bayes": BernoulliNB(),
        "multinomial-bayes": MultinomialNB(),
        "multinomial-bayes-0.1": MultinomialNB(alpha=0.1),
        "complement-bayes": ComplementNB(),
        "complement-bayes-0.3": ComplementNB(alpha=0.3),
    }


def simple_models() -> dict[str, BaseEstimator]:
    """Neighbours, centroids and trees on sparse terms."""
    return {
        "knn-1": KNeighborsClassifier(1),
        "knn-15": KNeighborsClassifier(15),
        "centroid": NearestCentroid(),
        "tree-5": DecisionTreeClassifier(max_depth=5, random_state=SEED),
        "tree-full": DecisionTreeClassifier(random_state=SEED),
        "forest": RandomForestClassifier(100, random_state=SEED),
        "extra-trees": ExtraTreesClassifier(100, random_state=SEED),
        "chi2-50 logistic": make_pipeline(SelectKBest(chi2, k=50), LogisticRegression(max_iter=200)),
    }


def dense_models() -> dict[str, BaseEstimator]:
    """Models on a low-rank picture of the terms."""

    def reduced(size: int, model: BaseEstimator) -> BaseEstimator:
        return make_pipeline(TruncatedSVD(size, random_state=SEED), Normalizer(), model)

    boosting = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8, random_state=SEED)
    network = MLPClassifier(hidden_layer_sizes=(64,), alpha=0.01, max_iter=60, random_state=SEED)
    return {
        "svd-5 logistic": reduced(5, LogisticRegression(max_iter=200)),
        "svd-100 logistic": reduced(100, LogisticRegression(C=10.0, max_iter=200)),
        "svd-50 gaussian-bayes": reduced(50, GaussianNB()),
        "svd-50 knn-15": reduced(50, KNeighborsClassifier(15)),
        "svd-20 boosting": reduced(20, boosting),
        "svd-100 network": reduced(100, network),
    }


def text_entries(column: str) -> dict[str, Entry]:
    """Return the teams of a text classification board that submits labels, without its blends."""
    sets = feature_sets(column)
    linear, bayes = linear_models(), bayes_models()
    some_linear = {
        name: linear[name] for name in ("logistic-1", "logistic-balanced", "svm-0.1", "svm-balanced")
    }
    some_bayes = {name: bayes[name] for name in ("multinomial-bayes", "complement-bayes")}
    on_shape = {
        "logistic": scaled(LogisticRegression(max_iter=200)),
        "forest": RandomForestClassifier(60, min_samples_leaf=5, random_state=SEED),
    }
    zoo = {
        "shape": {**classification_dummies(), **on_shape},
        "counts": {**bayes, "logistic-1": linear["logistic-1"], "knn-1": KNeighborsClassifier(1)},
        "top-100": {**some_bayes, **some_linear, "forest": RandomForestClassifier(60, random_state=SEED)},
        "tfidf": {**linear, **simple_models(), **dense_models()},
        "tfidf-stop": {**some_linear, **some_bayes},
        "tfidf-min-5": {"logistic-1": linear["logistic-1"], "multinomial-bayes": bayes["multinomial-bayes"]},
        "bigrams": {**some_linear, **bayes},
        "chars": some_linear,
        "words+chars": {**some_linear, **some_bayes},
    }
    return {
        name: entry
        for features, models in zoo.items()
        for name, entry in cross({features: sets[features]}, models, output="label").items()
    }


def text_variants(column: str) -> dict[str, Entry]:
    """Return further teams, other ways to read and other ordinary settings, for boards that want more."""
    sets = feature_sets(column) | {
        "letters": Terms(column, analyzer="char", counts=True),
        "top-1000": Terms(column, counts=True, max_terms=1000),
        "trigrams": Terms(column, ngrams=(1, 3), min_count=2, sublinear=True),
        "letter-triples": Terms(column, analyzer="char_wb", ngrams=(3, 3), sublinear=True),
        "long-chars": Terms(column, analyzer="char", ngrams=(2, 6), min_count=5, sublinear=True),
    }
    linear, bayes = linear_models(), bayes_models()
    both = {"svm-0.1": linear["svm-0.1"], "complement-bayes-0.3": bayes["complement-bayes-0.3"]}
    most = {**both, "svm-balanced": linear["svm-balanced"], "logistic-1": linear["logistic-1"]}
    neighbours = {
        "knn-5": KNeighborsClassifier(5),
        "knn-40-distance": KNeighborsClassifier(40, weights="distance"),
        "knn-150": KNeighborsClassifier(150),
    }
    zoo: dict[str, dict[str, BaseEstimator]] = {
        "letters": {
            "logistic-10": make_pipeline(MaxAbsScaler(), LogisticRegression(C=10.0, max_iter=200)),
            "multinomial-bayes": bayes["multinomial-bayes"],
        },
        "top-100": {**both, "tree-5": DecisionTreeClassifier(max_depth=5, random_state=SEED)},
        "top-1000": {
            **most,
            "forest": RandomForestClassifier(60, min_samples_leaf=2, random_state=SEED),
        },
        "counts": {"svm-0.01": LinearSVC(C=0.01, random_state=SEED), "logistic-0.1": linear["logistic-0.1"]},
        "tfidf-min-5": {**both, "svm-balanced": linear["svm-balanced"]},
        "tfidf": neighbours,
        "bigrams": {"ridge": linear["ridge"], "sgd": linear["sgd"], "svm-1": linear["svm-1"]},
        "trigrams": most,
        "letter-triples": most,
        "long-chars": both,
        "words+chars": {"ridge": linear["ridge"], "complement-bayes-0.3": bayes["complement-bayes-0.3"]},
    }
    return {
        name: entry
        for features, models in zoo.items()
        for name, entry in cross({features: sets[features]}, models, output="label").items()
    }


def voters(column: str) -> dict[str, Entry]:
    """Return probability models for blends that vote."""
    sets = feature_sets(column)
    chosen = {
        "words": Fit(sets["bigrams"], LogisticRegression(C=20.0, max_iter=200), "probabilities"),
        "balanced": Fit(
            sets["bigrams"],
            LogisticRegression(C=5.0, class_weight="balanced", max_iter=200),
            "probabilities",
        ),
        "chars": Fit(
            sets["chars"],
            LogisticRegression(C=10.0, class_weight="balanced", max_iter=200),
            "probabilities",
        ),
        "bayes": Fit(sets["counts"], MultinomialNB(alpha=0.3), "probabilities"),
        "complement": Fit(sets["bigrams"], ComplementNB(alpha=0.3), "probabilities"),
        "network": Fit(sets["tfidf"], dense_models()["svd-100 network"], "probabilities"),
        "forest": Fit(sets["tfidf"], RandomForestClassifier(100, random_state=SEED), "probabilities"),
    }
    return dict(chosen)
