"""What goes out over the guard's channel or into the journal comes back the same."""

import json
import types
import typing
from enum import Enum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steadyrun.errors import FormatError
from steadyrun.model import codec, event
from steadyrun.model.envelope import Envelope
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import LoadOutcome
from steadyrun.model.plan import Plan
from steadyrun.model.record import RunRecord
from steadyrun.model.sample import Reading

SCALARS = {
    int: st.integers(-(2**63), 2**64),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    str: st.text(max_size=8),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def values_of(hint):
    """Return a strategy for a model type: made from the annotations, as the decoder reads them."""
    hint = getattr(hint, "__supertype__", hint)
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Union | types.UnionType:
            return st.one_of(*(st.none() if a is type(None) else values_of(a) for a in arguments))
        case origin if origin is tuple:
            if arguments[1:] == (Ellipsis,):
                return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
            return st.tuples(*map(values_of, arguments))
        case origin if origin is dict:
            return st.dictionaries(st.text(max_size=5), values_of(arguments[1]), max_size=2)
    if hint in SCALARS:
        return SCALARS[hint]
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    hints = typing.get_type_hints(hint)
    return st.builds(hint, **{name: st.deferred(lambda h=hints[name]: values_of(h)) for name in hint._fields})


def refusal(decode, *arguments):
    """Return the message of the FormatError that decoding raises, `None` where it does not."""
    try:
        decode(*arguments)
    except FormatError as error:
        return error.message
    return None


def there_and_back(cls, value):
    return codec.decode(cls, json.loads(json.dumps(codec.encode(value))))


@pytest.mark.parametrize("cls", [Limits, Reading, LoadOutcome, event.Order, Plan, Envelope, RunRecord])
@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_a_model_value_survives_json(cls, data):
    value = data.draw(values_of(cls))
    assert there_and_back(cls, value) == value


@pytest.mark.parametrize("cls", event.EVENTS)
@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_every_event_survives_json_and_keeps_its_class(cls, data):
    value = data.draw(values_of(cls))
    found = codec.decode_event(json.loads(json.dumps(codec.encode_event(value))))
    assert type(found) is cls
    assert found == value


@pytest.mark.parametrize("cls", [Limits, Reading, LoadOutcome, event.Order, event.Control, Plan])
@given(data=JSON)
def test_any_json_is_a_value_or_a_format_error(cls, data):
    message = refusal(codec.decode, cls, data)
    assert message is None or ": expected " in message


@given(data=JSON, kind=st.sampled_from(event.EVENTS), keys=st.data())
def test_any_json_is_an_event_or_a_format_error(data, kind, keys):
    if isinstance(data, dict) and keys.draw(st.booleans()):
        data = {**data, "kind": kind.__name__}
    message = refusal(codec.decode_event, data)
    assert message is None or ": expected " in message


@given(data=st.data())
def test_a_value_damaged_at_one_field_is_refused_with_the_path_to_that_field(data):
    whole = codec.encode(data.draw(values_of(Reading)))
    part, name = data.draw(st.sampled_from([("host", "load1"), ("load", "identity"), ("host", "psi_io")]))
    whole[part][name] = data.draw(JSON)
    message = refusal(codec.decode, Reading, whole)
    assert message is None or message.startswith(f"Reading.{part}.{name}")
