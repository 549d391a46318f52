"""One synchronous connection to a bus: calls, properties and signals, each wait with its deadline.

jeepney gives the wire format and the authentication; the socket and all waiting are here, because
jeepney's own blocking connection says Hello and sends without a deadline, and a bus that accepts and
then stays silent must not stop a ramp. For one thread at a time. Nothing is started by asking: each
call bears NO_AUTO_START (D-Bus specification, "Message Format").
"""

from __future__ import annotations

import array
import os
import socket
import struct
import time
from collections import deque

from steadyrun.bus.address import Bus, candidates
from steadyrun.errors import BusError
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any

    from jeepney import Message

LONGEST_MESSAGE = 16 * 2**20
"""Bytes. The reference bus closes at 128 MiB; the longest answer to our questions is below 1 MiB."""
_MOST_SIGNALS = 4096
"""Signals kept until somebody waits for them; the oldest goes first."""
_MOST_DESCRIPTORS = 16
"""In one message: the default of the reference bus (dbus-daemon(1), `max_message_unix_fds`)."""
_BUSY_PAUSE_S = 0.01
"""Between two tries to connect to a socket whose queue is full (EAGAIN, unix(7))."""
_ENOUGH_FOR_AUTH = 1024
_CREDENTIALS = struct.Struct("iII")
"""pid, uid, gid of whoever made the socket (unix(7), `SO_PEERCRED`)."""

_DAEMON = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_PROPERTIES = "org.freedesktop.DBus.Properties"
_DENIED = frozenset(
    {
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
        "org.freedesktop.DBus.Error.AuthFailed",
    }
)
NOBODY = frozenset({"org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner"})
"""Errors of a bus on which nobody has the name that was called."""


class Target(NamedTuple):
    """Whom a call is for."""

    destination: str
    """A bus name."""
    path: str
    interface: str


class Signal(NamedTuple):
    """One signal that came."""

    sender: str
    """The unique name that the bus put there."""
    path: str
    interface: str
    member: str
    body: tuple[Any, ...]


DAEMON = Target(*_DAEMON)


def within(seconds: float) -> float:
    """Return the deadline that lies so many seconds ahead, as CLOCK_MONOTONIC."""
    return time.monotonic() + seconds


def open_bus(
    which: Bus, *, until: float, descriptors: bool = False, env: Mapping[str, str] | None = None
) -> Connection:
    """Connect to a bus, authenticate and say Hello.

    Args:
        which: The user's or the system's.
        until: CLOCK_MONOTONIC by which all of it has to be done, seconds.
        descriptors: Descriptors are to be sent or received over it.
        env: The environment with the addresses; `None`: this process's.

    Raises:
        BusError: There is no such bus, it refuses us, or it does not answer in time.
    """
    places = candidates(which, os.environ if env is None else env, os.geteuid())
    failures = []
    for place in places:
        try:
            return Connection(_connected(place, until), which=which, descriptors=descriptors, until=until)
        except BusError as error:
            failures.append((place, error))
    said = "; ".join(f"{_shown(place)}: {error.message}" for place, error in failures)
    silent = any(error.silent for _, error in failures)
    raise BusError(f"the {which.value} bus: {said}", hint=_SILENT if silent else _mend(which), silent=silent)


def open_peer(place: str, uid: int, *, until: float) -> Connection:
    """Connect to somebody who listens without a bus, and authenticate: calls alone, no Hello, no signals.

    Args:
        place: The socket. Anybody who may write to its folder could have put another one there.
        uid: Whose it has to be.
        until: CLOCK_MONOTONIC by which all of it has to be done, seconds.

    Raises:
        BusError: Nobody listens there, it is somebody else's, or it does not answer in time.
    """
    connected = _connected(place, until)
    made_by = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, owner, _ = _CREDENTIALS.unpack(made_by)
    if owner != uid:
        connected.close()
        raise BusError(f"{place}: expected a socket of uid {uid}, found one of uid {owner}")
    return Connection(connected, which=Bus.USER, descriptors=False, hello=False, until=until)


class Connection:
    """A connection that is let in, as a context manager."""

    def __init__(
        self, connected: socket.socket, *, which: Bus, descriptors: bool, until: float, hello: bool = True
    ) -> None:
        """Authenticate on a connected socket, which is this object's from now on, and say Hello.

        Raises:
            BusError: It could not be done in time.
        """
        try:
            from jeepney import Parser
        except ImportError as error:
            connected.close()
            raise BusError(
                "jeepney: expected the Python package, found none", hint="pip install jeepney"
            ) from error
        self.which = which
        self._socket, self._descriptors = connected, descriptors
        self._parser: Any = Parser()
        self._serial = 0
        self._signals: deque[Signal] = deque(maxlen=_MOST_SIGNALS)
        self._broken: str | None = None
        try:
            self.name = ""
            """Our unique name; none without a bus."""
            if hello:
                self._authenticate(until)
                self.name = str(self.call(DAEMON, "Hello", until=until)[0])
            else:
                self._authenticate_at_once(until)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Connection:
        """Give the connection itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close it; what is still waited for never comes."""
        self._broken = self._broken or "the connection was closed"
        self._socket.close()

    def call(
        self, to: Target, member: str, signature: str = "", body: tuple[Any, ...] = (), *, until: float
    ) -> tuple[Any, ...]:
        """Call a method and return the values of its answer.

        A variant is a pair of signature and value, an array of bytes is `bytes`, a struct a tuple.

        Args:
            to: Object and interface.
            member: The method.
            signature: Of all arguments, as the D-Bus specification writes it ("Type System").
            body: The arguments.
            until: CLOCK_MONOTONIC by which the answer has to be here, seconds.

        Raises:
            BusError: An error was answered (its `name` says which), nothing was answered in time, or the
                connection broke. After a missing answer what was asked for may still happen.
        """
        what = f"{to.interface.rpartition('.')[2]}.{member}"
        serial = self._send(self._message(to, member, signature, body), what, until)
        while True:
            message = self._receive(what, until)
            answered = self._answer(message, serial)
            if answered is not None:
                return self._judged(answered, what)

    def properties(self, to: Target, *, until: float) -> dict[str, Any]:
        """Return all properties of one interface of an object, without their signatures.

        Raises:
            BusError: As `call`.
        """
        (found,) = self.call(
            to._replace(interface=_PROPERTIES), "GetAll", "s", (to.interface,), until=until
        ) or ({},)
        return {name: value for name, (_, value) in found.items()}

    def property(self, to: Target, name: str, *, until: float) -> Any:
        """Return one property, without its signature.

        Raises:
            BusError: As `call`.
        """
        asked = to._replace(interface=_PROPERTIES)
        ((_, value),) = self.call(asked, "Get", "ss", (to.interface, name), until=until)
        return value

    def owner(self, name: str, *, until: float) -> str:
        """Return the unique name of who owns a bus name; nobody is started for it.

        Raises:
            BusError: Nobody owns it, and as `call`.
        """
        owner: str = self.call(DAEMON, "GetNameOwner", "s", (name,), until=until)[0]
        return owner

    def listen(self, to: Target, member: str, *, until: float) -> str:
        """Have a signal delivered from now on; return the unique name that will send it.

        Raises:
            BusError: As `call`.
        """
        owner = self.owner(to.destination, until=until)
        rule = {"type": "signal", "sender": to.destination, "path": to.path, "interface": to.interface}
        text = ",".join(f"{key}='{value}'" for key, value in {**rule, "member": member}.items())
        self.call(DAEMON, "AddMatch", "s", (text,), until=until)
        return owner

    def wait(self, wanted: Callable[[Signal], bool], what: str, *, until: float) -> Signal:
        """Return the first signal that is wanted, of those that came already or come by then.

        Signals that nobody wanted are dropped on the way.

        Args:
            wanted: Looks at sender, too: anybody may send a signal straight to our name.
            what: What is waited for, for the message.
            until: CLOCK_MONOTONIC, seconds.

        Raises:
            BusError: It did not come in time, or the connection broke.
        """
        while True:
            while self._signals:
                signal = self._signals.popleft()
                if wanted(signal):
                    return signal
            self._keep(self._receive(what, until))

    def _message(self, to: Target, member: str, signature: str, body: tuple[Any, ...]) -> Message:
        from jeepney import DBusAddress, MessageFlag, new_method_call

        try:
            address = DBusAddress(to.path, to.destination, to.interface)
            message = new_method_call(address, member, signature or None, body)
        except (TypeError, ValueError) as error:
            raise BusError(f"{to.destination} {to.path}: {error}") from error
        message.header.flags = MessageFlag.no_auto_start
        return message

    def _send(self, message: Message, what: str, until: float) -> int:
        """Send a call; return its serial. A call that went out in part breaks the connection."""
        if self._broken is not None:
            raise BusError(f"{what}: {self._broken}")
        self._serial += 1
        handles = array.array("i") if self._descriptors else None
        try:
            data = message.serialise(serial=self._serial, fds=handles)
        except (TypeError, ValueError, RuntimeError, struct.error, OverflowError) as error:
            raise BusError(f"{what}: expected arguments of its signature, found {error}") from error
        try:
            sent = 0
            if handles:
                self._socket.settimeout(_left(until))
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)]
                sent = self._socket.sendmsg([data], rights)
            self._socket.settimeout(_left(until))
            self._socket.sendall(data[sent:])
        except OSError as error:
            raise self._break(what, error) from error
        return self._serial

    def _receive(self, what: str, until: float) -> Message:
        """Return the next message.

        Raises:
            BusError: None came in time (the connection can be used on), or it broke.
        """
        while True:
            if self._broken is not None:
                raise BusError(f"{what}: {self._broken}")
            try:
                message = self._parser.get_next_message()
                if message is None:
                    self._read(until)
                    continue
            except TimeoutError as error:
                raise BusError(f"{what}: no answer in time", hint=_SILENT, silent=True) from error
            except OSError as error:
                raise self._break(what, error) from error
            except Exception as error:  # jeepney's parser raises whatever its input makes it
                self._broken = f"expected a D-Bus message, found {error!r:.80}"
                raise BusError(f"{what}: {self._broken}") from error
            return message

    def _read(self, until: float) -> None:
        """Read a part of the next message.

        Raises:
            TimeoutError: None came by then.
            OSError: The other side closed, or the socket failed.
            ValueError: The message is longer than any that we ask for.
        """
        from jeepney import FileDescriptor

        wanted = self._parser.bytes_desired()
        if wanted > LONGEST_MESSAGE:
            raise ValueError(f"a message of {wanted} bytes")
        self._socket.settimeout(_left(until))
        room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4)
        data, extra, flags, _ = self._socket.recvmsg(max(1, wanted), room, socket.MSG_CMSG_CLOEXEC)
        handles = FileDescriptor.from_ancdata(extra)
        if flags & socket.MSG_CTRUNC:
            raise ValueError(f"more than {_MOST_DESCRIPTORS} descriptors in a message")
        if not data:
            raise ConnectionResetError("the bus closed the connection")
        self._parser.add_data(data, handles)

    def _answer(self, message: Message, serial: int) -> Message | None:
        """Return the message if it is the answer to that call; keep it if it is a signal."""
        from jeepney import HeaderFields

        if message.header.fields.get(HeaderFields.reply_serial) == serial:
            return message
        self._keep(message)
        return None

    def _keep(self, message: Message) -> None:
        from jeepney import HeaderFields, MessageType

        if message.header.message_type is MessageType.signal:
            fields = message.header.fields
            signal = Signal(
                sender=fields.get(HeaderFields.sender, ""),
                path=fields.get(HeaderFields.path, ""),
                interface=fields.get(HeaderFields.interface, ""),
                member=fields.get(HeaderFields.member, ""),
                body=tuple(message.body),
            )
            self._signals.append(signal)

    def _judged(self, message: Message, what: str) -> tuple[Any, ...]:
        from jeepney import HeaderFields, MessageType

        if message.header.message_type is not MessageType.error:
            return tuple(message.body)
        name = str(message.header.fields.get(HeaderFields.error_name, ""))
        said = next((each for each in message.body if isinstance(each, str)), "") or name
        raise BusError(f"{what}: {said} ({name})", hint=_hint(name), name=name)

    def _authenticate(self, until: float) -> None:
        """Authenticate by the credentials of the socket (D-Bus specification, "EXTERNAL").

        Raises:
            BusError: It was not let in in time.
        """
        from jeepney.auth import BEGIN, AuthenticationError, Authenticator

        talk = Authenticator(enable_fds=self._descriptors, inc_null_byte=True)
        try:
            for line in talk:
                self._socket.settimeout(_left(until))
                self._socket.sendall(line)
                self._socket.settimeout(_left(until))
                heard = self._socket.recv(_ENOUGH_FOR_AUTH)
                if not heard:
                    raise ConnectionResetError("the bus closed the connection")
                talk.feed(heard)
            self._socket.settimeout(_left(until))
            self._socket.sendall(BEGIN)
        except AuthenticationError as error:
            raise BusError(f"it does not let us in: {error}") from error
        except OSError as error:
            raise self._break("authentication", error) from error

    def _authenticate_at_once(self, until: float) -> None:
        """Send all of the authentication in one piece, as sd-bus does.

        A call that came behind a later BEGIN could be read together with it; sd-bus's server then keeps it
        until something else comes (seen with systemd 257, 4 of 50 calls; bus_socket_read_auth(),
        systemd/systemd src/libsystemd/sd-bus/bus-socket.c).

        Raises:
            BusError: It was not let in in time.
        """
        whom = str(os.geteuid()).encode().hex().encode()
        heard = b""
        try:
            self._socket.settimeout(_left(until))
            self._socket.sendall(b"\0AUTH EXTERNAL " + whom + b"\r\nBEGIN\r\n")
            while not heard.endswith(b"\n") and len(heard) < _ENOUGH_FOR_AUTH:
                self._socket.settimeout(_left(until))
                part = self._socket.recv(1)
                if not part:
                    raise ConnectionResetError("the other side closed the connection")
                heard += part
        except OSError as error:
            raise self._break("authentication", error) from error
        if not heard.startswith(b"OK "):
            raise BusError(f"it does not let us in: expected OK, found {heard.strip()!r:.80}")

    def _break(self, what: str, error: OSError) -> BusError:
        """Make the connection unusable; return what to raise."""
        if isinstance(error, TimeoutError):
            self._broken = "no answer in time"
            return BusError(f"{what}: {self._broken}", hint=_SILENT, silent=True)
        self._broken = os.strerror(error.errno) if error.errno else str(error)
        return BusError(f"{what}: {self._broken}")


_SILENT = "the bus or who was asked is overloaded or hangs: try again, or look with `busctl status`"


def _connected(place: str, until: float) -> socket.socket:
    """Connect to a socket.

    Raises:
        BusError: Nobody listens there, or nobody accepts in time.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    while True:
        try:
            connection.settimeout(_left(until))
            connection.connect(place)
        except BlockingIOError:  # the queue is full; there is no way to wait for a place in it
            time.sleep(_BUSY_PAUSE_S)
        except TimeoutError as error:
            connection.close()
            raise BusError("does not accept in time", hint=_SILENT, silent=True) from error
        except (OSError, ValueError) as error:
            connection.close()
            said = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            raise BusError(said) from error
        else:
            return connection


def _left(until: float) -> float:
    """Return the seconds that are left.

    Raises:
        TimeoutError: None are.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _shown(place: str) -> str:
    return "@" + place[1:] if place.startswith("\0") else place


def _mend(which: Bus) -> str:
    """Return how a bus is brought up."""
    if which is Bus.USER:
        return "systemctl --user start dbus.socket (Debian and Ubuntu: package dbus-user-session)"
    return "systemctl start dbus.socket (Debian and Ubuntu: package dbus)"


def _hint(name: str) -> str | None:
    if name in _DENIED:
        return "run it as root, or have the administrator allow it with a polkit rule"
    if name in NOBODY:
        return "look whether the service runs: systemctl status systemd-logind, busctl --list"
    return None
