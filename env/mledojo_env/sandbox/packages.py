"""Which Python distributions a sandbox may see, and the files that make them up.

The sandbox never sees a site-packages directory: that would show it every editable install and, where this
package was installed from a wheel, the private answers of every task. Each allowed distribution is mounted
by itself, entry by entry.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

REQUIRED = ("numpy", "pandas", "scikit-learn")
OPTIONAL = (
    "scipy",
    "joblib",
    "threadpoolctl",
    "python-dateutil",
    "pytz",
    "tzdata",
    "six",
    "pyarrow",
    "lightgbm",
    "xgboost",
    "statsmodels",
    "pillow",
    "matplotlib",
)
DEFAULT_PACKAGES = REQUIRED + OPTIONAL

# Never shown, whatever a distribution's file list says.
_FORBIDDEN = frozenset({"mledojo_env", "mledojo_train", "__pycache__", "..", "."})
_REQUIREMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def normalized(name: str) -> str:
    """Return a distribution's name in its canonical form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def resolve(names: Iterable[str], path: list[str] | None = None) -> dict[str, metadata.Distribution]:
    """Return the installed distributions among `names` and all they depend on, by canonical name.

    Dependencies of extras are left out; a dependency that is not installed is skipped, as an environment
    marker may have excluded it.

    Args:
        names: Distribution names.
        path: Where to look; this interpreter's `sys.path` by default.
    """
    installed: dict[str, metadata.Distribution] = {}
    for found in metadata.distributions(path=path) if path is not None else metadata.distributions():
        name = found.metadata["Name"]
        if name:
            installed.setdefault(normalized(name), found)  # earlier entries of sys.path win, as at import
    chosen: dict[str, metadata.Distribution] = {}
    waiting = [normalized(name) for name in names]
    while waiting:
        name = waiting.pop()
        distribution = installed.get(name)
        if distribution is None or name in chosen:
            continue
        chosen[name] = distribution
        for requirement in distribution.requires or ():
            match = _REQUIREMENT_NAME.match(requirement)
            if match and "extra ==" not in requirement:
                waiting.append(normalized(match.group()))
    return chosen


def entries(distribution: metadata.Distribution) -> list[Path]:
    """Return the top-level files and directories of site-packages that a distribution consists of.

    Path configuration files (`.pth`) are left out: they would run code or add paths at start-up.
    """
    base = Path(str(distribution.locate_file("")))
    names = {file.parts[0] for file in distribution.files or () if file.parts}
    if not any((base / name).suffix in ("", ".py", ".so") and _is_code(base / name) for name in names):
        # Distribution packagers may ship no file list.
        listed = (distribution.read_text("top_level.txt") or distribution.metadata["Name"]).split()
        names |= {candidate for name in listed for candidate in (name, f"{name}.py")}
    kept = sorted(name for name in names if name not in _FORBIDDEN and not name.endswith(".pth"))
    return [base / name for name in kept if (base / name).exists()]


def _is_code(path: Path) -> bool:
    return path.suffix in (".py", ".so") or path.is_dir()


def fingerprint(names: Iterable[str]) -> str:
    """Return a digest of this interpreter, its processor's kind, and the versions of distributions."""
    found = sorted((name, made.version) for name, made in resolve(names).items())
    said = json.dumps([sys.version, platform.machine(), found])
    return hashlib.sha256(said.encode()).hexdigest()[:16]
