"""Reads a plain command line without argparse, whose import and set-up take longer than a whole `true`.

The options come from the command's own `configure`, the same that argparse gets. A line is plain
when every word before `--` is an option of ours written out, with its value where it takes one.
Any other line (help, a mistake, an abbreviation, `-qv`) is not read here: argparse reads it and says
what it says. Never prints and never raises.
"""

from __future__ import annotations

from types import SimpleNamespace

from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_KNOWN = frozenset(("metavar", "help", "action", "dest"))
"""What an option may say of itself here; one that says more (a type, choices) is argparse's."""
_SWITCH = "store_true"


class Options:
    """Stands for argparse's parser in `configure`: takes down the options."""

    takes_command = False
    usage: str | None = None
    epilog: str | None = None

    def __init__(self) -> None:
        self.takes_value: dict[str, bool] = {}
        """By flag."""
        self.dest: dict[str, str] = {}
        """The name of its value, by flag."""
        self.is_plain = True

    def add_argument(self, *flags: str, **how: Any) -> None:
        """Take down one option."""
        action = how.get("action", "store")
        if how.keys() - _KNOWN or action not in ("store", _SWITCH) or not flags[0].startswith("-"):
            self.is_plain = False
            return
        named = next((flag for flag in flags if flag.startswith("--")), flags[0])
        dest = how.get("dest") or named.lstrip("-").replace("-", "_")
        for flag in flags:
            self.takes_value[flag] = action != _SWITCH
            self.dest[flag] = dest

    def add_argument_group(self, title: str) -> Options:
        """Groups are for the help text."""
        return self


def read_plain(configure: Callable[[Any], None], words: list[str]) -> SimpleNamespace | None:
    """Return what the words say, as argparse would; `None`: they are not plain.

    Args:
        configure: Adds the command's options.
        words: After the command's name. What follows the first `--` is the user's command.
    """
    options = Options()
    configure(options)
    at = words.index("--") if "--" in words and options.takes_command else len(words)
    found = _values(options, words[:at]) if options.is_plain else None
    if found is None:
        return None
    return SimpleNamespace(**found, argv=tuple(words[at + 1 :]), has_dashes="--" in words)


def _values(options: Options, words: list[str]) -> dict[str, Any] | None:
    found: dict[str, Any] = {
        dest: None if options.takes_value[flag] else False for flag, dest in options.dest.items()
    }
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        takes_value = options.takes_value.get(flag)
        if takes_value is None or (equals and not (takes_value and value and flag.startswith("--"))):
            return None
        if takes_value and not equals:
            value = next(rest, "")
            if not value or value.startswith("-"):
                return None
        found[options.dest[flag]] = value if takes_value else True
    return found
