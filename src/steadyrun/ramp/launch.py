"""Starting a ramp: the canary in the user's own cgroup, the conductor in a session of its own."""

from __future__ import annotations

import json
import os
import subprocess
from typing import NamedTuple

from steadyrun.guard.frames import make_frames, start_canary
from steadyrun.guard.start import python_command
from steadyrun.model.codec import encode
from steadyrun.ramp.order import RampOrder
from steadyrun.ramp.stopping import held_back
from steadyrun.report.files import open_growing

LOG = "conductor.log"
"""In the report's folder: what the conductor has to say beside the record."""


class Launched(NamedTuple):
    """A ramp that has been started."""

    run_id: str
    report_dir: str
    conductor: subprocess.Popen[bytes]
    words_fd: int
    """Memory shared with the conductor: why it failed, also when the disk is full and nobody listened."""

    def last_words(self) -> dict[str, str | None] | None:
        """Return what the conductor left before it failed: `message` and `hint`; `None`: nothing."""
        text = os.pread(self.words_fd, LAST_WORDS_MOST, 0)
        return dict(json.loads(text)) if text else None


LAST_WORDS_MOST = 65536


def leave_words(words_fd: int, message: str, hint: str | None) -> None:
    """Leave the conductor's last words for `last_words`; what is too long is cut."""
    most = LAST_WORDS_MOST // 16  # a character takes up to 12 bytes as JSON
    os.pwrite(words_fd, json.dumps({"message": message[:most], "hint": hint and hint[:most]}).encode(), 0)


def launch(order: RampOrder) -> Launched:
    """Start the canary and the conductor; the order's descriptors are filled in here.

    Both survive this process: the conductor has a session of its own, and the canary lives as long
    as the conductor holds the pipe it watches.

    Raises:
        ReportUnwritableError: The log cannot be opened with the rights of who the load runs as; nothing
            was started.
    """
    log = open_growing(os.path.join(order.report_dir, LOG), owner=order.owner())
    frames_fd = make_frames()
    canary = start_canary(frames_fd)
    words_fd = os.memfd_create("steadyrun-last-words", os.MFD_CLOEXEC)
    order = order._replace(
        frames_fd=frames_fd, canary_pid=canary.pid, canary_pipe=canary.pipe, words_fd=words_fd
    )
    held = (order.owners_fd,) if order.owners_fd >= 0 else ()
    with held_back():
        conductor = subprocess.Popen(
            python_command("steadyrun.ramp.process", bare=False),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(frames_fd, canary.pipe, order.lock_fd, words_fd, *held),
            start_new_session=True,
        )
    os.close(log)
    assert conductor.stdin is not None
    with conductor.stdin as pipe:
        pipe.write(json.dumps(encode(order)).encode())
    os.close(frames_fd)
    canary.leave()
    return Launched(order.run_id, order.report_dir, conductor, words_fd)
