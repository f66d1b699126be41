"""How long a training will take, said before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nnunet_doctor.facts import Unknown
from nnunet_doctor.probes.pace import measure
from nnunet_doctor.request import Request
from nnunet_doctor.run.command import Start
from nnunet_doctor.run.watch import tell
from nnunet_doctor.words import duration, say, translated


def estimate(start: Start, request: Request, environ: Mapping[str, str], language: str) -> None:
    """Run a few iterations of the training, with the settings of its plan, and say what they foretell."""
    facts = start.facts
    device = str(facts["training.device"])
    tell(say(language, "estimate_begins", device=device))
    python, dataset = Path(str(facts["python.executable"])), str(facts["dataset.name"] or request.dataset)
    pace = measure(python, {**environ, **start.env}, dataset, request, device)
    if isinstance(pace, Unknown):
        tell(say(language, "estimate_unknown", because=translated(language, pace.reason)))
        return
    tell(
        say(
            language,
            "estimate",
            seconds=f"{pace.epoch_seconds:.1f}",
            epochs=pace.epochs,
            time=duration(pace.epochs * pace.epoch_seconds, language),
            low=duration(pace.epochs * pace.low, language),
            high=duration(pace.epochs * pace.high, language),
            device=device,
        )
    )
