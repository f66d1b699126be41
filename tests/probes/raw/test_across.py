"""What comparing files shows: within a case, with dataset.json, and among all cases; and nothing on plausible data."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from nnunet_doctor.probes.raw import across
from nnunet_doctor.probes.raw.description import Description
from nnunet_doctor.probes.raw.record import FileReport, Header, Tally
from nnunet_doctor.probes.raw.structure import Case, Structure

LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
LABELS = {"background": (0,), "organ": (1,), "tumour": (2,)}
BLOBS = [(0.0, 900), (1.0, 90), (2.0, 10)]


def header(shape=(64, 64, 30), spacing=(1.0, 1.0, 3.0), origin=(0.0, 0.0, 0.0), direction=LPS, dtype="<i2", **more):
    """Return a header as ITK would have it."""
    return Header("nifti", shape, more.pop("channels", 1), dtype, spacing, origin, direction, **more)


def image(lowest=-1024.0, highest=1500.0, content="", faults=(), **fields):
    """Return the report of an image whose voxels were decoded."""
    tally = None if lowest is None else Tally(lowest=lowest, highest=highest)
    return FileReport(header(**fields), list(faults), tally, content, sums="" if tally is None else content)


def label(values=BLOBS, content="", faults=(), **fields):
    """Return the report of a label whose voxels were counted."""
    fields = {"dtype": "|u1", **fields}
    values = [(float(value), count) for value, count in values]
    tally = Tally(values, lowest=min(values)[0], highest=max(values)[0]) if values else Tally()
    return FileReport(header(**fields), list(faults), tally, content, sums=content)


@pytest.fixture
def compared():
    """Return what is found when a dataset of made-up reports is compared: messages by id and subject."""

    def compared(reports, same=None, ending=".nii.gz", channels=("CT",), labels=LABELS, lost=0, reader=None):
        ids = sorted({path.partition("/")[2].split("_", 1)[0].partition(".")[0] for path in reports})
        cases = []
        for id in ids:
            images = {n: path for n in range(9) if (path := f"imagesTr/{id}_{n:04d}{ending}") in reports}
            path = f"labelsTr/{id}{ending}"
            cases.append(Case(id, images, path if path in reports else None))
        structure = Structure(cases, lost)
        description = Description(channels=channels, labels=labels, reader=reader)
        across.compare(structure, description, reports, same or (lambda *_: pytest.fail("files are compared")))
        return {id: dict(items) for id, items in structure.found.items() if items}

    return compared


def dataset(count=6, images=1, **changes):
    """Return sound reports of some cases, with changes named by role and file."""
    reports = {}
    for number in range(count):
        for channel in range(images):
            reports[f"imagesTr/c{number}_{channel:04d}.nii.gz"] = image(content=f"voxels {number} {channel}")
        reports[f"labelsTr/c{number}.nii.gz"] = label(content=f"voxels label {number}")
    for name, report in changes.items():
        where = "labelsTr" if name.startswith("label_") else "imagesTr"
        path = f"{where}/{name.partition('_')[2]}.nii.gz"
        assert path in reports
        reports[path] = report
    return reports


def test_sound(compared):
    """A sound dataset is without fault, with one channel or several."""
    assert compared(dataset()) == {}
    assert compared(dataset(images=3), channels=("T1", "T2", "T3")) == {}


# --- within a case -------------------------------------------------------------------------------------------------

MOVED = (0.0, 0.0, 7.5)
TURNED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("fields", "id", "message"),
    [
        ({"shape": (64, 64, 31)}, "shape-mismatch", "64 x 64 x 31; unlike 64 x 64 x 30 in imagesTr/c2_0000.nii.gz"),
        ({"shape": (64, 64)}, "shape-mismatch", "64 x 64; unlike 64 x 64 x 30 in imagesTr/c2_0000.nii.gz"),
        ({"spacing": (1.0, 1.0, 3.1)}, "spacing-mismatch", "1, 1, 3.1; unlike 1, 1, 3 in imagesTr/c2_0000.nii.gz"),
        ({"origin": MOVED}, "origin-mismatch", "0, 0, 7.5; unlike 0, 0, 0 in imagesTr/c2_0000.nii.gz, 7.5 mm away"),
        (
            {"direction": TURNED},
            "direction-mismatch",
            "-1, 0, 0, 0, 1, 0, 0, 0, 1; unlike 1, 0, 0, 0, 1, 0, 0, 0, 1 in imagesTr/c2_0000.nii.gz",
        ),
    ],
)
def test_label_that_differs(compared, fields, id, message):
    """A label that lies elsewhere than its image is named, with both and what they differ by."""
    assert compared(dataset(label_c2=label(**fields))) == {id: {"labelsTr/c2.nii.gz": message}}


@pytest.mark.parametrize("odd", ["imagesTr/c2_0000.nii.gz", "imagesTr/c2_0001.nii.gz", "labelsTr/c2.nii.gz"])
@pytest.mark.parametrize(
    "fields", [{"shape": (64, 64, 31)}, {"spacing": (1.0, 1.0, 3.1)}, {"origin": MOVED}, {"direction": TURNED}]
)
def test_majority(compared, odd, fields):
    """Of three files the one that differs is named, whichever it is."""
    reports = dataset(images=2)
    reports[odd] = (label if odd.startswith("labels") else image)(**fields)
    found = compared(reports, channels=("a", "b"))

    assert list(found[f"{next(iter(fields))}-mismatch"]) == [odd]


def test_all_that_differs(compared):
    """A file that differs in everything is named for each, and for the shape alone when its axes are fewer."""
    differs = {"shape": (9, 9, 9), "spacing": (2.0, 2.0, 2.0), "origin": MOVED, "direction": TURNED}
    flat = {"shape": (9, 9), "spacing": (2.0, 2.0), "origin": (5.0, 5.0), "direction": (1.0, 0.0, 0.0, 1.0)}

    assert len(compared(dataset(label_c1=label(**differs)))) == 4
    assert list(compared(dataset(label_c1=label(**flat)))) == ["shape-mismatch"]


@pytest.mark.parametrize("parts", [1e-9, 5e-6, 9e-6, 1.1e-5, 1e-4])
@pytest.mark.parametrize("name", ["spacing", "origin"])
def test_tolerance_is_that_of_nnunet(compared, name, parts):
    """Label and image may differ by as much as numpy.allclose lets pass, and no more."""
    values = (1.3, 2.7, 3.1)
    changed = (1.3, 2.7, 3.1 * (1 + parts))
    found = compared(dataset(image_c1_0000=image(**{name: values}), label_c1=label(**{name: changed})))

    assert (f"{name}-mismatch" in found) == (not np.allclose(changed, values))


def test_channels_may_not_differ_at_all(compared):
    """Spacings of the channels of a case are compared to the last bit, as nnU-Net does, which stops otherwise."""
    nearly = float(np.nextafter(3.0, 4.0))
    reports = dataset(images=2, image_c1_0001=image(spacing=(1.0, 1.0, nearly)))
    found = compared(reports, channels=("a", "b"))

    assert {id: list(items) for id, items in found.items()} == {"spacing-mismatch": ["imagesTr/c1_0001.nii.gz"]}
    reports = dataset(images=2, label_c1=label(spacing=(1.0, 1.0, nearly)))
    assert compared(reports, channels=("a", "b")) == {}


def test_grids_that_are_not_known(compared):
    """A file without a known origin, or that could not be read, is compared in what is known of it."""
    assert compared(dataset(label_c1=label(origin=(), direction=()))) == {}
    broken = FileReport(faults=[("unreadable", "0 bytes")])
    assert compared(dataset(label_c1=broken)) == {"unreadable": {"labelsTr/c1.nii.gz": "0 bytes"}}
    assert compared(dataset(image_c1_0000=broken)) == {"unreadable": {"imagesTr/c1_0000.nii.gz": "0 bytes"}}


# --- channels ------------------------------------------------------------------------------------------------------


def pictures(count, channels, labels=1):
    """Return reports of pictures with this many channels."""
    flat = {"shape": (64, 48), "spacing": (), "origin": (), "direction": (), "dtype": "|u1"}
    reports = {}
    for number in range(count):
        reports[f"imagesTr/c{number}_0000.png"] = image(0.0, 255.0, f"voxels {number}", channels=channels, **flat)
        reports[f"labelsTr/c{number}.png"] = label(content=f"voxels label {number}", channels=labels, **flat)
    return reports


def replaced(report, **fields):
    """Return a report like another, with other fields of its header."""
    return FileReport(msgspec.structs.replace(report.header, **fields), [], report.tally, "other", sums="other")


def test_channels_of_pictures(compared):
    """Red, green and blue are three channels; behind one declared channel they are two too many."""
    rgb = ("R", "G", "B")

    assert compared(pictures(5, 3), ending=".png", channels=rgb) == {}
    found = compared(pictures(1, 3), ending=".png", channels=("grey",))
    assert found == {"channel-count": {"imagesTr/c0_0000.png": "3 in the file; 1 expected"}}
    found = compared(pictures(1, 4), ending=".png", channels=rgb)
    assert found == {"channel-count": {"imagesTr/c0_0000.png": "4 in the file; 3 expected"}}


def test_colours_beside_grey(compared):
    """nnU-Net refuses a case of a colour and a grey picture, though they hold as many channels as are declared."""
    reports = pictures(1, 3)
    reports["imagesTr/c0_0001.png"] = replaced(reports["imagesTr/c0_0000.png"], channels=1)
    found = compared(reports, ending=".png", channels=("R", "G", "B", "infrared"))

    assert found == {"channel-count": {"imagesTr/c0_0001.png": "1 in the file; imagesTr/c0_0000.png has 3"}}


def test_as_many_channels_in_each_file(compared):
    """Two colour pictures of one case are six channels."""
    reports = pictures(1, 3)
    reports["imagesTr/c0_0001.png"] = replaced(reports["imagesTr/c0_0000.png"])

    assert compared(reports, ending=".png", channels=tuple("RGBHSV")) == {}


# --- labels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(0, 9), (1, 1), (3, 5), (255, 2)], {"label-unexpected": "value (voxels): 3 (5), 255 (2)"}),
        ([(-1, 4), (0, 9), (1, 1), (2, 1)], {"label-unexpected": "value (voxels): -1 (4)"}),
        ([(0, 9), (0.5, 3), (1, 1), (2, 1)], {"label-unexpected": "value (voxels): 0.5 (3)"}),
        (
            [(0, 9), *((value, 1) for value in range(1, 13))],
            {"label-unexpected": f"value (voxels): {', '.join(f'{n} (1)' for n in range(3, 11))}; more values: 2"},
        ),
        ([(0, 1000)], {"label-empty": ""}),
        ([(1, 500), (2, 500)], {"label-no-background": ""}),
        ([(1, 500), (2.0, 500), (7, 1)], {"label-unexpected": "value (voxels): 7 (1)", "label-no-background": ""}),
    ],
)
def test_values_of_a_label(compared, values, expected):
    """Values that are not declared are named with how often they occur; so are labels of one kind only."""
    found = compared(dataset(label_c1=label(values)))

    assert found == {id: {"labelsTr/c1.nii.gz": message} for id, message in expected.items()}


def test_label_with_an_ignore_value():
    """The ignore label is a value like the others, and need not occur."""
    structure = Structure([Case("c0", {0: "i"}, "l"), Case("c1", {0: "j"}, "m")])
    description = Description(channels=("CT",), labels=LABELS, ignore=3)
    reports = {"l": label([*BLOBS, (3, 5)]), "m": label(), "i": image(), "j": image(highest=9.0)}
    across.compare(structure, description, reports, lambda *_: False)

    assert structure.found == {}


def test_label_with_a_scaling(compared):
    """Values are compared as the reader delivers them, rounding of the slope included."""
    scaled = label([(0, 9), (85, 1), (170, 1)], slope=float(np.float32(1 / 85)))

    assert compared(dataset(label_c1=scaled)) == {}


def test_label_of_too_many_values(compared):
    """A label with thousands of values is named with their range; which of them were counted is nobody's concern."""
    tally = Tally([(float(value), 1) for value in range(1024)], distinct_over=True, lowest=-5.0, highest=4000.0)
    found = compared(dataset(label_c1=FileReport(header(), tally=tally)))

    assert found["label-unexpected"] == {"labelsTr/c1.nii.gz": "over 1024 values, -5 to 4000"}


def test_label_of_nan(compared):
    """NaN in a label is a value that is not declared; a label stored in floats with fractions is one finding."""
    report = label([*BLOBS, (0.5, 1)], dtype="<f4", faults=[("label-float", "float32")])
    report.tally.nans, report.tally.infs = 2, 1

    assert compared(dataset(label_c1=report)) == {
        "label-unexpected": {"labelsTr/c1.nii.gz": "value (voxels): 0.5 (1); NaN or infinite voxels: 3"}
    }


def test_label_that_is_the_image(compared):
    """A label with the voxels of its image is that image."""
    tally = Tally([(float(value), 1) for value in range(20)], lowest=0.0, highest=19.0)
    reports = dataset(
        image_c1_0000=image(content="voxels x"), label_c1=FileReport(header(), [], tally, sums="voxels x")
    )

    assert compared(reports)["label-is-image"] == {"labelsTr/c1.nii.gz": "= imagesTr/c1_0000.nii.gz"}


def with_values(values, count=6, **changes):
    """Return a dataset in which all labels hold these values."""
    return dataset(
        count, **{f"label_c{number}": label(values, f"voxels {number}") for number in range(count)} | changes
    )


def test_classes(compared):
    """A class that is in no label, or in one, is named; when there is no foreground at all, that alone is said."""
    no_tumour = [(0, 9), (1, 1)]

    assert compared(with_values(no_tumour)) == {"class-never-occurs": {"dataset.json": "tumour = 2"}}
    found = compared(with_values(no_tumour, label_c3=label(BLOBS)))
    assert found == {"class-in-one-case": {"labelsTr/c3.nii.gz": "tumour = 2"}}
    found = compared(with_values([(0, 10)]))
    assert found.pop("no-foreground") == {"labelsTr": "labels: 6, all background"}
    assert list(found) == ["label-empty"]


def test_regions(compared):
    """A value of several regions is named by all of them."""
    labels = {"background": (0,), "whole": (1, 2), "core": (2,)}

    found = compared(with_values([(0, 9), (1, 1)]), labels=labels)
    assert found == {"class-never-occurs": {"dataset.json": "whole, core = 2"}}


@pytest.mark.parametrize("what", ["damaged", "missing", "lost", "colours"])
def test_classes_where_a_label_is_not_counted(compared, what):
    """Whether a class occurs is not said when it may be in a label that could not be counted."""
    reports = with_values([(0, 9), (1, 1)])
    if what == "damaged":
        reports["labelsTr/c1.nii.gz"].faults.append(("unreadable", "cut"))
    elif what == "missing":
        del reports["labelsTr/c1.nii.gz"]
    elif what == "colours":
        reports["labelsTr/c1.nii.gz"] = label(channels=3, faults=[("label-channels", "3 channels")])

    found = compared(reports, lost=int(what == "lost"))
    assert set(found) <= {"unreadable", "label-channels"}


def test_many_classes(compared):
    """Thousands of declared classes are looked for without end, but in no time."""
    labels = {"background": (0,)} | {f"x{value}": (value,) for value in range(1, 20_000)}

    assert compared(dataset(), labels=labels)["class-never-occurs"] == {"dataset.json": "x19999 = 19999"}


# --- duplicates ----------------------------------------------------------------------------------------------------


def test_duplicates(compared):
    """Two cases with the same voxels name each other; which is which is told by the whole fingerprint."""
    reports = dataset(image_c4_0000=image(content="voxels 1 0"), label_c5=label(content="voxels label 0"))

    assert compared(reports) == {
        "duplicate-image": {
            "imagesTr/c1_0000.nii.gz": "= imagesTr/c4_0000.nii.gz",
            "imagesTr/c4_0000.nii.gz": "= imagesTr/c1_0000.nii.gz",
        },
        "duplicate-label": {"labelsTr/c0.nii.gz": "= labelsTr/c5.nii.gz", "labelsTr/c5.nii.gz": "= labelsTr/c0.nii.gz"},
    }


@pytest.mark.parametrize("is_same", [True, False])
def test_duplicates_by_a_short_fingerprint(compared, is_same):
    """Short fingerprints that agree are a reason to compare the files, and no more."""
    asked = []

    def same(one, other):
        asked.append((one, other))
        return is_same

    reports = dataset(image_c1_0000=image(None, content="gzip ab"), image_c4_0000=image(None, content="gzip ab"))
    found = compared(reports, same)
    assert asked == [("imagesTr/c1_0000.nii.gz", "imagesTr/c4_0000.nii.gz")]
    assert list(found) == (["duplicate-image"] if is_same else [])


def test_what_is_no_duplicate(compared):
    """Empty labels, images of one value, and the channels of one case may be alike; so may other shapes."""
    empty = label([(0, 9)], "voxels e")
    blank = image(0.0, 0.0, "voxels b")
    reports = dataset(
        images=2,
        image_c1_0000=image(content="voxels x"),
        image_c1_0001=image(content="voxels x"),
        image_c2_0000=blank,
        image_c3_0000=blank,
        image_c4_0000=image(content="voxels y"),
        image_c5_0000=image(content="voxels y", shape=(30, 64, 64)),
        label_c2=empty,
        label_c3=empty,
        label_c5=label(shape=(30, 64, 64)),
        image_c5_0001=image(shape=(30, 64, 64)),
    )

    assert set(compared(reports, channels=("a", "b"))) == {"label-empty"}


# --- far from the others -------------------------------------------------------------------------------------------


def images_only(*fields):
    """Return one image for each set of fields."""
    return {
        f"imagesTr/c{number:03d}_0000.nii.gz": image(content=f"voxels {number}", **each)
        for number, each in enumerate(fields)
    }


@pytest.mark.parametrize("seed", range(20))
def test_no_alarm_on_ct(compared, seed):
    """CT of any scanner, 0.5 to 1 mm in the plane, 0.5 to 5 mm slices, 150 to 1000 mm long, are no outliers."""
    randomly = random.Random(seed)  # noqa: S311 - no secret
    fields = []
    for _ in range(40):
        size, slice_mm = (
            randomly.uniform(0.5, 1.0),
            randomly.choice([0.7, 0.8, 1.0, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 5.0]),
        )
        fields.append(
            {
                "shape": (512, 512, max(40, int(randomly.uniform(250, 800) / slice_mm))),
                "spacing": (size, size, slice_mm),
            }
        )

    assert compared(images_only(*fields)) == {}


@pytest.mark.parametrize("seed", range(20))
def test_no_alarm_on_mr(compared, seed):
    """MR of several vendors, thin or thick slices, small or large, scaled from 300 to 30000, are no outliers."""
    randomly = random.Random(seed)  # noqa: S311 - no secret
    fields = []
    for _ in range(40):
        size, slice_mm = randomly.choice([0.4, 0.5, 0.9, 1.0]), randomly.choice([0.9, 1.0, 3.0, 4.0, 5.0])
        plane = int(randomly.uniform(160, 256) / size)
        fields.append(
            {
                "shape": (plane, plane, int(randomly.uniform(120, 200) / slice_mm)),
                "spacing": (size, size, slice_mm),
                "lowest": randomly.choice([0.0, 0.0, -3.0]),
                "highest": randomly.choice([300.0, 1200.0, 4095.0, 30000.0]),
            }
        )

    assert compared(images_only(*fields), channels=("T1",)) == {}


def test_no_alarm_on_pictures(compared):
    """Photographs of 500 to 4000 pixels are no outliers among each other."""
    flat = {"spacing": (), "origin": (), "direction": (), "lowest": 0.0, "highest": 255.0}
    shapes = [(640, 480), (1024, 768), (767, 1022), (4288, 2848), (1500, 1100), (600, 450)]

    assert compared(images_only(*({"shape": shape, **flat} for shape in shapes)), channels=("R",)) == {}


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ({"spacing": (10.0, 10.0, 30.0)}, {"spacing-outlier": "10, 10, 30; median 1, 1, 3"}),
        ({"spacing": (0.01, 0.02, 0.03)}, {"spacing-outlier": "0.01, 0.02, 0.03; median 1, 1, 3"}),
        ({"spacing": (0.001, 0.001, 0.003)}, {"bad-spacing": "0.001, 0.001, 0.003; median 1, 1, 3"}),
        ({"spacing": (1000.0, 1000.0, 3000.0)}, {"bad-spacing": "1000, 1000, 3000; median 1, 1, 3"}),
        ({"shape": (64, 64, 3)}, {"shape-outlier": "64 x 64 x 3; median 64 x 64 x 30"}),
        ({"shape": (64, 64, 600)}, {"shape-outlier": "64 x 64 x 600; median 64 x 64 x 30"}),
        ({"shape": (64, 64, 180), "spacing": (1.0, 1.0, 0.5)}, {}),
        ({"direction": TURNED}, {"orientation-mixed": "RPS; most are LPS"}),
        ({"spacing": (1e-5, 1.0, 3.0), "faults": [("bad-spacing", "x")]}, {"bad-spacing": "x"}),
        ({"spacing": (1000.0, 1000.0, 3000.0), "faults": [("units", "metre")]}, {"units": "metre"}),
    ],
)
def test_far_out(compared, odd, expected):
    """Wrong units, localisers and turned images are named; more slices because they are thinner are none of these."""
    found = compared(images_only(*[{}] * 6, odd))

    assert found == {id: {"imagesTr/c006_0000.nii.gz": message} for id, message in expected.items()}


def test_few_are_not_far_out(compared):
    """Of four images none is far from the others."""
    assert compared(images_only({}, {}, {}, {"spacing": (10.0, 10.0, 30.0)})) == {}


def test_orientation_of_nibabel(compared):
    """Axes are named by what they mean to the reader: nibabel's point to the right, anterior and superior."""
    reports = {
        path.replace(".gz", ""): report for path, report in images_only(*[{}] * 6, {"direction": TURNED}).items()
    }

    found = compared(reports, ending=".nii")
    assert found == {"orientation-mixed": {"imagesTr/c006_0000.nii": "LAS; most are RAS"}}


# --- kinds ---------------------------------------------------------------------------------------------------------


def test_mixed_kinds(compared):
    """Two MR among CT are named, and so is one CT among MR; a few CT without air are no proof."""
    ct, mr = {"lowest": -1024.0, "highest": 1900.0}, {"lowest": 0.0, "highest": 900.0}

    assert list(compared(images_only(*[ct] * 6, mr, mr))["channels-mixed"]) == [
        "imagesTr/c006_0000.nii.gz",
        "imagesTr/c007_0000.nii.gz",
    ]
    assert list(compared(images_only(*[mr] * 6, ct), channels=("MR",))["channels-mixed"]) == [
        "imagesTr/c006_0000.nii.gz"
    ]
    cropped = {"lowest": -160.0, "highest": 240.0}
    assert compared(images_only(*[ct] * 6, cropped)) == {}
    assert compared(images_only(ct, ct, mr)) == {}


def test_scaled_kinds(compared):
    """Values are compared as they are delivered: slope and intercept make the same CT of other numbers."""
    stored = {"lowest": 0.0, "highest": 3000.0, "dtype": "<u2", "intercept": -1024.0}

    assert compared(images_only(*[{}] * 6, stored)) == {}


def test_far_brighter(compared):
    """An image a thousand times as bright as the others is named."""
    found = compared(
        images_only(*[{"lowest": 0.0, "highest": 800.0}] * 6, {"lowest": 0.0, "highest": 3e6}), channels=("T1",)
    )

    assert list(found["channels-mixed"]) == ["imagesTr/c006_0000.nii.gz"]


def test_ct_that_is_none(compared):
    """A channel CT whose values all lie between 0 and 255 holds no Hounsfield units."""
    windowed = {"lowest": 0.0, "highest": 255.0}

    assert compared(images_only(*[windowed] * 6)) == {
        "channel-normalisation": {"dataset.json": "0: CT; values 0 to 255"}
    }
    assert compared(images_only(*[windowed] * 6), channels=("T1",)) == {}
