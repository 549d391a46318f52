"""Container, virtual machine or bare metal: told from files alone, honestly `unknown` where none tells.

Follows the order of systemd-detect-virt(1) (systemd/systemd src/basic/virt.c): containers first. It
cannot ask the processor (CPUID needs machine code), so a hypervisor without a name of its own in
the firmware is a `virtual machine` (systemd: `vm-other`). Nothing is executed.
"""

from __future__ import annotations

import os

from steadyrun.kernel.reader import read_text

UNKNOWN = "unknown"
VIRTUAL_MACHINE = "virtual machine"
BARE_METAL = "bare metal"
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"
"""PROC_PID_INIT_INO, 0xEFFFFFFC (kernel, include/linux/proc_ns.h)."""
_MARKERS = (("/run/.containerenv", "podman"), ("/.dockerenv", "docker"))
_PRODUCTS = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("Google Compute Engine", "google"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Virtual Machine", "microsoft"),
    ("Apple Virtualization", "apple"),
)
"""Beginnings of DMI strings and their names (dmi_vendors of virt.c); Microsoft's own machines bear its
name too, only its virtual ones the product "Virtual Machine"."""
_CLOUDS = frozenset({"amazon", "google"})
"""Rent out whole machines under the same DMI strings: there the processor's flag has the last word."""
_DMI = ("product_name", "sys_vendor", "board_vendor", "bios_vendor")
_CPUINFO_PART = 4096
"""Bytes: the first processor. All of a large machine's take milliseconds to make."""


def virtualization(root: str = "/") -> str:
    """Return `docker`, `podman`, `lxc`, `kvm`, ..., `virtual machine`, `bare metal` or `unknown`."""
    before = root.rstrip("/")
    return _container(before) or _virtual_machine(before) or _neither(before)


def in_container(root: str = "/") -> bool:
    """Tell whether a container engine started what runs here; WSL's machine is none."""
    return _container(root.rstrip("/")) not in (None, "wsl")


def _container(before: str) -> str | None:
    if "microsoft" in (read_text(f"{before}/proc/sys/kernel/osrelease") or "").lower():
        return "wsl"
    if os.path.exists(f"{before}/proc/vz") and not os.path.exists(f"{before}/proc/bc"):
        return "openvz"
    for path in ("/run/host/container-manager", "/run/systemd/container"):
        name = (read_text(before + path) or "").strip()
        if name:
            return name
    marker = next((name for path, name in _MARKERS if os.path.exists(before + path)), None)
    if marker is not None and not _is_left_over(before):
        return marker
    return None if marker is not None else _told_by_init(before)


def _is_left_over(before: str) -> bool:
    """Tell whether a container's marker lies on a machine that is none: a disk made from an image.

    Only in the initial pid namespace, and where the root is no overlay, as a container's is.
    """
    try:
        namespace = os.readlink(f"{before}/proc/self/ns/pid")
    except OSError:
        return False
    mounts = (read_text(f"{before}/proc/self/mountinfo") or "").split("\n")
    overlay = any(line.split(" ")[4:5] == ["/"] and " - overlay " in line for line in mounts)
    return namespace == _INITIAL_PID_NAMESPACE and not overlay


def _told_by_init(before: str) -> str | None:
    """Return the variable `container` of the first process (systemd, CONTAINER_INTERFACE document)."""
    for pair in (read_text(f"{before}/proc/1/environ") or "").split("\0"):
        name, _, value = pair.partition("=")
        if name == "container":
            return value or "container"
    return None


def _virtual_machine(before: str) -> str | None:
    kind = (read_text(f"{before}/sys/hypervisor/type") or "").strip()
    if kind:
        return kind
    texts = [(read_text(f"{before}/sys/class/dmi/id/{name}") or "").strip() for name in _DMI]
    is_whole_machine = bool(_flags(before)) and not _has_hypervisor_flag(before)
    for beginning, name in _PRODUCTS:
        if any(text.startswith(beginning) for text in texts) and not (is_whole_machine and name in _CLOUDS):
            return name
    return _by_firmware(before) or (VIRTUAL_MACHINE if _has_hypervisor_flag(before) else None)


def _by_firmware(before: str) -> str | None:
    """Recognise Firecracker, which has no DMI, by its ACPI tables or the boot line it is given."""
    # Bytes 10 to 16 of a table are its OEM id (ACPI specification, "System Description Table Header").
    tables = f"{before}/sys/firmware/acpi/tables"
    if any((read_text(f"{tables}/{name}") or "")[10:16] == "FIRECK" for name in ("DSDT", "FACP", "APIC")):
        return "firecracker"
    clock = read_text(f"{before}/sys/devices/system/clocksource/clocksource0/available_clocksource") or ""
    if "kvm-clock" in clock:
        return "kvm"
    return "microsoft" if "hyperv" in clock else None


def _has_hypervisor_flag(before: str) -> bool:
    return " hypervisor" in _flags(before)


def _neither(before: str) -> str:
    """Say bare metal only where a hypervisor would have shown: x86 has a processor flag for it."""
    return BARE_METAL if _flags(before) and os.path.isdir(f"{before}/sys/class/dmi/id") else UNKNOWN


def _flags(before: str) -> str:
    """Return the first processor's `flags` (x86 alone has them), with a blank before each."""
    text = first_processor(before or "/")
    return next((line.partition(":")[2] for line in text.split("\n") if line.startswith("flags")), "")


def first_processor(root: str = "/") -> str:
    """Return the beginning of /proc/cpuinfo; empty when it cannot be read."""
    try:
        fd = os.open(f"{root.rstrip('/')}/proc/cpuinfo", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, _CPUINFO_PART).decode("utf-8", "replace")
    finally:
        os.close(fd)
