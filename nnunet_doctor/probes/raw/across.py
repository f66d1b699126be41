"""What only shows when files are compared: with the others of their case, with dataset.json, with the other cases."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nnunet_doctor.probes.raw import geometry
from nnunet_doctor.probes.raw.description import Description, names_of_values
from nnunet_doctor.probes.raw.record import FileReport, Header, Tally
from nnunet_doctor.probes.raw.structure import FLAT, LABELS, Case, Structure
from nnunet_doctor.probes.raw.voxels import MOST_VALUES

Reports = Mapping[str, FileReport]

FAR_SPACING = 8.0
"""A spacing that differs from the median by more than this factor is far out: slices of 0.6 and of 5 mm in one dataset
are common, and wrong units make it 10 or 1000."""

LOST_SPACING = 100.0
"""From this factor on, along every axis, resampling leaves nothing of an image, or a million times as much."""

FAR_SIZE = 5.0
"""The same for sizes in voxels and, if they are known, in mm: thick slices are fewer."""

FAR_PIXELS = 10.0
"""The same for pictures, of which only the pixels are known."""

FEWEST = 5
"""With fewer cases there is no median to be far from."""

DOUBTS = ("not-3d", "not-scalar", "no-orientation", "bad-spacing", "units", "qform-sform", "direction-not-orthonormal")
"""What is wrong with a file by itself and makes it the likely culprit when it differs from another."""

SHOWN_VALUES = 8
COPY_VALUES = 8
"""From this number of undeclared values on, a label may be a copy of an image."""

BRIGHTER = 1000.0
"""Scanners scale MR images differently, but not by such a factor."""

AIR_HU, TISSUE_HU = -500.0, -100.0
"""A CT holds air of about -1000 HU; an MR holds nothing below zero, give or take a filter's ringing."""


def compare(structure: Structure, description: Description, reports: Reports, same: Callable[[str, str], bool]) -> None:
    """Add to a structure what comparing its files shows.

    Args:
        structure: The cases; faults are added to it.
        description: What dataset.json declares.
        reports: Of every file that was examined.
        same: Says whether two files hold the same voxels, for those whose fingerprints are short.
    """
    for path, report in reports.items():
        for id, message in report.faults:
            structure.add(id, path, message)
    for case in structure.cases:
        _within_case(structure, case, reports, description.reader or "")
    _volumes_in_one(structure, reports)
    _channel_counts(structure, description, reports)
    _labels(structure, description, reports)
    _duplicates(structure, reports, same)
    _far_out(structure, description, reports)
    _kinds(structure, description, reports)


# --- within a case -------------------------------------------------------------------------------------------------


def _within_case(structure: Structure, case: Case, reports: Reports, reader: str) -> None:
    images = [(path, header) for path in case.images.values() if (header := _header(reports, path))]
    label = _header(reports, case.label) if case.label else None
    files = [*images, *([(case.label, label)] if case.label and label else [])]
    if len(files) < 2:
        return
    first = files[0][1]
    if all(_grid(header) == _grid(first) for _, header in files[1:]):
        return
    if reader.endswith("WithReorient"):
        is_ras = reader.startswith("Nibabel")
        files = [(path, geometry.turned(header, is_ras=is_ras)) for path, header in files]
    doubted = {path for path, _ in files if any(id in DOUBTS for id, _ in reports[path].faults)}
    # those that are in doubt come last: of two that differ, the first is believed
    files.sort(key=lambda item: item[0] in doubted)
    _differing(structure, "shape-mismatch", files, lambda header: header.shape, _equal)
    odd = _differing(structure, "spacing-mismatch", files, lambda header: header.spacing)
    # nnU-Net compares the channels of a case to the last bit, but label and images with a tolerance
    alike = [item for item in files if item[0] not in odd and item[0] != case.label]
    _differing(structure, "spacing-mismatch", alike, lambda header: header.spacing, _equal)
    _differing(structure, "origin-mismatch", files, lambda header: header.origin)
    _differing(structure, "direction-mismatch", files, lambda header: header.direction)


def _header(reports: Reports, path: str | None) -> Header | None:
    report = reports.get(path) if path else None
    return report.header if report else None


def _grid(header: Header) -> tuple[object, ...]:
    return header.shape, header.spacing, header.origin, header.direction


def _equal(found: Sequence[float], wanted: Sequence[float]) -> bool:
    return tuple(found) == tuple(wanted)


def _differing(
    structure: Structure,
    id: str,
    files: Sequence[tuple[str, Header]],
    of: Callable[[Header], tuple[float, ...]],
    agree: Callable[[Sequence[float], Sequence[float]], bool] = geometry.are_close,
) -> set[str]:
    """Name the files that differ from what most files of a case have; with none in the majority, from the first."""
    known = [(path, of(header)) for path, header in files if of(header)]
    if id != "shape-mismatch":
        # an image of other dimensions is a mismatch of shape and of nothing else
        known = [item for item in known if len(item[1]) == len(known[0][1])]
    if len(known) < 2 or all(agree(value, known[0][1]) for _, value in known[1:]):
        return set()
    votes = [sum(agree(other, value) for _, other in known) for _, value in known]
    path_of_most, most = known[votes.index(max(votes))]
    odd = {path: value for path, value in known if not agree(value, most)}
    for path, value in odd.items():
        ours, theirs = _numbers(value), _numbers(most)
        if id == "origin-mismatch":
            apart = geometry.distance(value, most)
            structure.add(id, path, f"{ours}; unlike {theirs} in {path_of_most}, {apart:.3g} mm away")
        else:
            structure.add(id, path, f"{ours}; unlike {theirs} in {path_of_most}")
    return set(odd)


def _numbers(values: Sequence[float]) -> str:
    whole = all(isinstance(value, int) for value in values)
    return " x ".join(map(str, values)) if whole else ", ".join(f"{value:.6g}" for value in values)


# --- channels ------------------------------------------------------------------------------------------------------


def _volumes_in_one(structure: Structure, reports: Reports) -> None:
    """A file that holds all channels is a finding of its own; then none is missing."""
    for case in structure.cases:
        headers = [header for path in case.images.values() if (header := _header(reports, path))]
        if any(header.channels > 1 for header in headers):
            for path in [path for path, _ in structure.found.get("channel-missing", ())]:
                if re.fullmatch(rf".*/{re.escape(case.id)}_\d{{4}}\..+", path):
                    _withdraw(structure, "channel-missing", path)


def _channel_counts(structure: Structure, description: Description, reports: Reports) -> None:
    """Compare the channels in the files of a case with those declared; files of 2D formats may hold several."""
    if not description.channels:
        return
    wanted = len(description.channels)
    for case in structure.cases:
        headers = {path: header for path in case.images.values() if (header := _header(reports, path))}
        if len(headers) < len(case.images) or not next(iter(headers)).lower().endswith(FLAT):
            continue
        count = sum(header.channels for header in headers.values())
        if count != wanted:
            each = wanted // len(headers) if wanted % len(headers) == 0 else 1
            wrong = [path for path, header in headers.items() if header.channels != each] or list(headers)
            for path in wrong:
                structure.add("channel-count", path, f"{headers[path].channels} in the file; {each} expected")
            continue
        # as many as declared, but nnU-Net puts only files together that hold equally many
        first, usual = next(iter(headers.items()))
        for path, header in headers.items():
            if header.channels != usual.channels:
                structure.add("channel-count", path, f"{header.channels} in the file; {first} has {usual.channels}")


# --- labels --------------------------------------------------------------------------------------------------------


def _labels(structure: Structure, description: Description, reports: Reports) -> None:
    labels = {case.label: case for case in structure.cases if case.label}
    counted: dict[str, list[tuple[float, int]]] = {}
    for path, case in labels.items():
        report = reports.get(path)
        if report is None or report.header is None or report.tally is None:
            continue
        if report.header.channels > 1:
            continue
        values = scaled(report.header, report.tally)
        _values(structure, path, values, report.tally, description.declared)
        _copies(structure, path, case, reports)
        if not _is_damaged(report):
            counted[path] = values
    # a class may be in what was not counted
    if set(counted) == {case.label for case in structure.cases} and not structure.lost:
        _classes(structure, description, counted)


def scaled(header: Header, tally: Tally) -> list[tuple[float, int]]:
    """Return the values of a label as a reader delivers them."""
    if (header.slope, header.intercept) == (1.0, 0.0):
        return tally.values
    return [(round(value * header.slope + header.intercept, 6), count) for value, count in tally.values]


def _is_damaged(report: FileReport) -> bool:
    return any(id in ("unreadable", "undecoded") for id, _ in report.faults)


def _values(
    structure: Structure,
    path: str,
    values: Sequence[tuple[float, int]],
    tally: Tally,
    declared: frozenset[int] | None,
) -> None:
    strange = [(value, count) for value, count in values if declared is not None and value not in declared]
    counts = ", ".join(f"{value:g} ({count})" for value, count in strange[:SHOWN_VALUES])
    parts = [f"value (voxels): {counts}"] if counts else []
    if tally.nans or tally.infs:
        parts.append(f"NaN or infinite voxels: {tally.nans + tally.infs}")
    left = len(strange) - SHOWN_VALUES
    if tally.distinct_over:
        # which of them were counted, and how often, is chance
        parts = [f"over {MOST_VALUES} values, {tally.lowest:g} to {tally.highest:g}"]
    elif left > 0:
        parts.append(f"more values: {left}")
    if parts:
        structure.add("label-unexpected", path, "; ".join(parts))
        if any(value != int(value) for value, _ in strange if abs(value) < 2**53):
            _withdraw(structure, "label-float", path)
    if not tally.distinct_over and values:
        if all(value == 0 for value, _ in values):
            structure.add("label-empty", path)
        elif all(value != 0 for value, _ in values):
            structure.add("label-no-background", path)


def _withdraw(structure: Structure, id: str, path: str) -> None:
    """Take back what another finding says better."""
    structure.found[id] = [item for item in structure.found.get(id, []) if item[0] != path]


def _copies(structure: Structure, path: str, case: Case, reports: Reports) -> None:
    label = reports[path]
    if not label.sums or label.tally is None or len(label.tally.values) < COPY_VALUES:
        return
    for image in case.images.values():
        other = reports.get(image)
        if other is not None and other.sums == label.sums:
            structure.add("label-is-image", path, f"= {image}")


def _classes(
    structure: Structure, description: Description, counted: Mapping[str, Sequence[tuple[float, int]]]
) -> None:
    """Say which declared classes are in no label, or in one; every label was counted."""
    if not counted:
        return
    where: dict[float, list[str]] = defaultdict(list)
    for path, values in counted.items():
        for value, _ in values:
            where[value].append(path)
    if set(where) == {0}:
        structure.add("no-foreground", LABELS, f"labels: {len(counted)}, all background")
        return
    names = names_of_values(description.labels or {})
    for value in sorted((description.declared or frozenset()) - {0, description.ignore}):
        name = f"{', '.join(names.get(value, ()))} = {value}"
        if not where.get(value):
            structure.add("class-never-occurs", "dataset.json", name)
        elif len(where[value]) == 1 and len(counted) > 1:
            structure.add("class-in-one-case", where[value][0], name)


# --- duplicates ----------------------------------------------------------------------------------------------------


def _duplicates(structure: Structure, reports: Reports, same: Callable[[str, str], bool]) -> None:
    images = [(path, case.id) for case in structure.cases for path in case.images.values()]
    labels = [(case.label, case.id) for case in structure.cases if case.label]
    for id, files in (("duplicate-image", images), ("duplicate-label", labels)):
        known = [(path, case, report) for path, case in files if (report := reports.get(path)) and report.header]
        compared = [item for item in known if not _is_plain(item[2], id)]
        twins = _twins(compared, lambda report: report.sums, lambda _one, _other: True)
        short = _twins(compared, lambda report: report.content, same)
        for path, other in {**short, **twins}.items():
            structure.add(id, path, f"= {other}")


def _is_plain(report: FileReport, id: str) -> bool:
    """An image of one value, or a label without foreground, is as good as any other such."""
    tally = report.tally
    if id == "duplicate-image":
        return tally is not None and tally.lowest == tally.highest
    return tally is None or all(value == 0 for value, _ in tally.values)


def _twins(
    files: Sequence[tuple[str, str, FileReport]],
    key: Callable[[FileReport], str],
    same: Callable[[str, str], bool],
) -> dict[str, str]:
    """Return another file for each that is the same as one of another case."""
    groups: dict[tuple[object, ...], list[tuple[str, str, FileReport]]] = defaultdict(list)
    for path, case, report in files:
        if key(report) and report.header:
            groups[key(report), report.header.shape, report.header.dtype].append((path, case, report))
    twins: dict[str, str] = {}
    for (first, first_case, one), *others in groups.values():
        for path, case, other in others:
            # where both were decoded, their checksums have the last word
            is_same = one.sums == other.sums if one.sums and other.sums else same(first, path)
            if case != first_case and is_same:
                twins.setdefault(first, path)
                twins[path] = first
    return twins


# --- far from the others -------------------------------------------------------------------------------------------


def _far_out(structure: Structure, description: Description, reports: Reports) -> None:
    firsts = [next(iter(case.images.values())) for case in structure.cases]
    headers = {path: header for path in firsts if (header := _header(reports, path))}
    if len(headers) < FEWEST:
        return
    # a spacing that is a finding already is no other one
    spacings = {
        path: header.spacing
        for path, header in headers.items()
        if header.spacing and not any(id in ("bad-spacing", "units") for id, _ in reports[path].faults)
    }
    lost = {path for path, axes in _far(spacings, LOST_SPACING).items() if len(axes) == len(spacings[path])}
    far_spacings = _far(spacings, FAR_SPACING)
    _add_far(structure, "bad-spacing", spacings, {path: axes for path, axes in far_spacings.items() if path in lost})
    _add_far(
        structure, "spacing-outlier", spacings, {path: axes for path, axes in far_spacings.items() if path not in lost}
    )
    shapes: dict[str, tuple[float, ...]] = {path: header.shape for path, header in headers.items()}
    sizes = {
        path: tuple(length * size for length, size in zip(shapes[path], spacing, strict=True))
        for path, spacing in spacings.items()
        if len(spacing) == len(shapes[path])
    }
    far = _far(shapes, FAR_SIZE if sizes else FAR_PIXELS)
    if sizes:
        far_in_mm = _far(sizes, FAR_SIZE)
        far = {path: axes & far_in_mm.get(path, axes) for path, axes in far.items()}
    _add_far(structure, "shape-outlier", shapes, far)
    _orientations(structure, description, headers)


def _far(values: Mapping[str, tuple[float, ...]], factor: float) -> dict[str, set[int]]:
    """Return the axes along which something differs from the median by more than a factor."""
    alike = _alike(values)
    medians = _medians(alike)
    return {
        path: {
            axis
            for axis, (one, usual) in enumerate(zip(value, medians, strict=True))
            if not usual / factor <= one <= usual * factor
        }
        for path, value in alike.items()
    }


def _alike(values: Mapping[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    """Leave out what has another number of axes than most."""
    counts = Counter(map(len, values.values())).most_common(1)
    return {path: value for path, value in values.items() if len(value) == counts[0][0]}


def _medians(alike: Mapping[str, tuple[float, ...]]) -> list[float]:
    return [median(axis) for axis in zip(*alike.values(), strict=True)]


def _add_far(
    structure: Structure, id: str, values: Mapping[str, tuple[float, ...]], far: Mapping[str, set[int]]
) -> None:
    medians = _medians(_alike(values))
    for path, axes in far.items():
        if axes:
            counts = isinstance(values[path][0], int)
            usual = [int(item) if counts and float(item).is_integer() else item for item in medians]
            structure.add(id, path, f"{_numbers(values[path])}; median {_numbers(usual)}")


def _orientations(structure: Structure, description: Description, headers: Mapping[str, Header]) -> None:
    axes: dict[str, str] = {}
    for path, header in headers.items():
        reader = description.reader or ("NibabelIO" if path.lower().endswith(".nii") else "")
        if found := geometry.orientation_of(header.direction, is_ras=reader.startswith("Nibabel")):
            axes[path] = found
    if axes:
        usual, _ = Counter(axes.values()).most_common(1)[0]
        for path, found in axes.items():
            if found != usual:
                structure.add("orientation-mixed", path, f"{found}; most are {usual}")


def median(values: Sequence[float]) -> float:
    """Return the middle one of some values, or the mean of the two in the middle."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


# --- kinds of images -----------------------------------------------------------------------------------------------


def _kinds(structure: Structure, description: Description, reports: Reports) -> None:
    """Compare the intensities of one channel over the cases, where they are known."""
    names = description.channels or ()
    by_channel: dict[int, dict[str, tuple[float, float]]] = defaultdict(dict)
    for case in structure.cases:
        for channel, path in case.images.items():
            limits = _range(reports.get(path))
            if limits:
                by_channel[channel][path] = limits
    for channel, ranges in by_channel.items():
        with_air = {path for path, (lowest, _) in ranges.items() if lowest <= AIR_HU}
        without = {path for path, (lowest, _) in ranges.items() if lowest >= TISSUE_HU}
        fewer, more = sorted((with_air, without), key=len)
        if fewer and len(more) >= 2 * len(fewer) and len(ranges) >= FEWEST:
            usual = ranges[min(more)]
            for path in sorted(fewer):
                structure.add("channels-mixed", path, f"{_span(ranges[path])}; most are {_span(usual)}")
        _far_brighter(structure, ranges)
        is_ct = channel < len(names) and names[channel].casefold() == "ct"
        if is_ct and len(ranges) >= FEWEST and _are_bytes(ranges.values()):
            structure.add("channel-normalisation", "dataset.json", f"{channel}: {names[channel]}; values 0 to 255")


def _far_brighter(structure: Structure, ranges: Mapping[str, tuple[float, float]]) -> None:
    if len(ranges) < FEWEST:
        return
    usual = median([max(map(abs, limits)) for limits in ranges.values()])
    for path, limits in ranges.items():
        largest = max(map(abs, limits))
        if not usual / BRIGHTER <= largest <= usual * BRIGHTER:
            structure.add("channels-mixed", path, f"{_span(limits)}; median of the largest values {usual:.4g}")


def _range(report: FileReport | None) -> tuple[float, float] | None:
    if report is None or report.header is None or report.tally is None:
        return None
    lowest: Any = report.tally.lowest
    highest: Any = report.tally.highest
    if lowest is None or highest is None or lowest == highest:
        return None
    slope, intercept = report.header.slope, report.header.intercept
    low, high = sorted((lowest * slope + intercept, highest * slope + intercept))
    return low, high


def _are_bytes(ranges: Iterable[tuple[float, float]]) -> bool:
    return all(low >= 0 and high <= 255 for low, high in ranges)


def _span(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.4g} ... {limits[1]:.4g}"
