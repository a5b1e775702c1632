"""What SimCSE training is told: `SimCSEConfig`, and the data arguments of its script."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from hf_xling.contrastive.losses import TEMPERATURE
from hf_xling.errors import InputError
from hf_xling.recipes import given_fields
from hf_xling.runs import by_content
from hf_xling.training.config import Reasons, TrainingConfig, is_own_checkpoint

COMMAND = "trainers/simcse.py"
_REFUSED: Reasons = {
    "auto_find_batch_size": "a smaller batch has fewer negatives; --token_budget bounds the memory of any batch",
    "do_predict": "an encoder predicts nothing",
    "label_smoothing_factor": "rows have no labels",
    "neftune_noise_alpha": "its noise depends on the padding of a batch, and batches here have none",
}


@dataclass
class SimCSEConfig(TrainingConfig):
    """`TrainingArguments` with the fields of the objective.

    Defaults that differ from `TrainingConfig`'s: `per_device_train_batch_size` 64 as in SimCSE (the paper: about 500),
    `num_train_epochs` 1 as in SimCSE (the paper: 10 to 30), `dataloader_drop_last` True because the loss depends on the
    batch size, `ddp_find_unused_parameters` False because nothing is unused. `learning_rate` is 5e-5 as in the paper
    (section 5.4; SimCSE takes 3e-5 for BERT-base).
    """

    temperature: float = field(default=TEMPERATURE, metadata={"help": "divides the cosine similarities"})
    pooling: Literal["cls_mlp", "cls", "mean", "first_last_mean"] | None = field(
        default=None,
        metadata={
            "help": "sentence vector; cls_mlp trains an MLP on the first token that is not saved; "
            "default: that of a sentence-transformers base, else cls_mlp"
        },
    )
    keep_mlp: bool = field(
        default=False, metadata={"help": "save the MLP for sentence-transformers, as supervised SimCSE does"}
    )
    max_length: int = field(default=64, metadata={"help": "tokens of a sentence; longer ones are cut"})
    negative_weight: float = field(default=0.0, metadata={"help": "added to the logit of a row's own hard negative"})
    symmetric: bool = field(default=False, metadata={"help": "let positives pick their anchors as well"})
    mlm_weight: float = field(
        default=0.0, metadata={"help": "weight of an auxiliary masked-language-model loss (SimCSE tries 0.1)"}
    )
    mlm_probability: float = field(default=0.15, metadata={"help": "share of tokens that are masked for it"})
    packing: bool = field(default=True, metadata={"help": "encode batches without padding, where the architecture can"})
    token_budget: int | None = field(
        default=None,
        metadata={"help": "tokens of one forward pass at most; a larger batch takes several, with the same gradient"},
    )

    per_device_train_batch_size: int = field(default=64, metadata={"help": "rows a batch, each negative of the others"})
    num_train_epochs: float = field(default=1.0, metadata={"help": "passes over the corpus, unless max_steps is given"})
    dataloader_drop_last: bool = field(default=True, metadata={"help": "leave out the last, smaller batch"})

    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "let DDP look for parameters without a gradient; there are none"}
    )

    _argument_group_name = "objective"

    lower_is_better: ClassVar[tuple[str, ...]] = ("loss", "uniformity", "alignment", "relative_distance")

    def refused(self) -> Reasons:
        """Fields that have no meaning for sentence vectors."""
        return _REFUSED

    def __post_init__(self) -> None:
        super().__post_init__()
        # Several GPUs without a launcher would split a batch, and with it the negatives.
        self._n_gpu = min(self.n_gpu, 1)
        # Rows that accelerate repeats, so that all processes have as many, would be negatives of themselves.
        self.accelerator_config.even_batches = False  # type: ignore[union-attr]  # an AcceleratorConfig by now
        if not (0 <= self.mlm_weight < math.inf and 0 < self.mlm_probability < 1):
            raise InputError("--mlm_weight must be 0 or more, --mlm_probability between 0 and 1 (both excluded)")
        if self.token_budget is not None and self.token_budget < self.max_length:
            raise InputError(f"--token_budget {self.token_budget}: must hold a text of --max_length {self.max_length}")
        if self.token_budget is not None and self.torch_compile:
            raise InputError("--torch_compile: not with --token_budget, as what is encoded again is not compiled")
        if self.early_stopping_patience is not None and not self.load_best_model_at_end:
            raise InputError("--early_stopping_patience: needs --load_best_model_at_end and an evaluation strategy")
        if not 0 < self.temperature < math.inf:
            raise InputError(f"--temperature {self.temperature}: a number above 0 is needed")
        if self.per_device_train_batch_size < 2:
            raise InputError(
                f"--per_device_train_batch_size {self.per_device_train_batch_size}: at least 2 rows are needed, "
                "the negatives of each other"
            )
        if self.max_length < 3:
            raise InputError(f"--max_length {self.max_length}: at least 3 tokens are needed (two are special)")
        if self.world_size > 1 and not self.dataloader_drop_last:
            raise InputError(
                "--dataloader_drop_last: must stay on with several processes; their batches are of one size"
            )


@dataclass
class SimCSEScriptArguments:
    """What `trainers/simcse.py` trains, and on what."""

    model_name_or_path: str = field(metadata={"help": "checkpoint folder or Hub id of the encoder to start from"})
    model_revision: str = field(default="main", metadata={"help": "revision on the Hub"})
    dataset_name: str | None = field(default=None, metadata={"help": "dataset folder or Hub id"})
    dataset_config: str | None = field(default=None, metadata={"help": "its config, such as sentences or pairs"})
    dataset_split: str = field(default="train", metadata={"help": "its split"})
    train_file: str | None = field(
        default=None, metadata={"help": "instead: .txt (a text a line), .csv, .tsv, .jsonl, .parquet"}
    )
    anchor_column: str | None = field(
        default=None, metadata={"help": "column of the anchors; default: `anchor`, or another name that says so"}
    )
    positive_column: str | None = field(
        default=None, metadata={"help": "column of the other text of each pair; default: by its name, if there is one"}
    )
    negative_column: list[str] | None = field(
        default=None, metadata={"help": "columns of hard negatives; default: by their names, if there are any"}
    )
    validation_file: str | None = field(
        default=None, metadata={"help": "held-out rows of the same columns: their loss, alignment and uniformity"}
    )
    sts_file: str | None = field(
        default=None, metadata={"help": "pairs with a similarity (sentence1, sentence2, score), to evaluate on"}
    )

    _argument_group_name = "model and data"

    def __post_init__(self) -> None:
        if (self.dataset_name is None) == (self.train_file is None):
            raise InputError("one of --dataset_name and --train_file is needed")


_SOURCES = ("dataset_name", "train_file", "validation_file", "sts_file", "model_name_or_path")


def run_identity(script: SimCSEScriptArguments, args: SimCSEConfig, *more: Any) -> dict[str, Any]:
    """What makes one training another: the fields that were given, with data and model by their content."""
    fields = by_content(given_fields(script, args, *more), _SOURCES)
    if is_own_checkpoint(args):
        fields.pop("resume_from_checkpoint", None)
    return fields
