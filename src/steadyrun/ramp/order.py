"""What the client of a ramp hands to its conductor: everything that was decided before it began. Pure."""

from __future__ import annotations

from typing import NamedTuple

from steadyrun.model.change import BootUnit
from steadyrun.model.containment import BackendName
from steadyrun.model.machine import MachineFacts
from steadyrun.model.plan import Plan, RunAs


class RampOrder(NamedTuple):
    """One ramp. Paths are absolute; descriptors are inherited."""

    run_id: str
    plan: Plan
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    user: str
    report_dir: str
    """Of this run; it exists."""
    state_dir: str
    backend: BackendName
    weak: bool
    force: bool
    """Go on although the baseline is not healthy."""
    run_as: RunAs | None
    machine: MachineFacts
    resumed_from: str | None
    frames_fd: int
    canary_pid: int
    canary_pipe: int
    """As long as it is open somewhere, the canary goes on."""
    lock_fd: int
    words_fd: int = -1
    """Memory that the conductor leaves its last words in, should it fail (`launch.last_words`)."""
    boot_unit: BootUnit | None = None
    """What `--resume-on-boot` writes."""
    guard: dict[str, float] = {}  # noqa: RUF012
    """What the settings change of the guard's thresholds (`model.thresholds.SPANS`)."""
    owners_fd: int = -1
    """The owners' file, through which the runs that are taken over are held (`outlive.hold_lasting`)."""

    def owner(self) -> tuple[int, int] | None:
        """Return uid and gid whose rights the report is written with; `None`: the caller's."""
        return None if self.run_as is None else (self.run_as.uid, self.run_as.gid)
