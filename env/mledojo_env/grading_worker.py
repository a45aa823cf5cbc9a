"""The grader's worker process: `python -I grading_worker.py '{...}'`, started by `grading_process.Worker`.

It reads requests from stdin and writes replies to stdout: frames of JSON, after a request one of raw bytes.
The bytes of a submission are all that comes from an agent; they are parsed as CSV and nothing else.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mledojo_env.task import Task

_MAX_TASKS = 16  # answers kept in memory


def main() -> None:
    """Serve requests until stdin ends."""
    options = json.loads(sys.argv[1])
    _confine(options)
    _find_package(options["package"], options["path"])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not end up between the frames
    _serve(sys.stdin.buffer, replies, options)


def _confine(options: dict[str, Any]) -> None:
    """Die with the owner, leave no core, take no more memory than allowed."""
    import ctypes
    import resource
    import signal

    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != options["owner"]:  # it died before the line above
        raise SystemExit(0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    memory = options["memory_mb"] * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _find_package(package: str, path: list[str]) -> None:
    """Make `mledojo_env` this very copy, whatever is installed; find libraries where the owner does."""
    sys.path.extend(entry for entry in path if entry not in sys.path)
    spec = importlib.util.spec_from_file_location(
        "mledojo_env", os.path.join(package, "__init__.py"), submodule_search_locations=[package]
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["mledojo_env"] = module
    spec.loader.exec_module(module)


def _serve(requests: IO[bytes], replies: IO[bytes], options: dict[str, Any]) -> None:
    from mledojo_env.grading_process import receive, send

    tasks: OrderedDict[str, Task] = OrderedDict()
    while True:
        try:
            request, data = json.loads(receive(requests)), receive(requests)
        except EOFError:
            return
        answer = _load(request, tasks) if request["op"] == "load" else _grade(request, data, tasks, options)
        send(replies, json.dumps(answer).encode())


def _load(request: dict[str, Any], tasks: OrderedDict[str, Task]) -> dict[str, Any]:
    """Read a task's answers and board ahead, so that what fails here is not put down to a submission."""
    from pathlib import Path

    from mledojo_env.task import Task

    _allow_cpu(math.inf)  # what the last submission was allowed is not for this
    os.environ["MLEDOJO_CACHE"] = request["cache"]
    try:
        task = Task.from_folder(Path(request["folder"]), request["variant"])
        task.answers()
        _ = task.metric, task.leaderboard
    except (Exception, MemoryError) as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    tasks[request["key"]] = task
    dropped = [tasks.popitem(last=False)[0] for _ in range(len(tasks) - _MAX_TASKS)]
    return {"dropped": dropped}


def _grade(
    request: dict[str, Any], data: bytes, tasks: OrderedDict[str, Task], options: dict[str, Any]
) -> dict[str, Any]:
    from dataclasses import asdict

    from mledojo_env.errors import InvalidSubmission
    from mledojo_env.grading import grade_bytes

    _allow_cpu(options["cpu_s"])
    tasks.move_to_end(request["key"])
    try:
        return {"grade": asdict(grade_bytes(tasks[request["key"]], data))}
    except InvalidSubmission as error:
        return {"invalid": str(error)}
    except MemoryError:
        limit = options["memory_mb"]
        return {"invalid": f"The submission takes more than {limit} MB of memory to grade.", "spent": True}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def _allow_cpu(seconds: float) -> None:
    """Let the kernel end this process (SIGXCPU) when it has used so many seconds from now; inf: never."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if math.isinf(seconds):
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(usage.ru_utime + usage.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (end if hard == resource.RLIM_INFINITY else min(end, hard), hard))


if __name__ == "__main__":
    main()
