"""Recordings with a list of species each, hidden for half of them, and features of their segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RECORDINGS = 110
SPECIES = 19


def fabricate(folder: Path, random: np.random.Generator) -> None:
    """Write raw files into a folder."""
    base = folder / "mlsp_contest_dataset"
    essential, supplemental = base / "essential_data", base / "supplemental_data"
    for name in ("spectrograms", "filtered_spectrograms", "supervised_segmentation", "segmentation_examples"):
        (supplemental / name).mkdir(parents=True)
    (essential / "src_wavs").mkdir(parents=True)
    labels, names, folds = ["rec_id,[labels]"], ["rec_id,filename"], ["rec_id,fold"]
    features = {
        "histogram_of_segments.txt": ["rec_id,[histogram of segment features]"],
        "segment_features.txt": ["rec_id,segment_id,[feature vector]"],
        "segment_rectangles.txt": ["rec_id,segment_id,min_x,max_x,min_y,max_y"],
    }
    for number in range(RECORDINGS):
        file = f"PC{number % 13 + 1}_20090606_050012_{number:04d}"
        heard = random.choice(SPECIES, int(random.integers(0, 5)), replace=False)
        is_hidden = number % 4 == 0
        labels.append(",".join([str(number), *(["?"] if is_hidden else map(str, sorted(heard)))]))
        names.append(f"{number},{file}")
        folds.append(f"{number},{int(is_hidden)}")
        (essential / "src_wavs" / f"{file}.wav").write_bytes(random.bytes(8))
        for name in ("spectrograms", "filtered_spectrograms", "supervised_segmentation"):
            (supplemental / name / f"{file}.bmp").write_bytes(random.bytes(8))
        features["histogram_of_segments.txt"].append(f"{number},{','.join(['0.01'] * 100)}")
        features["segment_features.txt"].append(f"{number},0,0.5,0.25,0.125")
        features["segment_rectangles.txt"].append(f"{number},0,10,40,20,60")
    (supplemental / "segmentation_examples" / f"{names[2].split(',')[1]}.bmp").write_bytes(random.bytes(8))
    species = ["class_id,code,species", *(f"{code},BRC{code},Bird {code}" for code in range(SPECIES))]
    for name, lines in {
        "rec_labels_test_hidden.txt": labels,
        "rec_id2filename.txt": names,
        "CVfolds_2.txt": folds,
        "species_list.txt": species,
    }.items():
        (essential / name).write_text("\n".join(lines) + "\n")
    for name, lines in features.items():
        (supplemental / name).write_text("\n".join(lines) + "\n")
    (folder / "sample_submission.csv").write_text("Id,Probability\n0,0\n")
