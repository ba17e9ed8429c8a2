"""What the rest of a training depends on: the state that is saved, and resumed from."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from transience.files.atomic import replacing

# What is logged of a step goes to two tables: how training went, and what its batches told.
TRAINING_COLUMNS = ("step", "batch_loss", "learning_rate", "gradient_norm", "seconds", "sequences")
SIGNAL_COLUMNS = ("ridge_loss", "dmmse_loss", "projection", "residual", "gradient_variance")
LOG_COLUMNS = (*TRAINING_COLUMNS, *SIGNAL_COLUMNS)


@dataclass
class TrainingState:
    """All that the rest of a run depends on, and its log so far."""

    step: int  # optimiser steps taken
    vector: torch.Tensor  # flat parameters (P,)
    first_moment: torch.Tensor  # Adam's (P,)
    second_moment: torch.Tensor
    seconds: float = 0.0  # spent training, over all resumptions
    sequences: int = 0  # trained on
    log: list[tuple[float, ...]] = field(default_factory=list)  # rows of LOG_COLUMNS
    # Told anew by the log whenever training goes on (`Ending`), so not saved:
    alarm: int | None = None  # step of the alarm at which it ends, if there was one
    stop: int | None = None  # its last step, as far as is known

    @classmethod
    def initial(cls, vector: torch.Tensor) -> "TrainingState":
        """Start from initial parameters (P,)."""
        return cls(0, vector, torch.zeros_like(vector), torch.zeros_like(vector))

    def save(self, path: Path) -> None:
        """Write the state atomically: a crash leaves the one before it."""
        tensors = {
            "vector": self.vector,
            "first_moment": self.first_moment,
            "second_moment": self.second_moment,
            "log": torch.tensor(self.log, dtype=torch.float64).view(-1, len(LOG_COLUMNS)),
            "progress": torch.tensor(
                [self.step, self.seconds, self.sequences], dtype=torch.float64
            ),
        }
        with replacing(path) as temporary:
            save_file(tensors, temporary)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "TrainingState":
        """Read a saved state; SafetensorError if the file is damaged."""
        tensors = load_file(path, device=str(device))
        step, seconds, sequences = tensors.pop("progress").tolist()
        log = [tuple(row) for row in tensors.pop("log").tolist()]
        return cls(step=int(step), seconds=seconds, sequences=int(sequences), log=log, **tensors)
