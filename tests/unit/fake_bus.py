"""A small real D-Bus peer in this process: it authenticates, answers, keeps silent or hangs up as told.

It speaks the wire format over a Unix socket, so that nothing of `steadyrun.bus` is replaced.
"""

import array
import contextlib
import os
import socket
import threading

from jeepney import (
    DBusAddress,
    HeaderFields,
    Parser,
    new_error,
    new_method_return,
    new_signal,
)

SYSTEMD_NAME = ":1.7"
"""Owns every well-known name here."""


class FailureError(Exception):
    """Raised by an answer: an error reply with this name."""

    def __init__(self, name, text="it was refused"):
        super().__init__(name)
        self.name, self.text = name, text


class SilenceError(Exception):
    """Raised by an answer: none is given."""


class HangUpError(Exception):
    """Raised by an answer: the connection is closed."""


class Asked(tuple):
    """One call as it came: (destination, path, interface, member, body)."""

    __slots__ = ()
    destination = property(lambda self: self[0])
    path = property(lambda self: self[1])
    member = property(lambda self: self[3])
    body = property(lambda self: self[4])


class FakeBus:
    """Listens until the context ends.

    `answers[member]` is called with the fake and the call, and returns (signature, body); `signals` that
    it leaves in `self.after` are sent behind the answer.
    """

    def __init__(self, path, *, lets_in=True, greets=True):
        self.path = os.fspath(path)
        self.lets_in, self.greets = lets_in, greets
        self.calls, self.after, self.before, self.flags = [], [], [], []
        self.answers = {
            "Hello": lambda bus, call: ("s", (":1.99",)),
            "GetNameOwner": lambda bus, call: ("s", (SYSTEMD_NAME,)),
            "AddMatch": lambda bus, call: ("", ()),
        }
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.path)
        self._server.listen(4)
        self.connections, self._threads = [], []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for each in self.connections:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for each in (self._thread, *self._threads):
            each.join(5)
            assert not each.is_alive()

    @property
    def env(self):
        return {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.path}", "XDG_RUNTIME_DIR": "/nowhere"}

    def asked(self, member):
        """Return the calls of a method."""
        return [call for call in self.calls if call.member == member]

    def signal(self, path, interface, member, signature, body, *, sender=SYSTEMD_NAME):
        """Make a signal for `before` or `after`."""
        message = new_signal(DBusAddress(path, interface=interface), member, signature, body)
        message.header.fields[HeaderFields.sender] = sender
        return message

    def _serve(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections.append(connection)
            self._threads.append(threading.Thread(target=self._talk, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _talk(self, connection):
        with connection, contextlib.suppress(HangUpError, OSError):
            self._authenticate(connection)
            self._converse(connection)

    def _authenticate(self, connection):
        if not self.greets:
            connection.recv(1024)
            connection.recv(1024)  # ends with the connection
            raise HangUpError
        lines = b""
        while not lines.endswith(b"BEGIN\r\n"):
            part = connection.recv(1)
            if not part:
                raise HangUpError
            lines += part
            if lines.endswith(b"\r\n") and not lines.endswith(b"BEGIN\r\n"):
                last = lines.strip(b"\0").rstrip().rpartition(b"\r\n")[2]
                connection.sendall(self._reply_to(last))

    def _reply_to(self, line):
        if line.startswith(b"AUTH EXTERNAL"):
            return b"OK 0123456789abcdef\r\n" if self.lets_in else b"REJECTED EXTERNAL\r\n"
        return b"AGREE_UNIX_FD\r\n"

    def _converse(self, connection):
        parser, serial = Parser(), 0
        while True:
            message = parser.get_next_message()
            if message is None:
                data, extra, _, _ = connection.recvmsg(parser.bytes_desired(), 4096)
                if not data:
                    return
                handles = array.array("i")
                for _, _, raw in extra:
                    handles.frombytes(raw)
                parser.add_data(data, list(handles))
                continue
            replies = [*self._take(self.before), self._answer(message), *self._take(self.after)]
            for reply in filter(None, replies):
                serial += 1
                fds = array.array("i")
                data = reply.serialise(serial=serial, fds=fds)
                connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if fds else [])

    @staticmethod
    def _take(messages):
        taken, messages[:] = list(messages), []
        return taken

    def _answer(self, message):
        fields = message.header.fields
        keys = (HeaderFields.destination, HeaderFields.path, HeaderFields.interface, HeaderFields.member)
        call = Asked((*(fields.get(key) for key in keys), message.body))
        self.calls.append(call)
        self.flags.append(message.header.flags)
        answer = self.answers.get(call.member)
        try:
            if answer is None:
                raise FailureError("org.freedesktop.DBus.Error.UnknownMethod")
            signature, body = answer(self, call)
        except FailureError as failure:
            return new_error(message, failure.name, "s", (failure.text,))
        except SilenceError:
            return None
        return new_method_return(message, signature or None, body)


class FakeSystemd(FakeBus):
    """A manager with units as dictionaries, whose jobs end as told, and a logind beside it."""

    MANAGER = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")

    def __init__(self, path, **how):
        super().__init__(path, **how)
        self.units, self.job_results, self.jobs = {}, {}, 0
        self.job_sender, self.control_group = SYSTEMD_NAME, ""
        self.sessions, self.lingers, self.locks, self.lent = {}, False, [], []
        self.answers.update(
            Subscribe=lambda bus, call: ("", ()),
            StartTransientUnit=FakeSystemd._start,
            StopUnit=FakeSystemd._stop,
            ResetFailedUnit=FakeSystemd._known,
            GetUnit=lambda bus, call: ("o", (bus._path(call.body[0]),)),
            GetAll=FakeSystemd._all,
            Get=FakeSystemd._one,
            ListSessions=FakeSystemd._list_sessions,
            GetUser=lambda bus, call: ("o", ("/org/freedesktop/login1/user/_1000",)),
            SetUserLinger=FakeSystemd._set_linger,
            Inhibit=FakeSystemd._inhibit,
        )

    def _path(self, name):
        if name not in self.units:
            raise FailureError("org.freedesktop.systemd1.NoSuchUnit", f"Unit {name} not loaded.")
        return "/org/freedesktop/systemd1/unit/" + "".join(
            each if each.isalnum() else f"_{ord(each):02x}" for each in name
        )

    def _named(self, path):
        return next(each for name, each in self.units.items() if self._path(name) == path)

    def _job(self, name):
        self.jobs += 1
        job = f"/org/freedesktop/systemd1/job/{self.jobs}"
        result = self.job_results.get(name, "done")
        if result is not None:
            body = (self.jobs, job, name, result)
            self.after.append(self.signal(*self.MANAGER, "JobRemoved", "uoss", body, sender=self.job_sender))
        return "o", (job,)

    def _start(self, call):
        name, _, properties, _ = call.body
        if name in self.units:
            raise FailureError("org.freedesktop.systemd1.UnitExists", f"Unit {name} was already loaded.")
        self.units[name] = {
            "Id": ("s", name),
            "LoadState": ("s", "loaded"),
            "ActiveState": ("s", "active"),
            "SubState": ("s", "running"),
            "InvocationID": ("ay", bytes(range(16))),
            "ControlGroup": ("s", f"/user.slice/{name}"),
            "Result": ("s", "success"),
            **dict(properties),
        }
        return self._job(name)

    def _stop(self, call):
        self._path(call.body[0])
        if self.job_results.get(call.body[0], "done") == "done":
            del self.units[call.body[0]]
        return self._job(call.body[0])

    def _known(self, call):
        self._path(call.body[0])
        return "", ()

    def _all(self, call):
        if call.path in self.sessions:
            return "a{sv}", (self.sessions[call.path],)
        unit = self._named(call.path)
        common = {"Id", "LoadState", "ActiveState", "SubState", "InvocationID", "ActiveEnterTimestamp"}
        wanted = call.body[0].endswith(".Unit")
        return "a{sv}", ({k: v for k, v in unit.items() if (k in common) == wanted and k != "PIDs"},)

    def _one(self, call):
        if call.body[1] == "Version":
            return "v", (("s", "252.39-1~deb12u1"),)
        if call.path == self.MANAGER[0] and call.body[1] == "ControlGroup":
            return "v", (("s", self.control_group),)
        if call.body[1] == "Linger":
            return "v", (("b", self.lingers),)
        return "v", (self._named(call.path)[call.body[1]],)

    def _list_sessions(self, call):
        rows = []
        for path, found in self.sessions.items():
            uid, seat = found["User"][1][0], found["Seat"][1][0]
            rows.append((found["Id"][1], uid, found["Name"][1], seat, path))
        return "a(susso)", (rows,)

    def _set_linger(self, call):
        self.lingers = call.body[1]
        return "", ()

    def _inhibit(self, call):
        read_end, write_end = os.pipe()
        self.locks.append(read_end)
        self.lent.append(write_end)
        return "h", (write_end,)

    def let_go(self):
        """Close our own copies of the locks; each `locks` descriptor then ends with the holder's."""
        while self.lent:
            os.close(self.lent.pop())
