"""A privileged load at nice -20 that leaves its cgroup in the hierarchies it is told and forks for its life.

Arguments: `grow` or `chain`, the `cgroup.procs` files to move to, `--`, those to leave last. The first
process leaves all and does nothing but reap, as a quick init would: zombies at the fork limit would
end the storm for the killer. All end by themselves after LIFE_S: a storm that is not
killed must not take the machine along.

grow: each forks every 10 ms, a child leaves its own child behind. chain: FORKERS fork and exit in turn, so
that a pid lives for less than a millisecond.
"""

import ctypes
import os
import signal
import sys
import time

LIFE_S = 20
FORKERS = 30
PR_SET_CHILD_SUBREAPER = 36


def move(files):
    for path in files:
        with open(path, "w") as file:
            file.write(str(os.getpid()))


def chain():
    while time.monotonic() < end:
        try:
            if os.fork() != 0:
                break
        except OSError:
            continue
    os._exit(0)


def grow():
    while time.monotonic() < end:
        try:
            if os.fork() == 0:
                time.sleep(0.002)
                if os.fork() != 0:
                    os._exit(0)
            else:
                time.sleep(0.01)
        except OSError:
            time.sleep(0.005)
    os._exit(0)


kind, cut = {"chain": chain, "grow": grow}[sys.argv[1]], sys.argv.index("--")
left, last = sys.argv[2:cut], sys.argv[cut + 1 :]
end = time.monotonic() + LIFE_S
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
read_end, write_end = os.pipe()
if os.fork() == 0:
    move(left)
    os.read(read_end, 1)
    os.nice(-20)
    for serial in range(FORKERS):
        if os.fork() == 0:
            if serial % 2:
                os.setsid()
            kind()
    os._exit(0)
move(left + last)
os.write(1, b"ready\n")
os.write(write_end, b"g")
time.sleep(600)
