"""MLE-Dojo's published results (arXiv 2505.07782), to be shown beside ours: labelled, never mixed in.

Another protocol, other tasks, and figures whose AUP is not defined as ours: see `profiles`.
"""

from __future__ import annotations

DOMAINS = ("MLE-Lite", "Tabular", "NLP", "CV")
LABEL = (
    "published by MLE-Dojo (arXiv 2505.07782): 50 Kaggle tasks, 15 steps, 12 h, best of two; another protocol"
)

# model -> per domain (AUP, HumanRank in %, Elo)
RESULTS: dict[str, tuple[tuple[float, float, int], ...]] = {
    "gpt-4o-mini": ((1.492, 21.21, 753), (0.724, 15.37, 839), (0.837, 13.14, 758), (1.172, 10.17, 754)),
    "gpt-4o": ((1.448, 27.85, 830), (0.691, 18.97, 861), (0.842, 29.97, 903), (1.418, 18.76, 761)),
    "o3-mini": ((1.895, 56.48, 1108), (0.739, 32.65, 1019), (0.992, 37.46, 1056), (1.892, 35.02, 1207)),
    "DeepSeek-v3": ((1.825, 44.26, 1004), (0.727, 37.85, 1015), (0.977, 28.41, 1028), (1.784, 26.75, 1067)),
    "DeepSeek-r1": ((1.852, 58.43, 1137), (0.678, 38.13, 1053), (0.988, 28.48, 1103), (1.844, 34.26, 1083)),
    "Gemini-2.0-Flash": ((1.696, 33.50, 847), (0.689, 30.36, 923), (0.884, 28.39, 860), (1.607, 20.35, 978)),
    "Gemini-2.0-Pro": ((1.796, 48.61, 1064), (0.787, 37.46, 1139), (0.970, 30.93, 1028), (1.651, 23.07, 973)),
    "Gemini-2.5-Pro": (
        (1.919, 61.95, 1257),
        (0.798, 42.64, 1150),
        (0.998, 38.45, 1266),
        (1.915, 42.83, 1177),
    ),
}


def published_rows() -> list[list[str]]:
    """Return a row a model: its name, then AUP / HumanRank / Elo of each domain."""
    return [
        [model, *(f"{aup:.3f} / {rank:.1f} % / {elo}" for aup, rank, elo in figures)]
        for model, figures in RESULTS.items()
    ]


def published_markdown() -> str:
    """Return the table in Markdown, under its label."""
    lines = [
        f"AUP / HumanRank / Elo {LABEL}.",
        "",
        f"| model | {' | '.join(DOMAINS)} |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in published_rows())])
