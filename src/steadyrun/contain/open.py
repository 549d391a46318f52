"""From the name of a backend to the backend, each imported only when it is used."""

from __future__ import annotations

from steadyrun.model.containment import BackendName
from steadyrun.typed import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from steadyrun.contain.base import Backend
    from steadyrun.model.containment import ContainmentFacts


def open_backend(name: BackendName, facts: ContainmentFacts) -> Backend:
    """Open a backend that `choose` chose, or that a journal's row names.

    Raises:
        CannotContainError: This machine has nothing of it (any more).
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
            from steadyrun.contain.systemd import open_systemd

            return open_systemd(facts)
        case _:
            assert_never(name)
