"""Ends its first thread and lives on in another: by its state a zombie, and well alive."""

import ctypes
import os
import threading
import time

libc = ctypes.CDLL(None)


def live():
    time.sleep(0.05)
    os.write(1, b"ready\n")
    time.sleep(600)


threading.Thread(target=live).start()
SYS_EXIT = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
libc.syscall(SYS_EXIT, 0)
