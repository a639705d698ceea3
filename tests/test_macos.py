"""What does not need hosts needs no Linux: every module but those inside a local machine is imported where Python lacks what macOS lacks.

A computer with macOS cannot be had here; what Python has on Linux alone is taken away instead (the "Availability" notes of its library
reference).
"""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, importlib, multiprocessing, os, pkgutil, select, signal, socket, ssl, subprocess  # Python's own may ask what there is

LINUX_ALONE = {
    os: ("sched_getaffinity", "sched_setaffinity", "unshare", "setns", "pidfd_open", "memfd_create", "eventfd", "O_PATH", "O_TMPFILE",
         "O_DIRECT", "getrandom", "splice", "copy_file_range", "posix_fadvise", "posix_fallocate", "getxattr", "setxattr",
         "listxattr", "setresuid", "setresgid", "getresuid", "getresgid", "pipe2", "CLONE_NEWNET", "CLONE_NEWNS", "fdatasync"),
    select: ("epoll",),
    signal: ("sigwaitinfo", "sigtimedwait", "pidfd_send_signal", "SIGPWR", "SIGRTMIN", "SIGRTMAX"),
    socket: ("AF_NETLINK", "AF_PACKET", "AF_VSOCK", "SO_BINDTODEVICE", "SO_MARK", "TCP_USER_TIMEOUT", "SOCK_CLOEXEC"),
}
for module, names in LINUX_ALONE.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

import enaxp
imported = 0
for found in pkgutil.walk_packages(enaxp.__path__, "enaxp."):
    if found.name.startswith(("enaxp.local.machines.inside", "enaxp.local.relay.program")) or found.name.endswith("__main__"):
        continue
    importlib.import_module(found.name)
    imported += 1
from enaxp.cli import run
assert run(["bench", "--help"]) == 0
print("modules:", imported)
"""


def test_nothing_needs_linux_when_it_is_imported() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert int(ran.stdout.rpartition("modules: ")[2]) > 200
