"""A machine that panics where we rely on a kill: the one setting that turns a limit into a crash."""

from __future__ import annotations

from steadyrun.errors import CannotContainError
from steadyrun.kernel.reader import read_text

PANICS_IN_CGROUPS = "2"
"""vm.panic_on_oom: 0 never; 1 when the machine is out of memory; 2 also when a cgroup is
(Documentation/admin-guide/sysctl/vm.rst, "panic_on_oom")."""


def expect_no_panic(root: str = "") -> None:
    """Refuse to hold a load where its OOM kill would panic the machine.

    Raises:
        CannotContainError: It would.
    """
    text = read_text(f"{root}/proc/sys/vm/panic_on_oom")
    if text is not None and text.strip() == PANICS_IN_CGROUPS:
        raise CannotContainError(
            "vm.panic_on_oom: expected 0 or 1, found 2: a kill at a memory limit would panic the machine",
            hint="sudo sysctl vm.panic_on_oom=0",
        )
