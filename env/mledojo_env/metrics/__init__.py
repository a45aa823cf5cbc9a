"""Competition metrics by name: `get_metric("rmse", {})(y_true, y_pred) -> float`.

One module a family; a function decorated with `base.metric` is all that a new one needs.
"""

from mledojo_env.metrics.base import BadCell, Metric, Prediction, get_metric, metric_names

__all__ = ["BadCell", "Metric", "Prediction", "get_metric", "metric_names"]
