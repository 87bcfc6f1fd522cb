"""Code that wants out of a box: each function tries one thing and returns what it got, something false where nothing.

Read as text and run by matrix.py, in a box and, to see that each would be noticed, in a plain process. It is told
what no generated code is told: where a secret lies, who the parent is, which ports listen.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

Told = Mapping[str, Any]
MIB = 1 << 20
C = ctypes.CDLL(None, use_errno=True)


def _must(found: int) -> bool:
    if found < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return True


def _call(*numbers: object) -> int:
    return C.syscall(*[ctypes.c_long(each) if isinstance(each, int) else each for each in numbers])


def _text(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(200).decode(errors="replace")


def read_the_secret(told: Told) -> object:
    return told["secret_text"] in _text(told["secret"])


def read_users(told: Told) -> object:
    return _text("/etc/passwd")


def list_a_folder(told: Told) -> object:
    return os.listdir(os.path.dirname(told["secret"]))


def read_our_code(told: Told) -> object:
    return _text(told["code"])


def climb_to_the_secret(told: Told) -> object:
    return _text("../" * 30 + told["secret"][1:])


def read_by_symlink(told: Told) -> object:
    os.symlink(told["secret"], "linked")
    return _text("linked")


def read_by_hard_link(told: Told) -> object:
    os.link(told["secret"], "hard")
    return _text("hard")


def read_by_the_parents_root(told: Told) -> object:
    return _text(f"/proc/{told['parent']}/root{told['secret']}")


def read_by_handle(told: Told) -> object:
    handle = ctypes.create_string_buffer(b"\x80\0\0\0", 256)
    mounted = ctypes.c_int()
    return _must(C.name_to_handle_at(-100, told["secret"].encode(), handle, ctypes.byref(mounted), 0))


def write_outside(told: Told) -> object:
    with open(told["victim"], "a") as file:
        return file.write("planted")


def plant_in_python(told: Told) -> object:
    path = os.path.join(os.path.dirname(os.__file__), f"planted_{os.getpid()}.py")
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    os.remove(path)
    return True


def write_to_shared_memory(told: Told) -> object:
    path = f"/dev/shm/planted_{os.getpid()}"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    os.remove(path)
    return True


def see_devices(told: Told) -> object:
    return len(os.listdir("/dev")) > 3


def see_the_kernel(told: Told) -> object:
    return os.listdir("/sys/kernel")


def see_packages(told: Told) -> object:
    return [path for path in told["packages"] if os.path.isdir(path) and os.listdir(path)]


def fill_the_disk(told: Told) -> object:
    with open("large", "wb") as file:
        for _ in range(64):
            file.write(b"\1" * MIB)
    return True


def reserve_the_disk(told: Told) -> object:
    with open("sparse", "wb") as file:
        file.truncate(1 << 40)
    return True


def make_many_files(told: Told) -> object:
    for number in range(2000):
        os.close(os.open(f"many_{number}", os.O_CREAT | os.O_WRONLY))
    return True


def give_up_a_descriptor_to_disk(told: Told) -> object:
    files = [os.memfd_create("room") for _ in range(20)]
    for file in files:
        os.truncate(file, 8 * MIB)
    return True


def read_a_variable(told: Told) -> object:
    return [value for value in os.environ.values() if told["secret_text"] in value]


def read_own_environment(told: Told) -> object:
    return told["secret_text"] in _text("/proc/self/environ") or _text("/proc/self/environ")


def read_the_parents_environment(told: Told) -> object:
    return _text(f"/proc/{told['parent']}/environ")


def read_variables_of_c(told: Told) -> object:
    C.getenv.restype = ctypes.c_char_p
    return (C.getenv(b"SECRET") or b"").decode()


def read_the_parents_command(told: Told) -> object:
    return _text(f"/proc/{told['parent']}/cmdline")


def know_the_machine(told: Told) -> object:
    return os.uname().nodename == told["host"]


def use_an_inherited_file(told: Told) -> object:
    found = []
    for number in range(4, 256):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def find_the_job_before_in_memory(told: Told) -> object:
    """Look at memory through a pipe, which refuses what is not there and does not crash.

    What is looked for is told with every letter moved by one, not to find one's own question.
    """
    hears, says = os.pipe()
    moved, marker = bytes((each + 1) % 256 for each in range(256)), told["marker"].encode()
    C.sbrk.restype = ctypes.c_void_p
    C.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    modules = list(sys.modules.values())
    objects = [told, marker, C, *modules, *(each for one in modules for each in vars(one).values())]
    regions = {C.sbrk(0) >> 20, *(id(each) >> 20 for each in objects)}
    for region in sorted({near for each in regions for near in range(each - 4, each + 3)}):
        for place in range(region << 20, region + 1 << 20, 4096):
            if C.write(says, place, 4096) == 4096 and marker in os.read(hears, 4096).translate(moved):
                return True
    return False


def call_by_tcp(told: Told) -> object:
    socket.create_connection(("127.0.0.1", told["port"]), timeout=1).close()
    return True


def send_by_udp(told: Told) -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"secret", ("127.0.0.1", told["port"]))


def call_by_a_socket_file(told: Told) -> object:
    socket.socket(socket.AF_UNIX).connect(told["socket"])
    return True


def call_by_an_abstract_socket(told: Told) -> object:
    socket.socket(socket.AF_UNIX).connect("\0" + told["abstract"])
    return True


def listen_to_others(told: Told) -> object:
    socket.create_server(("127.0.0.1", 0)).close()
    return True


def ask_the_kernel_for_routes(told: Told) -> object:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
    return True


def fork_once(told: Told) -> object:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return True


def fork_many(told: Told) -> object:
    children = []
    for _ in range(40):
        child = os.fork()
        if not child:
            time.sleep(0.2)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return True


def outlive_the_limit(told: Told) -> object:
    if not os.fork():
        os.setsid()
        if not os.fork():
            time.sleep(told["late_seconds"])
            with open(told["late"], "w") as file:
                file.write("still here")
        os._exit(0)
    return True


def clone_around_the_library(told: Told) -> object:
    child = _call(56 if os.uname().machine == "x86_64" else 220, signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return _must(child)


def start_a_thread(told: Told) -> object:
    thread = threading.Thread(target=time.sleep, args=(0,))
    thread.start()
    thread.join()
    return True


def start_a_shell(told: Told) -> object:
    return subprocess.run(["/bin/sh", "-c", "echo out"], capture_output=True, check=True).stdout.decode()


def spawn_a_program(told: Told) -> object:
    child = os.posix_spawn("/bin/sh", ["sh", "-c", f"echo planted >> {told['victim']}"], {})
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def signal_the_parent(told: Told) -> object:
    os.kill(told["parent"], signal.SIGCONT)
    return True


def signal_its_group(told: Told) -> object:
    os.killpg(os.getpgid(told["parent"]), signal.SIGCONT)
    return True


def trace_the_parent(told: Told) -> object:
    return _must(C.ptrace(0x4206, told["parent"], None, None))


def leave_a_lock_for_others(told: Told) -> object:
    return not fcntl.lockf(os.open(os.__file__, os.O_RDONLY), fcntl.LOCK_SH)


def read_the_parents_memory(told: Told) -> object:
    buffer = ctypes.create_string_buffer(16)
    here = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 16)
    there = (ctypes.c_void_p * 2)(told["address"], 16)
    return _must(C.process_vm_readv(told["parent"], here, 1, there, 1, 0))


def open_the_parents_memory(told: Told) -> object:
    with open(f"/proc/{told['parent']}/mem", "rb") as file:
        return file.readable()


def hold_the_parent_by_handle(told: Told) -> object:
    return os.pidfd_open(told["parent"])


def starve_the_parent(told: Told) -> object:
    os.setpriority(os.PRIO_PROCESS, told["parent"], os.getpriority(os.PRIO_PROCESS, told["parent"]))
    return True


def limit_the_parent(told: Told) -> object:
    return len(resource.prlimit(told["parent"], resource.RLIMIT_NOFILE)) == 2


def make_namespaces(told: Told) -> object:
    return _must(C.unshare(0x10000000))


def mount_a_folder(told: Told) -> object:
    os.mkdir("mounted")
    _must(C.mount(b"tmpfs", b"mounted", b"tmpfs", 0, None))
    return _must(C.umount2(b"mounted", 2))


def change_the_root(told: Told) -> object:
    return _must(C.chroot(b"."))


def become_root(told: Told) -> object:
    os.setuid(0)
    return True


def change_permissions(told: Told) -> object:
    os.chmod(told["victim"], 0o666)
    return True


def read_the_kernels_log(told: Told) -> object:
    return _must(C.klogctl(10, None, 0))


def use_keys(told: Told) -> object:
    return _must(_call(250 if os.uname().machine == "x86_64" else 219, 0, -3, 0))


def handle_its_own_page_faults(told: Told) -> object:
    return _must(_call(323 if os.uname().machine == "x86_64" else 282, 1))


def make_a_queue_beside_the_kernel(told: Told) -> object:
    return _must(_call(425, 4, ctypes.create_string_buffer(120)))


def take_memory(told: Told) -> object:
    return len(bytearray(1 << 30)) > 0


def take_shared_memory(told: Told) -> object:
    mmap.mmap(-1, 1 << 30).close()
    return True


def take_memory_of_the_system(told: Told) -> object:
    place = C.shmget(0, MIB, 0o1600)
    return _must(place) and _must(C.shmctl(place, 0, None))


def open_many_files(told: Told) -> object:
    return [os.open(os.devnull, os.O_RDONLY) for _ in range(300)][-1]


def spin(told: Told) -> object:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while time.process_time() < told["spin_seconds"]:
        pass
    return True


def sleep_deaf(told: Told) -> object:
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(told["sleep_seconds"])
    return True


def flood_the_answer(told: Told) -> object:
    return "a" * (4 * MIB)


def raise_a_limit(told: Told) -> object:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return True
