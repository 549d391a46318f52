"""After the power was cut in the middle of a phase the ramp goes on by itself, and its unit is gone then."""

import pytest
from looking import type_at_desktop
from test_outlive import ENDED, LINGERS, RAMP, prepare, running

USER_UNIT = "/home/desk/.config/systemd/user/steadyrun-resume.service"
ROOT_UNIT = "/etc/systemd/system/steadyrun-resume.service"
BOOT_S = 240


def cut_and_boot(machine):
    machine.power_cut()
    machine.power_on()
    machine.wait_for_ssh()
    return machine.guest()


@pytest.mark.deadline(600)
@pytest.mark.parametrize("user", ["desk", "root"])
def test_a_ramp_goes_on_after_a_power_cut(machine, user):
    guest = machine.guest()
    home, unit = ("/home/desk", USER_UNIT) if user == "desk" else ("/root", ROOT_UNIT)
    prepare(guest, home, user, hold=60)
    command = f"cd && {RAMP} --resume-on-boot > said 2>&1"
    if user == "desk":
        type_at_desktop(guest, command)
    else:
        guest.run(f"systemd-run --collect --setenv=HOME=/root sh -c '{command}'")
    running(guest, home)
    text = guest.read(unit)
    said = guest.read(f"{home}/said")
    assert all(line in said for line in text.splitlines()), "it was shown as it was written"
    first = guest.out(f"readlink -f {home}/rep/latest")

    guest = cut_and_boot(machine)
    guest.until(f"test $(readlink -f {home}/rep/latest) != {first}", seconds=BOOT_S)
    guest.until(ENDED.format(home), seconds=BOOT_S)
    guest.until(f"! test -e {unit}", seconds=60)
    guest.until("! systemctl is-active --quiet steadyrun-resume.service", seconds=60)
    page = guest.read(f"{home}/rep/latest/PROGRESS.md")
    assert "CRASHED (machine)" in page
    found = guest.out(f"find {unit.rpartition('/')[0]} -name '*resume*'; ls -A /var/lib/systemd/linger")
    assert found == "", "the unit, its link and lingering are gone"
    become = f"runuser -u {user} --"
    assert guest.run(f"cd / && HOME={home} {become} steadyrun recover").out == "nothing to recover\n"
    assert guest.run(LINGERS, check=False).code != 0
