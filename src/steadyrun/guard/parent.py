"""Hears that the thread which started this process is gone, also while its process cannot end.

A thread in uninterruptible sleep outlives SIGKILL, and with it every descriptor of its process: a
conductor that was killed while another thread of it waited for a stalled disk never hangs up. The
parent-death signal comes when the *thread* that forked is gone (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import os
import signal

GONE_SIGNAL = signal.SIGRTMIN + 2
"""Nobody sends it by accident; `front.STOP_SIGNAL` is the one before."""
_PR_SET_PDEATHSIG = 1


def end_of_parent() -> int:
    """Return a descriptor that becomes readable when the thread that started us has ended.

    To be called once, by the main thread, which this takes a signal handler of. Where the kernel refuses,
    the end of the parent's descriptors is all there is to hear.
    """
    import ctypes

    heard, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(GONE_SIGNAL, lambda _number, _frame: os.write(write, b"!"))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(GONE_SIGNAL), 0, 0, 0)
    return heard
