"""A process that is denied a system call as by a container's seccomp filter, and goes on as a command.

`python denying.py NUMBER COMMAND ...`: the filter is this process's and inherited by all that it starts.
"""

import ctypes
import errno
import os
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
"""include/uapi/linux/prctl.h, include/uapi/linux/seccomp.h."""
CLOSE_RANGE = 436
"""Its number on every architecture but alpha (include/uapi/asm-generic/unistd.h)."""


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction)))


def deny(number):
    """Have a system call answered with ENOSYS from now on, as a kernel does that has none of it."""
    rules = (_Instruction * 4)(
        (0x20, 0, 0, 0),  # load `nr` of struct seccomp_data
        (0x15, 0, 1, number),  # equal: the next, else the one after
        (0x06, 0, 0, 0x00050000 | errno.ENOSYS),  # SECCOMP_RET_ERRNO
        (0x06, 0, 0, 0x7FFF0000),  # SECCOMP_RET_ALLOW
    )
    libc = ctypes.CDLL(None, use_errno=True)
    for words in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(_Program(4, rules)), 0, 0),
    ):
        if libc.prctl(*words) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    deny(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
