"""Whatever a log was written in and by, its lines arrive as text with the numbers that an editor shows."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_doctor.errors import UserError
from nnunet_doctor.log.source import (
    LONGEST_LINE,
    PIECE,
    Source,
    find_sources,
    is_of_results,
    last_states,
    pieces,
    read_debug,
    read_source,
)


def lines_of(data: bytes, block: int = PIECE) -> list[tuple[int, str]]:
    """Return numbers and texts of all lines, read in blocks of a size."""
    stream = io.BytesIO(data)
    found: list[tuple[int, str]] = []
    for piece in pieces(lambda: stream.read(block)):
        found += [(number, line.decode("utf-8")) for number, line in zip(piece.numbers, piece.lines, strict=True)]
    return found


@pytest.mark.parametrize(
    ("name", "encoding", "bom"),
    [
        ("UTF-8", "utf-8", b""),
        ("UTF-8 with BOM", "utf-8", b"\xef\xbb\xbf"),
        ("PowerShell 5", "utf-16-le", b"\xff\xfe"),
        ("UTF-16, big end first", "utf-16-be", b"\xfe\xff"),
        ("UTF-16 without BOM", "utf-16-le", b""),
        ("GBK", "gbk", b""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_are_recognised(name: str, encoding: str, bom: bytes, end: str) -> None:
    """Chinese text arrives as it was written, in each of the encodings that logs come in."""
    text = end.join(["Epoch 0", "拒绝访问：文件正在使用", "OSError: [WinError 5] 拒绝访问。"]) + end

    expected = [(1, "Epoch 0"), (2, "拒绝访问：文件正在使用"), (3, "OSError: [WinError 5] 拒绝访问。")]
    assert expected == lines_of(bom + text.encode(encoding)), name


def test_each_line_of_a_mixed_log_is_decoded_by_itself() -> None:
    """cmd.exe writes in the code page of the system and Python in UTF-8, into one file."""
    data = "错误：找不到".encode("gbk") + b"\n" + "错误：找不到".encode() + b"\n" + "caf\u00e9 ouvert".encode("latin-1")

    assert lines_of(data) == [(1, "错误：找不到"), (2, "错误：找不到"), (3, "caf\u00e9 ouvert")]


def test_a_broken_byte_costs_no_line() -> None:
    """One byte that is not UTF-8 among Chinese text is replaced; the rest of the line stays."""
    data = "损失 0.5 正常".encode() + b"\xff" + "继续训练".encode() + b"\nKilled\n"

    (_, first), second = lines_of(data)
    assert (first.startswith("损失 0.5 正常"), first.endswith("继续训练"), second) == (True, True, (2, "Killed"))


def test_colours_and_nul_bytes_are_taken_out() -> None:
    """What a terminal or a crashed machine leaves in a file is no part of a line."""
    data = b"\x1b[31mRuntimeError\x1b[0m: \x1b]0;title\x07x\n\0\0\0Killed\n"

    assert lines_of(data) == [(1, "RuntimeError: x"), (2, "Killed")]


@pytest.mark.parametrize("zeros", [1, 600, 999, 5000, 200_000])
@pytest.mark.parametrize("at_the_end", [True, False])
def test_zeros_of_a_power_cut_are_no_letters(zeros: int, at_the_end: bool) -> None:
    """A file that was being written when the power went holds zeros; what was written before is read as it is."""
    log = b"RuntimeError: CUDA out of memory\n"
    data = log + b"\0" * zeros if at_the_end else b"\0" * zeros + log

    assert [text for _, text in lines_of(data) if text] == ["RuntimeError: CUDA out of memory"]


def test_records_of_docker_are_lines() -> None:
    """The files of Docker's json-file driver hold each line as JSON; what is none stays as it is."""
    record = json.dumps({"log": 'KeyError: "\\x"\n', "stream": "stderr", "time": "2026"}, separators=(",", ":"))

    assert lines_of(f'before\n{record}\n{{"log":"cut'.encode()) == [
        (1, "before"),
        (2, 'KeyError: "\\x"'),
        (3, '{"log":"cut'),
    ]


def test_of_a_progress_bar_the_last_state_is_kept() -> None:
    """A line that was written over a thousand times is one line, and keeps its number."""
    bar = b"\r".join(b"%3d%%|%s| %d/100 [00:01<00:02, 3it/s]" % (at, b"#" * at, at) for at in range(100))

    expected = [(1, "before"), (2, " 99%|" + "#" * 99 + "| 99/100 [00:01<00:02, 3it/s]"), (3, "after")]
    assert expected == lines_of(b"before\n" + bar + b"\nafter")


def test_an_error_between_two_states_of_a_bar_is_kept() -> None:
    """Nothing but bars is written over."""
    line = (
        b"  0%|     | 0/6 [00:00<?, ?it/s]\r 17%|#    | 1/6 [00:01<00:05]RuntimeError: x\r 33%|##   | 2/6 [00:02<00:04]"
    )

    assert last_states(line) == [b" 17%|#    | 1/6 [00:01<00:05]RuntimeError: x", b" 33%|##   | 2/6 [00:02<00:04]"]


def test_a_line_that_never_ends_is_handed_on_in_parts() -> None:
    """Twenty megabytes in one line cost twenty megabytes of time and a few of memory; its parts have one number."""
    size = 20 * PIECE
    stream = (b"x" * PIECE for _ in range(20))
    parts = lengths = 0
    for piece in pieces(lambda: next(stream, b"")):
        assert set(piece.numbers) == {1}
        parts += len(piece.lines)
        lengths += sum(map(len, piece.lines))
        assert max(map(len, piece.lines)) <= LONGEST_LINE

    assert (size, size // LONGEST_LINE) == (lengths, parts)


def test_a_bar_that_never_ends_is_read_state_by_state() -> None:
    """Two megabytes of carriage returns without a line end are one line, of which the last states are seen."""
    data = b"\r".join(b"%7d/9999999 [00:01<00:02]" % at for at in range(90_000))

    found = lines_of(data)
    assert {1} == {number for number, _ in found}
    assert found[-1][1] == "  89999/9999999 [00:01<00:02]"


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\x1b"), max_size=20), max_size=20),
    st.integers(1, 50),
)
def test_blocks_do_not_show(texts: list[str], block: int) -> None:
    """Wherever a block ends, lines and numbers are the same."""
    data = "\n".join(["Epoch 0", *texts, "Killed"]).encode()

    assert lines_of(data) == lines_of(data, block)


# --- which files ---


def written(path: Path, text: str, age: float = 0) -> Path:
    """Write a file that was last changed some seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    moment = path.stat().st_mtime - age
    os.utime(path, (moment, moment))
    return path


FOLD = "Dataset010_Colon/nnUNetTrainer__nnUNetPlans__2d/fold_0"


def names(sources: Iterable[Source]) -> list[str]:
    """Return the names of the files."""
    return [source.path.name for source in sources if source.path]


@pytest.mark.parametrize("below", ["", "Dataset010_Colon", FOLD])
def test_a_results_folder_stands_for_its_newest_training(tmp_path: Path, below: str) -> None:
    """From the fold up to nnUNet_results: all logs of the fold that was written to last, oldest first."""
    written(tmp_path / FOLD.replace("fold_0", "fold_1") / "training_log_2026_1_1_10_00_00.txt", "other", 5000)
    written(tmp_path / FOLD / "training_log_2026_11_9_10_00_00.txt", "second", 100)
    written(tmp_path / FOLD / "training_log_2026_9_30_10_00_00.txt", "first", 200)

    expected = ["training_log_2026_9_30_10_00_00.txt", "training_log_2026_11_9_10_00_00.txt"]
    assert expected == names(find_sources([str(tmp_path / below)]))


def test_a_captured_log_takes_the_place_of_the_one_of_the_same_run(tmp_path: Path) -> None:
    """Only what 'run' captured holds errors; nnU-Net's own log of that run says nothing more."""
    written(tmp_path / "training_log_2026_11_8_10_00_00.txt", "earlier run", 9000)
    written(tmp_path / "nnunet_doctor_2026-11-09_10-00-00.log", "all of it", 0)
    written(tmp_path / "training_log_2026_11_9_10_00_30.txt", "same run", 10)

    expected = ["training_log_2026_11_8_10_00_00.txt", "nnunet_doctor_2026-11-09_10-00-00.log"]
    assert expected == names(find_sources([str(tmp_path)]))


def test_what_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    """A missing file, and a folder without a training log, are told in one sentence."""
    with pytest.raises(UserError, match="there is no file or folder"):
        find_sources([str(tmp_path / "job.out")])
    with pytest.raises(UserError, match="holds no training log"):
        find_sources([str(tmp_path)])


def test_debug_json_beside_a_log_is_read(tmp_path: Path) -> None:
    """What nnU-Net notes before the first epoch is known; a broken or strange one is ignored."""
    log = written(tmp_path / "training_log_2026_1_1_10_00_00.txt", "")
    sources = find_sources([str(log)])
    written(tmp_path / "debug.json", '{"num_epochs": "250", "torch_version": "2.8.0+cu128"}')
    good = dict(read_debug(sources))
    written(tmp_path / "debug.json", "[" * 100_000)
    bad = dict(read_debug(sources))

    assert (good, bad) == ({"num_epochs": "250", "torch_version": "2.8.0+cu128"}, {})


def test_a_log_of_this_results_folder_is_known_as_such(tmp_path: Path) -> None:
    """Only when all logs lie below nnUNet_results are they those of this machine."""
    log = written(tmp_path / "results" / FOLD / "training_log_2026_1_1_10_00_00.txt", "")
    other = written(tmp_path / "job.out", "")
    mine, both = find_sources([str(log)]), find_sources([str(log), str(other)])
    results = str(tmp_path / "results")

    assert (
        is_of_results(mine, results),
        is_of_results(both, results),
        is_of_results(mine, None),
    ) == (True, False, False)


def test_standard_input_is_read() -> None:
    """'-' is what is piped in."""
    (source,) = find_sources(["-"])
    (piece,) = read_source(source, io.BytesIO(b"Killed\n"))

    assert (list(piece.lines), source.name) == ([b"Killed"], "standard input")


def test_numbers_of_an_editor_are_no_part_of_a_line() -> None:
    """Lines that are counted one by one lose their numbers and keep their indentation; other numbers stay."""
    for form in ("{:4}  {}", "{} | {}", "{}: {}", "{}:{}"):
        text = "\n".join(form.format(at, line) for at, line in enumerate(["a", "  b", "", "c", "d"], 9))

        assert [line.rstrip() for _, line in lines_of(text.encode())] == ["a", "  b", "", "c", "d"]
    for text in ("1 a\n3 b\n4 c\n5 d", "0: a\n0: b\n0: c\n0: d", "1a\n2b\n3c\n4d", "1 a\n2 b\nc\n3 d", "7 a\n8 b\n9 c"):
        assert text.split("\n") == [line for _, line in lines_of(text.encode())]


def test_a_traceback_in_one_line_is_taken_apart() -> None:
    """Programs print records that hold the output of others; the number of the line is that of the record."""
    record = json.dumps({"message": "Traceback:\n  File \"C:\\nnUNet\\run.py\", line 1\nKeyError: 'x'"})
    path = r"D:\workspace\nnUNet\nnunetv2\run.py"

    assert [
        (1, '{"message": "Traceback:'),
        (1, '  File "C:\\nnUNet\\run.py", line 1'),
        (1, "KeyError: 'x'\"}"),
        (2, path),
    ] == lines_of(f"{record}\n{path}".encode())
