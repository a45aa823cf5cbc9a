"""The Linux calls that Python has no name for: namespaces, mounts, capabilities, openat2.

Everything goes through libc's exported wrappers or, for calls numbered 424 and up, through `syscall(2)`:
those numbers are the same on x86-64 and aarch64. Standard library only: this file also runs inside the
sandbox's root, where nothing else is importable before the packages are.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000

ATTR_RDONLY = 0x1
ATTR_NOSUID = 0x2
ATTR_NODEV = 0x4
ATTR_NOEXEC = 0x8

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_NR_OPEN_TREE = 428
_NR_MOVE_MOUNT = 429
_NR_OPENAT2 = 437
_NR_MOUNT_SETATTR = 442

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_MNT_DETACH = 2
_LAST_CAPABILITY = 63  # the kernel answers EINVAL beyond the last it knows
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def describe(error: OSError) -> str:
    """Return which step the kernel refused and why, without the errno in brackets."""
    return str(error) if error.filename or not error.strerror else error.strerror


def syscall(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Return the result of a raw system call; integers travel as C longs.

    Raises:
        OSError: With the call's errno.
    """
    converted = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *converted), f"system call {number}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces (new PID namespaces take effect in its next child)."""
    _checked(_libc.unshare(ctypes.c_int(flags)), f"unshare({flags:#x})")


def setns(fd: int, kind: int) -> None:
    """Join the namespace that `fd` refers to."""
    _checked(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), f"setns({kind:#x})")


def prctl(option: int, argument: int = 0, second: int = 0) -> int:
    """Return the result of prctl(2)."""
    values = [ctypes.c_ulong(value) for value in (argument, second, 0, 0)]
    return _checked(_libc.prctl(ctypes.c_int(option), *values), f"prctl({option})")


def sethostname(name: str) -> None:
    """Set the host name of this UTS namespace."""
    encoded = name.encode()
    _checked(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), "sethostname")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount a file system, or change the propagation or options of a mount."""
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    result = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    _checked(result, f"mount {kind or source} on {target}")


def detach(path: str) -> None:
    """Take a mount and what is mounted below it out of this mount namespace."""
    _checked(_libc.umount2(os.fsencode(path), ctypes.c_int(_MNT_DETACH)), f"unmount {path}")


def enter_root(path: str) -> None:
    """Make the mount at `path` this mount namespace's root and drop the old one."""
    os.chdir(path)
    # pivot_root(".", ".") stacks the old root on the new one, where it can be detached (pivot_root(2)).
    _checked(_libc.pivot_root(b".", b"."), f"pivot_root {path}")
    detach(".")
    os.chdir("/")


def clone_tree(path: str, attributes: int) -> int:
    """Return a file descriptor of a detached copy of the mount tree at `path`, with `attributes` set."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE
    try:
        fd = syscall(_NR_OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags)
    except OSError as error:
        raise OSError(error.errno, f"open_tree {path}: {os.strerror(error.errno or 0)}") from None
    try:
        set_mount_attributes(fd, attributes)
    except OSError:
        os.close(fd)
        raise
    return fd


def set_mount_attributes(fd: int, attributes: int, *, recursive: bool = True) -> None:
    """Add attributes such as `ATTR_RDONLY` to the mount that `fd` refers to; none is ever removed."""
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    structure = struct.pack("=QQQQ", attributes, 0, 0, 0)
    syscall(_NR_MOUNT_SETATTR, fd, b"", flags, structure, len(structure))


def attach_tree(fd: int, target: str) -> None:
    """Attach a detached mount tree at `target`."""
    try:
        syscall(_NR_MOVE_MOUNT, fd, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
    except OSError as error:
        raise OSError(error.errno, f"move_mount to {target}: {os.strerror(error.errno or 0)}") from None


def bind(source: str, target: str, attributes: int = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV) -> None:
    """Mount `source` (a file or a directory) on `target`, read-only unless told otherwise."""
    fd = clone_tree(source, attributes)
    try:
        attach_tree(fd, target)
    finally:
        os.close(fd)


def drop_capability_bounds() -> None:
    """Empty the bounding set, so that no later execve can bring a capability back; needs CAP_SETPCAP."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return


def drop_capabilities() -> None:
    """Give up the ambient, permitted, effective and inheritable capabilities of this process."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, bytes(24)), "capset")


def map_user(inside: int, outside: int, group_inside: int, group_outside: int) -> None:
    """Give this process, just moved into a new user namespace, an identity in it."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside} {outside} 1"),
        ("gid_map", f"{group_inside} {group_outside} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def open_beneath(directory: int, name: str, flags: int) -> int:
    """Return a descriptor of `name` below `directory`: no links, no mount points, no way out.

    Raises:
        OSError: ELOOP for a symbolic link, EXDEV for a path that leaves the directory, as openat2(2).
    """
    if "\0" in name:
        raise ValueError("a file name cannot hold NUL bytes")
    resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, resolve)
    return syscall(_NR_OPENAT2, directory, os.fsencode(name), how, len(how))
