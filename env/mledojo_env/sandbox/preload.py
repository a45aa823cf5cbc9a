"""What the fork-server imports and exercises before it serves, so that a script need not.

Runs with one thread per library (set in the environment before any import) and must leave none behind: a
child that inherits the locks of a thread it did not inherit hangs.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Sequence

DEFAULT_MODULES = (
    "numpy",
    "pandas",
    "scipy.sparse",
    "scipy.stats",
    "joblib",
    "threadpoolctl",
    "multiprocessing.util",
    "concurrent.futures.thread",
    "sklearn.compose",
    "sklearn.decomposition",
    "sklearn.dummy",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.svm",
    "sklearn.tree",
)

# Set before the interpreter starts. pyarrow's allocator would start a thread of its own.
SERVER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


def load(modules: Sequence[str]) -> list[str]:
    """Import the modules that are installed and return their names.

    Raises:
        Exception: Whatever an installed module raises at import.
    """
    loaded = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            if importlib.util.find_spec(name.partition(".")[0]) is not None:
                importlib.import_module(name)
                loaded.append(name)
    return loaded


def warm_up() -> None:
    """Fit, predict and write once, so that lazy imports and caches are filled before the first fork."""
    import numpy
    import pandas
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    random = numpy.random.default_rng(0)
    table = pandas.DataFrame({"a": random.normal(size=60), "b": ["x", "y", "z"] * 20, "y": [0, 1] * 30})
    path = "/tmp/warm-up.csv"
    table.to_csv(path, index=False)
    table = pandas.read_csv(path)
    columns = ColumnTransformer([("n", StandardScaler(), ["a"]), ("c", OneHotEncoder(), ["b"])])
    model = make_pipeline(columns, LogisticRegression(max_iter=20))
    model.fit(table[["a", "b"]], table["y"])
    table["y"] = model.predict_proba(table[["a", "b"]])[:, 1]
    table.groupby("b")["y"].mean().to_frame().to_csv(path)
    os.unlink(path)


def thread_names() -> list[str]:
    """Return the names of this process's threads, as the kernel knows them."""
    names = []
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/comm") as file:
            names.append(file.read().strip())
    return names
