"""Command lines of small trainings, and what they leave behind."""

import csv

from hf_xling.trainers import regression, simcse

from hf_xling.runs import LOCK_FILE

SCRIPTS = {"simcse": simcse, "regression": regression}


def simcse_argv(checkpoint, files, output, *more):
    return [
        *("--model_name_or_path", str(checkpoint), "--train_file", str(files / "corpus.txt")),
        *("--output_dir", str(output), "--max_steps", "3", "--per_device_train_batch_size", "8"),
        *("--max_length", "16", "--save_strategy", "no", "--use_cpu", "true", "--disable_tqdm", "true"),
        *("--logging_steps", "1", *more),
    ]


def regression_argv(checkpoint, files, output, *more):
    parts = [token for part in ("train", "validation", "test") for token in (f"--{part}_file", files / f"{part}.csv")]
    return [
        *("--model_name_or_path", str(checkpoint), *map(str, parts), "--output_dir", str(output)),
        *("--num_train_epochs", "2", "--learning_rate", "1e-3", "--use_cpu", "true", "--disable_tqdm", "true", *more),
    ]


ARGV = {"simcse": simcse_argv, "regression": regression_argv}


def read_predictions(folder):
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != LOCK_FILE}
