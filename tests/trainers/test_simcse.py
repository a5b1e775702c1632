"""What trainers/simcse.py takes and refuses beyond what both scripts share, in the process."""

import csv
import json
import math

import pytest
import torch
from datasets import Dataset
from hf_xling.trainers import simcse
from peft import PeftModel
from script_runs import simcse_argv
from transformers import AutoModel

from hf_xling.console import run_command


@pytest.fixture
def held_out(tmp_path, sentences):
    """Files of held-out pairs and of a similarity set."""
    columns = {
        "pairs.csv": {"anchor": sentences[64:80], "positive": sentences[80:96]},
        "sts.csv": {
            "sentence1": sentences[96:112],
            "sentence2": sentences[112:128],
            "score": [row % 5 for row in range(16)],
        },
    }
    for name, table in columns.items():
        write(tmp_path / name, table)
    return tmp_path


def write(path, table):
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


def log_of(folder):
    return json.loads((folder / "trainer_state.json").read_text("utf-8"))["log_history"]


def test_held_out_files_are_evaluated_while_training_and_at_the_end(bert_folder, files, held_out, tmp_path):
    more = ["--validation_file", str(held_out / "pairs.csv"), "--sts_file", str(held_out / "sts.csv")]
    more += ["--eval_strategy", "steps", "--eval_steps", "1", "--save_strategy", "steps", "--save_steps", "1"]
    more += ["--load_best_model_at_end", "true", "--early_stopping_patience", "5", "--learning_rate", "1e-3"]
    simcse.main(simcse_argv(bert_folder, files, tmp_path / "run", *more))
    names = ("loss", "uniformity", "alignment", "relative_distance", "sts_spearman", "sts_pearson")
    lines = [line for line in log_of(tmp_path / "run") if "eval_loss" in line]
    assert [line["step"] for line in lines] == [1, 2, 3, 3]
    assert all(math.isfinite(line[f"eval_{name}"]) for line in lines for name in names)
    results = json.loads((tmp_path / "run" / "eval_results.json").read_text("utf-8"))
    best = max(line["eval_sts_spearman"] for line in lines[:3])
    assert results["eval_sts_spearman"] == pytest.approx(best, abs=1e-5), "of the best checkpoint"


@pytest.mark.parametrize("option", ["validation_file", "sts_file"])
def test_without_a_strategy_they_are_evaluated_at_the_end(bert_folder, files, held_out, tmp_path, option):
    path = held_out / ("sts.csv" if option == "sts_file" else "pairs.csv")
    simcse.main(simcse_argv(bert_folder, files, tmp_path / "run", f"--{option}", str(path)))
    results = json.loads((tmp_path / "run" / "eval_results.json").read_text("utf-8"))
    assert ("eval_sts_spearman" in results) == (option == "sts_file")
    assert "eval_loss" in log_of(tmp_path / "run")[-1]


def test_without_them_nothing_is_evaluated(bert_folder, files, tmp_path):
    simcse.main(simcse_argv(bert_folder, files, tmp_path / "run"))
    assert not (tmp_path / "run" / "eval_results.json").exists()


@pytest.mark.parametrize(
    "more",
    [
        ["--pooling", "first_last_mean", "--token_budget", "64"],
        ["--packing", "false", "--token_budget", "64"],
        ["--mlm_weight", "0.1", "--pooling", "mean"],
        ["--symmetric", "--keep_mlp"],
        ["--bf16"],
    ],
    ids=lambda more: more[0].removeprefix("--"),
)
def test_options_reach_the_training(bert_folder, files, tmp_path, more):
    closing = simcse.main(simcse_argv(bert_folder, files, tmp_path / "run", *more))
    assert closing.startswith("64 rows, 3 steps, loss ")
    losses = [line["loss"] for line in log_of(tmp_path / "run") if "loss" in line]
    assert len(losses) == 3 and all(map(math.isfinite, losses))
    modules = {path.name for path in (tmp_path / "run").iterdir() if path.is_dir()}
    wanted = {"1_Pooling"} | ({"2_Dense"} if "--keep_mlp" in more else set())
    assert modules == wanted | ({"1_WeightedLayerPooling"} if "first_last_mean" in more else set())


def test_a_token_budget_changes_no_loss(distilbert_folder, files, tmp_path):
    """Dropout is of the config: without it the losses of one pass and of several are the same."""
    checkpoint = tmp_path / "base"
    AutoModel.from_pretrained(distilbert_folder, dropout=0.0, attention_dropout=0.0).save_pretrained(checkpoint)
    for path in distilbert_folder.glob("token*"):
        (checkpoint / path.name).write_bytes(path.read_bytes())
    courses = []
    for name, more in (("whole", []), ("passes", ["--token_budget", "20"])):
        simcse.main(simcse_argv(checkpoint, files, tmp_path / name, "--learning_rate", "1e-3", *more))
        courses.append([line["loss"] for line in log_of(tmp_path / name) if "loss" in line])
    assert courses[0] == pytest.approx(courses[1], abs=1e-4)


def test_an_adapter_is_trained_and_taken_up_again(bert_folder, files, tmp_path, monkeypatch):
    lora = ["--use_peft", "--lora_r", "4", "--lora_dropout", "0.1", "--lora_target_modules", "query", "value"]
    argv = simcse_argv(bert_folder, files, tmp_path / "run", *lora, "--learning_rate", "1e-2")
    assert simcse.main(argv).endswith(f"encoder: {tmp_path / 'run'}")
    config = json.loads((tmp_path / "run" / "adapter_config.json").read_text("utf-8"))
    assert (config["r"], config["lora_alpha"], config["revision"]) == (4, 32, "main")
    assert sorted(config["target_modules"]) == ["query", "value"]
    base = AutoModel.from_pretrained(bert_folder).eval()
    ids = torch.tensor([[2, 9, 8, 3]])
    with torch.no_grad():
        before = base(ids).last_hidden_state
        after = PeftModel.from_pretrained(base, tmp_path / "run")(ids).last_hidden_state
    assert (before - after).abs().max() > 1e-3
    assert "LoRA adapter" in (tmp_path / "run" / "README.md").read_text("utf-8")
    assert simcse.main(argv).endswith("this run is already finished")
    status = run_command(simcse.main, [*argv, "--lora_alpha", "8"])
    assert status == 2, "another adapter is another run"


def test_groups_of_numbers_and_names(bert_folder, sentences, tmp_path):
    rows = [{"anchor": text, "group": group} for text, group in zip(sentences, (1, "one", None, 2.5) * 4, strict=False)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    argv = simcse_argv(bert_folder, tmp_path, tmp_path / "run", "--train_file", str(tmp_path / "corpus.jsonl"))
    assert simcse.main(argv).startswith("16 rows, 3 steps")


# Bad input, each with its one line


def refused(argv, capsys):
    """The one line of a refused run."""
    assert run_command(simcse.main, argv) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    return shown.err.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sentence1": ["a cat"], "score": [1]}, ": has no column `sentence2`; its columns are sentence1, score"),
        (
            {"sentence1": ["a cat"], "sentence2": ["a dog"], "score": ["high"]},
            ", row 1 (line 2), column `score`: 'high' is no number",
        ),
        (
            {"sentence1": ["a cat"] * 2, "sentence2": ["a dog"] * 2, "score": [1, "nan"]},
            ", row 2 (line 3), column `score`: 'nan' is no number",
        ),
        (
            {"sentence1": ["a cat"], "sentence2": [""], "score": [1]},
            ", row 1 (line 2), column `sentence2`: the text is null; a text is needed",
        ),
        ({"sentence1": [], "sentence2": [], "score": []}, ": is empty; at least one row of data is needed"),
    ],
    ids=["column", "word", "nan", "null", "empty"],
)
def test_a_similarity_file_that_is_none(bert_folder, files, tmp_path, table, message, capsys):
    path = write(tmp_path / "sts.csv", table)
    line = refused(simcse_argv(bert_folder, files, tmp_path / "run", "--sts_file", str(path)), capsys)
    assert line == f"{path}{message}"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"content": ["a cat"]},
            ": has no column `anchor`, `text` or `sentence`, nor known names of pairs; --anchor_column and "
            "--positive_column (and --negative_column) choose the columns; its columns are content",
        ),
        ({"anchor": ["a cat", " "]}, ", row 2 (line 3), column `anchor`: the text is empty"),
        (
            {"anchor": ["a cat", "a dog"], "positive": ["a bird", ""]},
            ", row 2 (line 3), column `positive`: the text is null; a text is needed",
        ),
        (
            {"anchor": ["a cat"], "negative_2": [""]},
            ", row 1 (line 2), column `negative_2`: the text is null; a text is needed",
        ),
    ],
    ids=["column", "anchor", "positive", "negative"],
)
@pytest.mark.parametrize("option", ["train_file", "validation_file"])
def test_rows_that_are_none(bert_folder, files, tmp_path, option, table, message, capsys):
    path = write(tmp_path / "rows.csv", table)
    line = refused(simcse_argv(bert_folder, files, tmp_path / "run", f"--{option}", str(path)), capsys)
    assert line == f"{path}{message}"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--validation_file", "gone.csv"], "gone.csv: no such file or folder"),
        (["--sts_file", "gone.csv"], "gone.csv: no such file or folder"),
        (["--token_budget", "8"], "--token_budget 8: must hold a text of --max_length 16"),
        (["--max_length", "40"], "--max_length 40: {base} has positions for 32 tokens"),
        (["--negative_weight", "1"], "--negative_weight 1.0: wants one column of hard negatives; train_dataset has 0"),
        (["--use_peft", "--lora_r", "0"], "--lora_r 0: at least 1 is needed"),
        (
            ["--pooling", "max"],
            "argument --pooling: invalid choice: 'max' (choose from 'cls_mlp', 'cls', 'mean', 'first_last_mean')",
        ),
        (
            ["--early_stopping_patience", "2"],
            "--early_stopping_patience: needs --load_best_model_at_end and an evaluation strategy",
        ),
        (
            ["--per_device_train_batch_size", "65"],
            "train_dataset: has 64 rows, fewer than one batch of 65 (--per_device_train_batch_size)",
        ),
    ],
    ids=lambda value: value[-2].removeprefix("--") if isinstance(value, list) else "",
)
def test_options_that_cannot_work(bert_folder, files, tmp_path, more, message, capsys):
    line = refused(simcse_argv(bert_folder, files, tmp_path / "run", *more), capsys)
    assert line == message.format(base=bert_folder)


def test_layers_that_there_are_not(bert_folder, files, tmp_path, capsys):
    more = ["--use_peft", "--lora_target_modules", "attention_of_another"]
    line = refused(simcse_argv(bert_folder, files, tmp_path / "run", *more), capsys)
    assert line.startswith(f"--lora_target_modules (peft_config): does not fit {bert_folder}: ")
    assert "attention_of_another" in line


def test_a_dataset_folder_with_columns_of_all_kinds(bert_folder, sentences, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    columns = {name: sentences[16 * number :][:16] for number, name in enumerate(("anchor", "positive", "negative"))}
    table = {**columns, "group": ["a", None] * 8, "premise_id": list(range(16))}
    Dataset.from_dict(table).to_parquet(folder / "train-00000-of-00001.parquet")
    argv = ["--model_name_or_path", str(bert_folder), "--dataset_name", str(folder), "--max_steps", "1"]
    argv += ["--per_device_train_batch_size", "8", "--output_dir", str(tmp_path / "run"), "--max_length", "16"]
    argv += ["--negative_weight", "0.5", "--use_cpu", "true", "--disable_tqdm", "true"]
    assert simcse.main(argv).startswith("16 rows, 1 steps")
    assert "text pairs" in (tmp_path / "run" / "README.md").read_text("utf-8")
