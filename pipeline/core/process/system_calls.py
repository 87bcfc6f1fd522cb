"""A process -> the same process, from now on without the calls by which it could reach others: Linux's seccomp.

A list of what is refused and not of what is allowed, since libraries differ in what they call; so calls that are newer
than this list fail as on an older kernel. Refused calls fail with EPERM, and the process lives. It may still
signal and limit itself. On processors that are not in the table nothing is refused, and `refuse` says so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Mapping
from functools import cache

PROCESSORS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # as the kernel names them; both are little endian
NEWEST = 450  # the last call that was looked at, set_mempolicy_home_node; numbers are the same everywhere from 424 on
OTHER_CALLS = 0x40000000  # x86_64: the same calls by other numbers (x32)

REFUSED = {  # name: number on x86_64, on aarch64; None where there is none
    # the network, and a way past this filter
    "socket": (41, 198), "socketpair": (53, 199), "io_uring_setup": (425, 425),
    # other processes: their memory, files and clocks
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "kcmp": (312, 272), "perf_event_open": (298, 241), "bpf": (321, 280), "userfaultfd": (323, 282),
    "move_pages": (279, 239), "migrate_pages": (256, 238), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    # processes and threads of its own
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "clone3": (435, 435), "execve": (59, 221),
    "execveat": (322, 281), "unshare": (272, 97), "setns": (308, 268),
    # what of files Landlock lets pass
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "lchown": (94, None),
    "fchown": (93, 55), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88), "open_by_handle_at": (304, 265),
    # what all processes of a user share; what is there is found by small numbers, and needs no opening
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semtimedop": (220, 192), "semctl": (66, 191), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218),
    # a look at the names of files that others make, in folders that Landlock keeps closed
    "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
}  # fmt: skip
REFUSED_IN_A_BOX = {  # beside those: files outside of the box's folder and its limits, and everything about mounts
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fspick": (433, 433), "mount_setattr": (442, 442), "quotactl": (179, 60),
    "syslog": (103, 116), "name_to_handle_at": (303, 264), "personality": (135, 92), "swapon": (167, 224),
    # what slows the machine, or is new and rare enough in the kernel to have holes
    "sync": (162, 81), "syncfs": (306, 267), "io_setup": (206, 0), "vmsplice": (278, 75), "modify_ldt": (154, None),
    "uselib": (134, None), "flock": (73, 32), "landlock_create_ruleset": (444, 444), "quotactl_fd": (443, 443),
}  # fmt: skip
ONLY_ITSELF = {  # allowed where the first argument is the process itself
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "prlimit64": (302, 261),
}  # fmt: skip
NUMBER, PROCESSOR, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24  # where the kernel puts them for a filter
Asked = tuple[tuple[int, int], int, tuple[int, ...]]
REFUSED_ASKING: dict[str, Asked] = {  # refused where one argument is one of these: numbers, the argument, its values
    "prctl": ((157, 167), FIRST_ARGUMENT, (1,)),  # PR_SET_PDEATHSIG: no way to outlive the parent
    # F_SETOWN, F_SETSIG, F_SETOWN_EX: a file that is written to sends any signal to any process. And F_SETLEASE,
    # F_NOTIFY: others wait for it, and it sees what they do.
    "fcntl": ((72, 25), SECOND_ARGUMENT, (8, 10, 15, 1024, 1026)),
    # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, FS_IOC_ENABLE_VERITY: how a file is kept, and that nobody writes it again
    "ioctl": ((16, 29), SECOND_ARGUMENT, (0x40086602, 0x401C5820, 0x40806685)),
}
REFUSED_ASKING_IN_A_BOX = REFUSED_ASKING | {  # and all locks: other boxes see them on the files that all of them read
    "fcntl": ((72, 25), SECOND_ARGUMENT, (5, 6, 7, 8, 10, 15, 36, 37, 38, 1024, 1026)),
}

LOAD, EQUAL, GREATER, RETURN = 0x20, 0x15, 0x25, 0x06  # of BPF, the filter's language
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
PR_SET_SECCOMP, FILTER = 22, 2


def refuse() -> bool:
    """Refuse the calls above to this process for the rest of its life; say whether the kernel does.

    The process must have given up new privileges before.
    """
    program = program_for(os.getpid(), REFUSED)
    return program is not None and install(program)


def program_for(
    own: int, refused: Mapping[str, tuple[int, int | None]], *, asking: Mapping[str, Asked] = REFUSED_ASKING
) -> bytes | None:
    """Return a filter for the process of this number, None on a machine that has none."""
    here = PROCESSORS.get(platform.machine())
    if here is None or not hasattr(_c(), "prctl"):
        return None
    column = list(PROCESSORS).index(platform.machine())
    return _program(here, column=column, own=own, refused=refused, asking=asking)


@cache
def _c() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def install(program: bytes) -> bool:
    """Put this process under a filter for the rest of its life; say whether the kernel does."""
    kept = ctypes.create_string_buffer(program)
    about = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(kept))
    return bool(_c().prctl(PR_SET_SECCOMP, ctypes.c_long(FILTER), about, ctypes.c_long(0), ctypes.c_long(0)) == 0)


def _program(
    processor: int,
    *,
    column: int,
    own: int,
    refused: Mapping[str, tuple[int, int | None]],
    asking: Mapping[str, Asked],
) -> bytes:
    """Return the filter: instructions of code, steps to skip if true and if not, and a value."""
    fails, unknown = (RETURN, 0, 0, FAIL | errno.EPERM), (RETURN, 0, 0, FAIL | errno.ENOSYS)
    steps = [(LOAD, 0, 0, PROCESSOR), (EQUAL, 1, 0, processor), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    steps += [(GREATER, 0, 1, OTHER_CALLS - 1), (RETURN, 0, 0, KILL), (GREATER, 0, 1, NEWEST), unknown]
    for number in (numbers[column] for numbers in refused.values()):
        if number is not None:
            steps += [(EQUAL, 0, 1, number), fails]
    for numbers, argument, values in asking.values():
        asked = [(LOAD, 0, 0, argument)]
        for value in values:
            asked += [(EQUAL, 0, 1, value), fails]
        asked.append((RETURN, 0, 0, ALLOW))
        steps += [(EQUAL, 0, len(asked), numbers[column]), *asked]
    for name, numbers in ONLY_ITSELF.items():
        itself = [(EQUAL, 0, 1, 0), (RETURN, 0, 0, ALLOW)] if name == "prlimit64" else []  # which also calls itself 0
        itself += [(EQUAL, 0, 1, own), (RETURN, 0, 0, ALLOW), fails]
        steps += [(EQUAL, 0, len(itself) + 1, numbers[column]), (LOAD, 0, 0, FIRST_ARGUMENT), *itself]
    steps.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
