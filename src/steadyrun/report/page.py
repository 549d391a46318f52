"""A template filled in: every page of Markdown is made here. Pure.

Everything that a template writes is made safe for Markdown unless it is an `Md` already, so a
section that forgets to escape is ugly, not dangerous.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from steadyrun.report.escape import Md, inline

if TYPE_CHECKING:
    from jinja2 import Environment


def fill_page(name: str, **values: object) -> str:
    """Return the page of that template (`progress.md.j2`), ending in a newline."""
    return _environment().get_template(name).render(**values)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("steadyrun.report"),
        autoescape=False,  # HTML's rules are not Markdown's; `finalize` does it
        undefined=StrictUndefined,
        finalize=lambda value: inline(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["safe_md"] = Md
    environment.filters["lead"] = lambda text: Md(f" {inline(text)}") if text else Md("")
    return environment
