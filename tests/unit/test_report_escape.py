"""Any text is safe inside Markdown, and stays readable where nothing needs an escape."""

import pytest

from steadyrun.report.escape import code, fenced, fill, inline, prose, tail, visible


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("load 3.10 < 36", "load 3.10 < 36"),
        ("<b>", "&lt;b>"),
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("memory_max", "memory_max"),
        ("_x_", r"\_x\_"),
        ("a\n# b", "a # b"),
        ("# a", r"\# a"),
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
        ("3.10", "3.10"),
        ("-", "-"),
        ("&lt;", "&amp;lt;"),
        ("a & b", "a & b"),
        ("\x1b[31m", r"\\x1b\[31m"),
        ("\udce9", r"\\udce9"),
    ],
)
def test_inline_text_means_nothing_but_itself(text, safe):
    assert inline(text) == safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`steadyrun recover` looks; `a_b *c*` too", "`steadyrun recover` looks; `a_b *c*` too"),
        ("# `x` and *y*", r"\# `x` and \*y\*"),
        ("a lone ` and ``two``", r"a lone \` and \`\`two\`\`"),
        ("`a\x1bb`", r"`a\x1bb`"),
    ],
)
def test_the_commands_of_a_sentence_are_code_spans_and_the_rest_means_nothing_but_itself(text, shown):
    assert prose(text) == shown


def test_markdown_made_here_is_not_escaped_again():
    assert fill("{} | {}", code("a|b"), "a|b") == r"`a|b` | a\|b"


@pytest.mark.parametrize(
    ("text", "span"),
    [("ls", "`ls`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("", "(empty)"), ("a\nb", r"`a\nb`")],
)
def test_a_code_span_holds_any_text(text, span):
    assert code(text) == span


def test_a_fence_is_longer_than_any_inside():
    assert fenced("````\nx").startswith("`````text\n")


def test_the_tail_is_what_a_terminal_would_show():
    assert tail("\x1b[1m10 %\r20 %\r\x1b[0m100 %\r\nok\n\n") == "100 %\nok"


def test_the_tail_is_short():
    lines = tail("x" * 1000 + "\n" + "\n".join(str(i) for i in range(100))).split("\n")
    assert lines == [str(i) for i in range(80, 100)]
    assert len(tail("x" * 1000)) < 500


def test_direction_changes_are_shown_as_codes():
    assert visible("a\u202eb") == "a\\u202eb"
