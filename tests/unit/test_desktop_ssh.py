"""Where an SSH server is looked for: sshd's configuration and the kernel's listing of sockets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyrun.desktop.ssh import Listener, parse_listeners, parse_ports

HEAD = "  sl  local_address                         remote_address  st tx_queue rx_queue\n"
ROW = "   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 193 1 0 100\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("#Port 22\n", ()),
        ("Port 22\nport 2222\n", (22, 2222)),
        ("Port=2022\n", (2022,)),
        ("ListenAddress 10.0.0.1:2200\nListenAddress [::1]:2201\nListenAddress ::1\n", (2200, 2201)),
        ("Port ssh\nPort\n", ()),
        ("Port 22\nMatch User x\n  Port 23\n", (22,)),
    ],
)
def test_the_ports_of_sshds_configuration_are_those_outside_a_match(text, found):
    assert parse_ports(text) == found


@pytest.mark.parametrize(
    ("address", "state", "found"),
    [
        ("0100007F:0016", "0A", (Listener("127.0.0.1", 22, 193),)),
        ("00000000:07E8", "0A", (Listener("0.0.0.0", 2024, 193),)),
        ("00000000000000000000000001000000:0016", "0A", (Listener("::1", 22, 193),)),
        ("0100007F:0016", "01", ()),
        ("01zz007F:0016", "0A", ()),
        ("-100007F:0016", "0A", ()),
    ],
)
def test_the_kernels_listing_names_what_listens(address, state, found):
    assert parse_listeners(HEAD + ROW.format(address=address, state=state)) == found


@given(st.text(max_size=200), st.text("0123456789ABCDEF:-", max_size=40))
def test_any_listing_and_any_configuration_are_borne(text, address):
    parse_ports(text)
    parse_listeners(text + "\n" + ROW.format(address=address, state="0A"))
