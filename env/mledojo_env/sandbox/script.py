"""Runs the agent's code as `__main__` of a process that is already jailed, and describes how it failed.

Everything here runs at the mercy of the script, in its own process: what it reports is text for the agent to
read, and decides nothing but which name a failure gets (see `outcome`).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import linecache
import os
import random
import sys
import threading
import traceback
import types
from collections.abc import Mapping
from dataclasses import dataclass, field

NAME = "script.py"  # as tracebacks and warnings show it
_MAX_MESSAGE = 8_000
_MAX_TRACEBACK = 32_000
_MAX_FRAMES = 20
_MAX_DEPTH = 2_000  # frames to look at: a script can raise the recursion limit to millions
_SPARE_BYTES = 4 * 2**20
_NO_MEMORY = b"MemoryError\0\0\0"


@dataclass(frozen=True)
class Places:
    """Where a script finds itself; elsewhere only where there is no root of its own."""

    work: str = "/work"
    temporary: str = "/tmp"
    variables: Mapping[str, str] = field(default_factory=dict)  # more, or others, of its environment


def environment(threads: int, places: Places = Places()) -> dict[str, str]:
    """Return the environment variables of an execution; none comes from the host."""
    count = str(threads)
    return {
        "PATH": "/opt/env/bin",
        "HOME": places.work,
        "USER": "agent",
        "LOGNAME": "agent",
        "TMPDIR": places.temporary,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "LD_LIBRARY_PATH": "/opt/python/lib",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": places.temporary,
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "LOKY_MAX_CPU_COUNT": count,  # what n_jobs=-1 means
        **places.variables,
    }


def run(source: bytes, report: int, *, threads: int, seed: int, places: Places = Places()) -> int:
    """Run `source` as a script would be run and return its exit code."""
    _prepare_process(threads, seed, places)
    owner = os.getpid()
    code = 1
    spare = bytearray(_SPARE_BYTES)  # a script that ran out of memory leaves none to describe that with
    try:
        code = _execute(source, places)
    except SystemExit as exit_request:
        code = _exit_code(exit_request)
    except BaseException as error:
        del spare
        if os.getpid() == owner:  # a forked child of the script may end up here too
            _send_report(error, report, places)
    try:
        # What the interpreter does at its end.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            code = code or 1
    return code & 0xFF


def _prepare_process(threads: int, seed: int, places: Places) -> None:
    gc.enable()
    os.environ.clear()
    os.environ.update(environment(threads, places))
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = _text_stream(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _text_stream(2)  # type: ignore[misc]
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
    threadpoolctl = sys.modules.get("threadpoolctl")
    if threadpoolctl is not None and threads > 1:
        threadpoolctl.threadpool_limits(threads)


def _text_stream(fd: int) -> io.TextIOWrapper:
    # Line by line: what was printed before a time limit struck has been seen.
    return open(fd, "w", buffering=1, closefd=False, encoding="utf-8", errors="backslashreplace")


def _execute(source: bytes, places: Places) -> int:
    path = f"{places.temporary}/{NAME}"
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=__builtins__)
    sys.modules["__main__"] = module
    for name in [name for name in sys.modules if name.startswith("mledojo_env")]:
        del sys.modules[name]  # a script does not find what runs it
    sys.argv[:] = [path]
    sys.path.insert(0, places.work)
    with open(path, "wb") as file:  # multiprocessing's spawn looks for it
        file.write(source)
    text = source.decode()
    linecache.cache[NAME] = (len(text), None, text.splitlines(keepends=True), NAME)
    exec(compile(source, NAME, "exec", dont_inherit=True), module.__dict__)
    return 0


def _exit_code(request: SystemExit) -> int:
    if request.code is None:
        return 0
    if isinstance(request.code, int):
        return request.code if -(2**63) <= request.code < 2**63 else -1  # as the interpreter does
    print(request.code, file=sys.stderr)
    return 1


def _send_report(error: BaseException, report: int, places: Places) -> None:
    """Write class, message, errno and the script's own frames, separated by NUL."""
    with contextlib.suppress(OSError):  # the script may have closed it
        try:
            data = _describe(error, places)
        except MemoryError:
            data = _NO_MEMORY
        while data:
            data = data[os.write(report, data) :]


def _describe(error: BaseException, places: Places) -> bytes:
    try:
        number = error.errno if isinstance(error, OSError) else None
        fields = (
            type(error).__name__[:200],
            str(error)[:_MAX_MESSAGE],
            "" if number is None else str(number),
            _own_traceback(error, places)[-_MAX_TRACEBACK:],
        )
    except BaseException as broken:  # an exception whose __str__ raises, memory that is gone
        fields = (type(error).__name__[:200], f"(not printable: {type(broken).__name__})", "", "")
    return "\0".join(field.replace("\0", "") for field in fields).encode(errors="backslashreplace")


def _own_traceback(error: BaseException, places: Places) -> str:
    description = traceback.TracebackException.from_exception(error, compact=True, limit=-_MAX_DEPTH)
    _keep_own_frames(description, (NAME, f"{places.work}/"))
    return "".join(description.format())


def _keep_own_frames(description: traceback.TracebackException | None, own: tuple[str, ...]) -> None:
    """Drop the frames of libraries and of this runner, here and in what led to the exception."""
    if description is None:
        return
    frames = [frame for frame in description.stack if frame.filename.startswith(own)]
    description.stack = traceback.StackSummary.from_list(frames[-_MAX_FRAMES:])
    _keep_own_frames(description.__cause__, own)
    _keep_own_frames(description.__context__, own)
    for inner in getattr(description, "exceptions", None) or ():
        _keep_own_frames(inner, own)
