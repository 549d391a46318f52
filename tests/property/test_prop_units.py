"""Whatever a person types is a quantity or a UsageError; what is printed reads back."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from steadyrun.errors import UsageError
from steadyrun.units import (
    format_duration,
    format_size,
    parse_cores,
    parse_count,
    parse_duration,
    parse_size,
    size_argument,
)

SIZES = st.integers(0, 2**63 - 1)
LOOKS_LIKE_ONE = st.text(alphabet="0123456789.KMGTiBbskmhd% -+e_\u212a\u017f٣", max_size=12)


def read(parse, text):
    """Return (message, value): one of them is what parsing came to, the other `None`."""
    try:
        return None, parse(text, source="--here")
    except UsageError as error:
        return error.message, None


@given(SIZES)
def test_a_size_argument_reads_back_as_the_same_size(size):
    assert parse_size(size_argument(size), source="x") == size


@given(st.integers(0, 2**42), st.sampled_from(range(5)))
def test_binary_sizes_keep_their_value_whatever_the_unit(number, power):
    text = f"{number}{' KMGT'[power].strip()}"
    if number * 1024**power < 2**63:
        assert parse_size(text, source="x") == number * 1024**power


@given(st.decimals(0, 10**6, places=6, allow_nan=False), st.sampled_from("KMGT"))
def test_a_fraction_of_a_unit_is_rounded_down_exactly(number, unit):
    exact = Fraction(number) * 1024 ** " KMGT".index(unit)
    if exact == 0 or exact >= 1:
        assert parse_size(f"{number:f}{unit}", source="x") == exact.__floor__()


@given(st.one_of(st.text(), LOOKS_LIKE_ONE))
@example("9" * 5000)
@example("9" * 400 + ".5G")
@example("0\x1f")
def test_any_text_is_a_quantity_or_a_usage_error_that_names_its_source(text):
    for parse in (parse_size, parse_duration, parse_cores, parse_count):
        message, value = read(parse, text)
        assert message.startswith("--here: expected ") if message else 0 <= value < float("inf")


@given(st.integers(1, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_the_parts_of_a_duration_add_up(hours, minutes, seconds):
    assert (
        parse_duration(f"{hours}h{minutes}m{seconds}s", source="x") == hours * 3600 + minutes * 60 + seconds
    )


@given(st.integers(0, 2**62))
def test_a_printed_size_is_within_a_twentieth_of_the_true_one(size):
    shown = parse_size(format_size(size).replace(" ", ""), source="x")
    assert abs(shown - size) <= max(1, size // 20)


@given(st.floats(0, 1e9))
def test_any_duration_prints_as_one_short_line(seconds):
    text = format_duration(seconds)
    assert text
    assert "\n" not in text
    assert len(text) < 20
