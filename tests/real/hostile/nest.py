"""A privileged load: makes cgroups below its own and puts children there. Arguments: its directories."""

import os
import sys
import time

for directory in sys.argv[1:]:
    os.makedirs(f"{directory}/inner/innermost")
    pid = os.fork()
    if pid == 0:
        with open(f"{directory}/inner/innermost/cgroup.procs", "w") as file:
            file.write(str(os.getpid()))
        time.sleep(600)
time.sleep(0.05)
os.write(1, b"ready\n")
time.sleep(600)
