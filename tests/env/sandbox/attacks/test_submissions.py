"""Hostile code leaves traps where the host looks: the submission, its folder, names, and grading."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from mledojo_env.errors import InvalidSubmission
from mledojo_env.sandbox import Status

TRAPS = {
    "symlink to data": "os.symlink('/data/train.csv', 'submission.csv')",
    "symlink to a device": "os.symlink('/dev/zero', 'submission.csv')",
    "symlink to the host": "os.symlink('/etc/passwd', 'submission.csv')",
    "dangling symlink": "os.symlink('/absent', 'submission.csv')",
    "symlink loop": "os.symlink('submission.csv', 'submission.csv')",
    "magic link": "os.symlink('/proc/self/root/data/train.csv', 'submission.csv')",
    "symlink to a sibling": "open('real', 'w').write('x'); os.symlink('real', 'submission.csv')",
    "hard link": "open('real', 'w').write('x'); os.link('real', 'submission.csv')",
    "fifo": "os.mkfifo('submission.csv')",
    "fifo with a writer": "os.mkfifo('submission.csv')\nif os.fork() == 0: open('submission.csv', 'w')",
    "directory": "os.mkdir('submission.csv')",
    "full directory": "os.makedirs('submission.csv/a/b'); open('submission.csv/a/x', 'w')",
    "socket": "socket.socket(socket.AF_UNIX).bind('submission.csv')",
    "sparse": "open('submission.csv', 'w').truncate(10 * 2**30)",
    "too large": "open('submission.csv', 'w').write('x' * 2000)",
}


@pytest.mark.parametrize("make", TRAPS.values(), ids=TRAPS)
async def test_submissions_that_are_not_plain_files(run, session, make: str):
    result = await run(f"import os, socket\n{make}", file_mb=20_000)
    assert result.ok, result
    started = time.monotonic()
    with pytest.raises(InvalidSubmission, match=r"submission\.csv"):
        session.read("submission.csv", 1000)
    assert time.monotonic() - started < 1
    session.remove("submission.csv")
    with pytest.raises(FileNotFoundError):
        session.read("submission.csv", 1000)


async def test_a_submission_as_a_device(run):
    result = await run("import os\nos.mknod('submission.csv', 0o20666, os.makedev(1, 5))")
    assert result.error_class == "PermissionError"


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "d/../../x", "link/passwd", "/work/submission.csv", "", ".", "d/..", "x\0y"],
)
async def test_names_that_lead_out(run, session, name: str):
    await run("import os; os.mkdir('d'); os.symlink('/etc', 'link')")
    with pytest.raises((InvalidSubmission, FileNotFoundError, ValueError)):
        session.read(name, 1000)


async def test_a_submission_that_changes_while_it_is_read(run, session):
    """Whoever would change it is dead by then: what is read is what was there at the end, as a whole."""
    code = """
import os, threading
def change():
    while True:
        for letter in b"ab":
            open("next", "wb").write(bytes([letter]) * 500_000); os.rename("next", "submission.csv")
for _ in range(3):
    if os.fork() == 0: os.setsid(); change()
threading.Thread(target=change, daemon=True).start()
import time; time.sleep(0.3)
"""
    assert (await run(code)).ok
    first = session.read("submission.csv", 10**6)
    await asyncio.sleep(0.05)
    assert session.read("submission.csv", 10**6) == first and first in (b"a" * 500_000, b"b" * 500_000)


async def test_an_unreadable_submission(run, session, sandbox):
    await run("import os; open('submission.csv', 'w').write('x'); os.chmod('submission.csv', 0)")
    if os.geteuid() == 0 and sandbox.name == "local":  # who can read anything
        assert session.read("submission.csv", 10) == b"x"
    else:
        with pytest.raises(InvalidSubmission, match="Permission denied"):
            session.read("submission.csv", 10)


async def test_a_locked_working_directory(attack, run, session):
    result = await run("import os; open('submission.csv', 'w').write('x'); os.chmod('/work', 0)")
    assert result.ok
    assert session.read("submission.csv", 10) == b"x"
    session.remove("submission.csv")
    assert (await run("open('x', 'w')")).ok
    assert (await attack("import os\nos.chmod('/work', 0)")).ok


@pytest.mark.parametrize(
    "attempt",
    [
        "os.rmdir('/work')",
        "os.rename('/work', '/tmp/w')",
        "shutil.rmtree('/work')",
        "os.symlink('/tmp', '/work')",
    ],
)
async def test_the_working_directory_stays(attack, attempt: str):
    result = await attack(f"import os, shutil\nopen('x', 'w')\n{attempt}")
    assert result.status is Status.ERROR


NAMES = {
    "long": "open('x' * 255, 'w')",
    "not text": "open(b'\\xff\\xfe', 'w'); open('sur\\udcffrogate', 'w')",
    "controls": "open('\\x1b[2J\\n\\r\\x07', 'w')",
    "dots": "open('...', 'w'); os.makedirs('. ./..x'); open('. ./..x/. .', 'w')",
    "markup": "open('<script>alert(1)</script>', 'w') if 0 else open('; rm -rf $HOME `id` %s %n {0}', 'w')",
    "very many": "[open(f'{i}', 'w').close() for i in range(15_000)]",
}


@pytest.mark.parametrize("code", NAMES.values(), ids=NAMES)
async def test_names_of_files(attack, code: str):
    result = await attack(f"import os\n{code}")
    assert result.ok and 0 < len(result.files) <= 200, result
    assert all(
        character.isprintable() for name in result.files for character in name if character not in "\n\r"
    )


async def test_hostile_trees_are_removed(attack, run, session):
    code = """
import os
os.makedirs("wide"); [open(f"wide/{i}", "w").close() for i in range(3000)]
os.mkdir("tree"); os.chdir("tree")
for i in range(3000):
    os.mkdir("d" * 200); os.chdir("d" * 200)
open("leaf", "w").close(); os.mkdir("locked"); os.chmod("locked", 0)
os.chdir("/work"); os.mkdir("submission.csv"); os.mkdir("submission.csv/x"); os.chmod("submission.csv", 0)
os.mkdir("odd\\n\\x1b[2J\\udcff")
"""
    result = await run(code)
    assert result.ok, result
    for name in ("submission.csv", "tree", "wide"):
        session.remove(name)
    assert (await run("import os; print(len(os.listdir()))")).stdout == "1\n"
    session.clear()
    assert (await attack(code)).ok


async def test_a_pickle_for_the_grader(run, session, tmp_path):
    """A submission is parsed as text, by a process of its own; what could be loaded as code is refused."""
    from mledojo_env import load_task
    from mledojo_env.grader import shared_grader

    code = f"""
import os, pickle
class Trap:
    def __reduce__(self): return os.system, ("touch {tmp_path}/BROKE",)
pickle.dump(Trap(), open("submission.csv", "wb"))
"""
    assert (await run(code)).ok
    data = session.read("submission.csv", 10_000)
    assert b"posix" in data
    with pytest.raises(InvalidSubmission):
        await shared_grader().grade(load_task("concrete-strength"), data)
    assert not (tmp_path / "BROKE").exists()
