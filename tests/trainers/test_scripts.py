"""The two training scripts, in the process."""

import json
import shutil
import statistics
from pathlib import Path
from typing import NamedTuple

import pytest
from datasets import Dataset
from hf_xling.trainers import regression, simcse
from safetensors.torch import load_file
from script_runs import ARGV, SCRIPTS, read_predictions, regression_argv, simcse_argv, snapshot
from transformers import AutoModel, AutoModelForSequenceClassification

from hf_xling import RegressionTrainer, SimCSETrainer
from hf_xling.console import run_command
from hf_xling.errors import InputError


class Run(NamedTuple):
    argv: list[str]
    folder: Path
    closing: str


@pytest.fixture(scope="module")
def finished(bert_folder, files, tmp_path_factory):
    """A finished run of each script, to be looked at only."""
    runs = {}
    for script, more in (("simcse", ()), ("regression", ("--seed", "5"))):
        folder = tmp_path_factory.mktemp("finished") / "run"
        argv = ARGV[script](bert_folder, files, folder, *more)
        runs[script] = Run(argv, folder, SCRIPTS[script].main(argv))
    return runs


def test_simcse_writes_an_encoder(bert_folder, finished):
    _, folder, closing = finished["simcse"]
    assert closing.startswith("64 rows, 3 steps, loss ") and closing.endswith(f"encoder: {folder}")
    trained, base = AutoModel.from_pretrained(folder), AutoModel.from_pretrained(bert_folder)
    assert not trained.embeddings.word_embeddings.weight.equal(base.embeddings.word_embeddings.weight)
    record = json.loads((folder / "_run.json").read_text("utf-8"))
    assert record["finished"] and record["command"] == "trainers/simcse.py"
    assert (folder / "README.md").exists()


def test_regression_writes_model_results_and_predictions(finished):
    _, folder, closing = finished["regression"]
    results = json.loads((folder / "all_results.json").read_text("utf-8"))
    assert f"seed 5: test MSE {results['test_mse']:.4f}" in closing and "on 12 texts" in closing
    assert (results["n_train"], results["n_validation"], results["n_test"], results["seed"]) == (32, 8, 12, 5)
    assert results["steps"] == 4
    rows = read_predictions(folder)
    assert [row["id"] for row in rows] == [str(number) for number in range(1, 13)]
    errors = [float(row["prediction"]) - float(row["label"]) for row in rows]
    assert results["test_mse"] == pytest.approx(statistics.fmean(e * e for e in errors), rel=1e-5)
    assert results["test_mae"] == pytest.approx(statistics.fmean(map(abs, errors)), rel=1e-5)
    assert AutoModelForSequenceClassification.from_pretrained(folder).config.num_labels == 1
    assert (folder / "README.md").exists()
    assert not list(folder.glob("*.bin"))


def test_each_seed_has_a_folder_and_the_parent_their_means(bert_folder, files, tmp_path):
    closing = regression.main(regression_argv(bert_folder, files, tmp_path / "run", "--seeds", "1", "2"))
    assert [line.split(":")[0] for line in closing.splitlines()] == ["seed 1", "seed 2", "together"]
    folders = [tmp_path / "run" / f"seed-{seed}" for seed in (1, 2)]
    results = [json.loads((folder / "all_results.json").read_text("utf-8")) for folder in folders]
    assert results[0]["test_mse"] != results[1]["test_mse"]
    means = json.loads((tmp_path / "run" / "all_results.json").read_text("utf-8"))
    values = [result["test_mse"] for result in results]
    assert means["seeds"] == [1, 2]
    assert means["test_mse"] == pytest.approx(statistics.fmean(values))
    assert means["test_mse_std"] == pytest.approx(statistics.stdev(values))
    # A seed gives what it gives alone.
    regression.main(regression_argv(bert_folder, files, tmp_path / "alone", "--seed", "2"))
    alone = json.loads((tmp_path / "alone" / "all_results.json").read_text("utf-8"))
    assert alone["test_mse"] == pytest.approx(values[1], rel=1e-6)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_finished_run_is_not_trained_again(finished, script):
    argv, folder, _ = finished[script]
    before = snapshot(folder)
    assert SCRIPTS[script].main(argv).startswith(f"{folder}: this run is already finished")
    assert snapshot(folder) == before
    # What changes no result makes no other run.
    assert "finished" in SCRIPTS[script].main([*argv, "--logging_steps", "2"])


def test_an_interrupted_run_of_seeds_goes_on_where_it_was(bert_folder, files, tmp_path, monkeypatch, capsys):
    def argv(output):
        return regression_argv(bert_folder, files, tmp_path / output, "--seeds", "1", "2", "--num_train_epochs", "3")

    regression.main(argv("whole"))
    steps = []
    step = RegressionTrainer.training_step

    def interrupted(self, *args, **kwargs):
        steps.append(self.args.seed)
        if len(steps) == 9:  # the third of the second seed, whose first checkpoint remains
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(RegressionTrainer, "training_step", interrupted)
    assert run_command(regression.main, argv("run")) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
    assert (tmp_path / "run" / "seed-2" / "checkpoint-2").is_dir()
    first = snapshot(tmp_path / "run" / "seed-1")
    regression.main(argv("run"))
    assert steps == [1] * 6 + [2] * 3 + [2] * 4
    assert snapshot(tmp_path / "run" / "seed-1") == first
    whole, resumed = (tmp_path / run / "seed-2" for run in ("whole", "run"))
    weights, again = (load_file(folder / "model.safetensors") for folder in (whole, resumed))
    assert all(tensor.equal(again[name]) for name, tensor in weights.items())
    assert read_predictions(whole) == read_predictions(resumed)


def test_an_interrupted_simcse_run_goes_on_where_it_was(bert_folder, files, tmp_path, monkeypatch):
    def argv(output):
        more = ("--max_steps", "5", "--save_strategy", "steps", "--save_steps", "2", "--learning_rate", "1e-3")
        return simcse_argv(bert_folder, files, tmp_path / output, *more)

    simcse.main(argv("whole"))
    steps = []
    step = SimCSETrainer.training_step

    def interrupted(self, *args, **kwargs):
        steps.append(self.state.global_step)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(SimCSETrainer, "training_step", interrupted)
    assert run_command(simcse.main, argv("run")) == 130
    simcse.main(argv("run"))
    assert steps == [0, 1, 2, 3, 2, 3, 4]
    weights, again = (load_file(tmp_path / run / "model.safetensors") for run in ("whole", "run"))
    assert all(tensor.equal(again[name]) for name, tensor in weights.items())


@pytest.mark.parametrize("script", SCRIPTS)
def test_other_arguments_in_the_same_folder_are_one_error_line(finished, script, capsys):
    argv, folder, _ = finished[script]
    status = run_command(SCRIPTS[script].main, [*argv, "--weight_decay", "0.1"])
    shown = capsys.readouterr()
    assert status == 2 and shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith(f"error: --output_dir {folder}: holds another run (weight_decay was ")
    assert "is now 0.1" in shown.err


@pytest.mark.parametrize("script", SCRIPTS)
def test_other_content_under_the_same_names_is_another_run(bert_folder, files, tmp_path, script):
    checkpoint, data = tmp_path / "base", tmp_path / "data"
    shutil.copytree(bert_folder, checkpoint)
    shutil.copytree(files, data)
    argv = ARGV[script](checkpoint, data, tmp_path / "run")
    SCRIPTS[script].main(argv)
    name = "corpus.txt" if script == "simcse" else "train.csv"
    text = (data / name).read_text("utf-8")
    (data / name).write_text(text.replace("boy", "girl"), encoding="utf-8")
    with pytest.raises(InputError, match="holds another run"):
        SCRIPTS[script].main(argv)
    (data / name).write_text(text, encoding="utf-8")
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    (checkpoint / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.3}), encoding="utf-8")
    with pytest.raises(InputError, match="holds another run"):
        SCRIPTS[script].main(argv)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_missing_file_leaves_no_output_folder(bert_folder, files, tmp_path, script, capsys):
    argv = [*ARGV[script](bert_folder, files, tmp_path / "run"), "--train_file", str(tmp_path / "none.csv")]
    assert run_command(SCRIPTS[script].main, argv) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'none.csv'}: no such file or folder\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_after_a_failed_start_the_folder_is_free(bert_folder, files, tmp_path, script, capsys):
    argv = ARGV[script](tmp_path / "no-model", files, tmp_path / "run")
    assert run_command(SCRIPTS[script].main, argv) == 2
    assert "no-model" in capsys.readouterr().err
    SCRIPTS[script].main(ARGV[script](bert_folder, files, tmp_path / "run"))
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--learning_rat", "1"], "error: unknown option --learning_rat; did you mean `learning_rate`?"),
        (["--max_steps", "many"], "error: argument --max_steps/--max-steps: invalid int value: 'many'"),
        (["--config", "nowhere.yaml"], "error: nowhere.yaml: cannot read the recipe: No such file or directory"),
    ],
)
@pytest.mark.parametrize("script", SCRIPTS)
def test_bad_usage_is_one_line_and_status_2(bert_folder, files, tmp_path, script, more, message, capsys):
    assert run_command(SCRIPTS[script].main, [*ARGV[script](bert_folder, files, tmp_path / "run"), *more]) == 2
    assert capsys.readouterr().err == f"{message}\n"


def test_a_recipe_gives_the_fields_and_options_win(bert_folder, files, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"model_name_or_path: {bert_folder}\ntrain_file: {files / 'corpus.txt'}\nmax_steps: 1\nlearning_rate: 2e-5\n"
        "per_device_train_batch_size: 8\nmax_length: 16\nsave_strategy: 'no'\nuse_cpu: true\nreport_to: [none]\n",
        encoding="utf-8",
    )
    output = str(tmp_path / "run")
    assert "2 steps" in simcse.main(["--config", str(recipe), "--output_dir", output, "--max_steps", "2"])
    arguments = json.loads((tmp_path / "run" / "_run.json").read_text("utf-8"))["arguments"]
    assert arguments["learning_rate"] == 2e-5 and arguments["max_steps"] == 2


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_lists_own_fields_first_and_hides_rare_ones(script, capsys):
    texts = {}
    for option in ("--help", "--help_all"):
        with pytest.raises(SystemExit) as ended:
            SCRIPTS[script].main([option])
        assert ended.value.code == 0
        texts[option] = capsys.readouterr().out
    common, everything = texts["--help"], texts["--help_all"]
    assert SCRIPTS[script].__doc__.splitlines()[0] in common
    own = ("--model_name_or_path", "--max_length", "--learning_rate" if script == "simcse" else "--seeds")
    for option in own:
        assert 0 < common.index(option) < common.index("--weight_decay")
    for rare in ("--adam_beta1", "--ddp_backend", "--torch_compile"):
        assert rare not in common and rare in everything
    assert "--gradient_accumulation_steps" in common and len(everything) > 2 * len(common)


def test_a_dataset_of_pairs_is_read_by_its_columns(bert_folder, sentences, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    pairs = {"anchor": sentences[:16], "positive": sentences[16:32], "group": ["a", "b"] * 8}
    Dataset.from_dict(pairs).to_parquet(folder / "train-00000-of-00001.parquet")
    argv = ["--model_name_or_path", str(bert_folder), "--dataset_name", str(folder), "--max_steps", "1"]
    argv += ["--per_device_train_batch_size", "8", "--output_dir", str(tmp_path / "run"), "--max_length", "16"]
    assert simcse.main([*argv, "--use_cpu", "true", "--disable_tqdm", "true"]).startswith("16 rows, 1 steps")
    assert "text pairs" in (tmp_path / "run" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_run_starts_from_a_named_checkpoint(bert_folder, files, tmp_path, kind):
    """That of another run, with its optimiser; a checkpoint of its own makes it no other run."""
    main, more = SCRIPTS[kind].main, ("--max_steps", "3", "--save_strategy", "steps", "--save_steps", "1")
    more = (*more, "--save_total_limit", "3", "--eval_strategy", "no")
    main(ARGV[kind](bert_folder, files, tmp_path / "first", *more))
    checkpoint = str(tmp_path / "first" / "checkpoint-2")
    main(ARGV[kind](bert_folder, files, tmp_path / "second", *more, "--resume_from_checkpoint", checkpoint))
    assert [path.name for path in (tmp_path / "second").glob("checkpoint-*")] == ["checkpoint-3"]
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert all(first[name].equal(second[name]) for name in first)
    for own in ("true", checkpoint):
        again = main(ARGV[kind](bert_folder, files, tmp_path / "first", *more, "--resume_from_checkpoint", own))
        assert "already finished" in again


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_checkpoint_that_is_missing_stops_a_run_before_it_begins(bert_folder, files, tmp_path, kind):
    for given in (str(tmp_path / "missing"), "true"):
        with pytest.raises(InputError, match="--resume_from_checkpoint"):
            SCRIPTS[kind].main(ARGV[kind](bert_folder, files, tmp_path / "run", "--resume_from_checkpoint", given))
    assert not (tmp_path / "run").exists()


def test_several_trainings_resume_by_themselves(bert_folder, files, tmp_path):
    more = ("--max_steps", "1", "--save_strategy", "steps", "--save_steps", "1", "--eval_strategy", "no")
    regression.main(regression_argv(bert_folder, files, tmp_path / "one", *more))
    more = (*more, "--seeds", "1", "2", "--resume_from_checkpoint", str(tmp_path / "one" / "checkpoint-1"))
    with pytest.raises(InputError, match="--resume_from_checkpoint: goes with one training"):
        regression.main(regression_argv(bert_folder, files, tmp_path / "run", *more))
