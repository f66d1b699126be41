"""A picture shows where the label lies on the image, in few bytes, and no file can keep the report from being made."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import planted
import pytest
import tifffile
from copies import Copy
from made_up import clean_environ
from PIL import Image
from planted import FAULTS, VICTIM, Fault, sitk
from together import together

from nnunet_doctor.cli import main
from nnunet_doctor.probes.raw.cases import gather
from nnunet_doctor.probes.raw.picture import COLOURS, LONGER_SIDE, Picture, picture_of
from nnunet_doctor.probes.raw.record import Task
from nnunet_doctor.probes.raw.survey import Means, survey_dataset

BRIGHT, LABEL = (slice(10, 20), slice(30, 50)), (slice(12, 18), slice(34, 46))
SHAPE = (40, 60)


def slices(dtype: str = "int16") -> tuple[np.ndarray, np.ndarray]:
    """Return image and label (z, y, x): a bright block in the fifth of nine slices, with a smaller label in it."""
    image, label = np.full((9, *SHAPE), 10, dtype), np.zeros((9, *SHAPE), "uint8")
    image[(4, *BRIGHT)], label[(4, *LABEL)] = 200, 2
    return image, label


def later() -> float:
    return time.monotonic() + 60


def pixels(picture: Picture) -> np.ndarray:
    """Return the picture as red, green and blue."""
    content = base64.b64decode(picture.png)

    assert len(content) < 30_000
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def write(folder: Path, ending: str, image: np.ndarray, label: np.ndarray) -> tuple[str, str]:
    paths = folder / f"image{ending}", folder / f"label{ending}"
    for path, content in zip(paths, (image, label), strict=True):
        if ending in (".png", ".bmp"):
            Image.fromarray(content).save(path)
        elif ending == ".tif":
            tifffile.imwrite(path, content)
        else:
            sitk.WriteImage(sitk.GetImageFromArray(content), str(path))
    return str(paths[0]), str(paths[1])


WAYS: dict[str, tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = {
    "nii.gz": (".nii.gz", "SimpleITKIO", lambda image: image),
    "nii": (".nii", "NibabelIO", lambda image: image.astype("float32")),
    "nrrd": (".nrrd", "SimpleITKIO", lambda image: image),
    "mha": (".mha", "SimpleITKIO", lambda image: image.astype("float64")),
    "tif": (".tif", "Tiff3DIO", lambda image: image.astype("uint16")),
    "big-endian tif": (".tif", "Tiff3DIO", lambda image: image.astype(">u2")),
    "png": (".png", "NaturalImage2DIO", lambda image: image[4].astype("uint8")),
    "bmp in colour": (".bmp", "NaturalImage2DIO", lambda image: np.repeat(image[4].astype("uint8")[..., None], 3, -1)),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_label_lies_where_it_is(tmp_path: Path, way: str) -> None:
    """In each format the slice is the middle one of the label, and image and outline are at their place."""
    ending, reader, of = WAYS[way]
    image, label = slices()
    paths = write(tmp_path, ending, of(image), label[4] if ending in (".png", ".bmp") else label)
    picture = picture_of(*(Task(path, role, reader, "all") for path, role in zip(paths, ("image", "label"))), later())  # type: ignore[arg-type]  # noqa: B905
    shown = pixels(picture).astype(int)
    outline = np.all(shown == [int(COLOURS[1][at : at + 2], 16) for at in (1, 3, 5)], axis=-1)
    scale = LONGER_SIDE / 60
    rows, columns = np.nonzero(outline[int(12 * scale) :])

    assert (picture.reason, picture.values, picture.width, picture.height) == ("", (2.0,), 224, round(40 * scale))
    assert (picture.number, picture.slices) == ((1, 1) if ending in (".png", ".bmp") else (5, 9))
    assert shown[int(11 * scale), int(31 * scale)].tolist() == [255, 255, 255]
    assert shown[int(30 * scale), int(5 * scale)].tolist() == [0, 0, 0]
    assert (columns.min() / scale, (columns.max() + 1) / scale) == pytest.approx((34, 46), abs=0.5)
    assert rows.max() / scale + 12 == pytest.approx(18, abs=0.5)


def test_millimetres_are_as_long_along_both_sides(tmp_path: Path) -> None:
    """A slice of 100 x 100 voxels of 1 x 4 mm is four times as high as wide."""
    image = sitk.GetImageFromArray(np.zeros((3, 100, 100), "uint8"))
    image.SetSpacing((1, 4, 1))
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    picture = picture_of(Task(str(tmp_path / "a.nii.gz"), "image", "SimpleITKIO", "all"), None, later())

    assert (picture.width, picture.height) == (56, 224)


def test_noise_is_small(tmp_path: Path) -> None:
    """The largest picture, of nothing but noise, with many labels, keeps to 30 kB."""
    noise = np.random.default_rng(1)
    image, label = noise.normal(size=(3, 300, 300)).astype("f4"), noise.integers(0, 200, (3, 300, 300)).astype("u1")
    paths = write(tmp_path, ".nii.gz", image, label)
    picture = picture_of(
        Task(paths[0], "image", "SimpleITKIO", "all"), Task(paths[1], "label", "SimpleITKIO", "all"), later()
    )

    assert pixels(picture).shape == (224, 224, 3)


def test_no_number_is_no_trouble(tmp_path: Path) -> None:
    """NaN and infinity in an image are drawn as something."""
    image, label = slices("float32")
    image[4, 0, :5], image[4, 1, :5] = np.nan, np.inf
    paths = write(tmp_path, ".nii.gz", image, label)
    picture = picture_of(Task(paths[0], "image", "SimpleITKIO", "all"), None, later())

    assert picture.reason == ""
    assert pixels(picture).max() == 255


def test_a_label_of_another_shape_is_not_drawn(tmp_path: Path) -> None:
    """The image is shown all the same, with the reason."""
    image, label = slices()
    paths = write(tmp_path, ".nii.gz", image, label[:-1])
    picture = picture_of(
        Task(paths[0], "image", "SimpleITKIO", "all"), Task(paths[1], "label", "SimpleITKIO", "all"), later()
    )

    assert (picture.reason, picture.number) == ("other-shape", 5)
    assert picture.png


def test_time_ends(tmp_path: Path) -> None:
    """When the time for pictures is over, the rest have none, and say why."""
    paths = write(tmp_path, ".nii.gz", *slices())
    picture = picture_of(Task(paths[0], "image", "SimpleITKIO", "all"), None, time.monotonic() - 1)

    assert picture == Picture(reason="no-time")


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Of 160 MB one slice and a few pieces are held at a time."""
    path = tmp_path / "a.nii"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((1, 512, 512), "int16")), str(path))
    header = bytearray(path.read_bytes()[:352])
    header[46:48] = (300).to_bytes(2, "little")
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(352 + 300 * 512 * 512 * 2)
    task = Task(str(path), "image", "NibabelIO", "all")
    tracemalloc.start()
    picture = picture_of(task, Task(str(path), "label", "NibabelIO", "all"), later())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (picture.reason, picture.slices) == ("", 300)
    assert peak < 24 * 1024**2


def test_countless_slices_are_not_counted(tmp_path: Path) -> None:
    """A file of a hundred million slices of one voxel is refused before it is read."""
    path = tmp_path / "a.mha"
    head = "NDims = 3\nDimSize = 1 1 100000000\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    path.write_text(f"ObjectType = Image\n{head}", encoding="ascii")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 100_000_000)
    task = Task(str(path), "image", "SimpleITKIO", "all")

    assert picture_of(task, task, later()) == Picture(reason="more than 100000 slices")


BASES = [base for base in planted.CLEAN if base not in ("large", "paths-elsewhere", "labels-stored-large")]


@pytest.mark.parametrize("base", BASES)
def test_cases_of_sound_datasets_have_pictures(tmp_path: Path, base: str) -> None:
    """In all formats and oddities that nnU-Net takes, a case is shown with the outlines of its label."""
    folder = planted.build(base, tmp_path)
    found = survey_dataset(str(folder), "quick", Means(caches=False))
    label = next(case.label for case in found.cases if case.label)
    (picture,) = gather(str(folder), found, [label]).pictures.values()

    assert (picture.reason, bool(picture.png)) == ("", True)
    assert len(pixels(picture)) == picture.height


OF_CT = [fault for fault in FAULTS if fault.base == "ct" and not fault.needs]
FIRST = list({fault.id: fault for fault in reversed(OF_CT)}.values())
"""One fault for each check that can find it."""


@together("fault", FIRST, lambda fault: fault.name)
def test_no_kind_of_fault_stops_a_picture(copy: Copy, fault: Fault) -> None:
    """Whatever is wrong with a file, there is a picture, or the reason why not."""
    draw(copy, fault)


@pytest.mark.slow
@together("fault", OF_CT, lambda fault: fault.name)
def test_no_fault_stops_a_picture(copy: Copy, fault: Fault) -> None:
    """So it is with every single fault."""
    draw(copy, fault)


def draw(copy: Copy, fault: Fault) -> None:
    """See that a picture is drawn of a file with a fault, or that it is said why not."""
    copy.mend()
    folder = copy.folder / planted.DATASET
    fault.plant(folder)
    reader = "SimpleITKIO"
    image, label = (Task(str(folder / path), role, reader, "all") for path, role in _victim())  # type: ignore[arg-type]
    picture = picture_of(image, label, later())

    assert bool(picture.png) or picture.reason != ""
    assert len(picture.png) < 40_000


def _victim() -> tuple[tuple[str, str], tuple[str, str]]:
    return (f"imagesTr/{VICTIM}_0000.nii.gz", "image"), (f"labelsTr/{VICTIM}.nii.gz", "label")


@pytest.fixture(scope="module")
def copy(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Return a copy of it that may be spoilt, and is mended before it is used."""
    return Copy(pristine, tmp_path_factory.mktemp("copy") / "ct")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder above a clean dataset that nobody changes."""
    folder = tmp_path_factory.mktemp("ct")
    planted.build("ct", folder)
    return folder


# --- the facts of cases --------------------------------------------------------------------------------------------


def test_facts_of_cases_are_those_of_the_survey(pristine: Path) -> None:
    """Shape, spacing, intensities and label counts of each case, as a reader delivers them; names from dataset.json."""
    folder = pristine / planted.DATASET
    found = survey_dataset(str(folder), "deep", Means(caches=False))
    known = gather(str(folder), found, [])
    image = sitk.ReadImage(str(folder / f"imagesTr/{VICTIM}_0000.nii.gz"))
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"labelsTr/{VICTIM}.nii.gz")))
    values = sitk.GetArrayFromImage(image)
    case = next(case for case in known.cases if case.id == VICTIM)

    assert case.shape == image.GetSize()
    assert case.spacing == pytest.approx(image.GetSpacing())
    assert case.ranges == {0: (values.min(), values.max())}
    assert case.labels == dict(zip(*np.unique(label, return_counts=True), strict=True))
    assert (known.channels, sorted(known.names)) == ({0: "CT"}, [0, 1, 2])


def test_pictures_are_of_named_cases_in_their_order(pristine: Path) -> None:
    """Each case once, at most so many, and names of nothing are passed over."""
    folder = pristine / planted.DATASET
    found = survey_dataset(str(folder), "quick", Means(caches=False))
    names = [
        "dataset.json",
        "labelsTr/case_004.nii.gz",
        "imagesTr/case_002_0000.nii.gz",
        "imagesTr/case_004_0000.nii.gz",
    ]

    assert list(gather(str(folder), found, names).pictures) == ["case_004", "case_002"]
    assert list(gather(str(folder), found, names, 1).pictures) == ["case_004"]


def named_all(folder: Path) -> list[str]:
    return [f"labelsTr/{path.name}" for path in sorted((folder / "labelsTr").iterdir())]


@pytest.mark.parametrize(("assured", "drawn"), [(1, 1), (2, 2), (1000, 3)])
def test_few_pictures_are_drawn_though_there_is_no_time(pristine: Path, assured: int, drawn: int) -> None:
    """A page comes within a second: one picture for each of a few findings is drawn, and the others are counted."""
    folder = pristine / planted.DATASET
    found = survey_dataset(str(folder), "quick", Means(caches=False))
    known = gather(str(folder), found, named_all(folder), assured=assured, seconds=0.0)

    assert [bool(picture.png) for picture in known.pictures.values()] == [True] * drawn
    assert (known.undrawn, known.hurried) == (6 - drawn, True)


def test_what_is_beyond_the_most_is_counted_too(pristine: Path) -> None:
    """Cases for which there is time, and no room, are no reason to ask for more time."""
    folder = pristine / planted.DATASET
    found = survey_dataset(str(folder), "quick", Means(caches=False))
    known = gather(str(folder), found, named_all(folder), 4)

    assert (len(known.pictures), known.undrawn, known.hurried) == (4, 2, False)


def test_several_threads_draw_what_one_draws(pristine: Path) -> None:
    """However many draw at once, pictures are the same and in the same order."""
    folder = pristine / planted.DATASET
    found = survey_dataset(str(folder), "quick", Means(caches=False))
    one, several = (gather(str(folder), found, named_all(folder), threads=threads) for threads in (1, 4))

    assert list(one.pictures.items()) == list(several.pictures.items())
    assert len(one.pictures) == 6


@pytest.fixture(scope="module")
def undecoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of four cases of so many voxels that a check does not decode its images."""
    folder = tmp_path_factory.mktemp("large") / "Dataset001_Large"
    labels, noise = {"background": 0, "x": 1}, np.random.default_rng(1)
    description = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 4, "file_ending": ".nii.gz"}
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    for number in range(4):
        image = noise.integers(-1000, 1000 + 100 * number, (20, 256, 256)).astype("int16")
        label = (image > 1500 - number).astype("uint8")
        sitk.WriteImage(sitk.GetImageFromArray(image), str(folder / f"imagesTr/c{number}_0000.nii.gz"))
        sitk.WriteImage(sitk.GetImageFromArray(label), str(folder / f"labelsTr/c{number}.nii.gz"))
    return folder


def test_intensities_of_some_images_are_known_without_deep(undecoded: Path) -> None:
    """Images that a check need not decode are decoded while there is time, and their ranges are those of all voxels."""
    found = survey_dataset(str(undecoded), "default", Means(caches=False))
    known = gather(str(undecoded), found, [])
    hurried = gather(str(undecoded), found, [], seconds=-60.0)

    assert found.depth == "default"
    for case in known.cases:
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(undecoded / case.files[0])))
        assert case.ranges == {0: (values.min(), values.max())}
    assert [case.ranges for case in hurried.cases] == [{}] * 4


def test_quick_decodes_no_image_for_a_plot(undecoded: Path) -> None:
    """--quick opens no voxels to plot them."""
    found = survey_dataset(str(undecoded), "quick", Means(caches=False))

    assert [case.ranges for case in gather(str(undecoded), found, []).cases] == [{}] * 4


def test_an_interrupted_survey_has_no_pictures(pristine: Path) -> None:
    """Whoever presses Ctrl-C is not made to wait for pictures; what is known of the cases is kept."""
    folder = pristine / planted.DATASET
    found = survey_dataset(str(folder), "quick", Means(caches=False))
    found.is_complete = False
    known = gather(str(folder), found, ["labelsTr/case_004.nii.gz"])

    assert (len(known.cases), dict(known.pictures)) == (6, {})


def test_a_check_writes_a_page_with_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--report x.html shows the case that a finding names, and --format html prints the same page."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    folder = planted.build("ct", tmp_path)
    next(fault for fault in FAULTS if fault.name == "label with 3").plant(folder)
    file = tmp_path / "page.html"
    code = main(
        ["check", str(folder), "--select", "dataset", "--lang", "en", "--report", str(file), "--format", "html"]
    )
    text = file.read_text(encoding="ascii")

    assert code == 1
    assert text == capsys.readouterr().out
    assert f'alt="{VICTIM}, slice ' in text
    assert text.count("data:image/png") == 1


def test_a_plain_check_draws_nothing(tmp_path: Path, pristine: Path) -> None:
    """Without a page nobody loads what draws, so that other checks stay as fast as they were."""
    lines = (
        "import sys; from nnunet_doctor.cli import main;"
        f"main(['check', {str(pristine / planted.DATASET)!r}, '--select', 'dataset', '--report', 'x.json']);"
        "print([name for name in sys.modules if 'picture' in name or name.endswith(('raw.cases', 'forms.html'))])"
    )
    environ = {**clean_environ(), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=tmp_path, env=environ, capture_output=True, encoding="utf-8", check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["verdict"] == "ok"
