"""Our NamedTuple against typing's: the same class from the same body."""

import copy
import inspect
import pickle
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
    "what",
    [
        "_fields",
        "_field_defaults",
        "__match_args__",
        "__slots__",
        "__doc__",
        "__name__",
        "__qualname__",
        "__module__",
        "SIDES",
    ],
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


class Kept(named.NamedTuple):
    a: int
    b: str = "x"


def test_its_values_are_copied_and_sent():
    assert pickle.loads(pickle.dumps(Kept(1))) == copy.copy(Kept(1)) == (1, "x")
    assert type(copy.deepcopy(Kept(1))) is Kept


def test_a_wrong_number_or_name_of_fields_is_refused():
    for cls in (make(named.NamedTuple), make(typing.NamedTuple)):
        for values, named_values in (((1, 2, 3), {}), ((1,), {"z": 2}), ((1,), {"x": 2})):
            with pytest.raises(TypeError):
                cls(*values, **named_values)
        for values in ([1], [1, 2, 3]):
            with pytest.raises(TypeError):
                cls._make(values)
        with pytest.raises(ValueError, match="unexpected field names"):
            cls(1)._replace(z=2)
        assert cls._make([1, 2.0]) == (1, 2.0)


def test_classes_with_as_many_fields_have_each_their_own_names_and_defaults():
    assert make(named.NamedTuple)(y=1.0, x=2) == (2, 1.0)
    assert Kept(b="y", a=2) == (2, "y")
    names = list(inspect.signature(Kept.__new__).parameters)
    assert names == ["_cls", "a", "b"]


def test_a_class_without_fields_is_an_empty_tuple():
    class Empty(named.NamedTuple):
        """Nothing."""

    assert Empty() == ()
    assert repr(Empty()) == "Empty()"
