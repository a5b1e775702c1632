"""`SimCSETrainer`: transformers' Trainer over the SimCSE objective."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, PreTrainedModel, PreTrainedTokenizerBase, Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from hf_xling.contrastive.collator import SimCSECollator, negative_columns
from hf_xling.contrastive.config import SimCSEConfig
from hf_xling.contrastive.export import export_encoder
from hf_xling.contrastive.losses import info_nce
from hf_xling.contrastive.pooling import EXPORTED_POOLING, SimCSEModel
from hf_xling.errors import InputError, XlingError
from hf_xling.hub.cards import model_card
from hf_xling.pretrained import check_tokenizer, load_pretrained, load_tokenizer, token_positions
from hf_xling.runs import write_text

MLP_FILE = "simcse_mlp.safetensors"


class SimCSETrainer(Trainer):
    """Trains a sentence encoder with in-batch contrastive learning (Gao et al. 2021).

    Each process takes the negatives of its own batch only.

    Args:
        model: a checkpoint folder, a Hub id, or a `PreTrainedModel` without a task head.
        args: the configuration.
        train_dataset: with the column `anchor`, and if wanted `positive`, `negative` (or `negative_1`, …) and `group`
            (integers or strings); see `SimCSECollator`. Other columns are left out.
        eval_dataset: likewise; gives `eval_loss` at `per_device_eval_batch_size`. Without `positive` both views are the
            same there, since evaluation has no dropout: the loss then measures only how far sentences lie apart.
        processing_class: the tokenizer; by default the one beside the model.
        model_revision: of a model on the Hub.
        kwargs: passed to `Trainer` (`callbacks`, `optimizers`).

    Raises:
        InputError: a model that cannot be loaded, has fewer positions than `max_length`, or is not the tokenizer's; a
            dataset without `anchor`, without rows, or with fewer rows than one batch.
    """

    def __init__(
        self,
        model: str | PreTrainedModel,
        args: SimCSEConfig,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        model_revision: str | None = None,
        **kwargs: Any,
    ):
        torch.manual_seed(args.seed)  # the MLP's weights; Trainer seeds only later
        name = model if isinstance(model, str) else model.name_or_path
        encoder = load_pretrained(AutoModel, model, model_revision) if isinstance(model, str) else model
        processing_class = processing_class or load_tokenizer(name, model_revision)
        positions = token_positions(encoder) or args.max_length
        if args.max_length > positions:
            raise InputError(f"--max_length {args.max_length}: {name} has positions for {positions} tokens")
        check_tokenizer(processing_class, encoder, name)
        batch = args.train_batch_size * args.world_size
        if train_dataset is not None and len(train_dataset) < batch:
            raise InputError(f"the corpus has {len(train_dataset)} rows, fewer than one batch of {batch}")
        batch = args.eval_batch_size * args.world_size
        if eval_dataset is not None and args.dataloader_drop_last and 0 < len(eval_dataset) < batch:
            raise InputError(
                f"the evaluation corpus has {len(eval_dataset)} rows, fewer than one batch of {batch} "
                "(--per_device_eval_batch_size)"
            )
        self.base = name
        super().__init__(
            model=SimCSEModel(encoder, args.pooling),
            args=args,
            data_collator=SimCSECollator(processing_class, args.max_length),
            train_dataset=_training_columns(train_dataset, "train_dataset"),
            eval_dataset=_training_columns(eval_dataset, "eval_dataset"),
            processing_class=processing_class,
            **kwargs,
        )

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """`info_nce` over the views that `SimCSECollator` laid one behind the other, encoded in one forward pass.

        One pass gives every row its own dropout mask, which is what makes dropout pairs differ.
        """
        views = {name: value for name, value in inputs.items() if name != "groups"}
        size = len(inputs["groups"])
        vectors = model(**views)
        negatives = vectors[2 * size :]
        loss = info_nce(
            vectors[:size],
            vectors[size : 2 * size],
            negatives if len(negatives) else None,
            temperature=self.args.temperature,
            groups=inputs["groups"],
            negative_weight=self.args.negative_weight,
            symmetric=self.args.symmetric,
        )
        if model.training and not torch.isfinite(loss):
            raise XlingError(
                f"the loss is {loss.item()} at step {self.state.global_step + 1}; a lower --learning_rate may help"
            )
        return (loss, vectors) if return_outputs else loss

    def prediction_step(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> tuple:
        """The loss alone: Trainer would report none for batches without labels."""
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach().mean(), None, None

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write `README.md`: what the encoder is, how to load it, and how it was trained."""
        if not self.is_world_process_zero():
            return
        names = (
            "temperature",
            "symmetric",
            "negative_weight",
            "max_length",
            "learning_rate",
            "per_device_train_batch_size",
        )
        card = model_card(
            "encoder_card",
            self.base,
            {
                **{name: getattr(self.args, name) for name in names},
                "steps": self.state.global_step,
                "seed": self.args.seed,
            },
            {"tags": ["sentence-transformers", "simcse"], "pipeline_tag": "sentence-similarity"},
            rows=len(self.train_dataset),
            pairs="positive" in self.train_dataset.column_names,
            pooling=EXPORTED_POOLING[self.args.pooling],
            mlp=self.args.pooling == "cls_mlp",
        )
        write_text(Path(self.args.output_dir) / "README.md", card)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Write what `AutoModel` and `SentenceTransformer` load; in a `checkpoint-N` also the MLP, to resume from."""
        if not self.args.should_save:
            return
        folder = Path(output_dir or self.args.output_dir)
        model = self.accelerator.unwrap_model(self.model)
        export_encoder(model, self.processing_class, folder, self.args.max_length)
        is_checkpoint = folder.name.startswith(PREFIX_CHECKPOINT_DIR) and folder != Path(self.args.output_dir)
        if model.mlp is not None and is_checkpoint:
            save_file(model.mlp.state_dict(), folder / MLP_FILE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        """The other half of `_save`."""
        folder = Path(resume_from_checkpoint)
        model = self.accelerator.unwrap_model(model or self.model)
        # AutoModel adds a pooler to an encoder that was made without one.
        saved, names = AutoModel.from_pretrained(folder).state_dict(), model.encoder.state_dict().keys()
        model.encoder.load_state_dict({name: tensor for name, tensor in saved.items() if name in names})
        if model.mlp is not None:
            model.mlp.load_state_dict(load_file(folder / MLP_FILE))

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(self.state.best_model_checkpoint)


def _training_columns(dataset: Dataset | None, name: str) -> Dataset | None:
    """`dataset` with the columns that the collator reads."""
    if dataset is None:
        return None
    if "anchor" not in dataset.column_names:
        raise InputError(f"{name}: has no column `anchor`; its columns are {', '.join(dataset.column_names)}")
    if len(dataset) == 0:
        raise InputError(f"{name}: is empty")
    known = {"anchor", "positive", "group", *negative_columns(dataset.column_names)}
    return dataset.select_columns([column for column in dataset.column_names if column in known])
