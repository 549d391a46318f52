"""Our NamedTuple against typing's: the same class from the same body."""

import typing

import pytest

from steadyrun import named


def make(base):
    class Point(base):
        """Two numbers."""

        x: int
        y: "float | None" = None
        """The second."""

        SIDES = 4

        @classmethod
        def origin(cls):
            return cls(0, 0.0)

        @property
        def double(self):
            return self.x * 2

        def __str__(self):
            return f"<{self.x}>"

    return Point


@pytest.mark.parametrize(
    "what", ["_fields", "_field_defaults", "__doc__", "__name__", "__qualname__", "__module__", "SIDES"]
)
def test_it_says_the_same_of_itself(what):
    assert getattr(make(named.NamedTuple), what) == getattr(make(typing.NamedTuple), what)


def test_its_values_behave_the_same():
    ours, theirs = make(named.NamedTuple), make(typing.NamedTuple)
    for cls in (ours, theirs):
        assert cls(1) == (1, None)
        assert cls(1, 2.0)._replace(x=3) == (3, 2.0)
        assert cls(x=1)._asdict() == {"x": 1, "y": None}
        assert cls.origin() == (0, 0.0)
        assert (cls(2).double, str(cls(2))) == (4, "<2>")
        with pytest.raises(TypeError):
            cls()
        with pytest.raises(AttributeError):
            cls(1).x = 2
    assert repr(ours(1)) == repr(theirs(1))


def test_its_annotations_can_be_resolved_as_the_codec_does():
    assert typing.get_type_hints(make(named.NamedTuple)) == typing.get_type_hints(make(typing.NamedTuple))
