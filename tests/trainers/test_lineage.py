"""The chain from a corpus that a model wrote in, by an encoder, to a rating model: what is on record, and refused."""

import json
import re

import pyarrow
import pyarrow.parquet
import pytest
import torch
import yaml
from hf_xling.trainers import regression, simcse
from hub_cards import card_faults, front_matter
from script_runs import regression_argv, simcse_argv
from sentence_transformers import SentenceTransformer

from hf_xling.errors import InputError
from hf_xling.provenance.lineage import LINEAGE_FILE, lineage_beside
from hf_xling.regression.ensemble import RatingEnsemble
from hf_xling.runs import file_hash

LLAMA_3 = "meta-llama/Meta-Llama-3-8B-Instruct"
SHORT = ("--save_strategy", "no", "--eval_strategy", "no", "--max_steps", "2")
PUSH = ("--push_to_hub", "--hub_model_id", "org/tamil-ratings")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, sentences):
    """Paraphrases that Llama 3 wrote of SNLI, as a dataset folder with a card."""
    folder = tmp_path_factory.mktemp("work") / "snli-paraphrased"
    folder.mkdir()
    written = {"model_id": LLAMA_3, "model_sha": "abc", "task": "paraphrase", "language": "en"}
    rows = [{"anchor": text, **written} for text in sentences[:32]]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "rows.parquet")
    front = {"source_datasets": ["extended|snli"], "license": "other", "license_name": "cc-by-sa-4.0-and-llama3"}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(front)}---\n", encoding="utf-8")
    return folder


def encoder_argv(bert_folder, files, corpus, output, *more):
    argv = simcse_argv(bert_folder, files, output, *more)
    place = argv.index("--train_file")
    return [*argv[:place], "--dataset_name", str(corpus), *argv[place + 2 :]]


@pytest.fixture(scope="module")
def encoder(bert_folder, files, corpus):
    with open(corpus.parent / "sts.jsonl", "w", encoding="utf-8") as stream:
        for number, text in enumerate(("the boy eats fish", "the dog sees bread", "the cat likes fish")):
            stream.write(json.dumps({"sentence1": text, "sentence2": "the boy eats fish", "score": number}) + "\n")
    more = ("--max_steps", "2", "--pooling", "mean", "--sts_file", str(corpus.parent / "sts.jsonl"))
    simcse.main(encoder_argv(bert_folder, files, corpus, corpus.parent / "encoder", *more))
    return corpus.parent / "encoder"


@pytest.fixture(scope="module")
def ratings(encoder, files):
    regression.main(regression_argv(encoder, files, encoder.parent / "ratings", *SHORT, "--seeds", "1", "2"))
    return encoder.parent / "ratings"


def card(folder):
    text = (folder / "README.md").read_text("utf-8")
    assert card_faults(text) == ([], []) and str(folder.parent) not in text
    return front_matter(text), text


def test_the_encoder_records_its_base_and_its_corpus(encoder, bert_folder, corpus):
    (training,) = lineage_beside(encoder).trainings
    assert (training.base.name, training.base.sha256) == ("bert", file_hash(bert_folder))
    learnt, measured = training.corpora
    assert (learnt.name, learnt.sha256, learnt.split) == (corpus.name, file_hash(corpus), "train")
    assert (learnt.rows, learnt.sources, learnt.languages) == ({"train": 32}, ("snli",), ("en",))
    assert [generator.model_id for generator in learnt.generators] == [LLAMA_3]
    assert (measured.name, measured.rows) == ("sts.jsonl", {"similarity": 3})
    assert str(encoder.parent) not in (encoder / LINEAGE_FILE).read_text("utf-8")


def test_the_encoders_card_has_evidence_and_code_that_gives_its_vectors(encoder):
    front, text = card(encoder)
    assert front["library_name"] == "sentence-transformers" and front["license_name"]
    assert front["model-index"][0]["results"][0]["dataset"]["name"] == "sts.jsonl"
    assert "in training, step 2" in text and "held out, step 2" in text and "Built with Meta Llama 3" in text
    blocks = [block.replace("org/name", str(encoder)) for block in re.findall(r"```python\n(.*?)```", text, re.S)]
    found = []
    for block in blocks:
        names = {}
        exec(block.replace('["…"]', '["the boy eats fish", "the dog"]'), names)
        found.append(torch.as_tensor(names["vectors"]))
    assert len(found) == 2 and isinstance(SentenceTransformer(str(encoder)), torch.nn.Module)
    torch.testing.assert_close(found[0].cpu(), found[1], atol=1e-5, rtol=1e-5)


def test_the_rating_models_card_has_the_whole_chain_and_its_results(ratings):
    front, text = card(ratings / "seed-1")
    assert "SimCSE, started from `bert`" in text and "regression, started from `encoder`" in text
    assert LLAMA_3 in text and "Built with Meta Llama 3" in text and "Samuel R. Bowman" in text
    results = json.loads((ratings / "seed-1" / "all_results.json").read_text("utf-8"))
    measured = {metric["type"]: metric["value"] for metric in front["model-index"][0]["results"][0]["metrics"]}
    assert measured["mse"] == pytest.approx(results["test_mse"], abs=1e-6)
    assert f"always the mean rating of the training set | {results['test_constant_mse']:.4f}" in text
    assert "| `steps` | 2 |" in text and "| `seed` | 1 |" in text and "transformers 5" in text


def test_the_ensembles_card_has_the_chain_the_spread_and_the_number_of_runs(ratings, tmp_path):
    _, text = card(ratings)
    results = json.loads((ratings / "all_results.json").read_text("utf-8"))
    assert f"{results['test_mse']:.4f} ± {results['test_mse_std']:.4f}" in text and "each of 2 models" in text
    assert f"{results['ensemble_test_mse']:.4f}" in text and "Built with Meta Llama 3" in text
    ensemble = RatingEnsemble.from_pretrained(ratings)
    ensemble.save_pretrained(tmp_path / "saved")
    assert "Built with Meta Llama 3" in card(tmp_path / "saved")[1]
    assert lineage_beside(tmp_path / "saved" / "member-2") == lineage_beside(ratings / "seed-2")
    with pytest.raises(InputError, match="call it org/Llama-3-tamil-ratings"):
        ensemble.push_to_hub("org/tamil-ratings")


def test_a_name_that_a_licence_bars_is_refused_before_training(encoder, bert_folder, files, corpus, tmp_path):
    """Nothing is written, and the Hub is not asked: here is none."""
    refused = r"--repo_id org/tamil-ratings: cannot be published: .*call it org/Llama-3-tamil-ratings"
    for main, argv in (
        (simcse.main, encoder_argv(bert_folder, files, corpus, tmp_path / "run", *PUSH)),
        (regression.main, regression_argv(encoder, files, tmp_path / "run", *SHORT, *PUSH)),
        (regression.main, regression_argv(encoder, files, tmp_path / "run", *SHORT, *PUSH, "--seeds", "1", "2")),
    ):
        with pytest.raises(InputError, match=refused):
            main(argv)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["--dataset_name", "--train_file"])
def test_a_part_of_a_corpus_binds_as_the_whole_does(option, bert_folder, files, sentences, tmp_path):
    """Its rows tell of the translator alone, its card also of who wrote what was translated."""
    mistral = {"model_id": "mistralai/Mistral-7B-Instruct-v0.2", "task": "translate", "language": "ta"}
    rows = [{"anchor": text, "positive": text, **mistral} for text in sentences[:32]]
    part = tmp_path / "corpus" / "pairs" / "train-00000-of-00001-abc.parquet"
    part.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), part)
    told = {"sources": ["SNLI"], "generators": [{"model_id": LLAMA_3, "task": "paraphrase"}, mistral]}
    data = [{"config_name": "pairs", "data_files": [{"split": "train", "path": "pairs/train-*-abc.parquet"}]}]
    front = f"---\n{yaml.safe_dump({'configs': data, 'hf_xling': told})}---\n"
    (tmp_path / "corpus" / "README.md").write_text(front, encoding="utf-8")
    argv = simcse_argv(bert_folder, files, tmp_path / "run", *PUSH)
    place = argv.index("--train_file")
    argv[place : place + 2] = [option, str(part if option == "--train_file" else part.parent)]
    with pytest.raises(InputError, match=r"cannot be published: .*call it org/Llama-3-tamil-ratings"):
        simcse.main(argv)
