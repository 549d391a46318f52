"""What tests see of a guest's desktop, through the probes of the installed program."""

import json
import shlex
from pathlib import Path

from storm.inside import menu
from testbed.program import PYTHON

SESSION, MANAGER, SERVER, USER, SSH = (
    "graphical session",
    "display manager",
    "display server",
    "user manager",
    "SSH",
)
_LOOK = """
import json, time
from steadyrun.desktop.probes import take_view
probes = take_view(wall=time.time(), deadline_s=20.0).probes
print(json.dumps({p.name.value: {**p._asdict(), "name": None, "seen": p.seen.value} for p in probes}))
"""
"""The deadline is that of an emulated machine: what is asked is who is there, not how fast."""


def look(guest, user=None):
    """Take every probe once in the guest, as root or a user of its; return them by name."""
    before = f"runuser -u {user} -- " if user else ""
    return json.loads(guest.run(f"{before}{PYTHON} -", stdin=_LOOK.encode()).out)


def identities(view):
    """Return the identity of each thing that is there."""
    return {name: probe["identity"] for name, probe in view.items() if probe["seen"] == "present"}


def doctor(guest, user=None):
    """Ask the doctor; return its rungs by name, and its whole answer."""
    before = f"runuser -u {user} -- " if user else ""
    done = guest.run(f"cd / && {before}steadyrun doctor --json", check=False, seconds=120)
    told = json.loads(done.out)
    assert done.code == told["exit_code"]
    return {rung["name"]: rung for rung in told["rungs"]}, told


def type_at_desktop(guest, line):
    """Let the person at the desktop type a line into the terminal."""
    guest.run("cat > /run/user/1000/testbed-terminal", stdin=f"{line}\n".encode())


def start_from_menu(guest, line):
    """Start something from the desktop's menu: in the desktop's cgroup, without a terminal."""
    source = Path(menu.__file__).read_bytes()
    guest.run(f"python3 - {shlex.quote(line)} 2>/dev/null", stdin=source)
