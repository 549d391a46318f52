"""Forks from its first instruction on, in new sessions too, and never stops."""

import os
import time

told = False
serial = 0
while True:
    try:
        pid = os.fork()
    except OSError:  # at the limit: others end, then it goes on
        if not told:
            told = True
            os.write(1, b"ready\n")
        time.sleep(0.001)
        continue
    serial += 1
    if pid == 0:
        told = True
        if serial % 3 == 0:
            os.setsid()
        if serial % 4 == 0:
            time.sleep(0.005)
            os._exit(0)
    elif serial % 8 == 0:
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pass
