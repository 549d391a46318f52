"""Who looks after a run: a lock that its owner holds while it lives, seen from every namespace.

A pid and a start time are only worth something in the pid namespace they were read in, and a
container or `unshare --pid` often shares the state directory (pid_namespaces(7)). So a run belongs to
whoever holds the lock on its own byte of one file beside the journal: an open file description lock
(fcntl_locking(2)), which no namespace hides, which is not lost when somebody else closes the file,
and which the kernel lets go with its owner, however that ends. The lock is taken before the run is in
the journal and held until all is undone. It judges nothing else and never touches the journal.

Runs that an older steadyrun began hold no lock: for them boot, pid and start time are still asked, too.
"""

from __future__ import annotations

import fcntl
import os
import struct

from steadyrun.errors import JournalUnwritableError
from steadyrun.kernel.processes import pid_alive
from steadyrun.kernel.reader import boot_id
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from steadyrun.journal.rows import RunRow

OWNERS = "owners.lock"
_FLOCK = struct.Struct("@hhqqi0q")
"""`struct flock` with a 64-bit off_t: type, whence, start, length, pid (which has to be 0)."""
_BYTES = (1 << 61) - 1
"""A prime: ids go to bytes of the file by their remainder."""


class Owners:
    """The file of locks, open; as a context manager. What was owned through it ends with it.

    Two of them see each other's locks also within one process, and never their own. A copy that
    another process inherited (`fd`) holds the same locks.
    """

    def __init__(self, directory: str, fd: int = -1) -> None:
        """Open the file in the journal's directory, or take an inherited descriptor of it.

        Raises:
            JournalUnwritableError: It cannot be opened.
        """
        self.path = os.path.join(directory, OWNERS)
        try:
            if fd >= 0:
                os.set_inheritable(fd, False)  # a child that lives longer would own what is ours
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self.fd = fd if fd >= 0 else os.open(self.path, flags, 0o600)
        except OSError as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Owners:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def own(self, run_id: str) -> None:
        """Be the owner of a run from now on; owning it twice is harmless.

        Raises:
            JournalUnwritableError: Somebody else owns it, or the file system has no locks.
        """
        try:
            fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, _lock(fcntl.F_WRLCK, run_id))
        except OSError as error:
            raise self._unusable(error) from error

    def let_go(self, run_id: str) -> None:
        """Own a run no longer."""
        fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, _lock(fcntl.F_UNLCK, run_id))

    def has_other(self, run_id: str) -> bool:
        """Tell whether somebody other than this one owns a run.

        Raises:
            JournalUnwritableError: It cannot be told.
        """
        try:
            found = fcntl.fcntl(self.fd, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK, run_id))
        except OSError as error:
            raise self._unusable(error) from error
        return bool(_FLOCK.unpack(found)[0] != fcntl.F_UNLCK)

    def lives(self, run: RunRow) -> bool:
        """Tell whether somebody looks after a run that the journal calls open.

        Raises:
            JournalUnwritableError: It cannot be told.
        """
        return self.has_other(run.run_id) or process_lives(run)

    def close(self) -> None:
        """Close the file: with its last copy all that was owned through it is nobody's."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _unusable(self, error: OSError) -> JournalUnwritableError:
        return JournalUnwritableError(
            f"{self.path}: expected a file that takes locks, found {error.strerror or error}",
            hint=f"ls -l {self.path}",
        )


def process_lives(run: RunRow) -> bool:
    """Tell whether the very process that began a run is seen from here and runs.

    Start times count from the boot (proc_pid_stat(5), field 22): early services get the same pid and the
    same ticks at each, so the boot belongs to the identity.

    Raises:
        JournalUnwritableError: The id of this boot cannot be read.
    """
    return run.boot_id == boot_id() and pid_alive(run.pid, run.pid_started)


def living(directory: str, runs: tuple[RunRow, ...]) -> frozenset[str]:
    """Return the ids of those runs that somebody looks after.

    Raises:
        JournalUnwritableError: It cannot be told.
    """
    if not os.path.lexists(
        os.path.join(directory, OWNERS)
    ):  # never held; a full disk may have no room for it
        return frozenset(run.run_id for run in runs if process_lives(run))
    with Owners(directory) as owners:
        return frozenset(run.run_id for run in runs if owners.lives(run))


def byte_of(run_id: str) -> int:
    """Return which byte of the file is a run's."""
    at = 0
    for byte in run_id.encode("utf-8", "surrogateescape"):
        at = (at * 257 + byte + 1) % _BYTES
    return at


def _lock(kind: int, run_id: str) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, byte_of(run_id), 1, 0)
