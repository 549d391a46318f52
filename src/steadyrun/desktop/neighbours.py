"""Other programs of a machine that act on memory or bring work of their own. Never judges."""

from __future__ import annotations

GUARDS = ("systemd-oomd", "earlyoom", "nohang", "uresourced")
"""Names in /proc/PID/comm (at most 15 characters, proc_pid_comm(5)) of what else guards a machine."""
ENGINES = ("dockerd", "containerd", "crio", "k3s-server", "kubelet")
"""The same of container engines whose containers are below system.slice or beside it."""
