"""How people write quantities, and how they are printed."""

import math

import pytest

from steadyrun.errors import UsageError
from steadyrun.units import (
    GIB,
    KIB,
    MIB,
    TIB,
    format_duration,
    format_oom_kills,
    format_size,
    parse_cores,
    parse_count,
    parse_duration,
    parse_exit_codes,
    parse_size,
    size_argument,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", MIB),
        ("12B", 12),
        ("500M", 500 * MIB),
        ("500m", 500 * MIB),
        ("500MiB", 500 * MIB),
        ("500mib", 500 * MIB),
        ("500MB", 500 * 10**6),
        ("500 MB", 500 * 10**6),
        ("  4G  ", 4 * GIB),
        ("4GB", 4 * 10**9),
        ("1.5G", 3 * GIB // 2),
        ("0.1K", 102),
        ("1.9", 1),
        ("2T", 2 * TIB),
        ("3k", 3 * KIB),
        ("9007199254740993.5", 9007199254740993),
    ],
)
def test_a_size_is_read_as_systemd_docker_and_gnu_tools_read_it(text, size):
    assert parse_size(text, source="--memory") == size


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "M",
            "-1",
            "+1",
            "1e3",
            "1,5G",
            "1.",
            ".5G",
            "0x10",
            "1_000",
            "12 34",
            "5iB",
            "5i",
            "5Mi",
            "5P",
        ),
        *("max", "4 GiBs", "4G\n4G", "٣G", "5\u212a", "0.0001K", "0.9", "9" * 19, "9" * 21, "9" * 5000),
        "9" * 400 + ".5G",
    ],
)
def test_text_that_is_no_size_is_refused_with_its_source(text):
    with pytest.raises(UsageError) as caught:
        parse_size(text, source="plan.toml: phase[2].memory")
    assert caught.value.message.startswith("plan.toml: phase[2].memory: expected a size such as 500M")
    assert len(caught.value.message) < 200


def test_a_size_below_what_makes_sense_is_refused_with_the_least_one():
    assert parse_size("1", source="--memory", least=1) == 1
    with pytest.raises(UsageError, match="at least 1 MiB, found '64'") as caught:
        parse_size("64", source="--memory", least=MIB)
    assert caught.value.hint == "a number alone is bytes: 64M?"
    with pytest.raises(UsageError, match=r"--memory: expected at least 1 B, found '0'"):
        parse_size("0", source="--memory", least=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("90s", 90),
        ("5sec", 5),
        ("250ms", 0.25),
        ("10m", 600),
        ("10min", 600),
        ("10 min", 600),
        ("1h30m", 5400),
        ("1h 30min 5s", 5405),
        ("2D", 172800),
    ],
)
def test_a_duration_is_read_with_its_units(text, seconds):
    assert parse_duration(text, source="--timeout") == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0",
        "0s",
        "-5",
        "m",
        "1h30",
        "30 1h",
        "5 parsecs",
        "1.5.5",
        "inf",
        "nan",
        "5\u017f",
        "9" * 400,
        "1e3",
    ],
)
def test_text_that_is_no_duration_is_refused(text):
    with pytest.raises(UsageError, match=r"^--timeout: expected a duration such as"):
        parse_duration(text, source="--timeout")


@pytest.mark.parametrize(
    ("text", "cores"), [("1.5", 1.5), ("150%", 1.5), (" 2 ", 2), ("50 %", 0.5), (".5", 0.5)]
)
def test_an_amount_of_cpu_is_cores_or_percent_of_one(text, cores):
    assert parse_cores(text, source="--cpus") == pytest.approx(cores)


@pytest.mark.parametrize(
    "text", ["", "0", "0%", "-1", "%", "1%%", "nan", "inf", "1e3", "1_0", "two", "9" * 10, "9" * 5000]
)
def test_text_that_is_no_amount_of_cpu_is_refused(text):
    with pytest.raises(UsageError, match=r"^--cpus: expected a number of cores"):
        parse_cores(text, source="--cpus")


def test_exit_codes_are_numbers_of_one_byte_with_commas():
    assert parse_exit_codes("1, 5,255", source="--ok-exit") == (1, 5, 255)
    for text in ("", "1,", "256", "-1", "one", "1;2", "٣"):
        with pytest.raises(UsageError, match=r"^--ok-exit: expected exit codes such as 1,5"):
            parse_exit_codes(text, source="--ok-exit")


def test_a_count_is_a_whole_number_of_at_least_one():
    assert parse_count(" 200 ", source="--tasks") == 200
    assert parse_count("9" * 18, source="--tasks") == 10**18 - 1
    for text in ("", "0", "-1", "1.5", "٣", "²", "9" * 5000, "9" * 19, "5\x1f", "\x1c5"):
        with pytest.raises(UsageError, match=r"^--tasks: expected a whole number of at least 1"):
            parse_count(text, source="--tasks")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (1023, "1023 B"),
        (KIB, "1 KiB"),
        (1536, "1.5 KiB"),
        (500 * MIB, "500 MiB"),
        (500 * 10**6, "477 MiB"),
        (3 * GIB // 2 + 1, "1.5 GiB"),
        (8000 * MIB, "8000 MiB"),
        (8000 * 10**6, "7.5 GiB"),
        (8 * GIB, "8 GiB"),
        (23 * GIB + 512 * MIB, "23.5 GiB"),
        (-2 * GIB, "-2 GiB"),
        (3 * TIB, "3 TiB"),
    ],
)
def test_a_size_is_printed_in_the_largest_binary_unit_it_reaches(size, text):
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0"), (1, "1"), (500 * MIB, "500M"), (8 * GIB, "8G"), (3 * KIB, "3K"), (1000, "1000")],
)
def test_a_size_argument_is_the_shortest_exact_way_to_write_it(size, text):
    assert size_argument(size) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "an unknown number of OOM kills"), (0, "no OOM kills"), (1, "1 OOM kill"), (3, "3 OOM kills")],
)
def test_oom_kills_are_counted_in_words_and_unknown_is_not_none(count, text):
    assert format_oom_kills(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (math.nan, "unknown"),
        (math.inf, "for ever"),
        (0.04, "0.0 s"),
        (0.4, "0.4 s"),
        (30, "30 s"),
        (119.4, "119 s"),
        (119.6, "2 min"),
        (125, "2 min 5 s"),
        (3780, "63 min"),
        (7260, "2 h 1 min"),
        (172800, "2 days 0 h"),
    ],
)
def test_a_duration_is_printed_in_units_a_person_reads(seconds, text):
    assert format_duration(seconds) == text
