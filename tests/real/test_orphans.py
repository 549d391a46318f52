"""What left a containment, by descent: found whatever the shape of its family, and ended."""

import json
import subprocess
import sys

import pytest

CHAIN = 1200
"""Processes, each the child of the one before: deeper than Python calls itself."""
LINK = 'if [ "$1" -gt 1 ]; then sh "$0" $(($1 - 1)) & else echo up; fi; exec sleep 60 > /dev/null'
GUARD = """
import json, os, signal, sys, time
from steadyrun.guard.orphans import Orphans

orphans = Orphans()
told, tell = os.pipe()
member = os.fork()
if member == 0:
    os.dup2(tell, 1)
    os.execv("/bin/sh", ["sh", "-c", sys.argv[1]])
os.read(told, 1)
own = {member}
if "exit" in sys.argv[1]:
    os.waitpid(member, 0)
    own = set()
alive = orphans.living(own, ())
inside = sorted(alive)[:100]
outside = orphans.living(own, inside)
orphans.kill(alive)
left, until = alive, time.monotonic() + 30
while left and time.monotonic() < until:
    left = orphans.living(own, ())
if own:
    os.kill(member, signal.SIGKILL)
print(json.dumps([len(alive), len(alive) - len(outside), len(left)]))
"""


@pytest.mark.parametrize("then", ["exit", "exec sleep 60"])
def test_a_chain_of_processes_is_found_and_ended(tmp_path, then):
    """Its first process is given to the guard, or descends from a member that lives."""
    link = tmp_path / "link"
    link.write_text(LINK)
    words = [sys.executable, "-c", GUARD, f"sh {link} {CHAIN} & {then}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [CHAIN, 100, 0]
