"""Model cards: what they tell of a model's descent, its licences and its results, and that nothing else gets in."""

import dataclasses
import json
import logging
import re

import huggingface_hub
import pytest
import yaml
from hub_cards import card_faults, front_matter

from hf_xling.errors import InputError
from hf_xling.hub.results import contrastive_evidence, regression_evidence
from hf_xling.provenance.generators import Generator
from hf_xling.provenance.lineage import LINEAGE_FILE, Base, Lineage, Training, descend, lineage_beside, together
from hf_xling.provenance.model_cards import check_model_publishable, model_licensing, write_model_card
from hf_xling.provenance.origins import Corpus, corpus_of

LLAMA_3 = "meta-llama/Meta-Llama-3-8B-Instruct"
SHA = "0123456789abcdef0123456789abcdef01234567"
MBERT = Base("org/mbert", revision=SHA, license="apache-2.0")
SNLI = Corpus(
    *("org/snli-tamil", SHA, None, "sentences", "train", {"train": 1234}, ("stanfordnlp/snli",)),
    generators=(Generator(LLAMA_3, "abc", "paraphrase", "en"), Generator(None, None, "translate", "ta")),
    languages=("en", "ta-IN"),
    **{"license": "other", "license_name": "cc-by-sa-4.0-and-llama3"},
)
REVIEWS = Corpus("org/reviews", SHA, config="clean", rows={"train": 30, "test": 12}, sources=("org/reviews",))
ENCODER = Lineage((Training("SimCSE", MBERT, (SNLI,)),))
RATINGS = Lineage(
    (*ENCODER.trainings, Training("regression", Base("encoder", sha256="f" * 64, recorded=True), (REVIEWS,)))
)
RESULTS = {
    **{"seed": 7, "n_test": 12, "test_mse": 0.25, "test_rmse": 0.5, "test_mae": 0.4, "test_pearson": None},
    **{"test_spearman": 0.8, "test_constant_mse": 0.75},
}
OF_ENCODER = {
    **{"settings": {"steps": 2}, "rows": 10, "pairs": False, "pooling": "cls", "mlp": True, "keep_mlp": False},
    **{"max_length": 16, "adapter": False, "course": None, "prompt": "", "normalize": False, "side": "right"},
}
OF_RATINGS = {
    **{"settings": {"steps": 2}, "rows": 10, "lowest": 1.0, "highest": 4.5, "mean": 2.5, "classes": None},
    **{"adapter": False, "long_text": "truncate"},
}
CARDS = {
    "encoder_card": OF_ENCODER,
    "regressor_card": OF_RATINGS,
    "ensemble_card": {
        "members": 3,
        "settings": {"steps": 2},
        "calibration": {"ensemble_test_calibration_spread_ratio": 2.0},
    },
}


def write(folder, lineage=RATINGS, name="org/Llama-3-ratings", template="regressor_card", evidence=None, **facts):
    metadata = {"pipeline_tag": "text-classification", "tags": ["regression"]}
    write_model_card(folder, template, lineage, name, metadata, evidence, **{**CARDS[template], **facts})
    card = (folder / "README.md").read_text("utf-8")
    assert card_faults(card) == ([], [])
    return front_matter(card), card


def test_a_rating_model_carries_the_whole_chain_of_its_encoder(tmp_path):
    front, card = write(tmp_path)
    assert front["base_model"] == "org/mbert" and front["datasets"] == ["org/snli-tamil", "org/reviews"]
    assert front["language"] == ["en", "ta"]
    assert (front["license"], front["license_link"]) == (
        "other",
        "https://huggingface.co/org/Llama-3-ratings#licences",
    )
    assert front["license_name"] == "cc-by-sa-4.0-and-unstated-and-llama3"
    assert f"1. SimCSE, started from `org/mbert` at commit `{SHA}`." in card
    assert f"2. regression, started from `encoder` (a local folder, SHA-256 `{'f' * 64}`)." in card
    assert f"| 1 | org/snli-tamil | {SHA} | sentences, train | 1,234 train | stanfordnlp/snli |" in card
    assert f"| 2 | org/reviews | {SHA} | clean | 30 train, 12 test | org/reviews |" in card
    assert f"| {LLAMA_3} | abc | paraphrase | en |" in card and "| not stated | not stated | translate | ta |" in card
    assert "> Built with Meta Llama 3\n" in card and "Samuel R. Bowman" in card and "apache-2.0" in card
    for question in model_licensing(RATINGS).open_questions:
        assert question.split(":")[0] in card.replace("&#58;", ":")


def test_a_name_without_the_prefix_is_refused_with_the_way_out_and_with_it_warned_of(caplog):
    for lineage in (ENCODER, RATINGS):
        with pytest.raises(InputError, match=r"org/tamil-ratings: cannot be published.*call it org/Llama-3-tamil-r"):
            check_model_publishable(lineage, "org/tamil-ratings")
        caplog.clear()
        with caplog.at_level(logging.WARNING, "hf_xling"):
            check_model_publishable(lineage, "org/Llama-3-tamil-ratings")
        assert len(caplog.messages) == len(model_licensing(lineage).open_questions) > 2


def test_what_a_model_was_measured_with_is_neither_its_training_data_nor_its_language(tmp_path):
    sts = Corpus("org/sts", SHA, rows={"similarity": 9}, sources=("org/sts",), languages=("de",))
    learnt = dataclasses.replace(REVIEWS, languages=("tam", "Tamil", "pt-BR"))
    front, _ = write(tmp_path, Lineage((Training("SimCSE", MBERT, (learnt, sts)),)))
    assert front["datasets"] == ["org/reviews"] and front["language"] == ["ta", "pt"]


def test_the_weights_count_too(tmp_path):
    from_llama = Lineage((Training("SimCSE", Base("meta-llama/Llama-3.2-1B"), ()),))
    with pytest.raises(InputError, match="begins with “Llama”"):
        check_model_publishable(from_llama, "org/encoder")
    assert (
        "Generated with"
        not in write(tmp_path, Lineage((Training("SimCSE", Base("mistralai/Mistral-7B-v0.1"), ()),)))[1]
    )
    bound = Lineage((Training("SimCSE", dataclasses.replace(MBERT, license="cc-by-nc-4.0"), ()),))
    assert write(tmp_path, bound)[0]["license"] == "cc-by-nc-4.0"
    named = dataclasses.replace(MBERT, license="other", license_name="Our Terms", license_link="https://e.org/terms")
    front, card = write(tmp_path, Lineage((Training("SimCSE", named, ()),)), name=None)
    assert (front["license"], front["license_name"]) == ("other", "our-terms")
    assert front["license_link"] == "https://e.org/terms" and "<https://e.org/terms>" in card


def test_what_could_not_be_read_is_an_open_question():
    unread = Lineage((Training("SimCSE", dataclasses.replace(MBERT, unread=True), ()),))
    assert "org/mbert: what it was trained on could not be read." in model_licensing(unread).open_questions
    bare = Lineage((Training("SimCSE", Base("org/mbert"), ()),))
    assert "org/mbert: the licence of its weights is not known here." in model_licensing(bare).open_questions


# Results


def test_results_stand_beside_their_baseline_in_all_forms(tmp_path):
    front, card = write(tmp_path, evidence=regression_evidence(RESULTS))
    assert "Measured on `org/reviews`, 12 texts; seed 7; one training, so that no spread is known." in card
    assert "| this model | 0.2500 | 0.5000 | 0.4000 |  | 0.8000 |" in card
    assert "| always the mean rating of the training set | 0.7500 |  |  |  |  |" in card
    (index,) = front["model-index"]
    (result,) = index["results"]
    assert index["name"] == "Llama-3-ratings" and result["task"]["type"] == "text-classification"
    part = {"config": "clean", "split": "test", "revision": SHA}
    assert result["dataset"] == {"type": "org/reviews", "name": "org/reviews", **part}
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values == {"mse": 0.25, "rmse": 0.5, "mae": 0.4, "spearmanr": 0.8}  # Pearson could not be told
    assert len(huggingface_hub.ModelCard(card).data.eval_results) == 4
    entries = yaml.safe_load((tmp_path / ".eval_results" / "reviews.yaml").read_text("utf-8"))
    (entry,) = huggingface_hub.parse_eval_result_entries(entries)
    assert (entry.dataset_id, entry.task_id, entry.value) == ("org/reviews", "clean", 0.25)
    assert entry.dataset_revision == SHA and "mean squared error on the split test" in entry.notes


def test_results_on_a_local_file_name_it_and_are_in_the_card_alone(tmp_path):
    local = dataclasses.replace(REVIEWS, name="test.csv", sha256="e" * 64, revision=None, config=None)
    last = Training("regression", RATINGS.trainings[-1].base, (local,))
    front, _ = write(tmp_path, Lineage((*ENCODER.trainings, last)), evidence=regression_evidence(RESULTS))
    (result,) = front["model-index"][0]["results"]
    assert (result["dataset"]["type"], result["dataset"]["name"]) == ("local", "test.csv")
    assert not (tmp_path / ".eval_results").exists()


@pytest.mark.parametrize("split", ["train", "test", None])
def test_results_name_the_split_that_was_read_and_no_other(split, tmp_path):
    pairs = Corpus("org/sts", SHA, split=split, rows={"similarity": 5}, sources=("org/sts",))
    lineage = Lineage((Training("SimCSE", MBERT, (SNLI, pairs)),))
    evidence = contrastive_evidence([{"eval_loss": 0.5, "eval_sts_spearman": 0.7, "step": 2}], {})
    front, _ = write(tmp_path, lineage, template="encoder_card", evidence=evidence, measured_with="similarity")
    told = front["model-index"][0]["results"][0]["dataset"]
    assert told["type"] == "org/sts" and told.get("split") == split
    file = tmp_path / ".eval_results" / "sts.yaml"
    assert (f"on the split {split};" in file.read_text("utf-8")) if split else not file.exists()


def test_several_trainings_have_a_spread_and_their_number(tmp_path):
    several = {name: value for name, value in RESULTS.items() if name not in ("seed", "n_test")}
    stds = {f"{name}_std": 0.125 for name in several if name != "test_pearson"}
    summary = {"seeds": [1, 2, 3], **several, **stds, "ensemble_test_mse": 0.2, "ensemble_test_spearman": 0.85}
    front, card = write(tmp_path, template="ensemble_card", evidence=regression_evidence(summary))
    assert "seeds 1, 2, 3" in card and "| each of 3 models alone: mean ± sample" in card.replace("&#58;", ":")
    assert "| 0.2500 ± 0.1250 |" in card and "the mean of their predictions, on the test set | 0.2000 |" in card
    assert front["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.2
    folded = {"seeds": [1, 2], "folds": 5, **several, **stds, "out_of_fold_mse": 0.3}
    _, card = write(tmp_path, template="ensemble_card", evidence=regression_evidence(folded), measured_with="train")
    assert "cross-validation in 5 folds" in card and "each of 10 models" in card and "| 0.3000 |" in card


def test_an_encoder_tells_what_was_measured_first_and_last_and_what_chance_is(tmp_path):
    history = [
        *({"loss": 4.0, "step": 1}, {"eval_loss": 3.5, "eval_sts_spearman": 0.1, "step": 1}),
        *({"loss": 1.0, "step": 2}, {"eval_loss": 0.5, "eval_sts_spearman": 0.7, "eval_uniformity": -2.0, "step": 2}),
    ]
    pairs = Corpus("sts.csv", sha256="d" * 64, rows={"similarity": 5}, sources=("sts.csv",))
    lineage = Lineage((Training("SimCSE", MBERT, (SNLI, pairs)),))
    evidence = contrastive_evidence(history, {"loss": 4.158883, "relative_distance": 1.0})
    front, card = write(tmp_path, lineage, template="encoder_card", evidence=evidence, measured_with="similarity")
    rows = re.findall(r"^\| (in training|held out|a model that).*$", card, re.M)
    assert rows == ["in training"] * 2 + ["held out"] * 2 + ["a model that"]
    assert "| in training, step 2 | 1.0000 |" in card and "| a model that cannot tell texts apart | 4.1589 |" in card
    (metric,) = front["model-index"][0]["results"][0]["metrics"]
    assert (metric["type"], metric["value"]) == ("spearman_cosine", 0.7)
    assert (
        contrastive_evidence([], {}) is None and "Nothing was measured." in write(tmp_path, template="encoder_card")[1]
    )


# What anybody may have written


@pytest.mark.parametrize("template", CARDS)
def test_hostile_names_stay_text(template, tmp_path):
    token = "hf_" + "aB3" * 12
    bad = f"x`|<script>alert(1)</script>](http://e.org)\n---\n# y {token}"
    corpus = Corpus(
        *(bad, bad, bad, bad, bad, {bad: 3, "train": 4}, (bad,), (Generator(bad, bad, bad, bad),), (bad,)),
        **{"license": bad, "license_name": bad, "license_link": "javascript:alert(1)", "questions": (bad,)},
    )
    lineage = Lineage((Training(bad, Base(bad, bad, bad, bad, bad, bad, unread=True), (corpus,)),))
    facts = {"settings": {"x": bad}} if "settings" in CARDS[template] else {}
    _, card = write(tmp_path, lineage, template=template, evidence=regression_evidence(RESULTS), **facts)
    body = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", card.split("\n---\n", 1)[1])
    assert "<script>" not in body and "](http" not in body and "\n# y" not in body and "aB3aB3" not in card
    assert "javascript:" not in card


def test_a_lineage_is_read_as_it_was_written_and_nothing_else_is(tmp_path):
    RATINGS.write(tmp_path)
    assert lineage_beside(tmp_path) == RATINGS == together([ENCODER, RATINGS, RATINGS])
    later = json.loads((tmp_path / LINEAGE_FILE).read_text("utf-8"))
    later["trainings"][0]["base"]["of a later version"] = 1
    (tmp_path / LINEAGE_FILE).write_text(json.dumps(later))
    assert lineage_beside(tmp_path) == RATINGS
    for damage in ("{", "[]", '{"trainings": [{}]}', '{"trainings": 3}', json.dumps(later).replace(f'"{SHA}"', "7")):
        (tmp_path / LINEAGE_FILE).write_text(damage)
        with pytest.raises(InputError, match=f"{LINEAGE_FILE}: is no lineage of a model"):
            lineage_beside(tmp_path)
    assert lineage_beside(tmp_path / "nothing") == Lineage()


# Where corpora and checkpoints come from


@pytest.mark.parametrize(
    ("front", "sources", "license"),
    [
        ({"source_datasets": ["extended|snli", "stanfordnlp/snli"]}, ("stanfordnlp/snli",), None),
        ({"source_datasets": ["original"], "license": "cc-by-4.0"}, ("corpus",), "cc-by-4.0"),
        ({"license": ["mit", "cc0-1.0"]}, ("corpus",), "other"),
        ({"hf_xling": {"sources": ["SNLI"]}, "source_datasets": ["extended|other"]}, ("SNLI",), None),
        ({"source_datasets": 3, "license": {"a": 1}, "hf_xling": [1]}, ("corpus",), None),
    ],
)
def test_a_corpus_is_known_by_its_card(front, sources, license, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "README.md").write_text(f"---\n{yaml.safe_dump(front)}---\n", encoding="utf-8")
    corpus = corpus_of(str(tmp_path / "corpus"), {"train": 1}, {})
    assert (corpus.name, corpus.sources, corpus.license) == ("corpus", sources, license)
    assert corpus.sha256 and corpus.revision is None


def test_the_writers_of_a_corpus_are_those_of_its_rows_and_of_its_card(tmp_path):
    told = {"generators": [{"model_id": LLAMA_3, "task": "paraphrase"}, {"model_id": 3}, "x"]}
    (tmp_path / "README.md").write_text(f"---\n{yaml.safe_dump({'hf_xling': told})}---\n", encoding="utf-8")
    columns = {
        "model_id": [None, "/srv/models/mine", "/srv/models/mine", None],
        "task": ["source", "translate", "translate", "translate"],
        "language": ["en", "ta", "ta", "ta"],
    }
    corpus = corpus_of(str(tmp_path), {"train": 4}, columns)
    assert corpus.generators == (
        Generator("mine", None, "translate", "ta"),
        Generator(None, None, "translate", "ta"),
        Generator(LLAMA_3, None, "paraphrase", None),
        Generator(),
    )
    assert corpus.languages == ("en", "ta")


def test_a_file_is_taken_for_what_it_is_named_after_only_where_that_bars_it(tmp_path):
    (tmp_path / "snli.txt").write_text("A dog runs.\n", encoding="utf-8")
    assert corpus_of(str(tmp_path / "snli.txt"), {"train": 1}, {}).sources == ("snli.txt",)
    (tmp_path / "imdb.txt").write_text("A film.\n", encoding="utf-8")
    corpus = corpus_of(str(tmp_path / "imdb.txt"), {"train": 1}, {})
    assert corpus.sources == ("IMDB",) and "goes by the name IMDB" in corpus.questions[0]
    (tmp_path / "aclImdb").mkdir()  # the folder can tell what its files do not
    (tmp_path / "aclImdb" / "train.csv").write_text("text\nA film.\n", encoding="utf-8")
    assert corpus_of(str(tmp_path / "aclImdb" / "train.csv"), {"train": 1}, {}).sources == ("IMDB",)


def test_a_base_that_is_gone_is_no_name_on_the_hub(tmp_path):
    (training,) = descend("SimCSE", str(tmp_path / "gone")).trainings
    assert training.base.name == "gone (no longer there)" and training.base.sha256 is None
    front, card = write(tmp_path, Lineage((training,)))
    assert "base_model" not in front and str(tmp_path) not in card
