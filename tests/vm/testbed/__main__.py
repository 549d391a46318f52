"""The testbed's command: `PYTHONPATH=tests/vm python -m testbed --help`."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import background, hosttools
from .commandline import MODES
from .errors import TestbedError
from .image import ensure_image
from .machine import Machine, Start
from .program import copy_repository, ensure_program
from .recipe import SUITES, VARIABLE
from .state import ensure_desktop, taken_up


def main(argv: list[str] | None = None) -> int:
    """Do what is asked; return the exit code."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        code: int = options.does(options)
        return code
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def say(line: str) -> None:
    """Tell the developer what takes long."""
    print(f"testbed: {line}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testbed", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name: str, does: object, help_: str, *, machine: bool = True) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=help_, description=help_)
        one.set_defaults(does=does)
        if machine:
            suited(one)
            one.add_argument("--mode", choices=MODES, default="unified", help="the guest's cgroup mode")
            one.add_argument("--bare", action="store_true", help="without steadyrun installed")
            one.add_argument("--wheel", type=Path, help="instead of the newest in dist/")
            one.add_argument("--repository", action="store_true", help="with the tests in /srv/steadyrun")
        return one

    def suited(one: argparse.ArgumentParser) -> None:
        one.add_argument("--suite", choices=SUITES, help=f"Debian's; bookworm, unless {VARIABLE} is set")

    command("packages", _packages, "install the host's packages that are missing (as root)", machine=False)
    suited(command("image", _image, "build the image, if the cache does not have it", machine=False))
    command("prepare", _prepare, "make the image and the suspended state, if the cache does not have them")
    shell = command("shell", _shell, "a shell in a fresh machine that ends with it")
    shell.add_argument("--user", default="root", choices=("root", "desk", "other"))
    shell.add_argument("command", nargs="*", help="instead of a shell")
    command("start", _start, "start a machine that runs on in the background")
    command("hold", _hold, argparse.SUPPRESS)
    ssh = command("ssh", _ssh, "run a command or a shell in the machine in the background", machine=False)
    ssh.add_argument("--user", default="root", choices=("root", "desk", "other"))
    ssh.add_argument("command", nargs="*")
    command("install", _install, "build nothing, install the newest wheel into it", machine=False)
    shot = command("screenshot", _screenshot, "write a PNG of its screen", machine=False)
    shot.add_argument("path", type=Path)
    for word, told in (("cut", "cut its power"), ("boot", "switch it on again"), ("reset", "press reset")):
        command(word, lambda _, word=word: _ask(word), told, machine=False)
    command("stop", _stop, "end it", machine=False)
    return parser


def _start_from(options: argparse.Namespace) -> Start:
    words, suite = MODES[options.mode], options.suite
    if options.bare:
        return ensure_desktop(say, words, suite)
    return ensure_program(say, words, options.wheel, suite)


def _come_up(options: argparse.Namespace, machine: Machine) -> None:
    taken_up(machine)
    if options.repository:
        copy_repository(machine.guest())


def _packages(_: argparse.Namespace) -> int:
    lacking = hosttools.missing()
    if not lacking:
        return 0
    words = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *lacking]
    if os.geteuid() != 0:
        raise TestbedError(f"as root: {shlex.join(words)}")
    say(f"installing Debian packages: {' '.join(lacking)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], env=quiet, stdout=subprocess.DEVNULL, check=False)
    return subprocess.run(words, env=quiet, stdout=subprocess.DEVNULL, check=False).returncode


def _image(options: argparse.Namespace) -> int:
    print(ensure_image(say, options.suite).folder)
    return 0


def _prepare(options: argparse.Namespace) -> int:
    memory = _start_from(options).memory
    print(memory.parent if memory else "")
    return 0


def _shell(options: argparse.Namespace) -> int:
    start = _start_from(options)
    began = time.monotonic()
    with Machine(start) as machine:
        _come_up(options, machine)
        ready = f"ready after {time.monotonic() - began:.1f} s"
        say(f"{ready}, ssh port {machine.port}, console {machine.console}")
        return _interact(machine.guest(options.user).ssh(), options.command)


def _start(options: argparse.Namespace) -> int:
    words = ["--mode", options.mode, *(["--bare"] if options.bare else [])]
    words += ["--repository"] if options.repository else []
    words += ["--suite", options.suite] if options.suite else []
    words += ["--wheel", str(options.wheel)] if options.wheel else []
    background.start(words)
    print(background.status())
    return 0


def _hold(options: argparse.Namespace) -> int:
    background.hold(_start_from(options), lambda machine: _come_up(options, machine))
    return 0


def _ssh(options: argparse.Namespace) -> int:
    return _interact(background.guest(options.user).ssh(), options.command)


def _install(_: argparse.Namespace) -> int:
    from .program import install_into, newest_wheel

    install_into(background.guest("root"), newest_wheel())
    return 0


def _screenshot(options: argparse.Namespace) -> int:
    return _ask(f"screenshot {options.path.resolve()}")


def _stop(_: argparse.Namespace) -> int:
    background.stop()
    return 0


def _ask(word: str) -> int:
    background.ask(word)
    return 0


def _interact(ssh: list[str], command: list[str]) -> int:
    """Give the terminal to ssh; a single word is a line for the guest's shell."""
    words = [*ssh[:-1], "-t" if sys.stdin.isatty() else "-T", ssh[-1]]
    return subprocess.call([*words, *([" ".join(command)] if command else [])])


if __name__ == "__main__":
    sys.exit(main())
