"""Times a few real iterations of a training; runs in the examined interpreter, which has nnU-Net and torch.

The trainer is nnU-Net's own, with the plan's network, patch, batch, and its data-augmentation workers. What it would
write goes to the folder that nnUNet_results names, which is a temporary one here. Each line that begins with the mark
holds one observation, so that what was learnt before a deadline counts. Standard library, torch and nnU-Net only.
"""

import sys

# The folder of this file is on the path because it was started as a file. Its modules must not be importable here.
if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    sys.path[:] = sys.path[1:]

import json  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402

MARK = "nnunet-doctor-pace:"
WARM_UP = 2
"""Steps that start workers, choose algorithms and compile; they are no measure of those that follow."""
LEAST, MOST = 3, 200


def tell(**seen):
    """Print an observation."""
    print(MARK + json.dumps(seen), flush=True)


def main(dataset, configuration, fold, trainer_name, plans, device, seconds):
    """Time steps for about so many seconds: four fifths of them train, the rest validate."""
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    # as run_training_entry and run_training do
    torch.set_num_threads(1 if device == "cuda" else os.cpu_count() or 1)
    torch.backends.cudnn.benchmark = device == "cuda"
    trainer = get_trainer_from_args(
        dataset_name_or_id=dataset,
        configuration=configuration,
        fold=fold if fold == "all" else int(fold),
        trainer_name=trainer_name,
        plans_identifier=plans,
        device=torch.device(device),
    )
    if not trainer.was_initialized:
        trainer.initialize()
    trainer.dataloader_train, trainer.dataloader_val = trainer.get_dataloaders()
    trainer.set_deep_supervision_enabled(getattr(trainer, "enable_deep_supervision", True))
    tell(
        epochs=trainer.num_epochs,
        steps=trainer.num_iterations_per_epoch,
        validation_steps=trainer.num_val_iterations_per_epoch,
    )
    trainer.on_train_epoch_start()
    _time("step", lambda: trainer.train_step(next(trainer.dataloader_train)), seconds * 0.8)
    with torch.no_grad():
        trainer.on_validation_epoch_start()
        _time("validation_step", lambda: trainer.validation_step(next(trainer.dataloader_val)), seconds * 0.2)
    tell(done=True)


def _time(name, step, seconds):
    began = time.perf_counter()
    for number in range(WARM_UP + MOST):
        before = time.perf_counter()
        step()
        took = time.perf_counter() - before
        if number == WARM_UP - 1:
            began = time.perf_counter()
        tell(**{name: took, "warm": number >= WARM_UP})
        if number + 1 >= WARM_UP + LEAST and time.perf_counter() - began > seconds:
            return


if __name__ == "__main__":
    *texts, last = sys.argv[1:]
    main(*texts, float(last))
