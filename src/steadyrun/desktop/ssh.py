"""SSH: is a server listening on this machine, and does it still say its banner?

A machine that answers ping can be dead to SSH, so the banner is read, from the address the server
listens on. Nobody logs in. Such a connection leaves one line in the server's log, and one second of
OpenSSH's `PerSourcePenalties` (noauth, sshd_config(5), 9.8+) for the loopback address: far from the
15 s at which it refuses, at the pace of this program.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple, assert_never

from steadyrun.desktop.looks import Asked, absent, present, unknown
from steadyrun.desktop.pings import Heard, Ping, ping_ssh
from steadyrun.desktop.processes import processes_named, started_wall
from steadyrun.kernel.reader import read_text
from steadyrun.model.desktop import Probe, ProbeName

PORT_SETTING = "STEADYRUN_SSH_PORT"
CONFIG = "/etc/ssh/sshd_config"
_STANDARD_PORT = 22
_LISTEN = "0A"
"""TCP_LISTEN (kernel, include/net/tcp_states.h)."""
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_SERVERS = frozenset({"sshd", "dropbear"})


class Listener(NamedTuple):
    """One listening TCP socket."""

    host: str
    port: int
    inode: int
    """Of the socket: another one once somebody listens anew."""


def probe_ssh(asked: Asked) -> Probe:
    """Find the SSH server's listening socket and read its banner."""
    wanted = ports(asked)
    listeners = read_listeners(asked.root)
    if listeners is None:
        return unknown(ProbeName.SSH, "/proc/net/tcp could not be read")
    found = sorted(
        (each for each in listeners if each.port in wanted),
        key=lambda each: (wanted.index(each.port), ":" in each.host, each.host),
    )
    if not found:
        return absent(ProbeName.SSH, f"nothing listens on port {', '.join(map(str, wanted))}")
    first = found[0]
    ping = ping_ssh(_ANYWHERE.get(first.host, first.host), first.port, asked.until)
    return _judged(asked, first, ping)


def ports(asked: Asked) -> tuple[int, ...]:
    """Return the ports to look at: of the setting, else of sshd's own configuration, else 22."""
    own = tuple(int(w) for w in asked.env.get(PORT_SETTING, "").replace(",", " ").split() if w.isdecimal())
    if own:
        return own
    folder = f"{CONFIG}.d"
    try:
        more = sorted(name for name in os.listdir(asked.path(folder)) if name.endswith(".conf"))
    except OSError:
        more = []
    texts = (read_text(asked.path(path)) for path in (*(f"{folder}/{name}" for name in more), CONFIG))
    configured = (port for text in texts if text is not None for port in parse_ports(text))
    return tuple(dict.fromkeys(configured)) or (_STANDARD_PORT,)


def parse_ports(text: str) -> tuple[int, ...]:
    """Return the ports of an sshd_config, in its order; what it says of a `Match` is not looked at.

    Source: sshd_config(5), `Port` and `ListenAddress`; keywords are case-insensitive.
    """
    found: list[int] = []
    for line in text.split("\n"):
        words = line.replace("=", " ").split()
        keyword = words[0].lower() if words else ""
        if keyword == "match":
            break
        if len(words) > 1 and keyword in ("port", "listenaddress"):
            host, colon, port = words[1].rpartition(":")
            bare = keyword == "port" or (colon and (host.endswith("]") or ":" not in host))
            if bare and port.isdecimal():
                found.append(int(port))
    return tuple(found)


def read_listeners(root: str = "/") -> tuple[Listener, ...] | None:
    """Return the listening TCP sockets of our network namespace; `None`: neither file can be read."""
    before = root.rstrip("/")
    texts = [read_text(f"{before}/proc/net/{name}") for name in ("tcp", "tcp6")]
    if texts == [None, None]:
        return None
    return tuple(each for text in texts if text is not None for each in parse_listeners(text))


def parse_listeners(text: str) -> tuple[Listener, ...]:
    """Read /proc/net/tcp or tcp6; lines of another form or state are passed over.

    Source: kernel, Documentation/networking/proc_net_tcp.rst.
    """
    found = []
    for line in text.split("\n"):
        fields = line.split()
        if len(fields) < 10 or fields[3] != _LISTEN:
            continue
        address, _, port = fields[1].partition(":")
        try:
            found.append(Listener(_address(address), int(port, 16), int(fields[9])))
        except (ValueError, OverflowError, OSError):
            continue
    return tuple(found)


def _address(text: str) -> str:
    """Turn the kernel's hexadecimal words, each in the machine's byte order, into an address."""
    import socket

    words = [int(text[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(text), 8)]
    packed = b"".join(words)
    return socket.inet_ntop(socket.AF_INET6 if len(packed) > 4 else socket.AF_INET, packed)


def _judged(asked: Asked, listener: Listener, ping: Ping) -> Probe:
    where = f"{listener.host} port {listener.port}"
    match ping.heard:
        case Heard.ANSWERED:
            server = next(iter(processes_named(_SERVERS, asked.root)), None)
            return present(
                ProbeName.SSH,
                identity=f"listening socket {listener.inode}",
                label=_product(ping.said),
                since=started_wall(server.start_ticks if server else None, asked.root),
                latency_ms=ping.latency_ms,
                evidence=f"{where}: {ping.said}",
            )
        case Heard.SILENT:
            return unknown(ProbeName.SSH, f"{where}: {ping.said}, no banner in {asked.patience_s:g} s")
        case Heard.REFUSED | Heard.STRANGE:
            return unknown(ProbeName.SSH, f"{where} listens; {ping.said}")
        case _:
            assert_never(ping.heard)


def _product(banner: str) -> str:
    """Return the software of a banner: `OpenSSH_9.2p1` of `SSH-2.0-OpenSSH_9.2p1 Debian-2`."""
    return banner.partition(" ")[0].split("-", 2)[-1]
