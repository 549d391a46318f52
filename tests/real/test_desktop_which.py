"""Which of several servers and sessions is watched, and what a view bears from its probes."""

import contextlib
import os
import socket
import struct
import tempfile
import threading
import time

import pytest
from desktop_tree import Tree

from steadyrun.desktop import probes
from steadyrun.desktop.probes import begin_look, take_view
from steadyrun.model.desktop import ProbeName, Seen

pytestmark = pytest.mark.real
SESSION, MANAGER, SCREEN, USER, SSH = (
    ProbeName.SESSION,
    ProbeName.DISPLAY_MANAGER,
    ProbeName.DISPLAY_SERVER,
    ProbeName.USER_MANAGER,
    ProbeName.SSH,
)
X_REFUSES = bytes([0, 0, 11, 0, 0, 0, 0, 0])
WAYLAND_ERROR = struct.pack("=IHH", 1, 0, 8)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.fixture
def short_tree():
    """A tree whose socket paths fit into sun_path, to bind to them by their names."""
    with tempfile.TemporaryDirectory(prefix="sr-") as folder:
        yield Tree(folder)


@pytest.fixture
def serve():
    """Make servers that answer each caller with parts, a moment apart; all end with the test."""
    with contextlib.ExitStack() as stack:

        def start(listener, *parts):
            stack.enter_context(_served(listener, parts))

        yield start


@contextlib.contextmanager
def _served(listener, parts):
    def answer():
        with contextlib.suppress(OSError):
            while True:
                caller, _ = listener.accept()
                with caller:
                    caller.settimeout(2)
                    if caller.family == socket.AF_UNIX:  # an SSH server speaks first
                        caller.recv(64)
                    for part in parts:
                        caller.sendall(part)
                        time.sleep(0.01)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def unix_listener(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(4)
    return listener


def tcp_listener():
    return socket.create_server(("127.0.0.1", 0))


def look(tree, name, deadline_s=1.0, **env):
    return take_view(wall=0.0, root=tree.root, env=env, deadline_s=deadline_s).probe(name)


def test_the_server_of_the_sessions_display_is_asked_before_a_lower_number(short_tree, serve):
    short_tree.process(800, "lightdm", ticks=1)
    short_tree.session("c2", LEADER=800, DISPLAY=":7")
    for number in (0, 7):
        serve(unix_listener(short_tree.path(f"tmp/.X11-unix/X{number}")), X_REFUSES)
    assert look(short_tree, SCREEN).label == "X :7"


def test_the_servers_process_is_its_identity(short_tree, serve):
    short_tree.process(os.getpid(), "Xorg", ticks=77)
    serve(unix_listener(short_tree.path("tmp/.X11-unix/X0")), X_REFUSES)
    found = look(short_tree, SCREEN)
    assert f"pid {os.getpid()} started 77" in found.identity
    assert found.since is not None


@pytest.mark.parametrize(("display", "seen"), [("", Seen.ABSENT), (":5.0", Seen.PRESENT)])
def test_a_server_that_shows_nothing_is_watched_only_where_display_names_it(short_tree, serve, display, seen):
    short_tree.process(os.getpid(), "Xvfb", ticks=77)
    serve(unix_listener(short_tree.path("tmp/.X11-unix/X5")), X_REFUSES)
    assert look(short_tree, SCREEN, DISPLAY=display).seen is seen


def test_an_answer_that_comes_in_pieces_is_an_answer(short_tree, serve):
    serve(unix_listener(short_tree.path("run/user/1000/wayland-0")), WAYLAND_ERROR[:3], WAYLAND_ERROR[3:])
    found = look(short_tree, SCREEN)
    assert (found.seen, found.label) == (Seen.PRESENT, "Wayland wayland-0")


def test_a_socket_deeper_than_a_socket_address_is_reached(short_tree, serve):
    name = "tmp/.X11-unix/X0"
    os.makedirs(os.path.join(short_tree.root, "deep" * 30))
    deep = Tree(os.path.join(short_tree.root, "deep" * 30))
    serve(unix_listener(short_tree.path(name)), X_REFUSES)
    os.rename(short_tree.path(name), deep.path(name))
    assert len(deep.path(name)) > 107
    assert look(deep, SCREEN).seen is Seen.PRESENT


def test_a_server_that_cannot_take_the_call_is_told_from_one_that_took_it(tree, short_tree, serve):
    path = short_tree.path("tmp/.X11-unix/X0")
    with unix_listener(path) as listener, contextlib.ExitStack() as callers:
        listener.listen(0)
        for _ in range(2):
            caller = callers.enter_context(socket.socket(socket.AF_UNIX))
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(path)
        assert "not accepted, no answer" in look(short_tree, SCREEN, deadline_s=0.2).evidence
    with tcp_listener() as silent:
        port = silent.getsockname()[1]
        tree.listens(port, 7)
        evidence = look(tree, SSH, deadline_s=0.2, STEADYRUN_SSH_PORT=str(port)).evidence
    assert "accepted, no banner in 0.2 s" in evidence
    assert "not accepted" not in evidence


def test_the_port_that_is_named_first_is_asked_first(tree, serve):
    ports = []
    for name, file in (("first", "tcp6"), ("second", "tcp")):  # the other way round in the listing
        listener = tcp_listener()
        ports.append(str(listener.getsockname()[1]))
        tree.listens(int(ports[-1]), 7, file=file)
        serve(listener, f"SSH-2.0-{name}\r\n".encode())
    assert look(tree, SSH, STEADYRUN_SSH_PORT=",".join(ports)).label == "first"
    assert look(tree, SSH, STEADYRUN_SSH_PORT=",".join(reversed(ports))).label == "second"


def test_a_connection_from_the_port_is_no_listener(tree):
    with tcp_listener() as listener:
        port = listener.getsockname()[1]
        tree.file("proc/net/tcp", f"  sl\n 0: 0100007F:{port:04X} 0100007F:0001 01 0:0 0:0 0 0 0 7 1\n")
        assert look(tree, SSH, STEADYRUN_SSH_PORT=str(port)).seen is Seen.ABSENT


def test_the_session_of_the_one_who_called_sudo_is_watched_before_an_older_one(tree):
    if os.geteuid() != 0:
        pytest.skip("SUDO_UID counts for root alone")
    for pid, uid in ((800, 1000), (900, 1001)):
        tree.process(pid, "lightdm", ticks=pid)
        tree.session(f"c{uid}", LEADER=pid, UID=uid, REALTIME=pid)
    assert "c1000" in look(tree, SESSION).identity
    assert "c1001" in look(tree, SESSION, SUDO_UID="1001").identity


def test_a_hidden_leader_does_not_end_a_session(tree):
    os.unlink(tree.path("proc/1/stat"))
    tree.session("c2", LEADER=800)
    found = look(tree, SESSION)
    assert (found.seen, found.identity) == (Seen.PRESENT, "session c2, leader 800")


def test_the_systems_own_systemd_is_nobodys_user_manager(tree):
    tree.process(1, "systemd", ticks=1)
    tree.process(800, "lightdm", ticks=2)
    tree.session("c2", LEADER=800, UID=0)
    assert look(tree, USER).seen is Seen.ABSENT


@pytest.mark.parametrize(("unit", "seen"), [("lightdm", Seen.ABSENT), ("new-dm", Seen.PRESENT)])
def test_a_unit_that_is_up_counts_only_for_a_display_manager_of_unknown_name(tree, unit, seen):
    tree.link("etc/systemd/system/display-manager.service", f"/lib/systemd/system/{unit}.service")
    tree.link(f"run/systemd/units/invocation:{unit}.service", "0123abcd")
    assert look(tree, MANAGER).seen is seen


def test_one_probe_is_taken_alone(tree):
    name = ProbeName.DISPLAY_SERVER
    found = begin_look(name, deadline_s=1.0, root=tree.root, env={}).result(time.monotonic() + 1.0)
    assert (found.name, found.seen) == (name, Seen.ABSENT)


def test_a_probe_that_raises_or_hangs_is_unknown_and_holds_nobody_up(tree, monkeypatch):
    over = threading.Event()

    def raises(_asked):
        raise ZeroDivisionError("of a test")

    monkeypatch.setattr(probes, "PROBES", ((SESSION, raises), (SSH, lambda _asked: over.wait(30))))
    began = time.monotonic()
    try:
        view = take_view(wall=0.0, root=tree.root, env={}, deadline_s=0.2)
        took = time.monotonic() - began
    finally:
        over.set()
    assert [probe.seen for probe in view.probes] == [Seen.UNKNOWN] * 2
    assert "ZeroDivisionError: of a test" in view.probes[0].evidence
    assert "0.2 s" in view.probes[1].evidence
    assert took < 1
