"""A session's working directory seen from the host: reading and removing what untrusted code left there.

Everything starts from a descriptor of the directory, opened by the fork-server when it mounted it. No path is
ever resolved through anything the code could have made.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator

from mledojo_env.errors import InvalidSubmission
from mledojo_env.sandbox import syscalls

_CHUNK = 1 << 20
_MAX_DEPTH_LISTED = 8


def read_file(directory: int, name: str, max_bytes: int, owner: int) -> bytes:
    """Return the content of a regular file.

    Args:
        directory: Descriptor of the working directory.
        name: Path relative to it.
        max_bytes: Largest size to accept.
        owner: User id the sandbox ran as; nobody else's file is read.

    Raises:
        FileNotFoundError: If there is no such file.
        InvalidSubmission: If it is anything but a regular file of the sandbox's own, or too large.
    """
    fd = _open_for_reading(directory, name)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise InvalidSubmission(f"{name} is {_kind(found.st_mode)}; expected a regular file.")
        if found.st_nlink != 1 or found.st_uid != owner:
            raise InvalidSubmission(f"{name} is a hard link or somebody else's file; write a plain file.")
        if found.st_size > max_bytes:
            raise InvalidSubmission(f"{name} has {found.st_size} bytes; at most {max_bytes} are accepted.")
        parts, size = [], 0
        while chunk := os.read(fd, _CHUNK):
            size += len(chunk)
            if size > max_bytes:
                raise InvalidSubmission(f"{name} has more than the {max_bytes} bytes that are accepted.")
            parts.append(chunk)
        return b"".join(parts)
    finally:
        os.close(fd)


def make_accessible(directory: int) -> None:
    """Give the host its rights on the working directory back, whatever the code did to its mode."""
    os.fchmod(directory, 0o700)


def is_full(directory: int) -> bool:
    """Return whether no byte or no file more fits in."""
    space = os.fstatvfs(directory)
    return space.f_bavail == 0 or space.f_favail == 0


def inodes(directory: int) -> int:
    """Return how many files and directories its file system holds."""
    space = os.fstatvfs(directory)
    return space.f_files - space.f_ffree


def _open_for_reading(directory: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
    try:
        return syscalls.open_beneath(directory, name, flags)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise FileNotFoundError(f"There is no file {name} in the working directory.") from None
        if error.errno in (errno.ELOOP, errno.EXDEV):
            raise InvalidSubmission(f"{name} is a link or leads out of the working directory.") from None
        if error.errno in (errno.ENXIO, errno.ENODEV, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG):
            reason = os.strerror(error.errno)
            raise InvalidSubmission(f"{name} cannot be read as a regular file: {reason}.") from None
        raise


def _kind(mode: int) -> str:
    for test, word in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISLNK, "a link"),
    ):
        if test(mode):
            return word
    return "a device"


def list_files(directory: int, limit: int) -> dict[str, int]:
    """Return the sizes of regular files by relative path, at most `limit` of them, nearest the top first."""
    found: dict[str, int] = {}
    waiting: list[tuple[str, int]] = [("", 0)]
    while waiting and len(found) < limit:
        prefix, depth = waiting.pop(0)
        for name, info in _scan(directory, prefix):
            path = f"{prefix}/{name}" if prefix else name
            if stat.S_ISREG(info.st_mode):
                found[path] = info.st_size
            elif stat.S_ISDIR(info.st_mode) and depth < _MAX_DEPTH_LISTED and len(waiting) < limit:
                waiting.append((path, depth + 1))
            if len(found) >= limit:
                break
    return found


def _scan(directory: int, path: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        fd = syscalls.open_beneath(directory, path or ".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    yield entry.name, entry.stat(follow_symlinks=False)
                except OSError:
                    continue
    finally:
        os.close(fd)


def remove(directory: int, name: str) -> None:
    """Remove a file, link or directory tree, whatever its depth; nothing happens if it is not there.

    A tree is taken apart by moving its directories up to the top first: recursion and long paths, which a
    hostile tree would exhaust, never come into it.
    """
    parent_name, _, last = name.rstrip("/").rpartition("/")
    if last in ("", ".", ".."):
        raise ValueError(f"{name!r} is not the name of a file in the working directory.")
    try:
        parent = syscalls.open_beneath(directory, parent_name or ".", os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        if _unlink(parent, last):
            return
        doomed = [_unused_name()]
        os.rename(last, doomed[0], src_dir_fd=parent, dst_dir_fd=directory)
        while doomed:
            top = doomed.pop()
            for child in _empty(directory, top):
                moved = _unused_name()
                os.rename(f"{top}/{child}", moved, src_dir_fd=directory, dst_dir_fd=directory)
                doomed.append(moved)
            os.rmdir(top, dir_fd=directory)
    finally:
        os.close(parent)


def _unused_name() -> str:
    return f".removed-{secrets.token_hex(16)}"  # not to be guessed and put in the way


def _unlink(parent: int, name: str) -> bool:
    """Remove anything but a directory; return whether `name` is gone."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):
        return False
    return True


def _empty(directory: int, name: str) -> list[str]:
    """Remove the files of a directory and return the names of the directories in it, made accessible."""
    # Whoever owns the directory may have taken his own rights away.
    _grant(directory, name)
    fd = syscalls.open_beneath(directory, name, os.O_RDONLY | os.O_DIRECTORY)
    try:
        left = [child for child in os.listdir(fd) if not _unlink(fd, child)]
        for child in left:
            _grant(fd, child)
        return left
    finally:
        os.close(fd)


def _grant(parent: int, name: str) -> None:
    fd = syscalls.open_beneath(parent, name, os.O_PATH | os.O_DIRECTORY)
    try:
        os.chmod(f"/proc/self/fd/{fd}", 0o700)
    finally:
        os.close(fd)
