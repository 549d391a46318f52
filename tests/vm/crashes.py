"""The two ways in which a machine goes down here."""


def panic(machine):
    """Have the kernel panic, as a fault of its own would, then press the reset button."""
    last = machine.guest().start("echo c > /proc/sysrq-trigger")
    try:
        machine.wait_for_console("Kernel panic", 60)
    finally:
        last.kill()
        last.wait()
    machine.reset()


def pull_the_plug(machine):
    """Cut the power, and give it back."""
    machine.power_cut()
    machine.power_on()
