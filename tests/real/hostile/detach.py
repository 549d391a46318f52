"""Detaches as a daemon does (fork, setsid, fork), ignores what can be ignored, stays."""

import os
import signal
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        os.write(1, b"ready\n")
        time.sleep(600)
    os._exit(0)
time.sleep(600)
