"""The command line of QEMU, from plain data. Pure.

A suspended state can be taken up only by the same QEMU with the same devices, so everything that a
state depends on is in `Hardware`, and the rest (files, ports) in `Attachments`.
"""

from __future__ import annotations

from typing import NamedTuple

QEMU = "qemu-system-x86_64"
DISK_BYTES_PER_S = 62_914_560
DISK_OPERATIONS_PER_S = 2000
"""The disk is held down to what a disk does: the host's page cache behind it is much faster."""

GRAPHICS = "modules_load=pci:v00001234d00001111sv00001AF4sd00001100bc03sc00i00"
"""Has systemd-modules-load load the driver of QEMU's VGA, named by what it answers to, before any service.
lightdm waits for no device: of six boots it was twice there before the driver was, X found no screen, and
then lightdm shows its greeter and logs nobody in."""

LEGACY = "systemd.unified_cgroup_hierarchy=0"
MODES = {
    "unified": "",
    "hybrid": LEGACY,
    "legacy": f"{LEGACY} systemd.legacy_systemd_cgroup_controller=1",
}
"""The guest's cgroup modes by the words of its kernel's command line that choose them (systemd(1))."""


class Hardware(NamedTuple):
    """What the machine is made of."""

    accelerator: str
    """`kvm` or `tcg`."""
    memory_mib: int = 2048
    processors: int = 2
    kernel_words: str = ""
    """Added to the kernel's command line, e.g. `systemd.unified_cgroup_hierarchy=0`."""

    def accel(self) -> str:
        """Return QEMU's accelerator with its options.

        The legacy freezer turns a static key of the kernel at every freeze (`freezer_active`, Linux 6.1), and
        one translating thread may keep the breakpoint that stood there while another patched the code: a
        guest was seen whose processors both executed the same int3 for ever (get_signal+0xa0 in the reports
        of its watchdog) in the middle of a fork storm. With one thread for all processors it was not seen.
        """
        if self.accelerator == "kvm":
            return "kvm"
        return f"tcg,thread={'single' if LEGACY in self.kernel_words else 'multi'},tb-size=512"

    def cpu(self) -> str:
        """Return QEMU's model: under emulation the plain one, which boots a quarter faster than `max`."""
        return "host" if self.accelerator == "kvm" else "qemu64"

    def kernel_line(self) -> str:
        """Return the kernel's command line."""
        words = "root=/dev/vda rw console=ttyS0,115200 psi=1 quiet mitigations=off log_buf_len=4M"
        # Emulated, the time stamp counter follows the host's clock; the kernel distrusts it and would take
        # a clock whose every reading leaves the emulation.
        steady = "" if self.accelerator == "kvm" else " tsc=reliable"
        return f"{words}{steady} {GRAPHICS} {self.kernel_words}".rstrip()


class Attachments(NamedTuple):
    """Files, sockets and ports of one run of the machine."""

    kernel: str
    initrd: str
    disk: str
    """qcow2."""
    console: str
    """Everything the guest writes to its serial console is appended here."""
    qmp: str
    """Path of the monitor's socket."""
    ssh_port: int
    """On 127.0.0.1 of the host."""
    incoming: str | None = None
    """A suspended state to go on from; `None`: boot."""
    throttled: bool = True
    """The disk is as slow as a disk."""
    disk_socket: str | None = None
    """The disk is served here, over NBD, and is told what the guest flushes; `None`: it is the file."""


def command_line(hardware: Hardware, attached: Attachments) -> list[str]:
    """Return the words that start the machine."""
    words = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"]
    words += ["-accel", hardware.accel(), "-cpu", hardware.cpu()]
    words += ["-smp", str(hardware.processors), "-m", str(hardware.memory_mib)]
    words += ["-kernel", attached.kernel, "-initrd", attached.initrd, "-append", hardware.kernel_line()]
    words += ["-chardev", f"file,id=console,path={_escaped(attached.console)},append=on"]
    words += ["-serial", "chardev:console"]
    words += ["-qmp", f"unix:{_escaped(attached.qmp)},server=on,wait=off"]
    words += ["-device", "VGA", "-device", "virtio-rng-pci"]
    words += ["-drive", _drive(attached)]
    words += ["-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{attached.ssh_port}-:22"]
    words += ["-device", "virtio-net-pci,netdev=net"]
    if attached.incoming is not None:
        words += ["-incoming", f"exec:exec zstd -dcq < '{attached.incoming}'"]
    return words


def _drive(attached: Attachments) -> str:
    if attached.disk_socket is None:
        drive = f"file={_escaped(attached.disk)},if=virtio,format=qcow2,cache=unsafe,discard=unmap"
    else:
        server = f"file.driver=nbd,file.server.type=unix,file.server.path={_escaped(attached.disk_socket)}"
        drive = f"{server},if=virtio,format=qcow2,cache=writeback"
    if attached.throttled:
        drive += f",throttling.bps-total={DISK_BYTES_PER_S},throttling.iops-total={DISK_OPERATIONS_PER_S}"
    return drive


def _escaped(path: str) -> str:
    """Double the commas, which part QEMU's options."""
    return path.replace(",", ",,")
