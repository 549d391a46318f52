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

from steadyrun.cli.options import KEYS
from steadyrun.errors import UsageError
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, NoReturn

PREFIX = "STEADYRUN_"
OTHER_VARIABLES = frozenset(("STEADYRUN_STATE_DIR", "STEADYRUN_CONTAINMENT", "STEADYRUN_SSH_PORT"))
"""Ours, and no settings: the place of the journal, the mark of a contained process, where SSH is probed."""
YES, NO = "true", "false"

GUARD = "guard."
"""Before the name of a threshold of the guard, in `Settings`."""

Read = Callable[[str], str | None]
"""Gives the text of a file, `None` where there is none."""


class Found(NamedTuple):
    """One value as it was written, and where."""

    text: str
    source: str
    """`STEADYRUN_MEMORY`, `/home/x/project/steadyrun.toml: memory`."""


class Settings:
    """Every setting that is set somewhere, by its key in `OPTIONS`."""

    __slots__ = ("_found",)

    def __init__(self, **found: Found) -> None:
        self._found = found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self._found == other._found

    __hash__ = None  # type: ignore[assignment]

    def word(self, key: str) -> tuple[str, str] | None:
        """Return a value and where it came from; `None` when it is not set."""
        return self._found.get(key)

    def text(self, key: str) -> str | None:
        """Return a value alone; `None` when it is not set."""
        found = self._found.get(key)
        return None if found is None else found.text

    def names(self) -> tuple[str, ...]:
        """Return what is set, by its names."""
        return tuple(sorted(self._found))

    def of_guard(self) -> dict[str, Found]:
        """Return the thresholds of the guard that are set, by their names."""
        return {key[len(GUARD) :]: found for key, found in self._found.items() if key.startswith(GUARD)}

    def flag(self, key: str) -> bool | None:
        """Return a yes or no; `None` when it is not set."""
        text = self.text(key)
        return None if text is None else text == YES


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
        elif key.startswith("guard_"):
            found |= _of_guard({key.removeprefix("guard_"): text}, PREFIX + "GUARD_", name)
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
    guard = data.pop("guard", None)
    found = {key: _of_toml(key, value, where) for key, value in data.items()}
    if guard is not None:
        found |= _of_guard(guard, f"{where}{'.' if in_table else ': '}guard", None)
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
    if type(value) not in KEYS[key].kind.types:
        raise UsageError(f"{source}: expected {KEYS[key].kind.allowed}, found {value!r}")
    text = (YES if value else NO) if isinstance(value, bool) else str(value)
    return _checked(key, text, source)


def _of_guard(table: object, where: str, variable: str | None) -> dict[str, Found]:
    """Check the thresholds of the guard; `variable` is where the only one came from, if from one."""
    from steadyrun.cli import guard_settings
    from steadyrun.model.thresholds import SPANS

    if not isinstance(table, dict):
        raise UsageError(f"{where}: expected a table, found {table!r}")
    found = {}
    for name, value in table.items():
        source = variable or f"{where}.{name}"
        if name not in SPANS:
            near = guard_settings.nearest(name)
            raise UsageError(
                f"{source}: expected a threshold of the guard, found the unknown key {name!r}",
                hint=f"did you mean {near}?" if near else "allowed: " + ", ".join(SPANS),
            )
        if type(value) not in guard_settings.TYPES:
            raise UsageError(f"{source}: expected {guard_settings.allowed(name)}, found {value!r}")
        guard_settings.parse(name, str(value), source=source)
        found[GUARD + name] = Found(str(value), source)
    return found


def _refuse_key(key: str, where: str) -> NoReturn:
    near = _nearest(key)
    raise UsageError(
        f"{where}: expected a setting, found the unknown key {key!r}",
        hint=f"did you mean {near}?" if near else "allowed: " + ", ".join((*KEYS, "guard")),
    )


def _checked(key: str, text: str, source: str) -> Found:
    value = KEYS[key].kind.read(text, source=source)
    return Found((YES if value else NO) if isinstance(value, bool) else text, source)


def _nearest(key: str) -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(key.lower().replace("-", "_"), KEYS, 1, 0.7)
    return close[0] if close else None
