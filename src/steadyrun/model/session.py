"""One login session as logind keeps it, whether it was asked or its files were read."""

from __future__ import annotations

from steadyrun.named import NamedTuple
from steadyrun.units import Seconds

GRAPHICAL = ("x11", "wayland", "mir")
"""Values of XDG_SESSION_TYPE with a screen (pam_systemd(8))."""


class Session(NamedTuple):
    """One session. `None` and empty text: logind does not say."""

    id: str
    uid: int | None
    type: str
    """`x11`, `wayland`, `mir`, `tty`, `web`, `unspecified`."""
    session_class: str
    """`user`, `greeter`, `lock-screen`, `background`, `manager`, ... (pam_systemd(8))."""
    seat: str
    state: str
    """`active`, `online`, or `closing`: everybody left, processes remain (sd_session_get_state(3))."""
    display: str
    desktop: str
    leader: int | None
    began: Seconds | None
    """Unix time."""

    def label(self) -> str:
        """Describe it for people: `c2 (x11, seat0)`."""
        return f"{self.id} ({', '.join(word for word in (self.type, self.seat) if word)})"

    def on_screen(self) -> bool:
        """Tell whether it has a screen and has not ended."""
        return self.type in GRAPHICAL and self.state != "closing"
