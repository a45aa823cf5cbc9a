"""Charts of a report: Vega-Lite specifications, drawn as SVG when the report is written.

A picture needs no script in the page, prints well, and takes its ink from the page (`currentColor`), so that
it follows a dark theme.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mledojo_train.summary import FACTORS

WIDTH = 420  # px, of the plot itself; the page scales it down where there is less room
PALETTE = ("#4c78a8", "#e45756", "#2f9e6f", "#b279a2", "#d98a1e", "#5aa9b8", "#9d755d", "#7f8694")

_CONFIG = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "tickColor": "currentColor",
        "domainColor": "currentColor",
        "gridColor": "currentColor",
        "gridOpacity": 0.12,
        "titleFontWeight": "normal",
        "labelLimit": 160,
        "labelFontSize": 12,
        "titleFontSize": 12,
    },
    "legend": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "orient": "bottom",
        "columns": 2,
        "labelLimit": 190,
        "columnPadding": 28,
        "labelFontSize": 12,
    },
}


def charts(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the charts that there is data for: title, what it shows, SVG."""
    policies = summary["policies"]
    made = [
        ("Rank", "Mean with its 95 % interval over tasks.", _forest(policies)),
        ("Rank by domain", "Mean with its 95 % interval over episodes.", _domains(summary)),
        ("Rank over steps", "Of the submission that counts so far, mean over tasks.", _curves(policies)),
        (
            "Performance profile",
            "Share of tasks on which a policy is within a factor of the best one.",
            _profiles(policies),
        ),
        ("Actions", "Share of all actions.", _bars(_mix(policies), "action")),
        (
            "Failures",
            "Steps that failed, by phase and error, a step taken.",
            _bars(_errors(policies), "failure"),
        ),
        (
            "Cost against rank",
            "Tokens that a policy wrote an episode, or dollars where known.",
            _costs(policies),
        ),
    ]
    return [(title, text, _svg(spec, list(policies))) for title, text, spec in made if spec]


def _forest(policies: Mapping[str, Any]) -> dict[str, Any] | None:
    values = [
        {"policy": name, **figures["all"]["rank_tasks"]}
        for name, figures in policies.items()
        if figures["all"]["rank_tasks"]
    ]
    if not values:
        return None
    y = {"field": "policy", "type": "nominal", "title": None, "sort": None}
    return {
        "data": {"values": values},
        "height": {"step": 34},
        "encoding": {"y": y, "color": _color(legend=False)},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3},
                "encoding": {"x": _unit("low", "rank"), "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
                "encoding": {"x": _unit("mean", "rank")},
            },
        ],
    }


def _domains(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    values = [
        {"policy": name, "domain": domain, **figures[domain]["rank"]}
        for name, figures in summary["policies"].items()
        for domain in summary["domains"]
        if domain in figures and figures[domain]["rank"]
    ]
    if not values:
        return None
    offset = {"field": "policy", "sort": list(summary["policies"])}
    return {
        "data": {"values": values},
        "height": {"step": 13},
        "encoding": {"y": {"field": "domain", "type": "nominal", "title": None}, "yOffset": offset},
        "layer": [
            {"mark": "bar", "encoding": {"x": _unit("mean", "rank"), "color": _color()}},
            {
                "mark": {"type": "rule", "color": "currentColor"},
                "encoding": {"x": _unit("low", "rank"), "x2": {"field": "high"}},
            },
        ],
    }


def _curves(policies: Mapping[str, Any]) -> dict[str, Any] | None:
    last = max((len(figures["all"]["curve"]) for figures in policies.values()), default=0)
    if not last:
        return None
    values = [
        {"policy": name, "step": step, "rank": curve[min(step, len(curve)) - 1]}  # who ended keeps their rank
        for name, curve in ((name, figures["all"]["curve"]) for name, figures in policies.items())
        if curve
        for step in range(1, last + 1)
    ]
    ticks = list(range(1, last + 1, max(1, last // 10)))
    return {
        "data": {"values": values},
        "height": 220,
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {
                "field": "step",
                "type": "quantitative",
                "scale": {"domain": [1, max(last, 2)]},
                "axis": {"values": ticks, "format": "d"},
            },
            "y": _unit("rank", "rank so far"),
            "color": _color(),
        },
    }


def _profiles(policies: Mapping[str, Any]) -> dict[str, Any] | None:
    values = [
        {"policy": name, "factor": factor, "share": share}
        for name, figures in policies.items()
        if figures["all"].get("aup") is not None
        for factor, share in zip(FACTORS, figures["all"]["profile"], strict=True)
    ]
    if not values or len(policies) < 2:
        return None
    return {
        "data": {"values": values},
        "height": 220,
        "mark": {"type": "line", "interpolate": "step-after"},
        "encoding": {
            "x": {
                "field": "factor",
                "type": "quantitative",
                "scale": {"type": "log", "domain": [1, 10]},
                "axis": {"values": [1, 1.5, 2, 3, 5, 10], "format": ".2~g"},
                "title": "factor of the best rank",
            },
            "y": _unit("share", "share of tasks"),
            "color": _color(),
        },
    }


def _mix(policies: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"policy": name, "kind": kind, "share": share}
        for name, figures in policies.items()
        for kind, share in figures["all"]["action_mix"].items()
    ]


def _errors(policies: Mapping[str, Any], most: int = 7) -> list[dict[str, Any]]:
    """Return the commonest failures as shares of all steps; the rest is summed up."""
    total: dict[str, int] = {}
    for figures in policies.values():
        for kind, count in figures["all"]["errors"].items():
            total[kind] = total.get(kind, 0) + count
    kept = sorted(total, key=lambda kind: -total[kind])[:most]
    values = []
    for name, figures in policies.items():
        shares: dict[str, float] = {}
        for kind, count in figures["all"]["errors"].items():
            label = kind if kind in kept else "other"
            shares[label] = shares.get(label, 0.0) + count / max(1, figures["all"]["steps"])
        values += [{"policy": name, "kind": kind, "share": share} for kind, share in shares.items()]
    return values


def _bars(values: Sequence[Mapping[str, Any]], title: str) -> dict[str, Any] | None:
    if not values:
        return None
    return {
        "data": {"values": list(values)},
        "height": {"step": 34},
        "mark": "bar",
        "encoding": {
            "y": {"field": "policy", "type": "nominal", "title": None, "sort": None},
            "x": {
                "field": "share",
                "type": "quantitative",
                "axis": {"format": "%"},
                "title": "share of steps",
            },
            "color": {"field": "kind", "type": "nominal", "title": title, "scale": {"range": list(PALETTE)}},
        },
    }


def _costs(policies: Mapping[str, Any]) -> dict[str, Any] | None:
    figures = {name: found["all"] for name, found in policies.items()}
    priced = bool(figures) and all(found["cost"] is not None for found in figures.values())
    key, title = ("cost", "US dollars an episode") if priced else ("policy_tokens", "tokens an episode")
    values = [
        {"policy": name, "spent": found[key], "mean": found["rank_tasks"]["mean"]}
        for name, found in figures.items()
        if found[key] and found["rank_tasks"]
    ]
    if not values:
        return None
    return {
        "data": {"values": values},
        "height": 220,
        "mark": {"type": "point", "filled": True, "size": 130, "opacity": 1},
        "encoding": {
            "x": {
                "field": "spent",
                "type": "quantitative",
                "title": title,
                "scale": {"zero": False, "padding": 20},
            },
            "y": _unit("mean", "rank"),
            "color": _color(),
        },
    }


def _unit(field: str, title: str) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "title": title, "scale": {"domain": [0, 1]}}


def _color(*, legend: bool = True) -> dict[str, Any]:
    shown: dict[str, Any] = {"field": "policy", "type": "nominal", "title": None, "sort": None}
    return shown if legend else shown | {"legend": None}


def _svg(spec: Mapping[str, Any], policies: Sequence[str]) -> str:
    """Draw a specification; colours of policies are the same in all charts."""
    import vl_convert

    spec = _with_scale(spec, {"domain": list(policies), "range": [colour(i) for i in range(len(policies))]})
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": WIDTH,
        "autosize": {"type": "pad", "contains": "padding"},
        "padding": {"left": 16, "top": 5, "right": 10, "bottom": 5},  # browsers' letters are wider
        "config": _CONFIG,
        **spec,
    }
    return _scalable(vl_convert.vegalite_to_svg(whole, allowed_base_urls=[]))


def colour(place: int) -> str:
    """Return the colour of the policy at a place."""
    return PALETTE[place % len(PALETTE)]


@functools.singledispatch
def _with_scale(part: Any, scale: dict[str, Any]) -> Any:
    """Return a specification whose `color` of policies has this scale."""
    return part


@_with_scale.register
def _(part: dict, scale: dict[str, Any]) -> Any:
    found = {key: _with_scale(value, scale) for key, value in part.items() if key != "data"}
    if isinstance(found.get("color"), dict) and found["color"].get("field") == "policy":
        found["color"] = {**found["color"], "scale": scale}
    return found | {key: part[key] for key in ("data",) if key in part}


@_with_scale.register
def _(part: list, scale: dict[str, Any]) -> Any:
    return [_with_scale(value, scale) for value in part]


def _scalable(svg: str) -> str:
    """Return a drawing that takes the width it is given, up to its own."""
    width = re.search(r'<svg[^>]*? width="(\d+(?:\.\d+)?)"', svg)
    style = f' style="width: 100%; max-width: {width[1]}px; height: auto"' if width else ""
    return re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', rf"\1{style}", svg, count=1)
