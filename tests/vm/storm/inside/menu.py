"""The desktop's menu: starts a line in the window manager's cgroup and environment, without a terminal.

As root: `python3 menu.py LINE`, or `start`. Imports nothing of the others: it can be sent to a guest alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WINDOW_MANAGER = "openbox"
DESK = 1000
_LINE = """\
echo $$ > "$1/cgroup.procs" && echo "$2" > /proc/self/oom_score_adj &&
exec setpriv --reuid="$3" --regid="$3" --init-groups /bin/sh -c "$4"
"""


def start(line: str) -> None:
    """Start a line and do not wait for it."""
    pids = subprocess.run(["pgrep", "-o", "-x", WINDOW_MANAGER], capture_output=True, text=True, check=True)
    about = Path("/proc", pids.stdout.strip())
    pairs = (pair.partition("=") for pair in (about / "environ").read_text().split("\0") if pair)
    cgroup = "/sys/fs/cgroup" + (about / "cgroup").read_text().rpartition("::")[2].strip()
    adj = (about / "oom_score_adj").read_text().strip()
    subprocess.Popen(
        ["/bin/sh", "-c", _LINE, "sh", cgroup, adj, f"{DESK}", line],
        env={key: value for key, _, value in pairs},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


if __name__ == "__main__":
    start(sys.argv[1])
