"""From the files that are kept to the files that are used: public/ for code, private/ for grading."""

from mledojo_env.prepare.bundled import CHECKSUMS, prepare_bundled, verify_checksums
from mledojo_env.prepare.store import (
    Manifest,
    Prepared,
    cache_root,
    is_prepared,
    prepared_place,
    raw_place,
    verify_manifest,
)

__all__ = [
    "CHECKSUMS",
    "Manifest",
    "Prepared",
    "cache_root",
    "is_prepared",
    "prepare_bundled",
    "prepared_place",
    "raw_place",
    "verify_checksums",
    "verify_manifest",
]
