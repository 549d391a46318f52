"""Any record at all gives a page and strict JSON: nothing known, nothing finite, any text."""

import json
import types
import typing
from enum import Enum

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steadyrun.cli.plain import line_for
from steadyrun.model.record import RunRecord
from steadyrun.report.escape import code, fenced, inline
from steadyrun.report.json import render_json
from steadyrun.report.progress import render_progress

_TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "a|b",
            "`x`",
            "<b>",
            "# x",
            "- x",
            "UTC",
            "Europe/Berlin",
            "a\nb",
            "\x1b[1m",
            "\udce9",
            "{}",
            "{{ x }}",
        ]
    ),
    st.text(max_size=12).filter(lambda text: "None" not in text),
)
_FLOATS = st.floats(allow_nan=True, allow_infinity=True)


def values(hint, depth=0):
    """Build a strategy for a model type from its annotations, `None` wherever it is allowed."""
    hint = getattr(hint, "__supertype__", hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(st.none() if a is type(None) else values(a, depth) for a in args))
    if origin is tuple:
        if args[-1] is Ellipsis:
            return st.lists(values(args[0], depth + 1), max_size=2 if depth < 2 else 1).map(tuple)
        return st.tuples(*(values(a, depth) for a in args))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if isinstance(hint, type) and issubclass(hint, tuple):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{name: values(hints[name], depth + 1) for name in hint._fields})
    return {bool: st.booleans(), int: st.integers(-(2**63), 2**64), float: _FLOATS, str: _TEXTS}[hint]


_RECORDS = st.deferred(lambda: values(RunRecord))
_SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def _refuse(constant):
    raise ValueError(constant)


@_SETTINGS
@given(_RECORDS)
def test_any_record_gives_a_page_that_never_says_none(record):
    page = render_progress(record)
    page.encode("utf-8")
    assert "None" not in page
    assert page.startswith("# System Optimization Progress")
    assert page.endswith("\n")


@_SETTINGS
@given(_RECORDS)
def test_any_record_gives_strict_json(record):
    text = render_json(record)
    text.encode("utf-8")
    assert json.loads(text, parse_constant=_refuse)["schema"] == 1


@_SETTINGS
@given(_RECORDS)
def test_any_record_gives_whole_plain_lines(record):
    for line in line_for(None, record):
        assert "None" not in line
        assert "\n" not in line


@given(st.text())
def test_any_text_stays_on_its_line_and_its_column(text):
    for shown in (inline(text), code(text)):
        assert "\n" not in shown
        assert "\r" not in shown
    assert "|" not in inline(text).replace("\\\\", "").replace("\\|", "")


@given(st.text(alphabet="`a\n "))
def test_no_text_ends_its_fence(text):
    first, *body, last = fenced(text).split("\n")
    assert last == first.removesuffix("text")
    assert all(len(line.strip()) < len(last) or line.strip().strip("`") for line in body)
