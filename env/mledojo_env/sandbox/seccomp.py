"""A seccomp filter in plain BPF for x86-64 and aarch64.

The filter allows the system calls that were known when it was written, except those named below, and
answers ENOSYS to newer ones: a kernel that learns a new trick does not teach it to the sandbox. The choice
follows what container engines refuse by default, plus what a data-science script has no use for (io_uring,
keyrings, user namespaces, every socket family but unix).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from mledojo_env.sandbox import syscalls

# name: (x86-64, aarch64); None where the architecture has no such call.
DENIED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "perf_event_open": (298, 241),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # kernel facilities with a history of holes
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "vmsplice": (278, 75),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "memfd_secret": (447, 447),
    "personality": (135, 92),
    "mq_open": (240, 180),
    "shmget": (29, 194),  # System V objects outlive their processes
    "semget": (64, 190),
    "msgget": (68, 186),
    "lookup_dcookie": (212, 18),
    # the machine
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "create_module": (174, None),
    "get_kernel_syms": (177, None),
    "query_module": (178, None),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "nfsservctl": (180, 42),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    "vserver": (236, None),
}
NEWEST_KNOWN = 456  # futex_requeue, Linux 6.7: the same number everywhere

# machine: (column of DENIED, audit architecture, numbers of clone, socket, socketpair)
_MACHINES = {
    "x86_64": (0, 0xC000003E, 56, 41, 53),
    "aarch64": (1, 0xC00000B7, 220, 198, 199),
}
_CLONE3 = 435
_MEMFD_CREATE = (319, 279)
_NAMESPACE_FLAGS = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWCGROUP
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUSER
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWNET
)
_AF_UNIX = 1

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

_LOAD_WORD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_GREATER = 0x25
_JUMP_BITS = 0x45
_RETURN = 0x06

_OFFSET_NUMBER = 0
_OFFSET_ARCHITECTURE = 4
_OFFSET_ARGUMENT_0 = 16  # low half, little-endian

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2


def is_supported(machine: str | None = None) -> bool:
    """Return whether a filter exists for this machine's architecture and its kernel takes filters."""
    return (machine or os.uname().machine) in _MACHINES and os.path.exists("/proc/sys/kernel/seccomp")


def build_filter(machine: str | None = None, *, memory_files: bool = True) -> bytes:
    """Return the filter as an array of `struct sock_filter`.

    Args:
        machine: Architecture, as uname says it; by default this machine's.
        memory_files: Whether to allow memfd_create, whose memory only a control group counts.

    Raises:
        KeyError: If there is none for this architecture.
    """
    column, architecture, clone, socket, socketpair = _MACHINES[machine or os.uname().machine]
    # Each row: operation, operand, label if true, label if false; None falls through.
    program: list[tuple[str, int, str | None, str | None]] = [
        ("load", _OFFSET_ARCHITECTURE, None, None),
        ("equal", architecture, None, "kill"),
        ("load", _OFFSET_NUMBER, None, None),
        ("greater", NEWEST_KNOWN, "unknown", None),
        ("equal", _CLONE3, "unknown", None),  # its flags lie in memory: let libc fall back to clone
        ("equal", clone, "clone", None),
        ("equal", socket, "socket", None),
        ("equal", socketpair, "socket", None),
    ]
    numbers = {number for row in DENIED.values() if (number := row[column]) is not None}
    if not memory_files:
        numbers.add(_MEMFD_CREATE[column])
    program += [("equal", number, "denied", None) for number in sorted(numbers)]
    program += [
        ("return", _ALLOW, None, None),
        ("label:clone", 0, None, None),
        ("load", _OFFSET_ARGUMENT_0, None, None),
        ("bits", _NAMESPACE_FLAGS, "denied", "allowed"),
        ("label:socket", 0, None, None),
        ("load", _OFFSET_ARGUMENT_0, None, None),
        ("equal", _AF_UNIX, "allowed", None),
        ("return", _ERRNO | errno.EAFNOSUPPORT, None, None),
        ("label:allowed", 0, None, None),
        ("return", _ALLOW, None, None),
        ("label:denied", 0, None, None),
        ("return", _ERRNO | errno.EPERM, None, None),
        ("label:unknown", 0, None, None),
        ("return", _ERRNO | errno.ENOSYS, None, None),
        ("label:kill", 0, None, None),
        ("return", _KILL_PROCESS, None, None),
    ]
    return _assemble(program)


# Calls that take a process number and mind only whose process it is: (number, place of the process).
_TUNING: dict[str, tuple[tuple[int, int], ...]] = {
    # prlimit64, sched_setparam, sched_setscheduler, sched_setaffinity, sched_setattr, setpriority, ioprio_set
    "x86_64": ((302, 0), (142, 0), (144, 0), (203, 0), (314, 0), (141, 1), (251, 1)),
    "aarch64": ((261, 0), (118, 0), (119, 0), (122, 0), (274, 0), (140, 1), (30, 1)),
}


def build_self_only_filter(machine: str | None = None) -> bytes:
    """Return a filter that lets a process tune limits and priorities of itself (process 0) and of no other.

    For where the fork-server runs as the script's own user; a second filter beside that of `build_filter`.

    Raises:
        KeyError: If there is none for this architecture.
    """
    machine = machine or os.uname().machine
    program: list[tuple[str, int, str | None, str | None]] = [("load", _OFFSET_NUMBER, None, None)]
    for number, place in _TUNING[machine]:
        program.append(("equal", number, f"process {place}", None))
    program.append(("return", _ALLOW, None, None))
    for place in (0, 1):
        program += [
            (f"label:process {place}", 0, None, None),
            ("load", _OFFSET_ARGUMENT_0 + 8 * place, None, None),
            ("equal", 0, "allowed", "denied"),
        ]
    program += [
        ("label:allowed", 0, None, None),
        ("return", _ALLOW, None, None),
        ("label:denied", 0, None, None),
        ("return", _ERRNO | errno.EPERM, None, None),
    ]
    return _assemble(program)


def _assemble(program: list[tuple[str, int, str | None, str | None]]) -> bytes:
    """Resolve labels to relative jumps and pack the instructions."""
    labels: dict[str, int] = {}
    instructions: list[tuple[str, int, str | None, str | None]] = []
    for row in program:
        if row[0].startswith("label:"):
            labels[row[0].removeprefix("label:")] = len(instructions)
        else:
            instructions.append(row)
    codes = {
        "load": _LOAD_WORD,
        "equal": _JUMP_EQUAL,
        "greater": _JUMP_GREATER,
        "bits": _JUMP_BITS,
        "return": _RETURN,
    }
    packed = []
    for position, (operation, operand, if_true, if_false) in enumerate(instructions):
        offsets = [0 if label is None else labels[label] - position - 1 for label in (if_true, if_false)]
        packed.append(struct.pack("=HBBI", codes[operation], offsets[0], offsets[1], operand))
    return b"".join(packed)


def install(program: bytes) -> None:
    """Put this process and all it starts under the filter; needs no_new_privs or CAP_SYS_ADMIN."""
    instructions = ctypes.create_string_buffer(program, len(program))
    description = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(instructions))
    pointer = ctypes.create_string_buffer(description, len(description))
    syscalls.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(pointer))
