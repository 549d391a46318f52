"""Has a child that stopped itself and ignores TERM: no signal but KILL ends it."""

import os
import signal
import time

pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)
    os._exit(0)
os.waitpid(pid, os.WUNTRACED)
os.write(1, b"ready\n")
time.sleep(600)
