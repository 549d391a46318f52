"""The installed `steadyrun` command as a user runs it, with a state directory of the test's own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def executable():
    """Return the command of the built wheel, which `make test` installs; else the one beside pytest."""
    wheel = os.environ.get("STEADYRUN_COMMAND") or ROOT / ".venv-wheel/bin/steadyrun"
    beside = Path(sys.executable).with_name("steadyrun")
    return str(wheel if Path(wheel).exists() else beside)


class Program:
    """Runs the command below one state directory and one working directory."""

    def __init__(self, folder):
        self.state = folder / "state"
        self.cwd = folder / "work"
        self.cwd.mkdir(parents=True)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("STEADYRUN_", "SUDO_"))}
        self.env |= {"STEADYRUN_STATE_DIR": str(self.state), "XDG_CONFIG_HOME": str(folder / "config")}
        self.started = []
        self.before = ()
        """Words before the command: what it is started by (`setpriv ...`)."""

    def start(self, *words, **options):
        options = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | options
        env = self.env | options.pop("env", {})
        process = subprocess.Popen(
            [*self.before, executable(), *map(str, words)], cwd=options.pop("cwd", self.cwd), env=env,
            text=True, **options,
        )  # fmt: skip
        self.started.append(process)
        return process

    def __call__(self, *words, timeout=60, **options):
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def run_ids(self):
        """Return the ids of all runs in this journal."""
        if not (self.state / "journal.db").exists():
            return []
        done = subprocess.run(
            [executable(), "history", "--json", "--last", "1000"],
            env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return [row["run_id"] for row in json.loads(done.stdout)]

    def clean_up(self):
        """End what the test left, by pid, and what that left, by the journal."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
            for stream in (process.stdout, process.stderr, process.stdin):
                if stream is not None:
                    stream.close()
        if self.state.exists():
            subprocess.run([executable(), "recover"], env=self.env, capture_output=True, check=False)
            shutil.rmtree(self.state, ignore_errors=True)


def our_cgroups():
    """Return every cgroup of steadyrun that is there now, whoever made it."""
    found = set()
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        found |= {os.path.join(folder, name) for name in names if name.startswith("steadyrun")}
        if "/steadyrun" in folder:
            found |= {os.path.join(folder, name) for name in names}
    return found


def has_ended(pid):
    """Tell whether a process is gone, or a zombie that its new parent has not reaped yet."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def a_ramp_runs():
    """Tell whether somebody holds the machine's ramp lock, without asking its holder."""
    return any(
        line.split()[-1] == "@steadyrun-ramp" for line in Path("/proc/net/unix").read_text().splitlines()
    )


def of_this_test(program):
    """Find the living processes that were started with this test's state directory."""
    wanted = f"STEADYRUN_STATE_DIR={program.state}".encode()
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "))
        except OSError:
            continue
    return found
