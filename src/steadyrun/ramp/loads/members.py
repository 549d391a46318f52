"""What the guard starts for a load. Starts nothing itself."""

from __future__ import annotations

import sys
from typing import assert_never

from steadyrun.model.plan import LoadKind, LoadSpec, Member
from steadyrun.ramp.loads import hog, storm
from steadyrun.units import Bytes


def members_for(
    load: LoadSpec, *, cwd: str, env: dict[str, str], python: str = sys.executable
) -> tuple[Member, ...]:
    """Return what is started of a load: no helper, a built-in one forks the others of its processes itself.

    Args:
        load: What the phase runs. A storm of one process has no number of its own: storm.PROCESSES.
        cwd: Working directory of every member.
        env: Environment of every member.
        python: The interpreter of the built-in loads.
    """
    match load.kind:
        case LoadKind.COMMAND:
            return (Member(load.argv, cwd, env),)
        case LoadKind.HOG:
            words = (*_program(python, hog.__file__, load), "--processes", str(load.processes))
            return (Member(words, cwd, env),)
        case LoadKind.STORM:
            processes = load.processes if load.processes > 1 else storm.PROCESSES
            words = (*_program(python, storm.__file__, load), "--processes", str(processes))
            return (Member(words, cwd, env),)
        case _:
            assert_never(load.kind)


def _program(python: str, file: str, load: LoadSpec) -> tuple[str, ...]:
    size = asked_bytes(load)
    return (python, "-I", "-S", file, "--bytes", str(size), "--hold", str(load.hold))


def asked_bytes(load: LoadSpec) -> Bytes:
    """Return the bytes of one built-in process, at least 1: a map cannot be empty (mmap(2), EINVAL)."""
    return Bytes(max(1, load.memory or 0))
