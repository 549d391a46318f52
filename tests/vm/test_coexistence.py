"""Beside earlyoom, nohang and systemd-oomd: named with what they were told, never made to act by our load.

Each is installed in the guest and masked; a test lets one of them run, told to act sooner than it would.
"""

import json
import re

import pytest
from looking import doctor, identities, look
from testbed.program import PYTHON
from testbed.recipe import OLDEST, chosen_suite

EAGER = {
    "earlyoom": "echo 'EARLYOOM_ARGS=\"-m 35 -r 3600\"' > /etc/default/earlyoom",
    "nohang": "sed -i 's/^soft_threshold_min_mem .*/soft_threshold_min_mem = 35 %/' /etc/nohang/nohang.conf",
    "systemd-oomd": "mkdir -p /etc/systemd/oomd.conf.d &&"
    " printf '[OOM]\\nDefaultMemoryPressureDurationSec=2s\\n' > /etc/systemd/oomd.conf.d/90-eager.conf",
}
ACTED = {
    "earlyoom": "sending SIG[A-Z]+ to process",
    "nohang": "Sending SIG|corrective action",
    "systemd-oomd": "^Killed ",
}
"""What each writes to its log when it ends a process."""
SAID = {
    "earlyoom": "available memory is at most",
    "nohang": "available memory is at most",
    "systemd-oomd": "for 2.0 s",
}
BALLOON = "kept = []\nwhile True: kept.append(b'x' * (1 << 20))"
"""Takes what it gets; ends at the hard limit. Piece by piece: at once it is more than the kernel promises."""


@pytest.fixture(params=EAGER)
def other(request, guest):
    """The name of the one that runs."""
    name = request.param
    if name == "systemd-oomd" and chosen_suite() == OLDEST.name:
        pytest.skip("Debian 11 has no systemd-oomd")
    guest.run(f"{EAGER[name]} && systemctl unmask -q {name}.service && systemctl daemon-reload")
    if name == "systemd-oomd":
        guest.run("systemctl unmask -q systemd-oomd.socket")
    guest.run(f"systemctl start {name}.service")
    guest.until(f"systemctl is-active -q {name}.service", seconds=30)
    return name


def test_it_is_named_and_a_load_that_takes_all_it_gets_is_ended_by_its_own_limit(guest, other):
    rungs, _ = doctor(guest)
    evidence = rungs["other guards"]["evidence"]
    assert other in evidence
    assert SAID[other] in evidence
    before = identities(look(guest))
    guest.write("/tmp/balloon.py", BALLOON)
    command = f"steadyrun run --json /tmp/run.json -- {PYTHON} /tmp/balloon.py"
    done = guest.run(command, check=False, seconds=120)
    told = json.loads(guest.read("/tmp/run.json"))
    assert (done.code, told["termination"]) == (137, "memory-limit"), done.err
    log = guest.out(f"journalctl -b -u {other}.service --no-pager -o cat")
    assert not re.search(ACTED[other], log, re.M), f"{other} acted"
    assert identities(look(guest)) == before


def test_a_ramp_says_in_its_opening_what_it_does_because_of_it(guest, other):
    said = guest.out("cd /tmp && steadyrun ramp --dry-run")
    assert f"{other} (pid " in said
    kept = "so that our guard acts first" if other != "systemd-oomd" else "our guard sets no throttle limit"
    assert kept in said
