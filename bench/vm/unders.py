"""What the loads run under: the same limits for all that take them, daemons as their packages ship them."""

from __future__ import annotations

from storm.under import BARE, BOOTED, MEMORY, PROTECTED, STEADYRUN, Under

TASKS = 4096
"""steadyrun's own default, given to the others that take one."""
RUNEXEC = "/opt/benchexec/bin/runexec"
_SCOPE = "systemd-run --user --scope --quiet"


def _daemon(name: str, unit: str, about: str, version: str) -> Under:
    """Return one of the daemons that kill something when memory is nearly gone; the image has them masked."""
    prepare = f"systemctl unmask --quiet {unit} && systemctl daemon-reload && systemctl start {unit}"
    return Under(name, about, prepare=prepare, version=version)


UNDERS = {
    under.name: under
    for under in (
        BARE,
        _daemon(
            "earlyoom",
            "earlyoom.service",
            "the daemon, as its package ships it",
            "dpkg-query -Wf '${Version}' earlyoom",
        ),
        _daemon(
            "nohang",
            "nohang-desktop.service",
            "the daemon with its package's settings for desktops",
            "dpkg-query -Wf '${Version}' nohang",
        ),
        _daemon(
            "systemd-oomd",
            "systemd-oomd.socket systemd-oomd.service",
            "the daemon with its package's drop-ins: pressure in user@.service, swap everywhere",
            "dpkg-query -Wf '${Version}' systemd-oomd",
        ),
        Under(
            "systemd-run",
            "a scope with the memory limit alone, what people type",
            before=f"{_SCOPE} -p MemoryMax={MEMORY} --",
            version="dpkg-query -Wf '${Version}' systemd",
        ),
        Under(
            "systemd-run, all limits",
            "a scope with all the limits that steadyrun sets",
            before=f"{_SCOPE} -p MemoryMax={MEMORY} -p MemorySwapMax=0 -p TasksMax={TASKS} -p CPUWeight=1 --",
            version="dpkg-query -Wf '${Version}' systemd",
        ),
        Under(
            "runexec",
            "BenchExec's runexec in a delegated scope, with the memory limit, without its container",
            before=f"{_SCOPE} -p Delegate=yes -- {RUNEXEC} --no-container --output /run/storm/runexec.log"
            f" --memlimit {int(MEMORY.rstrip('M')) << 20}B --",
            version=f"{RUNEXEC} --version",
        ),
        STEADYRUN,
        PROTECTED,
        BOOTED,
    )
}
