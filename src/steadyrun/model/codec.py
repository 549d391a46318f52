"""Model values to JSON-ready builtins and back, for the guard's channel, the journal and report.json.

A NamedTuple becomes an object with its field names, an Enum its value, a member of the `Event`
union an object with its class's name under `kind`. Standard library alone: the guard uses it.
A missing field takes its default, so that rows of an older version can be read; an unknown one
is ignored, so that rows of a newer version can be read.
"""

from __future__ import annotations

from enum import Enum

from steadyrun.errors import FormatError
from steadyrun.model import event
from steadyrun.typed import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

_KIND = "kind"
_PLAIN = frozenset((int, float, str, bool, type(None)))
"""What JSON has as it is. By exact type: a member of an IntEnum is not."""


def encode(value: Any) -> Any:
    """Turn a model value into builtins that `json.dumps` takes."""
    if type(value) in _PLAIN:
        return value
    names = getattr(value, "_fields", None)
    if names is not None:
        # At every tick of the guard: most fields are plain, and a call for each would be half the cost.
        items = [item if type(item) in _PLAIN else encode(item) for item in value]
        return dict(zip(names, items, strict=True))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return value


def encode_event(value: event.Event) -> dict[str, Any]:
    """Turn an event into builtins that name their class."""
    return {_KIND: type(value).__name__, **encode(value)}


def decode_event(data: Any) -> event.Event:
    """Turn builtins back into the event they were.

    Raises:
        FormatError: Not an event, or a field of the wrong type.
    """
    kind = data.get(_KIND) if isinstance(data, dict) else None
    for cls in event.EVENTS:
        if cls.__name__ == kind:
            return cast("event.Event", decode(cls, data))
    raise FormatError(f"event: expected one of {[c.__name__ for c in event.EVENTS]}, found {kind!r}")


def decode(cls: type[T], data: Any, *, source: str = "") -> T:
    """Turn builtins back into a value of `cls`.

    Args:
        cls: A NamedTuple, an Enum, a builtin, or a `tuple[...]`, `dict[...]`, `X | None` of such.
        data: What `json.loads` gave.
        source: The path to `data`, for the message.

    Raises:
        FormatError: A field is missing without a default, or of the wrong type.
    """
    return cast("T", _decode(cls, data, source or getattr(cls, "__name__", str(cls))))


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(cls: type) -> dict[str, Any]:
    found = _HINTS.get(cls)
    if found is None:
        from typing import get_type_hints  # not on the way of a run that only encodes

        found = _HINTS[cls] = get_type_hints(cls)
    return found


def _decode(cls: Any, data: Any, source: str) -> Any:
    origin: Any = getattr(cls, "__origin__", None)
    arguments: tuple[Any, ...] = getattr(cls, "__args__", ())
    if origin is tuple:
        return _decode_tuple(arguments, data, source)
    if type(None) in arguments:
        return _decode_optional(arguments, data, source)
    if origin is dict:
        _expect(isinstance(data, dict), source, "an object", data)
        value_type = arguments[1]
        return {key: _decode(value_type, item, f"{source}.{key}") for key, item in data.items()}
    cls = getattr(cls, "__supertype__", cls)
    if isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _decode_record(cls, data, source)
    if isinstance(cls, type) and issubclass(cls, Enum):
        try:
            return cls(data)
        except ValueError:
            raise FormatError(f"{source}: expected one of {[m.value for m in cls]}, found {data!r}") from None
    return _decode_scalar(cls, data, source)


def _decode_optional(either: tuple[Any, ...], data: Any, source: str) -> Any:
    if data is None:
        return None
    (inner,) = (t for t in either if t is not type(None))
    return _decode(inner, data, source)


def _decode_tuple(items: tuple[Any, ...], data: Any, source: str) -> tuple[Any, ...]:
    _expect(isinstance(data, (list, tuple)), source, "a list", data)
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_decode(items[0], item, f"{source}[{i}]") for i, item in enumerate(data))
    _expect(len(data) == len(items), source, f"a list of {len(items)}", data)
    return tuple(
        _decode(t, item, f"{source}[{i}]") for i, (t, item) in enumerate(zip(items, data, strict=True))
    )


def _decode_record(cls: Any, data: Any, source: str) -> Any:
    _expect(isinstance(data, dict), source, "an object", data)
    hints = _hints(cls)
    missing = [n for n in cls._fields if n not in data and n not in cls._field_defaults]
    if missing:
        raise FormatError(f"{source}: expected a field {missing[0]!r}, found none")
    return cls(**{n: _decode(hints[n], data[n], f"{source}.{n}") for n in cls._fields if n in data})


def _decode_scalar(cls: Any, data: Any, source: str) -> Any:
    if cls is float and type(data) is int:
        return float(data)
    _expect(type(data) is cls, source, cls.__name__, data)
    return data


def _expect(holds: bool, source: str, what: str, data: Any) -> None:
    if not holds:
        raise FormatError(f"{source}: expected {what}, found {str(data)[:80]!r}")
