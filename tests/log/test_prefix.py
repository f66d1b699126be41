"""What schedulers, containers and people put in front of a line is taken away, and nothing else."""

from __future__ import annotations

import pytest

from nnunet_doctor.log.prefix import strip_prefixes

ERROR = "RuntimeError: CUDA out of memory."


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        (ERROR, ""),
        (f"2026-11-22 06:31:52.787228: {ERROR}", ""),
        (f"2026-11-22 06:31:52: {ERROR}", ""),
        (f"2026-11-22T06:31:52.123456789Z stderr F {ERROR}", ""),
        (f"2026-11-22T06:31:52.123456789+08:00 stdout P {ERROR}", ""),
        (f"2026-11-22T06:31:52.1234567Z {ERROR}", ""),
        (f"[2026-11-22 06:31:52,123] [ERROR] {ERROR}", ""),
        (f"2026-11-22 06:31:52,123 - ERROR - {ERROR}", ""),
        (f"2026-11-22 06:31:52,123 - viewer.tools - ERROR - {ERROR}", ""),
        (f"2026-11-22 06:31:52,123 -   [nnUNet] {ERROR}", ""),
        (f"2026-11-22 06:31:52.123 | WARNING  | seg.run:main:17 - {ERROR}", ""),
        (f"2026/11/22 06:31:52 {ERROR}", ""),
        (f"[06:31:52] {ERROR}", ""),
        (f"0: {ERROR}", "0"),
        (f" 12: {ERROR}", "12"),
        (f"[rank1]: {ERROR}", "rank1"),
        (f"[default0]:{ERROR}", "default0"),
        (f"[1,3]<stderr>:{ERROR}", "3"),
        (f"trainer-1  | {ERROR}", "trainer-1"),
        (f"nnunet_train_1 | {ERROR}", "nnunet_train_1"),
        (f"(TrainWorker pid=4242) {ERROR}", "TrainWorker pid=4242"),
        (f"E1122 06:31:52.123000 4242 torch/_dynamo/convert_frame.py:1234] [0/0] {ERROR}", ""),
        (f"Nov 22 06:31:52 gpu01 nnunet[4242]: {ERROR}", ""),
        (f"[81234.567890] {ERROR}", ""),
        (f"14.9s\t12\t{ERROR}", ""),
        (f"> {ERROR}", ""),
        (f"> > {ERROR}", ""),
        (f"ERROR:root:{ERROR}", ""),
        (f"   214\t{ERROR}", ""),
        (f" 17%|#    | 1/6 [00:05<00:26,  5.24s/it]{ERROR}", ""),
        (f"2026-11-22T06:31:52Z stdout F [rank0]: {ERROR}", "rank0"),
        (f"0: [rank0]: 2026-11-22 06:31:52.78: {ERROR}", "0/rank0"),
    ],
)
def test_prefixes_are_taken_away(line: str, stream: str) -> None:
    """The line is as the program printed it, and the process that printed it is known."""
    found = strip_prefixes(line)

    assert (ERROR, stream) == (found.text, found.stream)


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        '  File "/opt/env/lib/python3.11/site-packages/nnunetv2/run/run_training.py", line 12, in run',
        "    return self.forward(*args)",
        "INFO: You are using the old nnU-Net default plans.",
        "WARNING: Cannot continue training because there seems to be no checkpoint available to continue from.",
        ">>> run_training('10', '2d', 0)",
        "100%|##########| 6/6 [00:05<00:00,  1.18it/s]",
        "  | ValueError: 1",
        "Killed",
        "",
        "[Errno 2] No such file or directory",
        "/usr/bin/ld: cannot find -lcuda",
    ],
)
def test_what_a_program_prints_itself_stays(line: str) -> None:
    """Indentation, messages of nnU-Net and prompts are no prefixes."""
    assert line == strip_prefixes(line).text


def test_time_stamps_are_noticed() -> None:
    """nnU-Net writes a stamp before each of its lines, also before an empty one."""
    stamped = [strip_prefixes(line).stamped for line in ("2026-11-22 06:31:52.78: ", "Killed", "[rank0]: Killed")]

    assert stamped == [True, False, False]
