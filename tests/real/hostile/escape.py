"""A privileged load: leaves its cgroup in the hierarchies it is told, then forks without end.

Arguments: the `cgroup.procs` files to move to.
"""

import os
import sys
import time

for path in sys.argv[1:]:
    with open(path, "w") as file:
        file.write(str(os.getpid()))
os.write(1, b"ready\n")
while True:
    try:
        if os.fork() == 0:
            time.sleep(0.002)
            if os.fork() != 0:
                os._exit(0)
        else:
            time.sleep(0.01)
    except OSError:
        time.sleep(0.005)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
