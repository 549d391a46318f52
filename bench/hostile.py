"""The hostile set: five processes that do not want to end. Standalone.

Arguments: a word to find them by, and a file to which each adds a byte once it is what it is to be.
"""

import os
import signal
import sys
import time


def stay() -> None:
    with open(sys.argv[2], "ab") as file:
        file.write(b".")
    time.sleep(120)
    os._exit(0)


def deaf() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


if os.fork() == 0:  # in the group, deaf
    deaf()
    stay()
if os.fork() == 0:  # a session of its own, hearing
    os.setsid()
    stay()
if os.fork() == 0:  # a daemon, deaf
    os.setsid()
    if os.fork() == 0:
        deaf()
        stay()
    os._exit(0)
if os.fork() == 0:  # in the group, hearing, its parent gone
    if os.fork() == 0:
        stay()
    os._exit(0)
deaf()
stay()
