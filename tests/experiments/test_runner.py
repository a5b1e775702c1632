"""The grid and the runner: what a recipe becomes, what is refused before any work, and a whole run with its resume."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from hf_xling.errors import EndpointError, InputError, XlingError
from hf_xling.experiments.grid import ExperimentsConfig, paper_experiments
from hf_xling.experiments.plan import make_plan
from hf_xling.experiments.runner import Step, main, run_experiments, run_steps
from hf_xling.recipes import RecipeParser
from hf_xling.sample.demo import world_texts
from hf_xling.sample.encoder import make_encoder
from hf_xling.sample.replay import make_app, read_recording, serving
from hf_xling.sample.world import write_world

RECIPES = Path(__file__).parents[2] / "trainers" / "recipes"
NAMES = [
    "en-direct",
    "en-simcse-snli",
    "en-simcse-paraphrased",
    "ta-direct",
    "ta-simcse-murasu",
    "ta-simcse-translated",
    "ta-simcse-paraphrased-translated",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cut of the sample world, with an encoder."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    make_encoder(folder / "encoder", list(world_texts(folder)), hidden_size=32, layers=1, vocab_size=1000)
    for path in [folder / "snli.jsonl", folder / "news_ta.txt", *folder.glob("reviews_*.csv")]:
        path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:61]), encoding="utf-8")
    return folder


MODELS = len(NAMES) + sum("simcse" in name for name in NAMES)  # a rating model each, and the encoders


def recipe(world: Path, output_dir: Path, endpoint: str = "http://127.0.0.1:9", **changes: str) -> list[str]:
    """The command line of a tiny run over `world`."""
    fields = {
        "source": world / "snli.jsonl",
        "news": world / "news_ta.txt",
        "endpoint": endpoint,
        "output_dir": output_dir,
        "accelerate_config": "cpu",
        "simcse.max_steps": 2,
        "simcse.per_device_train_batch_size": 8,
        "simcse.save_strategy": "no",
        "regression.num_train_epochs": 1,
    }
    for side, language in (("source_task", "en"), ("target_task", "ta")):
        fields[f"{side}.model_name_or_path"] = world / "encoder"
        for split in ("train", "validation", "test"):
            fields[f"{side}.{split}_file"] = world / f"reviews_{language}_{split}.csv"
    fields |= changes
    return [
        "--text_column",
        "premise",
        "hypothesis",
        "--seeds",
        "1",
        *(f"--{name}={value}" for name, value in fields.items()),
    ]


def parse(argv: list[str]) -> ExperimentsConfig:
    return RecipeParser([ExperimentsConfig], prog="test").parse(argv)[0]


def test_the_grid_is_the_papers() -> None:
    experiments = paper_experiments("en", "ta")
    assert [experiment.name for experiment in experiments] == NAMES
    assert [experiment.paper_mse for experiment in experiments] == [0.052, 0.089, None, 0.398, 0.392, 0.342, 0.313]
    assert [experiment.name for experiment in experiments if experiment.corpus is None] == ["en-direct", "ta-direct"]


def test_other_languages_have_no_figures_of_the_paper() -> None:
    experiments = paper_experiments("en", "te")
    assert experiments[-1].name == "te-simcse-paraphrased-translated"
    assert {experiment.paper_mse for experiment in experiments if experiment.side == "target"} == {None}


def test_plan_gives_every_encoder_the_same_steps_and_its_own_corpus(world: Path, tmp_path: Path) -> None:
    plan = make_plan(parse(recipe(world, tmp_path / "run")))
    assert {each.fields["max_steps"] for each in plan.encoders.values()} == {"2"}
    assert {str(each.fields["dataset_name"]) for each in plan.encoders.values()} == {
        str(tmp_path / "run" / "corpora" / corpus) for corpus in plan.corpora
    }
    assert list(plan.encoders) == [each.corpus for each in plan.experiments if each.corpus]
    starts = {name: Path(each.fields["model_name_or_path"]).name for name, each in plan.regressors.items()}
    assert starts["ta-direct"] == "encoder" and starts["ta-simcse-murasu"] == "tamil_murasu"
    assert not (tmp_path / "run").exists()


def test_all_arms_of_a_language_start_from_the_same_revision(world: Path, tmp_path: Path) -> None:
    plan = make_plan(parse(recipe(world, tmp_path / "run", **{"target_task.model_revision": "v2"})))
    regressors, encoders = plan.regressors, plan.encoders
    direct = regressors["ta-direct"].fields["model_revision"]
    assert direct == encoders["tamil_murasu"].fields["model_revision"] == "v2"
    assert regressors["ta-simcse-murasu"].fields["model_revision"] is None  # an encoder of this run
    assert encoders["snli_sentences"].fields["model_revision"] is None


def test_a_language_that_a_file_describes_goes_by_its_code(world: Path, tmp_path: Path) -> None:
    """Else its path would name experiments and their folders, outside of the output folder."""
    for name in "xy":
        (tmp_path / name).mkdir()
    (tmp_path / "x" / "mine.yaml").write_text("code: ne\nname: Nepali\nscript: [0900-097F]\n")
    plan = make_plan(parse(recipe(world, tmp_path / "y" / "run", language=f"{tmp_path}/y/../x/mine.yaml")))
    assert [e.name for e in plan.experiments if e.side == "target"] == [
        name.replace("ta-", "ne-") for name in NAMES[3:]
    ]
    for training in (*plan.encoders.values(), *plan.regressors.values()):
        folder = training.output_dir
        assert (tmp_path / "y" / "run") in folder.parents and ".." not in str(folder)
    assert plan.corpora["tamil_murasu"][1].source_language == "ne"
    assert plan.generations["translate"][0].profile.name == "Nepali"


@pytest.mark.parametrize(
    "change, parts",
    [
        ({"license": "CC BY"}, ("--license 'CC BY'", "no licence identifier")),
        ({"simcse.learnin_rate": "1"}, ("in `simcse`", "learnin_rate", "learning_rate")),
        ({"regression.num_train_epochs": "many"}, ("regression", "num_train_epochs", "many")),
        ({"target_task.label_column": "stars"}, ("reviews_ta_train.csv", "no column `stars`")),
        ({"source_task.test_file": "gone.csv"}, ("gone.csv", "no such file")),
        ({"news": "gone.txt"}, ("gone.txt", "no such file")),
        ({"simcse.max_steps": "0"}, ("in `simcse`", "--max_steps 0")),
        ({"generate.temperature": "-1"}, ("in `generate`", "--temperature")),
        ({"generate.max_copy": "2"}, ("in `generate`", "--max_copy 2.0")),
        ({"generate.prompt": "mine.yaml"}, ("in `generate`", "`prompt`", "decided")),
        ({"generate.dry_run": "true"}, ("in `generate`", "`dry_run`", "decided")),
        ({"endpoint": "localhost:8080"}, ("--endpoint localhost:8080", "http://")),
        ({"jobs": "0"}, ("--jobs 0",)),
        ({"simcse.max_steps": "abc"}, ("in `simcse`", "--max_steps", "abc")),
        ({"simcse.dataset_config": "pairs"}, ("in `simcse`", "`dataset_config`", "decided")),
        ({"regression.seeds": "7"}, ("in `regression`", "`seeds`", "decided")),
        ({"regression.hub_token": "hf_secret"}, ("in `regression`", "`hub_token`", "HF_TOKEN")),
        ({"target_task.model_name_or_path": "gone/model"}, ("--model_name_or_path gone/model",)),
        ({"accelerate_config": "gone.yaml"}, ("--accelerate_config gone.yaml",)),
    ],
)
def test_what_cannot_work_is_said_before_any_work(
    world: Path, tmp_path: Path, change: dict[str, str], parts: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as error:
        run_experiments(parse(recipe(world, tmp_path / "run", **change)))
    for part in parts:
        assert part in str(error.value)
    assert "hf_secret" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_stage_1_gets_its_endpoints_and_filters_from_the_recipe(world: Path, tmp_path: Path) -> None:
    urls = ["http://127.0.0.1:9", "http://127.0.0.1:10"]
    fields = {"generate.samples": "2", "generate.max_length_ratio": "3.5", "generate.max_in_flight": "7"}
    argv = [*recipe(world, tmp_path / "run", **fields), "--endpoint", *urls, "--translate_endpoint", urls[1]]
    generations = make_plan(parse(argv)).generations
    assert {name: stage.endpoint for name, (stage, _) in generations.items()} == {
        **{"paraphrase": urls, "translate": urls[1:], "paraphrase-translate": urls[1:]}
    }
    for stage, filters in generations.values():
        assert (stage.samples, stage.max_in_flight, filters.max_length_ratio) == (2, 7, 3.5)


def test_endpoints_of_different_models_are_refused_before_any_work(world: Path, tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_bytes((world / "pairs.jsonl").read_bytes())
    pairs = [make_app(read_recording(path)) for path in (world / "pairs.jsonl", tmp_path / "other.jsonl")]
    with serving(pairs[0]) as one, serving(pairs[1]) as other, pytest.raises(InputError, match="allow_mixed_models"):
        run_experiments(parse([*recipe(world, tmp_path / "run"), "--endpoint", one, other]))
    assert not (tmp_path / "run").exists()


def test_an_endpoint_that_is_down_is_said_before_any_work(world: Path, tmp_path: Path) -> None:
    with serving(make_app(read_recording(world / "pairs.jsonl"))) as url, pytest.raises(EndpointError) as error:
        run_experiments(parse(recipe(world, tmp_path / "run", url, translate_endpoint="http://127.0.0.1:9")))
    assert "http://127.0.0.1:9" in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["demo", "real", "paper"])
def test_packaged_recipes_are_whole(name: str, tmp_path: Path) -> None:
    """Each recipe parses, and its sections hold fields that their stages know."""
    content = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    given = {"source": "s", "news": "n", "endpoint": "http://e", "output_dir": "o"}
    given |= {f"{side}_task.model_name_or_path": "m" for side in ("source", "target")}
    config = parse(["--config", str(RECIPES / f"{name}.yaml"), *(f"--{key}={value}" for key, value in given.items())])
    assert set(config.simcse) == set(content["simcse"]) and config.language == "ta"
    from hf_xling.contrastive.config import SimCSEConfig
    from hf_xling.regression.config import RegressionConfig, RegressionScriptArguments

    assert set(config.simcse) <= set(SimCSEConfig.__dataclass_fields__)
    for part in (config.regression, config.source_task, config.target_task):
        known = set(RegressionConfig.__dataclass_fields__) | set(RegressionScriptArguments.__dataclass_fields__)
        assert set(part) <= known


def test_a_failure_starts_no_more_steps() -> None:
    from tqdm import tqdm

    done = []

    def fail() -> None:
        raise XlingError("no")

    steps = [Step("one", lambda: done.append(1)), Step("two", fail), Step("three", lambda: done.append(3))]
    with tqdm(disable=True) as progress, pytest.raises(XlingError):
        run_steps(steps, 1, progress)
    assert done == [1]
    with tqdm(disable=True) as progress, pytest.raises(XlingError):
        run_steps([Step("two", fail)] * 3, 2, progress)


def saved_models(folder: Path) -> dict[Path, int]:
    """When each final model was written: encoders and rating models."""
    models = [path for path in folder.rglob("model.safetensors") if not path.parent.name.startswith("checkpoint-")]
    return {path: path.stat().st_mtime_ns for path in models}


@pytest.mark.slow
def test_a_whole_run_its_resume_and_another_in_its_folder(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with serving(make_app(read_recording(world / "pairs.jsonl"))) as url:
        closing = main(recipe(world, folder, url, jobs="2"))
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["experiment"] for row in rows[: len(NAMES)]] == NAMES
    assert [row["run_id"] for row in rows[len(NAMES) :]] == [
        "constant/en",
        "tfidf-ridge/en",
        "constant/ta",
        "tfidf-ridge/ta",
    ]
    for row in rows:
        own = json.loads((folder / row["predictions"]).with_name("all_results.json").read_text(encoding="utf-8"))
        assert row["test_mse"] == own["test_mse"]
    assert all(name in closing for name in NAMES) and str(folder / "report" / "index.html") in closing

    # Again, with the endpoint gone and other spellings of the paths: nothing is trained.
    before = saved_models(folder)
    fitted = {path: path.stat().st_mtime_ns for path in folder.glob("baselines/*/all_results.json")}
    monkeypatch.chdir(world)
    again = [token.replace(f"{world}/", "") for token in recipe(world, folder)]
    assert main(again) == closing
    assert saved_models(folder) == before and len(before) == MODELS
    assert {path: path.stat().st_mtime_ns for path in fitted} == fitted and len(fitted) == len(rows[len(NAMES) :])

    # A seed more is trained beside the others.
    main([*recipe(world, folder), "--seeds", "1", "2", "--jobs", "2"])
    now = saved_models(folder)
    assert len(now) == MODELS + len(NAMES) and {path: now[path] for path in before} == before

    with pytest.raises(
        InputError, match=r"en-direct/seed-1: holds another run \(num_train_epochs was 1.0, is now 2.0\)"
    ):
        main(recipe(world, folder, **{"regression.num_train_epochs": "2"}))
    train = world / "reviews_en_train.csv"
    kept = train.read_text(encoding="utf-8")
    train.write_text(kept + "a new text,1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"en-direct/seed-1: holds another run \(train_file was 'sha256:"):
        main(recipe(world, folder))
    train.write_text(kept, encoding="utf-8")
