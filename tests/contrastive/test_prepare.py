"""What is looked at before and around a training: half precision, unlike architectures, tokenizers, early ends."""

import json
import re
import shutil

import pytest
import torch
from datasets import Dataset
from encoders import make_encoder
from simcse_runs import assert_equal_weights, configure, train, weights
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModel,
    AutoTokenizer,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    T5Config,
    T5Model,
    TrainerCallback,
)

from hf_xling import SimCSETrainer, uniformity
from hf_xling.contrastive.evaluation import encode_texts
from hf_xling.errors import InputError, XlingError
from hf_xling.training.pretrained import check_checkpoint


@pytest.fixture(scope="module")
def corpus(sentences):
    return Dataset.from_dict({"anchor": sentences[:64]})


@pytest.fixture(scope="module")
def sts(sentences):
    pairs = {"sentence1": sentences[:24], "sentence2": sentences[24:48]}
    return Dataset.from_dict({**pairs, "score": [row % 5 for row in range(24)]})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_checkpoint_in_half_precision_is_trained_in_full(bert_folder, corpus, tmp_path, dtype):
    """In bfloat16 no weight near 1 would move at this learning rate."""
    folder = tmp_path / "half"
    shutil.copytree(bert_folder, folder)
    AutoModel.from_pretrained(bert_folder, dtype=dtype).save_pretrained(folder)
    assert AutoModel.from_pretrained(folder).dtype == dtype
    trainer = train(folder, corpus, tmp_path / "run", learning_rate=5e-5, max_steps=3)
    assert trainer.packed and trainer.model.encoder.dtype == torch.float32
    before = AutoModel.from_pretrained(folder, dtype=torch.float32).state_dict()
    after = trainer.model.encoder.state_dict()
    norms = [name for name in before if name.endswith("LayerNorm.weight")]
    assert len(norms) == 5 and not any(torch.equal(before[name], after[name]) for name in norms)


def test_a_model_in_half_precision_is_refused(bert_folder, corpus, tmp_path):
    model = AutoModel.from_pretrained(bert_folder, dtype=torch.bfloat16)
    with pytest.raises(InputError, match=r"torch.bfloat16; load it with dtype=torch.float32"):
        SimCSETrainer(model, configure(tmp_path), corpus)


def test_a_decoder_wants_another_pooling(bert_folder, corpus, tmp_path):
    """What its first token gives is one vector for all texts."""
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    model = make_encoder("llama", num_key_value_heads=4)
    for pooling in ("cls", "cls_mlp"):
        with pytest.raises(InputError, match=f"--pooling {pooling}: the first token .* does not depend on the others"):
            SimCSETrainer(model, configure(tmp_path, pooling=pooling), corpus, processing_class=tokenizer)
    trainer = SimCSETrainer(model, configure(tmp_path, pooling="mean"), corpus, processing_class=tokenizer)
    before = weights(trainer)
    trainer.train()
    assert any(not torch.equal(tensor, weights(trainer)[name]) for name, tensor in before.items())


def test_an_encoder_decoder_is_refused(bert_folder, corpus, tmp_path):
    sizes = {"d_model": 32, "d_ff": 64, "num_layers": 1, "num_heads": 2, "d_kv": 16}
    model, tokenizer = T5Model(T5Config(vocab_size=120, **sizes)), AutoTokenizer.from_pretrained(bert_folder)
    with pytest.raises(InputError, match="is an encoder-decoder"):
        SimCSETrainer(model, configure(tmp_path, pooling="mean"), corpus, processing_class=tokenizer)


def test_an_adapter_is_no_checkpoint_to_start_from(bert_folder, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(bert_folder, folder)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"--model_name_or_path .*adapter: is an adapter.*merge_and_unload"):
        check_checkpoint(str(folder))


def test_a_head_for_masked_tokens_that_there_is_not(bert_folder, corpus, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 32}
    GPT2Model(GPT2Config(vocab_size=len(tokenizer), bos_token_id=2, eos_token_id=3, **sizes)).save_pretrained(
        tmp_path / "gpt2"
    )
    tokenizer.save_pretrained(tmp_path / "gpt2")
    args = configure(tmp_path / "run", pooling="mean", mlm_weight=0.1)
    with pytest.raises(InputError, match="--mlm_weight"):
        SimCSETrainer(str(tmp_path / "gpt2"), args, corpus)


def test_numbers_of_tokens_beyond_the_embeddings_are_refused(bert_folder, corpus, tmp_path):
    """Fewer tokens than embeddings, but one of them numbered beyond."""
    words = sorted({word for text in corpus["anchor"] for word in text.split()})[:20]
    vocab = {token: number for number, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast(vocab={**vocab, words[-1]: 177})
    with pytest.raises(InputError, match="has tokens up to number 177"):
        SimCSETrainer(str(bert_folder), configure(tmp_path), corpus, processing_class=tokenizer)


def test_another_padding_token_is_refused(bert_folder, corpus, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.pad_token = "[UNK]"
    with pytest.raises(InputError, match=r"the tokenizer pads with token 1, .* with 0"):
        SimCSETrainer(str(bert_folder), configure(tmp_path), corpus, processing_class=tokenizer)


def test_a_text_without_tokens_is_named(bert_folder, tmp_path):
    bare = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate("abcdefgh")}, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare)
    rows = Dataset.from_dict({"anchor": ["abc", "bad", "zz", *["cab"] * 13]})
    with pytest.raises(InputError, match=r"train_dataset, row 3, column `anchor`: the text 'zz' has no tokens"):
        SimCSETrainer(str(bert_folder), configure(tmp_path), rows, processing_class=tokenizer)


@pytest.mark.parametrize("keep_mlp", [False, True])
def test_metrics_are_those_of_the_exported_vectors(bert_folder, corpus, sts, tmp_path, keep_mlp):
    from sentence_transformers import SentenceTransformer

    held_out = corpus.select(range(16))
    args = configure(tmp_path / "run", keep_mlp=keep_mlp, per_device_eval_batch_size=16)
    trainer = SimCSETrainer(str(bert_folder), args, corpus, held_out, sts_dataset=sts)
    trainer.train()
    measured = trainer.evaluate()
    trainer.save_model(str(tmp_path / "encoder"))
    exported = SentenceTransformer(str(tmp_path / "encoder"), device="cpu")

    def vectors(texts):
        return exported.encode(list(texts), convert_to_tensor=True, show_progress_bar=False)

    wanted = uniformity(vectors(held_out["anchor"])).item()
    assert measured["eval_uniformity"] == pytest.approx(wanted, abs=1e-4)
    other = encode_texts(trainer.model, trainer.processing_class, held_out["anchor"], 16, with_mlp=not keep_mlp)
    assert abs(uniformity(other).item() - wanted) > 1e-3, "the MLP makes no difference"
    from scipy.stats import spearmanr

    cosines = torch.cosine_similarity(vectors(sts["sentence1"]), vectors(sts["sentence2"]))
    assert measured["eval_sts_spearman"] == pytest.approx(spearmanr(cosines.numpy(), sts["score"]).statistic, abs=1e-3)


def test_vectors_that_have_collapsed_end_the_training(bert_folder, corpus, sts, tmp_path):
    trainer = SimCSETrainer(str(bert_folder), configure(tmp_path), corpus, sts_dataset=sts)
    with torch.no_grad():
        norm = trainer.model.encoder.encoder.layer[-1].output.LayerNorm
        norm.weight.zero_()
        norm.bias.fill_(1.0)
    with pytest.raises(XlingError, match="all sentences of the similarity set have one vector"):
        trainer.evaluate()


class KilledAtTheEnd(TrainerCallback):
    """What a kill between the last checkpoint and the end of the run leaves: this very moment."""

    def on_train_end(self, args, state, control, **kwargs):
        raise KeyboardInterrupt


def test_a_run_that_has_stopped_early_stays_ended(bert_folder, corpus, tmp_path):
    """A learning rate of 0: the first evaluation is the best one."""
    fields = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 1, "save_steps": 1, "max_steps": 9}
    fields |= {"load_best_model_at_end": True, "early_stopping_patience": 2, "save_total_limit": 5}
    fields |= {"learning_rate": 0.0, "per_device_eval_batch_size": 16}

    def run(folder, callbacks=(), resume=None):
        trainer = SimCSETrainer(
            str(bert_folder), configure(folder, **fields), corpus, corpus, callbacks=list(callbacks)
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = run(tmp_path / "whole")
    stopped_at = whole.state.global_step
    assert stopped_at == 3
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", [KilledAtTheEnd()])
    resumed = run(tmp_path / "killed", resume=str(tmp_path / "killed" / f"checkpoint-{stopped_at}"))
    assert resumed.state.global_step == stopped_at
    assert_equal_weights(weights(whole), weights(resumed))


def test_the_saved_tokenizer_cuts_nothing_by_itself(bert_folder, corpus, tmp_path):
    train(bert_folder, corpus, tmp_path, max_steps=1).save_model()
    content = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    assert content["truncation"] is None and content["padding"] is None


def test_the_first_layer_is_asked_for_by_sentence_transformers_alone(bert_folder, corpus, tmp_path):
    """In the encoder's own config it would make a classifier that starts from it return more than logits."""
    train(bert_folder, corpus, tmp_path, max_steps=1, pooling="first_last_mean").save_model()
    assert not AutoModel.from_pretrained(tmp_path).config.output_hidden_states


def test_an_evaluation_strategy_wants_something_to_evaluate(bert_folder, corpus, tmp_path):
    with pytest.raises(InputError, match="--eval_strategy steps: needs --validation_file or --sts_file"):
        SimCSETrainer(str(bert_folder), configure(tmp_path, eval_strategy="steps"), corpus)


def test_the_card_names_the_repository(bert_folder, corpus, tmp_path):
    trainer = train(bert_folder, corpus, tmp_path, max_steps=1, hub_model_id="me/encoder")
    trainer.create_model_card()
    assert 'SentenceTransformer("me/encoder")' in (tmp_path / "README.md").read_text("utf-8")


def test_the_card_shows_the_course_of_the_training(bert_folder, corpus, tmp_path):
    trainer = train(bert_folder, corpus, tmp_path, max_steps=3)
    trainer.create_model_card()
    card = (tmp_path / "README.md").read_text("utf-8")
    assert re.search(r"\n\n!\[The course of the training.*\]\(training\.png\)\n\n", card)
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")
    train(bert_folder, corpus, tmp_path, max_steps=1).create_model_card()
    assert "training.png" not in (tmp_path / "README.md").read_text("utf-8")


@pytest.mark.parametrize("columns", [["entailment", "contradiction"], ["text"], ["translation"], ["positives"]])
def test_a_dataset_with_further_texts_is_no_dropout_pair(bert_folder, sentences, tmp_path, columns):
    texts = {name: sentences[place * 32 :][:32] for place, name in enumerate(["anchor", *columns])}
    rows = Dataset.from_dict({**texts, "model_id": ["org/model"] * 32, "id": [f"n{row}" for row in range(32)]})
    with pytest.raises(InputError, match=f"train_dataset: has `anchor` and `{columns[0]}`; call it `positive`"):
        SimCSETrainer(str(bert_folder), configure(tmp_path), rows)


def test_texts_beside_a_pair_are_named(bert_folder, sentences, tmp_path, capsys):
    rows = {name: sentences[place * 32 :][:32] for place, name in enumerate(["anchor", "positive", "title"])}
    SimCSETrainer(str(bert_folder), configure(tmp_path), Dataset.from_dict(rows))
    assert "train_dataset: left out: title" in capsys.readouterr().err
