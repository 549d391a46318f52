"""What stands in for `typing` on the way to a start of `run`, and that nothing there imports it."""

import subprocess
import sys
import typing
from pathlib import Path
from types import SimpleNamespace

import pytest

from steadyrun import typed, units

START = """
import sys
sys.path.insert(0, sys.argv[1])
import steadyrun.cli.run, steadyrun.journal.write, steadyrun.contain.{backend}
from steadyrun.run.once import NEEDED_LATER
for name in NEEDED_LATER:
    __import__(name)
print("typing" in sys.modules)
"""
"""Late imports are in functions; these are the ones that pull most of the others in."""


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="named tuples are typing's there (steadyrun/named.py)"
)
@pytest.mark.parametrize("backend", ["cgroup1", "cgroup2", "systemd", "poll"])
def test_a_start_of_run_imports_no_typing(backend):
    root = units.__file__.rpartition("/steadyrun/")[0]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", START.format(backend=backend), root],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n", "`python -X importtime -m steadyrun run -- true` says what imports it"


@pytest.fixture
def light(monkeypatch):
    """The module as a start of `run` has it: nothing has imported `typing`."""
    code = compile(Path(typed.__file__).read_text(), typed.__file__, "exec")
    names = {"__name__": "light"}
    with monkeypatch.context() as alone:
        alone.delitem(sys.modules, "typing")
        exec(code, names)
    return SimpleNamespace(**names)


def test_where_typing_is_there_it_is_typings():
    assert (typed.NewType, typed.Protocol) == (typing.NewType, typing.Protocol)


def test_a_new_type_gives_back_what_it_gets_and_names_the_type_below(light):
    size = light.NewType("Size", int)
    assert light.NewType is not typing.NewType
    assert (size(5), type(size(5.0))) == (5, float)
    assert size.__supertype__ is int
    assert repr(size) == size.__name__ == "Size"


def test_annotations_with_a_new_type_can_be_read(light):
    size = light.NewType("Size", int)

    class Told:
        most: "Size | None"  # noqa: F821
        least: "None | Size"  # noqa: F821, RUF036
        each: "tuple[Size, ...]"  # noqa: F821

    hints = typing.get_type_hints(Told, localns={"Size": size})
    either = typing.Optional[size]  # noqa: UP045
    assert hints == {"most": either, "least": either, "each": tuple[size, ...]}


def test_a_class_takes_a_protocol_as_its_base_and_keeps_its_slots(light):
    class Thing(light.Protocol):
        __slots__ = ()

    assert not hasattr(Thing(), "__dict__")


def test_a_cast_is_the_value(light):
    value = object()
    assert light.cast("int", value) is value


def test_a_forgotten_case_fails(light):
    with pytest.raises(AssertionError, match="found 'neither'"):
        light.assert_never("neither")
