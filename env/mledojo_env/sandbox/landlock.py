"""Landlock: a second fence around the file system, sockets and signals, from the kernel's own rules.

The mount namespace already hides everything that is not listed; Landlock keeps that true should a process
find a way to a file descriptor, path or abstract socket outside of it. Rights that a kernel does not know
yet are left out: see `abi_version`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from mledojo_env.sandbox import syscalls

_NR_CREATE_RULESET = 444
_NR_ADD_RULE = 445
_NR_RESTRICT_SELF = 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_MAKE_CHAR = 1 << 6
_MAKE_BLOCK = 1 << 11
_FIRST_ABI_RIGHTS = (1 << 13) - 1
_REFER = 1 << 13  # ABI 2
_TRUNCATE = 1 << 14  # ABI 3
_IOCTL_DEV = 1 << 15  # ABI 5
_ALL_TCP = 0b11  # ABI 4: bind, connect
_ALL_SCOPES = 0b11  # ABI 6: abstract unix sockets, signals

_READ_ONLY = _EXECUTE | _READ_FILE | _READ_DIR
_FILE_RIGHTS = _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV


def abi_version() -> int:
    """Return the kernel's Landlock ABI, 0 where it has none or has it switched off."""
    try:
        return syscalls.syscall(_NR_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def _file_rights(abi: int) -> int:
    rights = _FIRST_ABI_RIGHTS
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if abi >= since:
            rights |= right
    return rights


def restrict(
    read_only: Iterable[str],
    read_write: Iterable[str],
    devices: Iterable[str],
    abi: int,
    listable: Iterable[str] = ("/",),
) -> None:
    """Restrict this process for good to the given paths, without TCP, foreign sockets or foreign signals.

    Needs no_new_privs.

    Args:
        read_only: Files and directories to read and execute from.
        read_write: Directories to do anything in but make device nodes.
        devices: Device files to read and write.
        abi: What `abi_version` returned, at least 1.
        listable: Directories whose names may be listed, with all below; by default all, for a root that holds
            nothing else than what is allowed.
    """
    handled = _file_rights(abi)
    attributes = struct.pack("=Q", handled)
    if abi >= 4:
        attributes += struct.pack("=Q", _ALL_TCP)
    if abi >= 6:
        attributes += struct.pack("=Q", _ALL_SCOPES)
    ruleset = syscalls.syscall(_NR_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path in listable:
            _allow(ruleset, path, _READ_DIR)
        for path in read_only:
            _allow(ruleset, path, _READ_ONLY)
        for path in read_write:
            _allow(ruleset, path, handled & ~(_MAKE_CHAR | _MAKE_BLOCK))
        for path in devices:
            _allow(ruleset, path, handled & (_READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV))
        syscalls.syscall(_NR_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    if not os.path.isdir(path):
        rights &= _FILE_RIGHTS  # others on a file are EINVAL
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, fd)
        syscalls.syscall(_NR_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(fd)
