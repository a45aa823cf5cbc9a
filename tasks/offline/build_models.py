"""The model zoo of the reference leaderboards: scikit-learn only, from dummy to strong, all seeded.

Settings are ordinary ones, chosen before any board was scored: textbook defaults, too small, too large
and well regularised, so that a board has a bottom, a middle and a top.
"""

from __future__ import annotations

from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeCV,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

SEED = 0


def scaled(model: BaseEstimator) -> BaseEstimator:
    """Standardise the inputs first."""
    return make_pipeline(StandardScaler(), model)


def both_scaled(model: BaseEstimator) -> BaseEstimator:
    """Standardise the inputs and the target."""
    return TransformedTargetRegressor(scaled(model), transformer=StandardScaler())


# --------------------------------------------------------------------------- regression


def regression_dummies() -> dict[str, BaseEstimator]:
    """Constants: what a submission without a model gets."""
    return {
        "mean": DummyRegressor(),
        "median": DummyRegressor(strategy="median"),
        "upper-quartile": DummyRegressor(strategy="quantile", quantile=0.75),
    }


def regression_linear() -> dict[str, BaseEstimator]:
    """Linear models, plain and regularised."""
    return {
        "best-single-feature": make_pipeline(SelectKBest(f_regression, k=1), LinearRegression()),
        "best-three-features": make_pipeline(SelectKBest(f_regression, k=3), LinearRegression()),
        "ridge-1000": scaled(Ridge(1000.0)),
        "ridge-cv": scaled(RidgeCV([0.1, 1, 10, 100, 1000])),
        "lasso": scaled(Lasso(1.0)),
        "elastic-net": scaled(ElasticNet(1.0)),
        "huber": scaled(HuberRegressor(max_iter=300)),
    }


def regression_simple() -> dict[str, BaseEstimator]:
    """Neighbours, single trees and small networks."""
    return {
        "knn-1": scaled(KNeighborsRegressor(1)),
        "knn-5": scaled(KNeighborsRegressor(5)),
        "knn-30": scaled(KNeighborsRegressor(30)),
        "knn-8-distance": scaled(KNeighborsRegressor(8, weights="distance")),
        "knn-5-unscaled": KNeighborsRegressor(5),
        "stump": DecisionTreeRegressor(max_depth=1, random_state=SEED),
        "tree-3": DecisionTreeRegressor(max_depth=3, random_state=SEED),
        "tree-7": DecisionTreeRegressor(max_depth=7, min_samples_leaf=5, random_state=SEED),
        "tree-full": DecisionTreeRegressor(random_state=SEED),
        "adaboost": AdaBoostRegressor(n_estimators=40, random_state=SEED),
        "svr-default": scaled(SVR()),
        "mlp-16": both_scaled(MLPRegressor(hidden_layer_sizes=(16,), max_iter=150, random_state=SEED)),
    }


def regression_forests() -> dict[str, BaseEstimator]:
    """Averaged trees."""
    return {
        "bagging-10": BaggingRegressor(random_state=SEED),
        "forest-shallow": RandomForestRegressor(60, max_depth=5, random_state=SEED),
        "forest": RandomForestRegressor(100, random_state=SEED),
        "forest-half-features": RandomForestRegressor(100, max_features=0.5, random_state=SEED),
        "extra-trees": ExtraTreesRegressor(100, random_state=SEED),
        "extra-trees-leaf-3": ExtraTreesRegressor(150, min_samples_leaf=3, random_state=SEED),
    }


def regression_boosting() -> dict[str, BaseEstimator]:
    """Boosted trees, from too few to well regularised."""
    return {
        "boosting-10": GradientBoostingRegressor(n_estimators=10, random_state=SEED),
        "boosting-100": GradientBoostingRegressor(random_state=SEED),
        "boosting-400-deep": GradientBoostingRegressor(
            n_estimators=300,
            max_depth=5,
            learning_rate=0.05,
            subsample=0.6,
            max_features=0.5,
            random_state=SEED,
        ),
        "hist-boosting": HistGradientBoostingRegressor(random_state=SEED),
        "hist-boosting-slow": HistGradientBoostingRegressor(
            learning_rate=0.04, max_iter=300, max_leaf_nodes=12, l2_regularization=1.0, random_state=SEED
        ),
        "hist-boosting-shallow": HistGradientBoostingRegressor(
            max_depth=3, max_iter=300, learning_rate=0.1, random_state=SEED
        ),
    }


def regression_smooth() -> dict[str, BaseEstimator]:
    """Kernels, networks and polynomials with scaled targets: strong where the truth is smooth."""
    return {
        "svr-10": both_scaled(SVR(C=10.0, epsilon=0.05)),
        "svr-100": both_scaled(SVR(C=100.0, gamma=0.05, epsilon=0.05)),
        "kernel-ridge": both_scaled(KernelRidge(kernel="rbf", alpha=0.1, gamma=0.03)),
        "mlp-64-64": both_scaled(
            MLPRegressor(hidden_layer_sizes=(64, 64), alpha=0.1, max_iter=200, random_state=SEED)
        ),
        "quadratic-ridge": scaled(make_pipeline(PolynomialFeatures(2), StandardScaler(), Ridge(10.0))),
    }


def regression_variants() -> dict[str, BaseEstimator]:
    """The same families in other ordinary settings, all quick: for boards that want more teams."""
    bins = KBinsDiscretizer(6, encode="onehot-dense", quantile_method="averaged_inverted_cdf")
    kernel = Nystroem(gamma=0.02, n_components=150, random_state=SEED)
    return {
        "bayesian-ridge": scaled(BayesianRidge()),
        "linear-svr": both_scaled(LinearSVR(C=0.1, max_iter=3000, random_state=SEED)),
        "pca-3-linear": scaled(make_pipeline(PCA(3, random_state=SEED), LinearRegression())),
        "binned-ridge": make_pipeline(bins, Ridge(3.0)),
        "nystroem-ridge": both_scaled(make_pipeline(kernel, Ridge(0.1))),
        "knn-3": scaled(KNeighborsRegressor(3)),
        "knn-15": scaled(KNeighborsRegressor(15)),
        "knn-15-manhattan": scaled(KNeighborsRegressor(15, p=1, weights="distance")),
        "knn-100": scaled(KNeighborsRegressor(100)),
        "tree-2": DecisionTreeRegressor(max_depth=2, random_state=SEED),
        "tree-5": DecisionTreeRegressor(max_depth=5, random_state=SEED),
        "tree-leaf-20": DecisionTreeRegressor(min_samples_leaf=20, random_state=SEED),
        "bagging-40-half-rows": BaggingRegressor(n_estimators=40, max_samples=0.5, random_state=SEED),
        "forest-10": RandomForestRegressor(10, random_state=SEED),
        "forest-leaf-10": RandomForestRegressor(80, min_samples_leaf=10, random_state=SEED),
        "forest-few-features": RandomForestRegressor(100, max_features=0.2, random_state=SEED),
        "extra-trees-depth-8": ExtraTreesRegressor(100, max_depth=8, random_state=SEED),
        "adaboost-deep": AdaBoostRegressor(
            DecisionTreeRegressor(max_depth=7), n_estimators=40, random_state=SEED
        ),
        "boosting-stumps": GradientBoostingRegressor(n_estimators=200, max_depth=1, random_state=SEED),
        "boosting-40-deep": GradientBoostingRegressor(
            n_estimators=40, max_depth=6, subsample=0.7, max_features=0.5, random_state=SEED
        ),
        "boosting-absolute": GradientBoostingRegressor(
            loss="absolute_error", subsample=0.5, random_state=SEED
        ),
        "hist-boosting-20": HistGradientBoostingRegressor(max_iter=20, random_state=SEED),
        "hist-boosting-fast": HistGradientBoostingRegressor(learning_rate=0.4, random_state=SEED),
        "hist-boosting-leaf-80": HistGradientBoostingRegressor(
            min_samples_leaf=80, max_iter=150, learning_rate=0.06, random_state=SEED
        ),
        "hist-boosting-absolute": HistGradientBoostingRegressor(loss="absolute_error", random_state=SEED),
        "mlp-8": both_scaled(MLPRegressor(hidden_layer_sizes=(8,), max_iter=80, random_state=SEED)),
        "mlp-32-decay": both_scaled(
            MLPRegressor(hidden_layer_sizes=(32,), alpha=5.0, max_iter=100, random_state=SEED)
        ),
    }


def tuned_regression() -> dict[str, BaseEstimator]:
    """Boosted trees tuned by three-fold cross-validation on the training rows."""
    model = HistGradientBoostingRegressor(max_iter=200, random_state=SEED)
    grid = {"learning_rate": [0.05, 0.12], "max_leaf_nodes": [6, 16], "min_samples_leaf": [5, 25]}
    return {"hist-boosting-tuned": GridSearchCV(model, grid, cv=3, scoring="neg_root_mean_squared_error")}


def regression_models() -> dict[str, BaseEstimator]:
    """Everything but the dummies, the variants and the tuned ones."""
    families = (
        regression_linear,
        regression_simple,
        regression_forests,
        regression_boosting,
        regression_smooth,
    )
    return {name: model for family in families for name, model in family().items()}


# --------------------------------------------------------------------------- classification


def classification_dummies() -> dict[str, BaseEstimator]:
    """Guesses: what a submission without a model gets."""
    return {
        "most-frequent": DummyClassifier(strategy="prior"),
        "random-uniform": DummyClassifier(strategy="uniform", random_state=SEED),
        "random-prior": DummyClassifier(strategy="stratified", random_state=SEED),
    }


def classification_linear() -> dict[str, BaseEstimator]:
    """Linear models and naive Bayes."""
    return {
        "naive-bayes": GaussianNB(),
        "lda": LinearDiscriminantAnalysis(),
        "qda": QuadraticDiscriminantAnalysis(reg_param=0.05),
        "logistic-0.001": scaled(LogisticRegression(C=0.001, max_iter=300)),
        "logistic-0.1": scaled(LogisticRegression(C=0.1, max_iter=300)),
        "logistic-1": scaled(LogisticRegression(max_iter=300)),
    }


def classification_simple() -> dict[str, BaseEstimator]:
    """Neighbours, single trees and small networks."""
    return {
        "knn-1": scaled(KNeighborsClassifier(1)),
        "knn-5": scaled(KNeighborsClassifier(5)),
        "knn-40": scaled(KNeighborsClassifier(40)),
        "knn-10-distance": scaled(KNeighborsClassifier(10, weights="distance")),
        "stump": DecisionTreeClassifier(max_depth=1, random_state=SEED),
        "tree-3": DecisionTreeClassifier(max_depth=3, random_state=SEED),
        "tree-7": DecisionTreeClassifier(max_depth=7, min_samples_leaf=5, random_state=SEED),
        "tree-full": DecisionTreeClassifier(random_state=SEED),
        "adaboost": AdaBoostClassifier(n_estimators=40, random_state=SEED),
        "mlp-16": scaled(MLPClassifier(hidden_layer_sizes=(16,), max_iter=100, random_state=SEED)),
    }


def classification_forests() -> dict[str, BaseEstimator]:
    """Averaged trees."""
    return {
        "forest-10": RandomForestClassifier(10, random_state=SEED),
        "forest-shallow": RandomForestClassifier(100, max_depth=5, random_state=SEED),
        "forest": RandomForestClassifier(100, random_state=SEED),
        "forest-leaf-5": RandomForestClassifier(150, min_samples_leaf=5, random_state=SEED),
        "extra-trees": ExtraTreesClassifier(150, random_state=SEED),
        "extra-trees-leaf-5": ExtraTreesClassifier(150, min_samples_leaf=5, random_state=SEED),
    }


def classification_boosting() -> dict[str, BaseEstimator]:
    """Boosted trees, from too few to well regularised; meant for two or few classes."""
    return {
        "boosting-10": GradientBoostingClassifier(n_estimators=10, random_state=SEED),
        "boosting-100": GradientBoostingClassifier(random_state=SEED),
        "boosting-200-slow": GradientBoostingClassifier(
            n_estimators=200,
            max_depth=4,
            learning_rate=0.04,
            subsample=0.6,
            max_features=0.3,
            random_state=SEED,
        ),
        "hist-boosting": HistGradientBoostingClassifier(random_state=SEED),
        "hist-boosting-slow": HistGradientBoostingClassifier(
            learning_rate=0.04, max_iter=120, max_leaf_nodes=10, l2_regularization=5.0, random_state=SEED
        ),
    }


def classification_smooth() -> dict[str, BaseEstimator]:
    """Kernels and networks: strong where the classes are smooth shapes."""
    return {
        "svc-1": scaled(CalibratedClassifierCV(SVC(), ensemble=False)),
        "svc-10": scaled(CalibratedClassifierCV(SVC(C=10.0), ensemble=False)),
        "mlp-64": scaled(MLPClassifier(hidden_layer_sizes=(64,), alpha=0.1, max_iter=150, random_state=SEED)),
    }


def classification_variants() -> dict[str, BaseEstimator]:
    """The same families in other ordinary settings, all quick: for boards that want more teams."""
    bins = KBinsDiscretizer(6, encode="onehot-dense", quantile_method="averaged_inverted_cdf")
    kernel = Nystroem(gamma=0.02, n_components=150, random_state=SEED)
    logistic = LogisticRegression(max_iter=300)
    return {
        "best-single-feature": make_pipeline(SelectKBest(f_classif, k=1), scaled(logistic)),
        "best-three-features": make_pipeline(SelectKBest(f_classif, k=3), scaled(logistic)),
        "logistic-10": scaled(LogisticRegression(C=10.0, max_iter=300)),
        "logistic-l1": scaled(
            LogisticRegression(C=0.05, l1_ratio=1.0, solver="liblinear", random_state=SEED)
        ),
        "logistic-balanced": scaled(LogisticRegression(C=0.1, class_weight="balanced", max_iter=300)),
        "lda-shrunk": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        "sgd": scaled(SGDClassifier(loss="log_loss", alpha=1e-3, random_state=SEED)),
        "bernoulli-bayes": scaled(BernoulliNB()),
        "pca-3-logistic": scaled(make_pipeline(PCA(3, random_state=SEED), logistic)),
        "binned-logistic": make_pipeline(bins, LogisticRegression(C=0.3, max_iter=300)),
        "nystroem-logistic": scaled(make_pipeline(kernel, LogisticRegression(C=10.0, max_iter=300))),
        "knn-3": scaled(KNeighborsClassifier(3)),
        "knn-15": scaled(KNeighborsClassifier(15)),
        "knn-15-manhattan": scaled(KNeighborsClassifier(15, p=1, weights="distance")),
        "knn-150": scaled(KNeighborsClassifier(150)),
        "tree-2": DecisionTreeClassifier(max_depth=2, random_state=SEED),
        "tree-5": DecisionTreeClassifier(max_depth=5, random_state=SEED),
        "tree-leaf-20": DecisionTreeClassifier(min_samples_leaf=20, random_state=SEED),
        "tree-leaf-60": DecisionTreeClassifier(min_samples_leaf=60, random_state=SEED),
        "bagging-10": BaggingClassifier(random_state=SEED),
        "forest-leaf-20": RandomForestClassifier(100, min_samples_leaf=20, random_state=SEED),
        "forest-half-features": RandomForestClassifier(
            80, max_features=0.5, min_samples_leaf=3, random_state=SEED
        ),
        "forest-balanced": RandomForestClassifier(
            100, min_samples_leaf=10, class_weight="balanced", random_state=SEED
        ),
        "extra-trees-depth-8": ExtraTreesClassifier(100, max_depth=8, random_state=SEED),
        "adaboost-150": AdaBoostClassifier(n_estimators=150, random_state=SEED),
        "boosting-stumps": GradientBoostingClassifier(n_estimators=150, max_depth=1, random_state=SEED),
        "boosting-40-deep": GradientBoostingClassifier(
            n_estimators=40, max_depth=6, subsample=0.7, max_features=0.3, random_state=SEED
        ),
        "boosting-pairs": GradientBoostingClassifier(
            n_estimators=200, max_depth=2, learning_rate=0.05, subsample=0.5, random_state=SEED
        ),
        "hist-boosting-20": HistGradientBoostingClassifier(max_iter=20, random_state=SEED),
        "hist-boosting-fast": HistGradientBoostingClassifier(learning_rate=0.4, random_state=SEED),
        "hist-boosting-leaf-80": HistGradientBoostingClassifier(
            min_samples_leaf=80, max_leaf_nodes=8, learning_rate=0.05, random_state=SEED
        ),
        "mlp-32-decay": scaled(
            MLPClassifier(hidden_layer_sizes=(32,), alpha=5.0, max_iter=60, random_state=SEED)
        ),
    }


def tuned_classification(scoring: str) -> dict[str, BaseEstimator]:
    """Boosted trees tuned by three-fold cross-validation on the training rows, for few classes."""
    model = HistGradientBoostingClassifier(max_iter=80, random_state=SEED)
    grid = {"learning_rate": [0.05, 0.12], "max_leaf_nodes": [4, 12], "l2_regularization": [0.0, 10.0]}
    return {"hist-boosting-tuned": GridSearchCV(model, grid, cv=3, scoring=scoring)}


def classification_models() -> dict[str, BaseEstimator]:
    """Everything but the dummies, the variants and the tuned ones."""
    families = (
        classification_linear,
        classification_simple,
        classification_forests,
        classification_boosting,
        classification_smooth,
    )
    return {name: model for family in families for name, model in family().items()}
