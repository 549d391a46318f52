"""The command with a clock of its own that is set back an hour once a file is there.

A program of the tests: `set_clock.py FILE WORDS...`. The machine's clock is not touched, and time namespaces
have no CLOCK_REALTIME (time_namespaces(7)): what the programs ask for the time is.
"""

import sys

BACK_S = 3600.0
CLOCK = """
import os, time
_real = time.time
time.time = lambda: _real() - ({back} if os.path.exists({mark!r}) else 0.0)
"""


def main(mark, words):
    setting = CLOCK.format(back=BACK_S, mark=mark)
    exec(setting, {})
    from steadyrun.guard import start
    from steadyrun.ramp import guarded, launch

    def with_that_clock(module, *arguments, bare):
        command = start.python_command(module, *arguments, bare=bare)
        at = command.index("-c") + 1
        return [*command[:at], setting + command[at], *command[at + 1 :]]

    # The conductor's and the guard's processes are told the same time.
    launch.python_command = guarded.python_command = with_that_clock
    from steadyrun.cli.main import main as run

    return run(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
