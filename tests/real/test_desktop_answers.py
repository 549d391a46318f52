"""Display servers and SSH servers made here, on real sockets: what answers, what hangs, what is left over."""

import contextlib
import os
import socket
import struct
import threading
import time

import pytest
from desktop_tree import Tree

from steadyrun.desktop.probes import take_view
from steadyrun.model.desktop import ProbeName, Seen

pytestmark = pytest.mark.real
SCREEN, SSH = ProbeName.DISPLAY_SERVER, ProbeName.SSH
SYNC = struct.pack("=III", 1, 12 << 16, 2)
DONE = struct.pack("=IHHI", 2, 0, 12, 77)
BANNER = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@contextlib.contextmanager
def serving(listener, answer=None, asks=0):
    """Serve on a listener: read `asks` bytes of each caller, send `answer`; `None`: stay silent."""
    heard, held = [], []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                caller, _ = listener.accept()
                held.append(caller)
                caller.settimeout(2)
                if asks:
                    heard.append(caller.recv(asks))
                if answer is not None:
                    caller.sendall(answer)
                    caller.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for caller in held:
            caller.close()


def unix_listener(path):
    here = os.getcwd()
    os.chdir(os.path.dirname(path))  # sun_path has 107 bytes
    try:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.basename(path))
        listener.listen(4)
    finally:
        os.chdir(here)
    return listener


def look(tree, name, deadline_s=1.0, **env):
    return take_view(wall=0.0, root=tree.root, env=env, deadline_s=deadline_s).probe(name)


@pytest.mark.parametrize("reply", [0, 1, 2])
def test_an_x_server_that_answers_the_greeting_is_there_whatever_it_answers(tree, reply):
    listener = unix_listener(tree.path("tmp/.X11-unix/X3"))
    with serving(listener, bytes([reply, 0, 11, 0, 0, 0, 0, 0]), asks=64) as heard:
        found = look(tree, SCREEN)
    assert (found.seen, found.label) == (Seen.PRESENT, "X :3")
    assert heard == [b"l\0\x0b\0\0\0\0\0\0\0\0\0"]
    assert 0 <= found.latency_ms < 1000
    assert found.identity


def test_an_x_server_that_accepts_and_says_nothing_is_unknown_by_the_deadline(tree):
    with serving(unix_listener(tree.path("tmp/.X11-unix/X0")), asks=64):
        began = time.monotonic()
        found = look(tree, SCREEN, deadline_s=0.2)
        took = time.monotonic() - began
    assert found.seen is Seen.UNKNOWN
    assert "no answer in 0.2 s" in found.evidence
    assert took < 1


def test_a_server_with_a_full_queue_is_unknown_not_absent(tree):
    listener = unix_listener(tree.path("tmp/.X11-unix/X0"))
    with listener, contextlib.ExitStack() as callers:
        listener.listen(0)
        for _ in range(2):
            caller = callers.enter_context(socket.socket(socket.AF_UNIX))
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(tree.path("tmp/.X11-unix/X0"))
        assert look(tree, SCREEN, deadline_s=0.2).seen is Seen.UNKNOWN


def test_a_socket_left_over_by_a_dead_server_is_no_server(tree):
    unix_listener(tree.path("tmp/.X11-unix/X0")).close()
    found = look(tree, SCREEN)
    assert found.seen is Seen.ABSENT
    assert "left over" in found.evidence


def test_a_left_over_socket_beside_a_running_server_is_unknown(tree):
    unix_listener(tree.path("tmp/.X11-unix/X0")).close()
    tree.process(70, "Xorg", ticks=5)
    assert look(tree, SCREEN).seen is Seen.UNKNOWN


def test_a_left_over_socket_does_not_hide_the_server_beside_it(tree):
    unix_listener(tree.path("tmp/.X11-unix/X0")).close()
    with serving(unix_listener(tree.path("tmp/.X11-unix/X1")), bytes(8), asks=64):
        found = look(tree, SCREEN)
    assert (found.seen, found.label) == (Seen.PRESENT, "X :1")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_only_sockets_themselves_are_spoken_to(tree, kind):
    listener = unix_listener(tree.path("elsewhere/socket"))
    with serving(listener, bytes(8), asks=64) as heard:
        if kind == "link":
            tree.link("tmp/.X11-unix/X0", tree.path("elsewhere/socket"))
        else:
            tree.file("tmp/.X11-unix/X0", "")
        assert look(tree, SCREEN).seen is Seen.ABSENT
    assert heard == []


def test_a_compositor_that_answers_a_sync_is_there_and_its_x_socket_is_left_alone(tree):
    wayland = unix_listener(tree.path("run/user/1000/wayland-0"))
    x11 = unix_listener(tree.path("tmp/.X11-unix/X0"))
    tree.file("run/user/1000/wayland-0.lock", "")
    with serving(wayland, DONE, asks=64) as asked, serving(x11, bytes(8), asks=64) as woken:
        found = look(tree, SCREEN)
    assert (found.seen, found.label) == (Seen.PRESENT, "Wayland wayland-0")
    assert asked == [SYNC]
    assert woken == []


def test_a_compositor_that_hangs_is_unknown(tree):
    with serving(unix_listener(tree.path("run/user/1000/wayland-0")), asks=64):
        assert look(tree, SCREEN, deadline_s=0.2).seen is Seen.UNKNOWN


def test_in_a_session_of_x_a_nested_compositor_is_not_the_display_server(tree):
    tree.process(800, "lightdm", ticks=1)
    tree.session("c2", LEADER=800, TYPE="x11", DISPLAY=":0")
    wayland = unix_listener(tree.path("run/user/1000/wayland-0"))
    x11 = unix_listener(tree.path("tmp/.X11-unix/X0"))
    with serving(wayland, DONE, asks=64) as nested, serving(x11, bytes(8), asks=64):
        assert look(tree, SCREEN).label == "X :0"
    assert nested == []


@contextlib.contextmanager
def ssh_server(tree, answer, *, inode=4711, family=socket.AF_INET):
    listener = socket.socket(family)
    listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    listener.listen(4)
    port = listener.getsockname()[1]
    if family == socket.AF_INET6:
        tree.listens(port, inode, address="0" * 24 + "01000000", file="tcp6")
    else:
        tree.listens(port, inode)
    with serving(listener, answer):
        yield str(port)


@pytest.mark.parametrize("before", [b"", b"Welcome\r\nto this machine\r\n"])
def test_an_ssh_server_is_there_when_it_says_its_banner(tree, before):
    with ssh_server(tree, before + BANNER) as port:
        found = look(tree, SSH, STEADYRUN_SSH_PORT=port)
    assert (found.seen, found.label) == (Seen.PRESENT, "OpenSSH_9.2p1")
    assert "4711" in found.identity
    assert 0 <= found.latency_ms < 1000


def test_an_ssh_server_that_accepts_and_stays_silent_is_unknown_by_the_deadline(tree):
    with ssh_server(tree, None) as port:
        began = time.monotonic()
        found = look(tree, SSH, deadline_s=0.2, STEADYRUN_SSH_PORT=port)
        took = time.monotonic() - began
    assert found.seen is Seen.UNKNOWN
    assert "accepted, no banner in 0.2 s" in found.evidence
    assert took < 1


@pytest.mark.parametrize(
    "answer", [b"", b"Exceeded MaxStartups\r\n", b"HTTP/1.1 400 \x1b[2J\r\n", b"\xff" * 9000]
)
def test_an_answer_that_is_no_banner_is_unknown_and_safe_to_print(tree, answer):
    with ssh_server(tree, answer) as port:
        found = look(tree, SSH, STEADYRUN_SSH_PORT=port)
    assert found.seen is Seen.UNKNOWN
    assert found.evidence.isprintable()
    assert len(found.evidence) < 400


def test_a_banner_with_control_characters_is_safe_to_print(tree):
    with ssh_server(tree, b"SSH-2.0-a\x1b[2J\x07b rest\r\n") as port:
        found = look(tree, SSH, STEADYRUN_SSH_PORT=port)
    assert found.seen is Seen.PRESENT
    assert (found.label + found.evidence).isprintable()


def test_the_port_of_sshds_configuration_is_looked_at(tree):
    with ssh_server(tree, BANNER) as port:
        tree.file("etc/ssh/sshd_config", f"# Port 1\nport {port}\nMatch User x\n  Port 2\n")
        assert look(tree, SSH).seen is Seen.PRESENT


def test_an_ssh_server_on_ipv6_alone_is_found(tree):
    try:
        with ssh_server(tree, BANNER, family=socket.AF_INET6) as port:
            assert look(tree, SSH, STEADYRUN_SSH_PORT=port).seen is Seen.PRESENT
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error.strerror}")


def test_nothing_listening_is_absent_and_a_listing_that_cannot_be_read_is_unknown(tree):
    assert look(tree, SSH, STEADYRUN_SSH_PORT="1").seen is Seen.ABSENT
    os.unlink(tree.path("proc/net/tcp"))
    assert look(tree, SSH, STEADYRUN_SSH_PORT="1").seen is Seen.UNKNOWN


def test_this_machines_own_listing_names_a_server_made_here():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(4)
    port, inode = listener.getsockname()[1], os.fstat(listener.fileno()).st_ino
    with serving(listener, BANNER):
        found = take_view(wall=0.0, env={"STEADYRUN_SSH_PORT": str(port)}).probe(SSH)
    assert found.seen is Seen.PRESENT
    assert str(inode) in found.identity


def test_a_hung_display_and_a_hung_ssh_server_cost_one_deadline_together(tree):
    with ssh_server(tree, None) as port, serving(unix_listener(tree.path("tmp/.X11-unix/X0")), asks=64):
        began = time.monotonic()
        view = take_view(wall=0.0, root=tree.root, env={"STEADYRUN_SSH_PORT": port}, deadline_s=0.3)
        took = time.monotonic() - began
    assert [view.probe(n).seen for n in (SCREEN, SSH)] == [Seen.UNKNOWN] * 2
    assert took < 1


def test_a_file_that_never_gives_anything_costs_no_more_than_the_deadline(tree):
    pipe = tree.path("run/systemd/sessions/c2")
    os.mkfifo(pipe)
    try:
        began = time.monotonic()
        view = take_view(wall=0.0, root=tree.root, env={}, deadline_s=0.2)
        took = time.monotonic() - began
    finally:
        end = time.monotonic() + 5
        while (
            any(each.name.startswith("probe ") for each in threading.enumerate()) and time.monotonic() < end
        ):
            with contextlib.suppress(OSError):
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    assert view.probe(ProbeName.SESSION).seen is Seen.UNKNOWN
    assert view.probe(SSH).seen is Seen.ABSENT
    assert took < 1


def test_a_machine_without_a_thread_to_spare_leaves_everything_unknown(tree, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    view = take_view(wall=0.0, root=tree.root, env={})
    assert {probe.seen for probe in view.probes} == {Seen.UNKNOWN}
