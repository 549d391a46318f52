"""A privileged load: moves itself into a cgroup it made below its own, in every hierarchy it is told."""

import os
import sys
import time

for directory in sys.argv[1:]:
    os.makedirs(f"{directory}/inner/innermost")
    with open(f"{directory}/inner/innermost/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
os.write(1, b"ready\n")
time.sleep(600)
