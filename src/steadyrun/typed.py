"""What the way to a start of `run` needs of `typing` while it runs; type checkers see typing's own.

Importing `typing` takes 2 ms of that start (CPython 3.11), for names that mean nothing once the program
runs. Modules on that way take from here what they execute, and keep `Any`, `NoReturn` and type variables
under TYPE_CHECKING, whose value a type checker knows by its name. Where something has imported `typing`
before (a test, a library), typing's own are what one gets.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING or "typing" in sys.modules:
    from typing import NewType as NewType  # noqa: PLC0414
    from typing import Protocol as Protocol  # noqa: PLC0414
    from typing import assert_never as assert_never  # noqa: PLC0414
    from typing import cast as cast  # noqa: PLC0414
else:

    class Protocol:
        """A class that says what others have; nobody asks at run time who has it."""

        __slots__ = ()

    class NewType:
        """Gives back what it is called with; what reads annotations finds the type below, as in typing's."""

        __slots__ = ("__name__", "__supertype__")

        def __init__(self, name, below) -> None:  # noqa: ANN001
            self.__name__ = name
            self.__supertype__ = below

        def __call__(self, value):  # noqa: ANN001, ANN204, D102
            return value

        def __repr__(self):  # noqa: ANN204
            return self.__name__

        def __or__(self, other):  # noqa: ANN001, ANN204
            from typing import Union

            return Union[self, other]  # noqa: UP007

        def __ror__(self, other):  # noqa: ANN001, ANN204
            from typing import Union

            return Union[other, self]  # noqa: UP007

    def cast(_type, value):  # noqa: ANN001, ANN201, D103
        return value

    def assert_never(value):  # noqa: ANN001, ANN201
        """Fail: a case was forgotten that no type checker saw."""
        raise AssertionError(f"expected no such value, found {value!r}")
