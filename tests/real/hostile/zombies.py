"""Leaves children unreaped."""

import os
import time

for _ in range(5):
    if os.fork() == 0:
        os._exit(0)
time.sleep(0.05)
os.write(1, b"ready\n")
time.sleep(600)
