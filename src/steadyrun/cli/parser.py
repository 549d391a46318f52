"""argparse with this program's manners: our words for errors, and `-- COMMAND ...` taken as it is."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import NoReturn

from steadyrun.errors import UsageError

_UNKNOWN = "unrecognized arguments:"
"""How argparse begins the list of what it could not place: options, and words that may be a command's."""


class Parser(argparse.ArgumentParser):
    """Parses the words of one subcommand. What follows `--` is the user's command, untouched."""

    takes_command = False
    """Set by `configure` where `-- COMMAND ...` is allowed; `args.argv` then holds it."""
    elsewhere: Mapping[str, str] = MappingProxyType({})
    """Options that belong to another command, by their flags: where what they say is said here."""

    def __init__(self, name: str, about: str) -> None:
        super().__init__(
            prog=f"steadyrun {name}",
            description=about[0].upper() + about[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._dashes = False

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting: `cli.main` alone exits."""
        unknown = message.partition(_UNKNOWN)[2].split()
        flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        hint = f"{self._meant(flags)}`{self.prog} --help` lists the options"
        found = next((flag for flag in self.elsewhere if flag in flags), None)
        if found is not None:
            raise UsageError(f"{found}: {self.prog} has no such option", hint=self.elsewhere[found])
        if self.takes_command and not self._dashes and len(flags) < len(unknown):
            hint = f"the command goes after --: {self.prog} -- COMMAND; {hint}"
        raise UsageError(message, hint=hint)

    def _meant(self, unknown: list[str]) -> str:
        """Ask for the option that comes nearest to the first long one that is not known; empty: none does."""
        first = next((flag for flag in unknown if flag.startswith("--")), None)
        if first is None:
            return ""
        shown = (action for action in self._actions if action.help is not argparse.SUPPRESS)
        flags = [flag for action in shown for flag in action.option_strings if flag.startswith("--")]
        close = get_close_matches(first, flags, 1)
        return f"did you mean {close[0]}? " if close else ""

    def parse(self, words: list[str]) -> argparse.Namespace:
        """Parse the words; the user's command goes to `argv`."""
        command: list[str] = []
        self._dashes = "--" in words
        if self.takes_command:
            words, command = _split(words)
        args = self.parse_args(_with_negatives(words))
        args.argv = tuple(command)
        args.has_dashes = self._dashes
        return args


def run_id(text: str) -> str:
    """Take the id of a run, or its beginning; what an unset variable leaves of it would be that of any run.

    Raises:
        argparse.ArgumentTypeError: It is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("expected the id of a run, found '' (an unset variable?)")
    return text


def _with_negatives(words: list[str]) -> list[str]:
    """Join `--memory -5G`, which argparse takes for two options: ours say what they expect instead."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1].startswith("--") and "=" not in joined[-1] and re.match(r"-[.0-9]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    if "--" in words:
        at = words.index("--")
        return words[:at], words[at + 1 :]
    return words, []
