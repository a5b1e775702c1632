"""Stage 4 as a whole: one training per fold and seed in one launch, and what they say together.

A launch costs seconds, a training on a few hundred texts hardly more.
"""

from __future__ import annotations

import copy
import json
import shutil
import time
from datetime import UTC, datetime
from typing import Any

import numpy
from datasets import Dataset

from hf_xling.console import note
from hf_xling.errors import InputError
from hf_xling.hub.cards import training_settings
from hf_xling.hub.push import ModelPush
from hf_xling.provenance.lineage import Lineage, descend
from hf_xling.provenance.model_cards import check_model_publishable, hub_name
from hf_xling.regression.card import SETTINGS
from hf_xling.regression.config import COMMAND, RegressionConfig, RegressionScriptArguments
from hf_xling.regression.data import Splits, load_splits
from hf_xling.regression.ensemble import write_members
from hf_xling.regression.parts import Part, cross_validation, hold_out, parts_of, run_identity
from hf_xling.regression.results import (
    PREDICTIONS_FILE,
    RESULTS_FILE,
    TEST_SET_FILE,
    in_words,
    summarise,
    write_predictions,
)
from hf_xling.regression.trainer import RegressionTrainer
from hf_xling.runs import claim, finish, is_finished, write_json
from hf_xling.training.adapters import LoraArguments
from hf_xling.training.config import newest_checkpoint
from hf_xling.training.pretrained import check_checkpoint

Fold = tuple[Dataset, Dataset]  # what is trained on, and what is tested


def train_all(script: RegressionScriptArguments, args: RegressionConfig, lora: LoraArguments) -> str | None:
    """Train and test once a fold and seed; return the closing lines (None on the other processes of a launch).

    With `--seeds` or `--folds` each training has a folder of its own (`parts.parts_of`), without the checkpoints that
    it could have been resumed from, and the output folder holds what `results.summarise` says of all, and is a
    `RatingEnsemble`. What is finished is not trained again.
    """
    splits = load_splits(script, args.task)
    check_checkpoint(script.model_name_or_path, script.model_revision)
    launch, parts, parent = run_identity(script, args, lora), parts_of(script, args), args.folder
    many = parts[0].folder != parent
    if many and args.resume_from_checkpoint:
        raise InputError("--resume_from_checkpoint: goes with one training; each of several goes on by itself")
    if many and args.push_to_hub and args.task == "classification":
        raise InputError("--push_to_hub: goes with one training of classes; there is no ensemble of them")
    lineage = descend(args.task, script.model_name_or_path, script.model_revision, splits.corpora)
    if args.push_to_hub:
        check_model_publishable(lineage, hub_name(args))
    finished = [is_finished(part.folder, COMMAND, part.identity(launch)) for part in parts]
    push = ModelPush(args, all(finished))
    if many:
        claim(parent, COMMAND, launch)
    folds = dict(enumerate(cross_validation(splits.datasets["train"], script.folds), 1)) if script.folds else {}
    trained = False
    for part in parts:
        if claim(part.folder, COMMAND, part.identity(launch)):
            continue
        trained = True
        if many and args.should_save:
            note(f"{part.name}:")
        _train(script, _args_for(args, part), lora, splits, folds[part.fold] if part.fold else None, lineage)
        if args.should_save:
            finish(part.folder, repo_id=args.hub_model_id)
            for checkpoint in part.folder.glob("checkpoint-*") if many else ():
                shutil.rmtree(checkpoint)
    if not args.should_save:
        return None
    results = {part: json.loads((part.folder / RESULTS_FILE).read_text("utf-8")) for part in parts}
    lines = [] if trained else [f"{parent}: this run is already finished"]
    lines += [f"{part.name}: {in_words(result)} → {part.folder}" for part, result in results.items()]
    if many:
        summary = _summarise(args, results, folds, splits)
        lines.append(f"together: {in_words(summary)} → {parent}")
        finish(parent, repo_id=args.hub_model_id)
    dropped = [
        f"{split}: {count:,} rows dropped ({reason})"
        for split, reasons in splits.dropped.items()
        for reason, count in reasons.items()
    ]
    return "\n".join([*dropped, *lines, *push.publish()])


def _args_for(args: RegressionConfig, part: Part) -> RegressionConfig:
    args = copy.copy(args)
    args.output_dir, args.seed = str(part.folder), part.seed
    return args


def _summarise(
    args: RegressionConfig, results: dict[Part, dict[str, Any]], folds: dict[int, Fold], splits: Splits
) -> dict[str, Any]:
    """What all trainings say together, written to the output folder, which of ratings becomes an ensemble."""
    parent, ratings = args.folder, args.task == "regression"
    tested = {fold: test for fold, (_, test) in folds.items()} if ratings else {}
    summary = summarise(results, parent, tested, splits.datasets.get("test") if ratings else None)
    if ratings:
        settings = {**training_settings(args, SETTINGS), "seed": ", ".join(map(str, summary["seeds"]))}
        write_members(parent, [part.folder for part in results], args.hub_model_id, summary, settings)
    write_json(parent / RESULTS_FILE, summary)
    return summary


def _train(
    script: RegressionScriptArguments,
    args: RegressionConfig,
    lora: LoraArguments,
    splits: Splits,
    fold: Fold | None,
    lineage: Lineage,
) -> None:
    """Train and test once, and write the model, its results and its predictions to `args.output_dir`."""
    started, clock = datetime.now(UTC), time.monotonic()
    datasets, test_set = dict(splits.datasets), None
    if fold is not None:
        test_set = datasets.get("test")
        datasets["train"], datasets["test"] = fold
    if "validation" not in datasets and script.validation_share:
        datasets["train"], datasets["validation"] = hold_out(datasets["train"], script.validation_share)
    trainer = RegressionTrainer(
        script.model_name_or_path,
        args,
        datasets["train"],
        datasets.get("validation"),
        peft_config=lora.config("SEQ_CLS"),
        label_names=splits.label_names,
        model_revision=script.model_revision,
        lineage=lineage,
    )
    if "test" in datasets:
        trainer.check_texts(datasets["test"], "test_dataset")
    if test_set is not None:
        trainer.check_texts(test_set, "test_file")
    cut = trainer.train_dataset.cut
    if trainer.is_world_process_zero():
        note(trainer.loading)
        if cut.long_documents and not cut.is_noteworthy:  # the trainer itself warns of more
            note(cut.in_words(trainer.cutter.max_length))
    trainer.train(args.resume_from_checkpoint or newest_checkpoint(args))
    trainer.save_model()
    trainer.save_state()
    results: dict[str, Any] = {f"n_{split}": len(dataset) for split, dataset in datasets.items()}
    results |= {"steps": trainer.state.global_step, "seed": args.seed}
    results |= {"long_documents": cut.long_documents, "cut_tokens": cut.cut_tokens / max(cut.tokens, 1)}
    results |= trainer.coverage["text"].figures | trainer.unknown_shares
    if "validation" in datasets:
        results |= _measured(trainer, datasets["validation"], "validation")
        results |= {"chosen_by": trainer.args.metric_for_best_model} if trainer.args.load_best_model_at_end else {}
    if "test" in datasets:
        results |= _measured(trainer, datasets["test"], "test", PREDICTIONS_FILE)
    if test_set is not None:
        _measured(trainer, test_set, "test", TEST_SET_FILE)
    trainer.test_results = {**results, **({"fold": True} if fold is not None else {})}
    trainer.create_model_card()
    results |= {"started": started.isoformat(timespec="seconds"), "seconds": round(time.monotonic() - clock, 2)}
    if args.should_save:
        write_json(args.folder / RESULTS_FILE, results)


def _measured(trainer: RegressionTrainer, dataset: Dataset, split: str, file: str | None = None) -> dict[str, Any]:
    """The metrics of `dataset`, and those of saying the same of every text; its predictions are written to `file`."""
    output = trainer.predict(dataset, metric_key_prefix=split)
    predictions = trainer.task.predictions(numpy.asarray(output.predictions)).tolist()
    labels, known = numpy.asarray(output.label_ids), numpy.asarray(trainer.train_dataset.labels)
    found: dict[str, Any] = output.metrics or {}
    scores = {name: found[name] for name in (f"{split}_{metric}" for metric in trainer.task.metric_names)}
    if (names := trainer.task.names) is not None:
        scores[f"{split}_majority_accuracy"] = float((labels == numpy.bincount(known).argmax()).mean())
        dataset = dataset.remove_columns("label").add_column("label", [names[label] for label in dataset["label"]])
        predictions = [names[number] for number in predictions]
    else:
        scores[f"{split}_constant_mse"] = float(((labels - known.mean()) ** 2).mean())
    if file is not None and trainer.is_world_process_zero():
        write_predictions(trainer.args.folder / file, dataset, predictions)
    return scores
