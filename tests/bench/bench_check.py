"""How long a check takes against torch's own ``collect_env``, measured in turns in one session.

    python tests/bench/bench_check.py [--python PATH] [--rounds N]

Budgets of the contract: ``check --quick`` under 0.10 of the peer, ``check`` under 0.75. These machines are shared and
noisy: quote the ratios of medians, not the seconds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

BUDGETS = {"check --quick": 0.10, "check": 0.75}


def seconds(command: list[str]) -> float:
    """Run a command and return its wall time; a check may find problems (1) or be undecided (3)."""
    begun = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 1, 3):
        sys.exit(f"{' '.join(command)} ended with {done.returncode}")
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="check against torch.utils.collect_env")
    parser.add_argument("--python", default=sys.executable, help="interpreter with torch; default: this one")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    doctor = [sys.executable, "-m", "nnunet_doctor", "check", "--python", options.python]
    commands = {
        "collect_env": [options.python, "-m", "torch.utils.collect_env"],
        "check": doctor,
        "check --quick": [*doctor, "--quick"],
        "import torch": [options.python, "-c", "import torch"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        seconds(command)  # warms the file cache for all alike
    for _ in range(options.rounds):
        for name, command in commands.items():
            times[name].append(seconds(command))
    peer = statistics.median(times["collect_env"])
    print(f"{'command':15} {'median s':>9} {'min s':>7} {'ratio':>6}  budget")
    for name, measured in times.items():
        ratio = statistics.median(measured) / peer
        budget = f"{BUDGETS[name]:.2f}" if name in BUDGETS else ""
        print(f"{name:15} {statistics.median(measured):9.2f} {min(measured):7.2f} {ratio:6.2f}  {budget}")


if __name__ == "__main__":
    main()
