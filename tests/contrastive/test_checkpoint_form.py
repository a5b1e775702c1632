"""A sentence-transformers base keeps its pooling, prompts and normalisation: in training, export and card."""

import json
import re

import pytest
import torch
from datasets import Dataset
from simcse_runs import configure
from transformers import AutoModel, AutoTokenizer

from hf_xling import SimCSETrainer
from hf_xling.contrastive.evaluation import encode_texts
from hf_xling.errors import InputError

TEXTS = ["the dog eats fish", "a cat", "the old houses the bird likes much water"]
MODES = ["cls", "mean", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"]
PROMPTS = {"query": "the boy ", "passage": "a ball "}


@pytest.fixture(scope="module")
def corpus(sentences):
    return Dataset.from_dict({"anchor": sentences[:64]})


def modules(checkpoint, pooling, normalize=False, more=(), **options):
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.base.modules.normalize import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling

    return [
        Transformer(str(checkpoint), **options.pop("transformer", {})),
        Pooling(64, pooling_mode=pooling, **options),
        *more,
        *([Normalize()] if normalize else []),
    ]


def saved(folder, parts, **options):
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(modules=parts, device="cpu", **options).save(str(folder))
    return folder


def older(folder):
    """The same as releases before 6 wrote it."""
    path = next(folder.glob("*_Pooling/config.json"))
    mode = json.loads(path.read_text())["pooling_mode"]
    names = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "weightedmean": "weightedmean_tokens"}
    fields = {f"pooling_mode_{name}": key == mode for key, name in names.items()}
    path.write_text(json.dumps({"word_embedding_dimension": 64, **fields}))
    path = folder / "modules.json"
    told = json.loads(path.read_text())
    for module in told:
        module["type"] = f"sentence_transformers.models.{module['type'].rsplit('.', 1)[-1]}"
    path.write_text(json.dumps(told))
    return folder


def encoded(folder):
    from sentence_transformers import SentenceTransformer

    return torch.tensor(SentenceTransformer(str(folder), device="cpu").encode(TEXTS, show_progress_bar=False))


def start(base, corpus, folder, **fields):
    return SimCSETrainer(base, configure(folder, **{"max_steps": 2, **fields}), corpus)


def assert_the_base_is_kept(base, corpus, tmp_path, caplog, **fields):
    """The vectors of the start are those of the base, those of the end those of the export."""
    trainer = start(str(base), corpus, tmp_path / "run", **fields)
    vectors = encode_texts(trainer.model, trainer.processing_class, TEXTS, 16)
    torch.testing.assert_close(vectors, encoded(base), atol=1e-5, rtol=1e-4)
    lines = [record.message for record in caplog.records if record.name.startswith("hf_xling")]
    assert len(lines) == 1 and lines[0].startswith(f"{base}: a sentence-transformers checkpoint; its own pooling (")
    trainer.train()
    trainer.save_model()
    trainer.create_model_card()
    vectors = encode_texts(trainer.model, trainer.processing_class, TEXTS, 16)
    torch.testing.assert_close(encoded(tmp_path / "run"), vectors, atol=1e-5, rtol=1e-4)
    assert (vectors - encoded(base)).abs().max() > 1e-3, "it has not moved"
    return trainer


@pytest.mark.parametrize("release", ["now", "older"])
@pytest.mark.parametrize("pooling", MODES)
def test_the_pooling_of_the_base_is_kept(bert_folder, corpus, tmp_path, caplog, pooling, release):
    base = saved(tmp_path / "base", modules(bert_folder, pooling))
    if release == "older":
        if pooling in ("lasttoken", "mean_sqrt_len_tokens"):
            pytest.skip("as the others")
        older(base)
    trainer = assert_the_base_is_kept(base, corpus, tmp_path, caplog, packing=release == "now")
    assert trainer.model.pooling == pooling and trainer.packed == (release == "now")
    again = start(str(tmp_path / "run"), corpus, tmp_path / "again")
    assert again.model.pooling == pooling


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_its_prompt_and_its_normalisation_too(request, corpus, tmp_path, caplog, architecture, pooling):
    parts = modules(request.getfixturevalue(f"{architecture}_folder"), pooling, normalize=True)
    base = saved(tmp_path / "base", parts, prompts=PROMPTS, default_prompt_name="query")
    trainer = assert_the_base_is_kept(base, corpus, tmp_path, caplog)
    told = json.loads((tmp_path / "run" / "config_sentence_transformers.json").read_text())
    assert PROMPTS.items() <= told["prompts"].items() and told["default_prompt_name"] == "query"
    assert "prompt 'the boy '" in caplog.text and "normalised" in caplog.text
    assert encoded(tmp_path / "run").norm(dim=1).tolist() == pytest.approx([1.0] * 3, abs=1e-5)
    prompt = trainer.processing_class("the boy", add_special_tokens=False)["input_ids"]
    assert trainer.train_dataset[0]["views"][0].tolist()[1:3] == prompt, "the prompt is not trained"


def test_prompts_without_a_default_are_kept_and_not_trained(bert_folder, corpus, tmp_path, caplog):
    base = saved(tmp_path / "base", modules(bert_folder, "mean"), prompts=PROMPTS)
    trainer = assert_the_base_is_kept(base, corpus, tmp_path, caplog)
    told = json.loads((tmp_path / "run" / "config_sentence_transformers.json").read_text())
    assert PROMPTS.items() <= told["prompts"].items() and trainer.prompt == ""


def test_lower_case_is_kept(bert_folder, sentences, tmp_path, caplog):
    """Of a tokenizer that does not do it itself."""
    tokenizer = AutoTokenizer.from_pretrained(bert_folder, do_lower_case=False)
    AutoModel.from_pretrained(bert_folder).save_pretrained(tmp_path / "cased")
    tokenizer.save_pretrained(tmp_path / "cased")
    base = saved(tmp_path / "base", modules(tmp_path / "cased", "mean"))
    path = base / "sentence_bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_lower_case": True}))
    rows = Dataset.from_dict({"anchor": [text.upper() for text in sentences[:64]]})
    trainer = assert_the_base_is_kept(base, rows, tmp_path, caplog)
    unknown = tokenizer.unk_token_id
    assert not any(unknown in trainer.train_dataset[row]["views"][0] for row in range(64))


def test_a_base_that_is_given_as_an_object_keeps_its_own(bert_folder, corpus, tmp_path):
    base = saved(tmp_path / "base", modules(bert_folder, "max", normalize=True))
    trainer = start(AutoModel.from_pretrained(base), corpus, tmp_path / "run")
    assert trainer.model.pooling == "max" and trainer.model.form.normalize


def test_a_pooling_that_is_given_wins_and_says_so(bert_folder, corpus, tmp_path, caplog):
    base = saved(tmp_path / "base", modules(bert_folder, "max"), prompts=PROMPTS, default_prompt_name="query")
    trainer = start(str(base), corpus, tmp_path / "run", pooling="mean")
    assert trainer.model.pooling == "mean" and trainer.prompt == "the boy "
    assert "with --pooling mean in place of its own" in caplog.text


def test_without_a_form_of_its_own_it_is_the_first_token(bert_folder, corpus, tmp_path, caplog):
    assert start(str(bert_folder), corpus, tmp_path).model.pooling == "cls_mlp"
    assert not [record for record in caplog.records if record.name.startswith("hf_xling")]


def test_what_is_exported_here_is_a_base_of_the_same_form(bert_folder, corpus, tmp_path):
    for pooling in ("cls_mlp", "mean", "first_last_mean"):
        trainer = start(str(bert_folder), corpus, tmp_path / pooling, pooling=pooling)
        trainer.save_model()
        again = start(str(tmp_path / pooling), corpus, tmp_path / "again")
        assert again.model.pooling == {"cls_mlp": "cls"}.get(pooling, pooling)


# What is not trained


def dense(width=32):
    from sentence_transformers.base.modules import Dense

    return Dense(64, width)


def test_other_modules_are_refused(bert_folder, corpus, tmp_path):
    base = saved(tmp_path / "dense", modules(bert_folder, "cls", normalize=True, more=[dense()]))
    with pytest.raises(
        InputError, match="dense: its sentence vectors come from a module `Dense`, which is not trained"
    ):
        start(str(base), corpus, tmp_path / "run")
    trainer = start(str(base), corpus, tmp_path / "run", pooling="cls")
    trainer.save_model()
    assert encoded(tmp_path / "run").shape == (3, 64)
    two = saved(tmp_path / "two", modules(bert_folder, ("mean", "cls")))
    with pytest.raises(InputError, match="two: its pooling is mean and cls; give one as --pooling"):
        start(str(two), corpus, tmp_path / "run")
    parts = modules(bert_folder, "mean", include_prompt=False)
    out = saved(tmp_path / "out", parts, prompts=PROMPTS, default_prompt_name="query")
    with pytest.raises(InputError, match="out: its pooling leaves the prompt out"):
        start(str(out), corpus, tmp_path / "run")


@pytest.mark.parametrize("kind", ["Router", "CLIPModel", "StaticEmbedding", "BoW"])
def test_what_begins_with_another_module_is_refused(bert_folder, corpus, tmp_path, kind):
    base = saved(tmp_path / "base", modules(bert_folder, "mean"))
    told = json.loads((base / "modules.json").read_text())
    told[0]["type"] = f"sentence_transformers.models.{kind}"
    (base / "modules.json").write_text(json.dumps(told))
    for fields in ({}, {"pooling": "mean"}):
        with pytest.raises(InputError, match=f"base: begins with a module `{kind}`, no Transformer"):
            start(str(base), corpus, tmp_path / "run", **fields)


@pytest.mark.parametrize("content", ["[", "{}", "[]", "[3]", '[{"type": 3}]', "null"])
def test_damaged_files_are_named(bert_folder, corpus, tmp_path, content):
    base = saved(tmp_path / "base", modules(bert_folder, "mean"))
    (base / "modules.json").write_text(content)
    with pytest.raises(InputError, match=r"base[/:]"):
        start(str(base), corpus, tmp_path / "run")


# The card


@pytest.mark.parametrize("pooling", MODES)
def test_what_the_card_tells_gives_the_vectors(bert_folder, corpus, tmp_path, pooling):
    base = saved(
        tmp_path / "base", modules(bert_folder, pooling, normalize=True), prompts=PROMPTS, default_prompt_name="query"
    )
    trainer = start(str(base), corpus, tmp_path / "run", hub_model_id="me/encoder")
    trainer.save_model()
    trainer.create_model_card()
    card = (tmp_path / "run" / "README.md").read_text("utf-8")
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[1]
    code = code.replace('"me/encoder"', repr(str(tmp_path / "run"))).replace("…", TEXTS[0])
    names = {}
    exec(code, names)
    torch.testing.assert_close(names["vectors"], encoded(tmp_path / "run")[:1], atol=1e-5, rtol=1e-4)
