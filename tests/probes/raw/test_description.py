"""dataset.json: what is understood of it, whatever is in it, and that nnU-Net's own rules are followed."""

from __future__ import annotations

import itertools
import json
import sys
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shared import tries

from nnunet_doctor.probes.raw import description
from nnunet_doctor.probes.raw.description import Description, Listed, repaired, understand

GOOD = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "tumour": 1},
    "numTraining": 3,
    "file_ending": ".nii.gz",
}


def described(**changes):
    """Return what is understood of the good description with these changes; an Ellipsis takes a key out."""
    content = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    return understand(json.dumps(content).encode())


def ids(found):
    """Return the ids of all faults, each once, in their order."""
    return list(dict.fromkeys(id for id, _ in found.faults))


# --- a good one ----------------------------------------------------------------------------------------------------


def test_good():
    """A description without fault is understood in full."""
    found = described()

    expected = Description(GOOD, (), ("CT",), ".nii.gz", 3, {"background": (0,), "tumour": (1,)})
    assert expected == found
    assert frozenset({0, 1}) == found.declared


def test_good_with_everything():
    """Regions, an ignore label, a reader, listed cases and keys that nnU-Net does not use are no faults."""
    found = described(
        channel_names={str(number): name for number, name in enumerate(["T1", "T2", *"abcdefghi"])},
        labels={"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4},
        regions_class_order=[1, 2, 3],
        overwrite_image_reader_writer="NibabelIO",
        dataset={"a": {"images": ["a.nii.gz"], "label": "b.nii.gz"}},
        licence={"name": "x"},
    )

    assert found.faults == ()
    assert (4, frozenset(range(5)), "NibabelIO") == (found.ignore, found.declared, found.reader)
    assert {"a": Listed(("a.nii.gz",), "b.nii.gz")} == found.listed


@pytest.mark.parametrize("name", ["CT", "ct", "T1ce", "ACT", "flair", "OCTA", "zscore", "noNorm", "fraction"])
def test_channel_names_without_fault(name):
    """A channel is only said to look like CT when it does, and is not CT."""
    assert described(channel_names={"0": name}).faults == ()


# --- what nnU-Net refuses ------------------------------------------------------------------------------------------


def refused_by_nnunet(labels, order):
    """Decide as LabelManager and verify_dataset_integrity of nnU-Net 2.8.1 do."""
    if "background" not in labels or isinstance(labels["background"], list):
        return True
    try:
        if int(labels["background"]) != 0:
            return True
        ignore = labels.get("ignore")
        if ignore is not None and not isinstance(ignore, int):
            return True
        groups = {name: value if isinstance(value, list) else [value] for name, value in labels.items()}
        del groups["background"]
        groups.pop("ignore", None)
        values = sorted({0} | {int(value) for group in groups.values() for value in group})
    except (TypeError, ValueError):
        return True
    if any(isinstance(value, list) and len(value) > 1 for value in labels.values()):
        scalar_zero = [name for name, value in labels.items() if not isinstance(value, list) and value == 0]
        list_zero = [name for name, value in labels.items() if isinstance(value, list) and value and set(value) == {0}]
        regions = set(labels) - {"ignore"} - set(scalar_zero) - set(list_zero)
        if order is None or len(order) != len(regions):
            return True
    if ignore is not None:
        if ignore != max(values) + 1:
            return True
        values.append(ignore)
    return any(later - earlier != 1 for earlier, later in itertools.pairwise(values))


def refused_beyond(labels, order):
    """Say whether there is a fault that nnU-Net does not see, or sees only when a training has run for hours."""
    groups = {name: value if isinstance(value, list) else [value] for name, value in labels.items()}
    if groups.get("ignore") == [None]:
        del groups["ignore"]
    flat = [value for group in groups.values() for value in group]
    if any(int(value) != float(value) or int(value) < 0 for value in flat):
        return True
    sets = {name: frozenset(map(int, group)) for name, group in groups.items() if name != "ignore"}
    if not all(sets.values()) or len(set(sets.values())) < len(sets):
        return True
    if not any(isinstance(value, list) and len(value) > 1 for value in labels.values()):
        return False
    regions = [group for name, group in sets.items() if group != {0} or labels[name] == "0"]
    if any(value not in frozenset().union(*sets.values()) for value in order):
        return True
    if any(small < large for place, small in enumerate(regions) for large in regions[place + 1 :]):
        return True
    return any(value not in group for group, value in zip(regions, order, strict=True)) or invents(regions, order)


def invents(regions, order):
    """Say whether a voxel of some label is predicted as one of a region that it is not in."""
    for label in frozenset().union(*regions) - {0}:
        segmentation = 0
        for region, value in zip(regions, order, strict=True):
            segmentation = value if label in region else segmentation
        if any(segmentation in region and label not in region for region in regions):
            return True
    return False


VALUES = st.one_of(
    st.integers(-1, 5),
    st.integers(0, 5),
    st.integers(0, 5).map(str),
    st.sampled_from([0.0, 1.0, 2.0, 1.5, True, None, "x", "", " 1", "-1", "1.0", {}, 255]),
)
LABELS = st.dictionaries(
    st.sampled_from(["background", "a", "b", "c", "d", "ignore", "Background"]),
    st.one_of(VALUES, st.lists(st.integers(0, 4), max_size=4), st.lists(VALUES, max_size=3)),
    max_size=6,
).flatmap(lambda labels: st.sampled_from([{"background": 0, **labels}, {**labels, "background": 0}, labels]))
ORDERS = st.one_of(st.none(), st.lists(st.integers(0, 5), max_size=5))


@given(labels=LABELS, order=ORDERS)
@settings(max_examples=tries(400), deadline=None)
@example(labels={"background": 0, "a": 1, "ignore": -1}, order=None)
@example(labels={"background": 0, "a": 1, "ignore": None}, order=None)
@example(labels={"background": "0", "a": [1, 2]}, order=[1])
@example(labels={"background": 0, "a": [1, 2], "b": [2, 1]}, order=[1, 2])
@example(labels={"background": 0, "a": [2], "b": [1, 2]}, order=[1, 2])
@example(labels={"background": 0, "a": [1, 2], "b": [2]}, order=[2, 2])
@example(labels={"background": 0, "a": [1, 2], "b": [2, 3]}, order=[1, 3])
@example(labels={"background": 0, "a": [0, 1], "b": [1]}, order=[0, 1])
def test_labels_as_nnunet_takes_them(labels, order):
    """Labels and regions are refused when nnU-Net refuses them, and else only for the few faults it oversees."""
    found = described(labels=labels, regions_class_order=... if order is None else order)
    refuses = refused_by_nnunet(labels, order) or refused_beyond(labels, order)

    assert refuses == bool({"json-labels", "json-regions"} & set(ids(found)))
    if not refuses:
        groups = [value if isinstance(value, list) else [value] for value in labels.values() if value is not None]
        assert {int(value) for group in groups for value in group} == found.declared


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"0": "background", "1": "tumour"}, 'the other way round: {"0": "background", "1": "tumour"}'),
        ({"Background": 0, "tumour": 1}, "no background; Background"),
        ({"background": 1, "tumour": 2}, "background: 1 instead of 0"),
        ({"background": 0, "tumour": 3}, "gap before 3"),
        ({"background": 0, "tumour": 1, "ignore": 255}, "ignore: 255 instead of 2"),
        ({"background": 0, "tumour": 1, "ignore": -1}, "ignore: -1 instead of a whole number"),
        ({"background": 0, "tumour": 1, "cyst": 1}, "tumour and cyst are both 1"),
        ({"background": 0, "tumour": "one"}, 'tumour: "one"'),
    ],
)
def test_labels_that_are_refused(labels, message):
    """What is wrong with labels is said with the values, once."""
    assert (("json-labels", message),) == described(labels=labels).faults


def test_labels_that_are_not_clear():
    """When one value is not understood, the label files are not judged by the others."""
    found = described(labels={"background": 0, "tumour": "one", "cyst": 2})

    assert list(found.faults) == [("json-labels", 'tumour: "one"')]
    assert found.declared is None


def test_regions_that_are_the_same():
    """Two regions of the same values are one fault, and none of their order."""
    labels = {"background": 0, "a": [1, 2], "b": [2, 1]}

    expected = (("json-labels", "a and b are both 2, 1"),)
    assert expected == described(labels=labels, regions_class_order=[1, 2]).faults


def test_region_that_vanishes():
    """A region that a later one overwrites is named, once, with the first that does so."""
    labels = {"background": 0, "core": [2, 3], "whole": [1, 2, 3], "all": [1, 2, 3, 4]}

    expected = (
        ("json-regions", "whole [1, 2, 3] overwrites core before it"),
        ("json-regions", "all [1, 2, 3, 4] overwrites whole before it"),
    )
    assert expected == described(labels=labels, regions_class_order=[2, 1, 4]).faults


def test_truth_is_a_number():
    """nnU-Net takes true for 1, and so does the doctor."""
    found = described(labels={"background": False, "organ": True})

    assert found.faults == ()
    assert frozenset({0, 1}) == found.declared


@pytest.mark.parametrize(
    ("ending", "reader", "refused"),
    [
        (".NII.GZ", None, True),
        (".nii.GZ", "SimpleITKIO", True),
        (".MHA", None, True),
        (".NII", "SimpleITKIO", True),
        (".NII", None, False),
        (".NII.GZ", "NibabelIO", False),
        (".NRRD", None, False),
        (".PNG", None, False),
        (".nii.gz", None, False),
    ],
)
def test_ending_in_capitals(ending, reader, refused):
    """An ending that the reader of the dataset cannot write in capitals is named; it is read all the same."""
    found = described(file_ending=ending, overwrite_image_reader_writer=reader or "None")

    assert found.file_ending == ending
    assert found.faults == ((("ending-capitals", f"file_ending {ending}"),) if refused else ())


NESTED = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
KIDNEYS = {"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumour": 2}
APART = {"background": 0, "left": [1, 2], "right": [2, 3]}


@pytest.mark.parametrize(
    ("labels", "order", "messages"),
    [
        (NESTED, [1, 2, 3], []),
        (KIDNEYS, [1, 3, 2], []),
        ({"background": 0, "whole": [1, 2, 3], "core": [2, 3]}, [1, 3], []),
        (APART, [1, 3], []),
        (NESTED, [3, 2, 1], ["1 is not in enhancing [3]"]),
        (KIDNEYS, [1, 2, 3], ["3 is not in tumour [2]"]),
        (NESTED, [2, 3, 3], ["label 1 is predicted as 2", "label 2 is predicted as 3"]),
        (APART, [2, 3], ["label 1 is predicted as 2"]),
    ],
)
def test_order_of_regions(labels, order, messages):
    """An order under which predictions get labels of regions that they are not in is named; one that loses some is not.

    Where regions overlap and neither holds the other, no order keeps both, so that the loss may be meant.
    """
    expected = [("json-regions", f"regions_class_order: {message}") for message in messages]
    assert expected == list(described(labels=labels, regions_class_order=order).faults)


@pytest.mark.parametrize("name", ["Ignore", "IGNORE", "ignore_label", "ignore label", " ignored"])
def test_almost_ignore(name):
    """nnU-Net leaves out a label that is called ignore, and trains one that is called almost so."""
    found = described(labels={"background": 0, "organ": 1, name: 2})

    assert (("ignore-misspelt", f"{name}: 2"),) == found.faults
    assert frozenset({0, 1, 2}) == found.declared


@pytest.mark.parametrize("name", ["ignore", "ignorance", "unknown", "void", "background noise"])
def test_not_almost_ignore(name):
    """Other names, and the right one, are nothing to speak of."""
    assert described(labels={"background": 0, "organ": 1, name: 2}).faults == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"labels": ...}, ("json-key-missing", "labels")),
        ({"channel_names": ..., "modality": {"0": "CT"}}, ("json-key-missing", "channel_names (there is modality)")),
        ({"file_ending": ..., "fileEnding": ".nii.gz"}, ("json-key-missing", "file_ending (there is fileEnding)")),
        ({"numTraining": "24"}, ("json-type", 'numTraining holds "24" instead of a whole number')),
        ({"numTraining": True}, ("json-type", "numTraining holds true instead of a whole number")),
        ({"channel_names": []}, ("json-type", 'channel_names holds [] instead of an object such as {"0": "CT"}')),
        ({"channel_names": {"0": 7}}, ("json-type", "channel_names['0'] holds 7 instead of a text")),
        ({"channel_names": {"1": "T2", "0": "T1"}}, ("json-channel-keys", "1, 0")),
        ({"channel_names": {"0": "CT_venous"}}, ("channel-normalisation", "0: CT_venous")),
        ({"file_ending": "nii.gz"}, ("json-type", "file_ending holds \"nii.gz\" instead of '.nii.gz'")),
        ({"file_ending": ".nii.gz "}, ("json-type", "file_ending holds \".nii.gz \" instead of '.nii.gz'")),
        ({"file_ending": ".gz"}, ("json-type", "file_ending holds \".gz\" instead of '.nii.gz'")),
        ({"file_ending": ".jpg"}, ("reader-cannot-read", "file_ending .jpg")),
        ({"overwrite_image_reader_writer": "NibabelIo"}, ("json-reader", "NibabelIo (there is NibabelIO)")),
        (
            {"overwrite_image_reader_writer": None},
            ("json-type", "overwrite_image_reader_writer holds null instead of a text"),
        ),
        (
            {"dataset": {"a": {"images": "x"}}},
            ("json-type", "dataset['a'].images holds \"x\" instead of a list of paths"),
        ),
        ({"dataset": {"a": {"images": ["x"]}}}, ("json-type", "dataset['a'].label holds null instead of a path")),
    ],
)
def test_values_that_are_wrong(changes, expected):
    """A key that is missing or holds something else is told once, with what was meant where that is clear."""
    assert (expected,) == described(**changes).faults


def test_what_is_wrong_is_understood_nevertheless():
    """An ending without dot and a number in quotes are faults, and are used as they were meant."""
    found = described(file_ending="nii.gz", numTraining="24", channel_names=["T1", "T2"])

    assert (found.file_ending, found.cases, found.channels) == (".nii.gz", 24, ("T1", "T2"))


# --- text ----------------------------------------------------------------------------------------------------------


LAST_COMMA = (
    "line 2, column 8: Illegal trailing comma before end of object: "
    if sys.version_info >= (3, 13)
    else "line 3, column 1: Expecting property name enclosed in double quotes: }"
)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "empty file"),
        (b'{"a": 1,\n "b": 2,\n}', LAST_COMMA),
        (b'{"a": "x\x0by"\n "b": 2}', "line 1, column 9: Invalid control character at"),
        (b'{"a": "\x85\xe2"}', "line 1: byte 0x85 is not UTF-8"),
        ('{"a":\u2028 1\n,,}'.encode(), "line 1, column 6: Expecting value"),
        (b"\xef\xbb\xbf{}", "byte order mark of UTF-8"),
        ("{}".encode("utf-16"), "UTF-16"),
        ('{\n"a": "\u80bf\u7624"}'.encode("gbk"), "line 2: byte 0xd6 is not UTF-8"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number with too many digits"),
    ],
)
def test_syntax(raw, message):
    """Text that is no JSON as nnU-Net reads it is one fault that says where."""
    (fault,) = [fault for fault in understand(raw).faults if fault[0] != "json-key-missing"]

    assert fault[0] == "json-syntax"
    assert fault[1].startswith(message)


def test_line_of_an_error_is_the_line_of_an_editor():
    """Letters that only Python takes for ends of lines do not shift the text that is shown."""
    raw = '{"name": "a\u2028b\u2029c\x85d",\n "labels": oops}'.encode()

    assert understand(raw).faults == (("json-syntax", 'line 2, column 12: Expecting value: "labels": oops}'),)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "gb18030"])
def test_other_encodings_are_understood(encoding):
    """What an editor saved in another encoding is one fault, and is used as it was meant."""
    raw = json.dumps({**GOOD, "name": "\u809d\u810f"}, ensure_ascii=False).encode(encoding)
    found = understand(raw)

    assert ids(found) == ["json-syntax"]
    assert found.channels == ("CT",)
    assert found.content["name"] == "\u809d\u810f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{'a': 1}", {"a": 1}),
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ('{"a": 1, // why, [x]\n "b": 2, # so\n /* ,} */}', {"a": 1, "b": 2}),
        (
            '{"a": "// no, # no /* no */ ,}", "b": \'it\\\'s "so"\'}',
            {"a": "// no, # no /* no */ ,}", "b": 'it\'s "so"'},
        ),
        ('{"a": True, "b": None, "c": "None", "True": False}', {"a": True, "b": None, "c": "None", "True": False}),
        ('{"a": "x\\\\", "b": [1,\n\n]}', {"a": "x\\", "b": [1]}),
        ('{"a": "http://x/#y", "b": 1,}', {"a": "http://x/#y", "b": 1}),
    ],
)
def test_repair(text, expected):
    """What people and Python add to JSON is taken out, and texts are left alone."""
    assert expected == json.loads(repaired(text))


def test_double_keys():
    """A key that occurs twice is told with its lines, in labels too; a value of the same text is none."""
    text = json.dumps({**GOOD, "name": "file_ending"}, indent=0)
    text = text.replace('"numTraining"', '"file_ending": ".nrrd",\n"numTraining"').replace(
        '"tumour": 1', '"a": 1, "a": 1'
    )

    expected = (("json-duplicate-key", "a, lines 7, 7"), ("json-duplicate-key", "file_ending, lines 9, 11"))
    assert expected == understand(text.encode()).faults


# --- hostile -------------------------------------------------------------------------------------------------------

N = 40_000
HOSTILE = {
    "commas": b"[" + b"," * N,
    "commas and blanks": b"[1" + b", " * N,
    "comma before blanks": b"[1," + b" " * N + b"x",
    "quotes": b'"' * (N + 1),
    "escaped quotes": b'"' + b'\\"' * N,
    "escaped single quotes": b"'" + b"\\'" * N,
    "single quotes": b"'" * (N + 1),
    "backslashes": b"\\" * N,
    "slashes": b"[1," + b"/" * N + b"\nx",
    "hashes": b"[1," + b"#" * N + b"\nx",
    "comments": b"[1," + b"/**/" * N + b"x",
    "comments that stay open": b"[/*" * N,
    "words": b"True " * N,
    "brackets": b"]}" * N,
    "lists": b"[" + b"[]," * N + b"]",
    "nested": b"[" * N,
    "nested objects": b'{"a":' * N,
    "line ends": b"\n" * N + b"x",
    "double keys": b"{" + b",".join(b'"%d":1,\n"%d":2' % (n, n) for n in range(N // 4)) + b"}",
    "keys that resemble": b"{" + b",".join(b'"chanel_names%d":1' % n for n in range(N)) + b"}",
    "long key": b'{"' + b"channel_names" * N + b'":1}',
    "long reader": json.dumps({**GOOD, "overwrite_image_reader_writer": "SimpleITKI" * N}).encode(),
    "labels that are none": json.dumps({**GOOD, "labels": {str(n): f"x{n}" for n in range(N)} | {"b": "x"}}).encode(),
    "gaps": json.dumps({**GOOD, "labels": {"background": 0} | {f"x{n}": 2 * n + 2 for n in range(N)}}).encode(),
    "channels": json.dumps({**GOOD, "channel_names": {f"x{n}": n for n in range(N)}}).encode(),
    "cases": json.dumps({**GOOD, "dataset": {f"x{n}": n for n in range(N)}}).encode(),
    "regions": json.dumps(
        {
            **GOOD,
            "labels": {"background": 0} | {f"x{n}": [1, n + 2] for n in range(N // 4)} | {"all": [1, 2, N]},
            "regions_class_order": list(range(2, N // 4 + 2)),
        }
    ).encode(),
    "nested regions": json.dumps(
        {
            **GOOD,
            "labels": {"background": 0} | {f"x{n}": list(range(1, n + 3)) for n in range(300)},
            "regions_class_order": list(range(1, 301)),
        }
    ).encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_no_time(name):
    """Nothing that fits in a file takes longer than its length, and the report stays short."""
    begun = time.process_time()
    found = understand(HOSTILE[name])

    # quadratic work on texts of this length takes minutes
    assert time.process_time() - begun < 3
    assert found.faults
    assert len(found.faults) < 10 * description.MOST_FAULTS
    assert max(len(message) for _, message in found.faults) <= description.MOST_LETTERS


def test_text_that_is_too_long(monkeypatch):
    """A dataset.json of many megabytes is a fault, and is not read into objects."""
    monkeypatch.setattr(description, "MOST_BYTES", 10)

    assert understand(b'{"aaaaaaaaa": 1}').faults == (("json-syntax", "over 0 MB"),)


def deepest() -> int:
    """Return how many lists within lists JSON may hold: a thousand of them, or a hundred thousand since Python 3.13."""
    least, most = 100, 2_000_000
    while most - least > 1:
        depth = (least + most) // 2
        try:
            json.loads("[" * depth + "]" * depth)
            least = depth
        except RecursionError:
            most = depth
    return least


def test_values_nested_to_the_limit():
    """Values that are nested as deeply as JSON may be are shown or named, and raise nothing."""
    limit = deepest()
    depths = {*range(sys.getrecursionlimit() // 2, sys.getrecursionlimit(), 14), *range(limit - 30, limit + 3, 8)}
    texts = ["[" * depth + "]" * depth for depth in depths]
    found = {
        id
        for text in texts
        for key in ("channel_names", "labels", "numTraining", "file_ending", "dataset", "regions_class_order")
        for value in (text, f'{{"0": {text}}}', f'{{"background": 0, "a": [1, 2], "b": {text}}}')
        for id in ids(understand(f'{{"{key}": {value}}}'.encode()))
    }

    assert {"json-type", "json-labels", "json-syntax"} <= found


@pytest.mark.parametrize("number", ["9" * 4300, "-" + "9" * 4300, "1e308", "1e999", "-1e999", "NaN", "1e-320"])
def test_numbers_that_are_none(number):
    """Numbers of any size, at any place, are faults and raise nothing."""
    for key in ("channel_names", "labels", "file_ending", "dataset"):
        for value in (number, f'{{"0": {number}}}', f'{{"background": 0, "a": {number}, "ignore": 5}}', f"[{number}]"):
            text = json.dumps({**GOOD, key: "HERE"}).replace('"HERE"', value)
            found = understand(text.encode())

            assert set(ids(found)) & {"json-type", "json-labels"}, text


def test_surrogates():
    """Halves of letters, which JSON can hold and UTF-8 cannot, are understood as texts."""
    found = understand(b'{"channel_names": {"0": "\\ud800"}, "\\udfff": 1, "labels": {"background": 0, "\\ud83d": 1}}')

    assert found.channels == ("\ud800",)
    assert frozenset({0, 1}) == found.declared


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)
KEYS = st.sampled_from([*GOOD, "dataset", "regions_class_order", "overwrite_image_reader_writer"])


@given(raw=st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
@settings(max_examples=tries(150), deadline=None)
def test_any_bytes(raw):
    """Any bytes give a description, and one that says what is wrong with it."""
    assert understand(raw).faults


@given(changes=st.dictionaries(KEYS, JSON))
@settings(max_examples=tries(200), deadline=None)
def test_any_values(changes):
    """Any values give a description."""
    found = understand(json.dumps({**GOOD, **changes}).encode())

    assert found.content is not None
    assert changes == {} or {*GOOD, *changes} == set(found.content)


@given(st.data())
@settings(max_examples=tries(200), deadline=None)
def test_any_damage(data):
    """A good text with some bytes put in, taken out or changed gives a description."""
    raw = bytearray(json.dumps({**GOOD, "dataset": {"a": {"images": ["x"], "label": "y"}}}).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(start + 6, len(raw))))
        raw[start:end] = data.draw(
            st.sampled_from([b"", b",", b'"', b"'", b"#", b"//", b"/*", b"{", b"]", b"\xff", b"\n"])
        )

    assert isinstance(understand(bytes(raw)), Description)
