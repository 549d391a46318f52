"""A command line that is read quickly says what argparse reads from it."""

from hypothesis import given
from hypothesis import strategies as st

from steadyrun.cli import run
from steadyrun.cli.parser import Parser
from steadyrun.cli.quick import Options, read_plain

FLAGS = (
    "--memory",
    "--cpus",
    "--timeout",
    "--json",
    "--user",
    "-q",
    "--quiet",
    "-v",
    "-qv",
    "--mem",
    "-x",
    "-h",
)
WORDS = st.one_of(
    st.sampled_from(
        (*FLAGS, "--", "-", "", "100M", "a b", "-1", "--memory=", "--memory=1G", "-q=1", "--quiet=1")
    ),
    st.text(max_size=5),
)


def by_argparse(words):
    parser = Parser("run", "x")
    run.configure(parser)
    return vars(parser.parse(words))


@given(st.lists(WORDS, max_size=8))
def test_what_is_read_quickly_is_what_argparse_reads(words):
    found = read_plain(run.configure, words)
    if found is not None:
        assert vars(found) == by_argparse(words)


@given(
    st.lists(
        st.tuples(st.sampled_from(("--memory", "--cpus", "--json")), st.sampled_from(("1", "x y", "4G")))
    )
)
def test_options_written_out_are_read_quickly(pairs):
    words = [word for pair in pairs for word in pair] + ["-q", "--", "--memory", "-h"]
    found = read_plain(run.configure, words)
    assert found is not None
    assert found.argv == ("--memory", "-h")
    assert vars(found) == by_argparse(words)


def test_help_a_mistake_and_an_abbreviation_are_left_to_argparse():
    for words in (
        ["-h"],
        ["--memroy", "1G"],
        ["--mem", "1G"],
        ["--memory"],
        ["--memory", "-5"],
        ["-qv"],
        ["true"],
    ):
        assert read_plain(run.configure, words) is None


def test_an_option_with_a_type_or_a_positional_one_makes_every_line_argparses():
    for how in (("--n", {"type": int}), ("name", {}), ("--list", {"nargs": "*"})):
        options = Options()
        options.add_argument(how[0], **how[1])
        assert not options.is_plain
