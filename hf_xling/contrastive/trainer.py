"""`SimCSETrainer`: transformers' Trainer over the SimCSE objective."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, EvalLoopOutput

from hf_xling.console import note
from hf_xling.contrastive.card import SETTINGS, write_encoder_card
from hf_xling.contrastive.checkpoint import export_encoder, load_heads, restore_encoder, save_heads
from hf_xling.contrastive.columns import negative_columns
from hf_xling.contrastive.config import SimCSEConfig
from hf_xling.contrastive.data import TextRows, TokenTable, token_table
from hf_xling.contrastive.evaluation import check_sts, pair_metrics, sts_metrics
from hf_xling.contrastive.losses import gather_rows, info_nce
from hf_xling.contrastive.model import EXPORTED_POOLING, TokenMasking
from hf_xling.contrastive.packing import SimCSECollator, first_position
from hf_xling.contrastive.prepare import prepare
from hf_xling.errors import InputError
from hf_xling.provenance.lineage import Lineage
from hf_xling.training.config import Reasons
from hf_xling.training.trainer import SharedTrainer, plain, settle_best_metric

# Arguments of `Trainer` that have no meaning here, and why.
REFUSED_ARGUMENTS: Reasons = {
    "compute_loss_func": "the loss is InfoNCE; override `compute_loss` for another one",
    "compute_metrics": "an encoder predicts nothing; `sts_dataset` measures its vectors",
}
METRICS = ("loss", "uniformity", "alignment", "relative_distance")  # of these the last two of text pairs alone
STS_METRICS = ("sts_spearman", "sts_pearson")


class SimCSETrainer(SharedTrainer):
    """Trains a sentence encoder with in-batch contrastive learning (Gao et al. 2021).

    Batches are encoded without padding where the encoder allows it, in one forward pass or, with `token_budget`, in
    several whose gradient is that of one. Of several processes each takes the texts of all others as negatives.

    Args:
        model: a checkpoint folder, a Hub id, or a `PreTrainedModel` without a task head.
        args: the configuration.
        train_dataset: with the column `anchor`, and if wanted `positive`, `negative` (or `negative_1`, …) and `group`
            (integers or strings); see `TokenTable`. Other columns are left out. It is tokenised once, here.
        eval_dataset: the same; gives `eval_loss` at `per_device_eval_batch_size`, and `eval_uniformity`; of text pairs
            also `eval_alignment` and `eval_relative_distance`. Without `positive` both views are the same there, since
            evaluation has no dropout: the loss then measures only how far sentences lie apart. Or several by name
            (`eval_NAME_loss`), of which the first chooses the best checkpoint.
        processing_class: the tokenizer; by default the one beside the model.
        peft_config: trains an adapter of this kind in place of the encoder's weights.
        sts_dataset: pairs of sentences with a similarity, `sentence1`, `sentence2` and `score`; gives
            `eval_sts_spearman`, by which the best checkpoint then is chosen.
        model_revision: of a model on the Hub.
        lineage: what the encoder descends from, for its card; by default the model, and what columns of `train_dataset`
            (`model_id`, `model_sha`, `task`, `language`) tell of who wrote it.
        kwargs: passed to `Trainer` (`callbacks`, `optimizer_cls_and_kwargs`, `optimizers` of all that is trained).

    Attributes:
        coverage: what the tokenizer makes of the training texts, by column.
        held_out_coverage: the same for the other sets, by set and column.

    Raises:
        InputError: an argument or field of `args` that is refused (`training.config`); a model that cannot be loaded,
            has fewer positions than `max_length`, or is not the tokenizer's; a dataset without `anchor` or rows, or
            with fewer than one batch; a name to push to that a licence bars.
    """

    config_type, table_type, refused_arguments = SimCSEConfig, TokenTable, REFUSED_ARGUMENTS

    def __init__(
        self,
        model: str | os.PathLike | PreTrainedModel | None = None,
        args: SimCSEConfig | None = None,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | Mapping[str, Dataset] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        peft_config: Any = None,
        sts_dataset: Dataset | None = None,
        model_revision: str | None = None,
        lineage: Lineage | None = None,
        **kwargs: Any,
    ):
        given = {**kwargs, "processing_class": processing_class}
        model, name, args = self.check_given(model, args, train_dataset, eval_dataset, given)
        if sts_dataset is not None:
            if isinstance(eval_dataset, Mapping):
                raise InputError("sts_dataset: not with several validation sets (eval_dataset); give one of them")
            check_sts(sts_dataset, "sts_dataset")
            if args.chooses_best_metric:
                args.metric_for_best_model, args.greater_is_better = "sts_spearman", True
        held_out = {"eval_dataset": eval_dataset, "sts_dataset": sts_dataset}
        if sts_dataset is not None and eval_dataset is None:  # which Trainer wants for an evaluation
            sentences = list(dict.fromkeys(sts_dataset["sentence1"]))
            eval_dataset = Dataset.from_dict({"anchor": sentences})
            fitting = max(len(sentences) // args.world_size, 1)
            args.per_device_eval_batch_size = min(args.eval_batch_size, fitting)
        if eval_dataset is None and args.eval_strategy != "no":
            raise InputError(f"--eval_strategy {plain(args.eval_strategy)}: needs --validation_file or --sts_file")
        measured = (*METRICS, *(STS_METRICS if sts_dataset is not None else ()))
        settle_best_metric(args, eval_dataset, measured)
        prepared, tokenizer = prepare(model, name, args, processing_class, peft_config, model_revision)
        self.packed, self.prompt = prepared.packed, prepared.form.prompt
        super().__init__(
            base=name,
            revision=model_revision,
            purpose="SimCSE",
            lineage=lineage,
            columns=["anchor", "positive", *negative_columns(getattr(train_dataset, "column_names", ()))],
            held_out_columns=["anchor", "positive", "sentence1", "sentence2"],
            held_out=held_out,
            model=prepared,
            args=args,
            data_collator=SimCSECollator(
                packed=prepared.packed,
                token_budget=args.token_budget,
                first_position=first_position(prepared.encoder),
                pad=tokenizer.pad_token_id or 0,
                side=prepared.side,
            ),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=tokenizer,
            **kwargs,
        )
        others = self.train_dataset.left_out if self.train_dataset is not None else ()
        if (
            others and not isinstance(train_dataset, TextRows) and self.is_world_process_zero()
        ):  # of others the stage says it
            note(f"train_dataset: left out: {', '.join(others)}")
        self.sts_dataset = sts_dataset
        self.masking = None
        if args.mlm_weight:
            special = (*tokenizer.all_special_ids, tokenizer.pad_token_id or 0)
            self.masking = TokenMasking(tokenizer.mask_token_id, special, len(tokenizer), args.mlm_probability)
        self._pair_metrics: list[dict[str, float]] = []

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """`info_nce` over the views of all processes, and the masked-language-model loss if there is one.

        Every text is encoded with a dropout mask of its own, which is what makes dropout pairs differ.
        """
        chunks = inputs["chunks"]
        if self.masking is not None and model.training:
            chunks = [{**chunk, **self.masking(chunk["input_ids"])} for chunk in chunks]
        recompute = model.training and self.args.token_budget is not None and len(chunks) > 1
        vectors, mlm = model(chunks, recompute)
        vectors = _views(vectors, inputs)
        loss = self._contrast(vectors, inputs["groups"], model.training)
        if mlm is not None:
            masked = sum((chunk["mlm_labels"] != -100).sum() for chunk in chunks)
            # DDP takes the mean over processes, which have masked different numbers of tokens.
            masked = gather_rows(masked[None]).float().mean()
            loss = loss + self.args.mlm_weight * mlm / masked.clamp(min=1)
        if model.training:
            self._note_loss(loss)
        return (loss, vectors) if return_outputs else loss

    def _contrast(self, vectors: Tensor, groups: Tensor, training: bool) -> Tensor:
        """`info_nce` of (views, rows, width), in training with the rows of all processes."""
        if training:
            vectors = gather_rows(vectors.transpose(0, 1)).transpose(0, 1)
            groups = gather_rows(groups)
        return info_nce(
            vectors[0],
            vectors[1],
            vectors[2:].flatten(0, 1) if len(vectors) > 2 else None,
            temperature=self.args.temperature,
            groups=groups,
            negative_weight=self.args.negative_weight if len(vectors) == 3 else 0.0,  # held-out rows may have none
            symmetric=self.args.symmetric,
        )

    def _table(self, dataset: Dataset, name: str) -> TokenTable:
        return token_table(dataset, self.processing_class, self.args, name, self.prompt)

    def prediction_step(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> tuple:
        """The loss, as of training, and the metrics of pairs, of the vectors that are exported.

        Trainer itself would report no loss for batches without labels.
        """
        inputs = self._prepare_inputs(inputs)
        mlp = self.accelerator.unwrap_model(model).mlp
        with torch.no_grad(), self.compute_loss_context_manager():
            exported, _ = model(inputs["chunks"], with_mlp=False)
            trained = exported if mlp is None else mlp(exported)
            loss = self._contrast(_views(trained, inputs), inputs["groups"], training=False)
        vectors = _views(trained if self.args.keep_mlp else exported, inputs)
        if len(vectors[0]) > 1:
            self._pair_metrics.append(pair_metrics(vectors[0], vectors[1], identical=self._evaluated_dropout_pairs))
        return loss.detach(), None, None

    def evaluation_loop(self, dataloader: Any, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """Trainer's, with the means over batches of alignment and uniformity, and the similarity set's correlation."""
        self._pair_metrics = []
        self._evaluated_dropout_pairs = dataloader.dataset.dropout_pairs
        output = super().evaluation_loop(dataloader, *args, **kwargs)
        prefix, found = kwargs.get("metric_key_prefix", "eval"), output.metrics or {}
        for name in self._pair_metrics[0] if self._pair_metrics else ():
            values = torch.tensor([metrics[name] for metrics in self._pair_metrics], device=self.args.device)
            found[f"{prefix}_{name}"] = gather_rows(values).mean().item()
        if self.sts_dataset is not None:
            model = self.accelerator.unwrap_model(self.model)
            options = {"max_length": self.args.max_length, "with_mlp": self.args.keep_mlp}
            metrics = sts_metrics(model, self.processing_class, self.sts_dataset, **options)
            found |= {f"{prefix}_sts_{name}": value for name, value in metrics.items()}
        return output._replace(metrics=found)

    @property
    def pretrained(self) -> Any:
        """The encoder, or its adapter."""
        return self.accelerator.unwrap_model(self.model).encoder

    def _write_card(self) -> None:
        args, rows, model = self.args, self.train_dataset, self.accelerator.unwrap_model(self.model)
        chance = {"relative_distance": 1.0}
        if not args.mlm_weight and not args.negative_weight:  # either adds to the loss
            chance["loss"] = math.log(args.per_device_train_batch_size * args.world_size * (len(rows.views) - 1))
        write_encoder_card(
            args.folder,
            self.lineage,
            args.hub_model_id,
            self.state.log_history,
            chance,
            self.is_adapter,
            settings=self.settings(SETTINGS),
            rows=len(rows),
            pairs=not rows.dropout_pairs,
            pooling=EXPORTED_POOLING[model.pooling],
            prompt=model.form.prompt,
            normalize=model.form.normalize,
            mlp=model.mlp is not None,
            keep_mlp=args.keep_mlp,
            max_length=args.max_length,
            side=model.side,
        )

    def _write_checkpoint(self, folder: Path) -> None:
        """Write what `AutoModel` and `SentenceTransformer` load; in a `checkpoint-N` also what only training needs."""
        model = self.accelerator.unwrap_model(self.model)
        export_encoder(model, self.processing_class, folder, self.args.max_length, keep_mlp=self.args.keep_mlp)
        if folder.name.startswith(PREFIX_CHECKPOINT_DIR) and folder != self.args.folder:
            save_heads(model, folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """The other half of `_write_checkpoint`."""
        model = self.accelerator.unwrap_model(model or self.model)
        restore_encoder(model, Path(resume_from_checkpoint))
        load_heads(model, Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(str(self.state.best_model_checkpoint))


def _views(vectors: Tensor, inputs: dict[str, Any]) -> Tensor:
    """(S, H) of the texts of all chunks, as they are there, to (views, rows, H)."""
    return vectors[inputs["places"]].unflatten(0, (-1, len(inputs["groups"])))
