"""Settings: what a person set once instead of typing it each time, and where each value came from.

In order of precedence, below the command line: `STEADYRUN_*` in the environment, `./steadyrun.toml`,
`[tool.steadyrun]` in `./pyproject.toml`, `$XDG_CONFIG_HOME/steadyrun/config.toml`. Values stay the
words a person wrote, checked here for their meaning and turned into quantities where they are used.

On the start-up path of `run`: TOML is parsed, and its parser imported, only when a file has
settings. Nothing is written, ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from steadyrun.errors import UsageError
from steadyrun.named import NamedTuple
from steadyrun.units import parse_cores, parse_count, parse_duration, parse_size

PREFIX = "STEADYRUN_"
OTHER_VARIABLES = frozenset(("STEADYRUN_STATE_DIR", "STEADYRUN_CONTAINMENT", "STEADYRUN_SSH_PORT"))
"""Ours, and no settings: the place of the journal, the mark of a contained process, where SSH is probed."""
PROGRESS = ("auto", "bar", "text", "none")
YES, NO = "true", "false"
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")

Read = Callable[[str], str | None]
"""Gives the text of a file, `None` where there is none."""


class Found(NamedTuple):
    """One value as it was written, and where."""

    text: str
    source: str
    """`STEADYRUN_MEMORY`, `/home/x/project/steadyrun.toml: memory`."""


class Settings(NamedTuple):
    """Every setting; `None`: set nowhere. Names are those of the command line's options."""

    memory: Found | None = None
    memory_high: Found | None = None
    swap: Found | None = None
    cpus: Found | None = None
    cpu_weight: Found | None = None
    tasks: Found | None = None
    timeout: Found | None = None
    io_read: Found | None = None
    io_write: Found | None = None
    report: Found | None = None
    progress: Found | None = None
    problem: Found | None = None
    goal: Found | None = None
    tries: Found | None = None
    yes: Found | None = None

    def word(self, key: str) -> tuple[str, str] | None:
        """Return a value and where it came from; `None` when it is not set."""
        found: Found | None = getattr(self, key)
        return found

    def text(self, key: str) -> str | None:
        """Return a value alone; `None` when it is not set."""
        found: Found | None = getattr(self, key)
        return None if found is None else found.text

    def flag(self, key: str) -> bool | None:
        """Return a yes or no; `None` when it is not set."""
        text = self.text(key)
        return None if text is None else text == YES


def _weight(text: str, *, source: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if not 1 <= value <= 10000:
        raise UsageError(f"{source}: expected a weight of 1 to 10000, found {text!r}")
    return value


def _progress(text: str, *, source: str) -> str:
    if text not in PROGRESS:
        raise UsageError(f"{source}: expected one of {', '.join(PROGRESS)}, found {text!r}")
    return text


def _words(text: str, *, source: str) -> str:
    if not text.strip():
        raise UsageError(f"{source}: expected some text, found none")
    return text


def _flag(text: str, *, source: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise UsageError(f"{source}: expected true or false, found {text!r}")
    return text.lower() in _TRUE


class _Key(NamedTuple):
    """What one setting may be."""

    check: Callable[..., object]
    allowed: str
    types: tuple[type, ...]
    """In TOML; in the environment everything is text."""


_SIZE = _Key(parse_size, 'a size such as "500M", "500MB" or a number of bytes', (str, int))
_TEXT = _Key(_words, "some text in quotes", (str,))
_COUNT = _Key(parse_count, "a whole number of at least 1", (int, str))
KEYS: dict[str, _Key] = {
    "memory": _SIZE,
    "memory_high": _SIZE,
    "swap": _SIZE,
    "cpus": _Key(parse_cores, 'a number of cores such as 1.5, or "150%"', (int, float, str)),
    "cpu_weight": _Key(_weight, "a whole number of 1 to 10000", (int, str)),
    "tasks": _COUNT,
    "timeout": _Key(parse_duration, 'seconds, or a duration such as "10m"', (int, float, str)),
    "io_read": _SIZE,
    "io_write": _SIZE,
    "report": _TEXT,
    "progress": _Key(_progress, "one of " + ", ".join(f'"{p}"' for p in PROGRESS), (str,)),
    "problem": _TEXT,
    "goal": _TEXT,
    "tries": _COUNT,
    "yes": _Key(_flag, "true or false", (bool,)),
}


def settings_here() -> Settings:
    """Return the settings for this process: its directory, environment and user.

    As root on behalf of a user (sudo), the user's files are read with the user's rights.

    Raises:
        UsageError: A file or a variable is wrong.
    """
    user = None
    if os.geteuid() == 0 and "SUDO_UID" in os.environ:
        from steadyrun.cli.identity import run_as

        user = run_as(None)
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        cwd = "/nonexistent"  # whoever needs the directory says so better
    home = user.home if user is not None else os.path.expanduser("~")
    if user is None:
        return load_settings(cwd, os.environ, home)
    from steadyrun.report.rights import rights_of

    with rights_of((user.uid, user.gid)):
        return load_settings(cwd, os.environ, home)


def read_text(path: str) -> str | None:
    """Return the text of a file, `None` where there is none.

    Raises:
        UsageError: It is there and cannot be read, or is not UTF-8.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: expected UTF-8 text, found other bytes") from None
    except OSError as error:
        raise UsageError(f"{path}: expected a file to read, found: {error.strerror}") from None


def load_settings(cwd: str, env: Mapping[str, str], home: str, *, read: Read = read_text) -> Settings:
    """Return the settings for a directory, an environment and a home.

    Args:
        cwd: Absolute; its own files alone are read, never a parent's.
        env: The environment.
        home: For `~/.config`, where XDG_CONFIG_HOME is not set.
        read: Gives a file's text; for root, with the rights of the user whose files they are.

    Raises:
        UsageError: An unknown key, a value of the wrong type or without meaning, broken TOML.
    """
    config = env.get("XDG_CONFIG_HOME") or ""
    if not config.startswith("/"):
        config = os.path.join(home, ".config")  # relative paths are ignored (XDG Base Directory, "Basics")
    found: dict[str, Found] = {}
    found |= _of_file(os.path.join(config, "steadyrun", "config.toml"), read, project=False)
    found |= _of_file(os.path.join(cwd, "pyproject.toml"), read, in_table=True)
    found |= _of_file(os.path.join(cwd, "steadyrun.toml"), read)
    found |= _of_environment(env)
    return Settings(**found)


def _of_environment(env: Mapping[str, str]) -> dict[str, Found]:
    """Return what STEADYRUN_* sets; an empty variable sets nothing.

    A variable of another name is passed over, unless it looks like a setting misspelt: a limit that
    is silently not there is worse than a refusal.
    """
    found = {}
    for name, text in env.items():
        if not name.startswith(PREFIX) or name in OTHER_VARIABLES or not text:
            continue
        key = name.removeprefix(PREFIX).lower()
        if key in KEYS:
            found[key] = _checked(key, text, name)
        elif near := _nearest(key):
            raise UsageError(
                f"{name}: expected a setting, found no such one", hint=f"did you mean {PREFIX}{near.upper()}?"
            )
    return found


def _of_file(path: str, read: Read, *, in_table: bool = False, project: bool = True) -> dict[str, Found]:
    text = read(path)
    if text is None or (in_table and "steadyrun" not in text):
        return {}
    import tomllib

    try:
        data: Any = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: expected TOML, found: {error}") from None
    where = path
    if in_table:
        tool = data.get("tool", {})
        data = tool.get("steadyrun", {}) if isinstance(tool, dict) else {}
        where = f"{path}: tool.steadyrun"
        if not isinstance(data, dict):
            raise UsageError(f"{where}: expected a table, found {data!r}")
    found = {key: _of_toml(key, value, where) for key, value in data.items()}
    if project and "yes" in found:
        raise UsageError(
            f"{found['yes'].source}: expected no such answer in a project's file, found one",
            hint="only you can give it: --yes, STEADYRUN_YES, or ~/.config/steadyrun/config.toml",
        )
    return found


def _of_toml(key: str, value: object, where: str) -> Found:
    source = f"{where}.{key}" if where.endswith("tool.steadyrun") else f"{where}: {key}"
    if key not in KEYS:
        _refuse_key(key, where)
    if type(value) not in KEYS[key].types:
        raise UsageError(f"{source}: expected {KEYS[key].allowed}, found {value!r}")
    text = (YES if value else NO) if isinstance(value, bool) else str(value)
    return _checked(key, text, source)


def _refuse_key(key: str, where: str) -> NoReturn:
    near = _nearest(key)
    raise UsageError(
        f"{where}: expected a setting, found the unknown key {key!r}",
        hint=f"did you mean {near}?" if near else "allowed: " + ", ".join(KEYS),
    )


def _checked(key: str, text: str, source: str) -> Found:
    value = KEYS[key].check(text, source=source)
    return Found((YES if value else NO) if isinstance(value, bool) else text, source)


def _nearest(key: str) -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(key.lower().replace("-", "_"), KEYS, 1, 0.7)
    return close[0] if close else None
