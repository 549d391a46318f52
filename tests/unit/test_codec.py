"""Model values as builtins, one form at a time."""

import json

import pytest

from steadyrun.errors import FormatError
from steadyrun.model import codec
from steadyrun.model.action import Action
from steadyrun.model.event import EVENTS, Acted, Control, Event, Refused, Sampled
from steadyrun.model.limits import Limits
from steadyrun.model.plan import LoadKind, LoadSpec, Member
from steadyrun.model.sample import Frames, Psi
from steadyrun.units import Bytes

FRAMES = Frames(window=1.0, shown=60, p50_ms=0.1, p99_ms=None, worst_ms=2.0, silent=0.01)


def test_a_record_becomes_an_object_with_its_field_names():
    assert codec.encode(FRAMES) == {
        "window": 1.0,
        "shown": 60,
        "p50_ms": 0.1,
        "p99_ms": None,
        "worst_ms": 2.0,
        "silent": 0.01,
    }


def test_an_enum_becomes_its_value_and_a_tuple_a_list():
    spec = LoadSpec(kind=LoadKind.COMMAND, argv=("make", "-j8"))
    assert codec.encode(spec)["kind"] == "command"
    assert codec.encode(spec)["argv"] == ["make", "-j8"]
    assert codec.decode(LoadSpec, codec.encode(spec)) == spec


def test_a_dictionary_keeps_its_keys():
    member = Member(argv=("true",), cwd="/", env={"PATH": "/bin", "ODD\udc80": "\udcff"})
    assert codec.decode(Member, json.loads(json.dumps(codec.encode(member)))) == member


def test_an_event_names_its_class():
    event = Acted(at=1.0, wall=2.0, seq=3, action=Action.FREEZE, cause="floor", took=0.1)
    encoded = codec.encode_event(event)
    assert encoded["kind"] == "Acted"
    assert encoded["action"] == "freeze"
    assert codec.decode_event(encoded) == event


def test_the_list_of_events_is_the_union_of_events():
    assert set(EVENTS) == set(Event.__args__)
    assert len({cls.__name__ for cls in EVENTS}) == len(EVENTS)
    assert not [cls for cls in EVENTS if "kind" in cls._fields]


@pytest.mark.parametrize("data", [None, 3, "Sampled", [], {}, {"kind": "Prayed"}, {"kind": ["Sampled"]}])
def test_what_is_no_event_is_refused_with_the_list_of_events(data):
    with pytest.raises(FormatError, match=r"^event: expected one of \['Prepared', 'Ruled', 'Released'"):
        codec.decode_event(data)


def test_a_missing_field_takes_its_default_so_that_older_rows_can_be_read():
    assert codec.decode(Limits, {"memory_max": 5}) == Limits(memory_max=Bytes(5))


def test_an_unknown_field_is_ignored_so_that_newer_rows_can_be_read():
    assert codec.decode(Limits, {"memory_max": 5, "gpu_max": 1}) == Limits(memory_max=Bytes(5))


@pytest.mark.parametrize(
    ("cls", "data", "message"),
    [
        (Psi, {"some_total": 1, "some_avg10": 0.0}, "Psi: expected a field 'full_total', found none"),
        (Psi, [1, 2, 3], "Psi: expected an object, found '[1, 2, 3]'"),
        (Limits, {"memory_max": "5"}, "Limits.memory_max: expected int, found '5'"),
        (Limits, {"memory_max": True}, "Limits.memory_max: expected int, found 'True'"),
        (Limits, {"memory_max": 5.0}, "Limits.memory_max: expected int, found '5.0'"),
        (
            LoadSpec,
            {"kind": "gpu"},
            "LoadSpec.kind: expected one of ['hog', 'storm', 'command'], found 'gpu'",
        ),
        (LoadSpec, {"kind": "hog", "argv": "make"}, "LoadSpec.argv: expected a list, found 'make'"),
        (LoadSpec, {"kind": "hog", "argv": ["a", 2]}, "LoadSpec.argv[1]: expected str, found '2'"),
        (Member, {"argv": [], "cwd": "/", "env": []}, "Member.env: expected an object, found '[]'"),
        (Member, {"argv": [], "cwd": "/", "env": {"A": 1}}, "Member.env.A: expected str, found '1'"),
        (Control, "explode", "Control: expected one of ['release', 'stop', 'kill'], found 'explode'"),
        (Control, [], "Control: expected one of ['release', 'stop', 'kill'], found []"),
        (tuple[int, str], [1], "tuple: expected a list of 2, found '[1]'"),
    ],
)
def test_data_of_another_form_is_refused_with_the_path_to_it(cls, data, message):
    with pytest.raises(FormatError) as caught:
        codec.decode(cls, data)
    assert caught.value.message == message


def test_a_refused_field_names_the_source_it_was_given():
    with pytest.raises(FormatError, match=r"^journal\.db: phase 3\.memory_max: expected int"):
        codec.decode(Limits, {"memory_max": []}, source="journal.db: phase 3")


def test_a_whole_number_is_taken_where_a_float_belongs():
    found = codec.decode(Frames, {**codec.encode(FRAMES), "window": 1})
    assert found.window == 1.0
    assert type(found.window) is float


def test_null_is_refused_where_unknown_is_not_allowed():
    with pytest.raises(FormatError, match=r"Refused\.message: expected str, found 'None'"):
        codec.decode(Refused, {"message": None, "hint": None, "exit_code": 3})


def test_a_nested_field_is_named_with_its_whole_path():
    with pytest.raises(FormatError, match=r"^Sampled\.reading: expected a field 'seq', found none"):
        codec.decode_event({"kind": "Sampled", "reading": {}})
    assert "reading" in Sampled._fields
