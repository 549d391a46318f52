"""From the name of a backend to the backend, each imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from steadyrun.errors import CannotContainError
from steadyrun.model.containment import BackendName

if TYPE_CHECKING:
    from steadyrun.contain.base import Backend
    from steadyrun.model.containment import ContainmentFacts


def open_backend(name: BackendName, facts: ContainmentFacts) -> Backend:
    """Open a backend that `choose` chose, or that a journal's row names.

    Raises:
        CannotContainError: This version does not have it.
    """
    match name:
        case BackendName.CGROUP1:
            from steadyrun.contain.cgroup1 import Cgroup1Backend

            return Cgroup1Backend(facts)
        case BackendName.POLL:
            from steadyrun.contain.poll import PollBackend

            return PollBackend()
        case BackendName.CGROUP2:
            from steadyrun.contain.cgroup2 import open_cgroup2

            return open_cgroup2(facts)
        case BackendName.SYSTEMD:
            raise CannotContainError(
                f"containment: expected cgroup1 or poll, found {name.value}, not built yet in this version",
                hint="python3 -m pip install --upgrade steadyrun",
            )
        case _:
            assert_never(name)
