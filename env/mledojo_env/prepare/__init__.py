"""From the files that are kept to the files that are used: public/ for code, private/ for grading."""

from mledojo_env.prepare.bundled import CHECKSUMS, Prepared, cache_root, prepare_bundled, verify_checksums

__all__ = ["CHECKSUMS", "Prepared", "cache_root", "prepare_bundled", "verify_checksums"]
