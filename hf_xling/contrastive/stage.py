"""Stage 3 as a whole: what the script was given is read, trained on, evaluated on, and saved."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from datasets import Dataset
from transformers import TrainerState

from hf_xling.contrastive.columns import pairs_in_words
from hf_xling.contrastive.config import COMMAND, SimCSEConfig, SimCSEScriptArguments, run_identity
from hf_xling.contrastive.data import ROWS, TextRows, TokenTable
from hf_xling.contrastive.trainer import SimCSETrainer
from hf_xling.errors import InputError
from hf_xling.hub.push import ModelPush
from hf_xling.labels import BadRow, number_of
from hf_xling.provenance.lineage import Lineage, descend
from hf_xling.provenance.model_cards import check_model_publishable, hub_name
from hf_xling.provenance.origins import Corpus, corpus_of
from hf_xling.runs import claim, finish, is_finished
from hf_xling.tables import Table, stream_table, texts_of
from hf_xling.tables.held_out import read_held_out
from hf_xling.training.adapters import LoraArguments
from hf_xling.training.config import newest_checkpoint
from hf_xling.training.pretrained import check_checkpoint


def train_encoder(script: SimCSEScriptArguments, args: SimCSEConfig, lora: LoraArguments) -> str | None:
    """Train, save and evaluate an encoder; return the closing lines (None on the other processes of a launch).

    A run that is finished is not trained again.

    Raises:
        InputError: as of `load_all`, `load_lineage` and `SimCSETrainer`.
    """
    corpus, held_out, sts, corpora = load_all(script)
    lineage = load_lineage(script, args, corpora)
    identity = run_identity(script, args, lora)
    push = ModelPush(args, is_finished(args.folder, COMMAND, identity))
    if claim(args.folder, COMMAND, identity):
        told = [f"{args.output_dir}: this run is already finished", *push.publish()]
        return "\n".join(told) if args.should_save else None
    trainer = SimCSETrainer(
        script.model_name_or_path,
        args,
        corpus,
        held_out,
        peft_config=lora.config("FEATURE_EXTRACTION"),
        sts_dataset=sts,
        model_revision=script.model_revision,
        lineage=lineage,
    )
    trainer.train(args.resume_from_checkpoint or newest_checkpoint(args))
    trainer.save_model()
    if trainer.eval_dataset is not None:  # whatever the strategy: of what was saved
        trainer.save_metrics("eval", {**trainer.evaluate(), **trainer.unknown_shares})
    trainer.save_state()
    trainer.create_model_card()
    if not args.should_save:
        return None
    finish(args.folder, repo_id=args.hub_model_id)
    pairs = pairs_in_words(corpus.chosen, len(corpus), corpus.left_out)
    told = [_in_words(trainer.train_dataset, trainer.state, pairs), f"encoder: {args.output_dir}"]
    return "\n".join([*told, *push.publish()])


class Loaded(NamedTuple):
    """Rows to train on, held-out rows, pairs with similarities (None where there are none), and where all come from."""

    corpus: TextRows
    held_out: TextRows | None
    sts: Dataset | None
    corpora: list[Corpus]


def load_all(script: SimCSEScriptArguments) -> Loaded:
    """The corpus as `SimCSETrainer` takes it, with `anchor`, and `positive`, `negative…`, `group` where the source has
    them (under these names or others: `columns.choose_columns`); the rows of `validation_file`; the pairs of
    `sts_file`. Of a source with splits `validation` is read and, for the pairs, `test`.

    Raises:
        InputError: no such source, split or column, no rows, a text that is null or empty (its row is named), or a
            score that is no number.
    """
    choice = {"anchor": script.anchor_column, "positive": script.positive_column, "negatives": script.negative_column}
    source = script.dataset_name or script.train_file or ""
    corpus = TextRows(stream_table(source, ROWS, script.dataset_config, script.dataset_split), choice)
    held_out, sts = None, None
    part = (script.dataset_config, script.dataset_split) if script.dataset_name else ()
    corpora = [corpus_of(corpus.name, {"train": len(corpus)}, corpus.written_by, *part)]
    if script.validation_file:
        # Another dataset has configs of its own.
        same = script.dataset_name is not None and Path(script.validation_file) == Path(script.dataset_name)
        config = script.dataset_config if same else None
        table, split = read_held_out(script.validation_file, "validation", config)
        held_out = TextRows([table], choice)
        corpora.append(corpus_of(script.validation_file, {"validation": len(held_out)}, {}, config, split))
    if script.sts_file:
        table, split = read_held_out(script.sts_file, "test")
        sts = _pairs(table.require_rows())
        corpora.append(corpus_of(script.sts_file, {"similarity": len(sts)}, {}, split=split))
    return Loaded(corpus, held_out, sts, corpora)


def load_lineage(script: SimCSEScriptArguments, args: SimCSEConfig, corpora: list[Corpus]) -> Lineage:
    """What the encoder will descend from, once it is known to be a checkpoint that it starts from.

    Raises:
        InputError: it is none; or the encoder is to be pushed, under a name that a licence bars.
    """
    check_checkpoint(script.model_name_or_path, script.model_revision)
    lineage = descend("SimCSE", script.model_name_or_path, script.model_revision, corpora)
    if args.push_to_hub:
        check_model_publishable(lineage, hub_name(args))
    return lineage


def _pairs(table: Table) -> Dataset:
    columns = {name: texts_of(table.column(name), partial(_where, table, name)) for name in ("sentence1", "sentence2")}
    scores = []
    for row, value in enumerate(table.column("score")):
        try:
            scores.append(number_of(value))
        except BadRow as error:
            raise InputError(f"{table.where(row)}, column `score`: {value!r} is no number") from error
    return Dataset.from_dict({**columns, "score": scores})


def _where(table: Table, column: str, row: int) -> str:
    return f"{table.where(row)}, column `{column}`"


def _in_words(rows: TokenTable, state: TrainerState, pairs: str) -> str:
    """`64 rows, 3 steps, loss 0.412 at the end; 64 text pairs (sent0, sent1)`, and how many rows share a text."""
    losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
    last = f", loss {losses[-1]:.3f} at the end" if losses else ""
    shared = f"; {rows.repeated:,} share a text with another row, and are no negatives of it" if rows.repeated else ""
    return f"{len(rows):,} rows, {state.global_step:,} steps{last}; {pairs}{shared}"
