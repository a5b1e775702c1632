"""What all tests share: no network, one thread, and small checkpoints made in the process."""

import atexit
import gc
import os
import random
import shutil
import tempfile
from itertools import product
from pathlib import Path

# Before anything imports torch or a library of Hugging Face: they read these once.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hf_xling-tests-")
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

pytest.register_assert_rewrite("run_accounts")  # in `support`

# The same examples at each run, whatever time they take, and no database in the working tree.
settings.register_profile(
    "house", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("house")


def pytest_collection_finish() -> None:
    """Take what the test files have imported out of the garbage collector's sight.

    `Trainer.train` ends with a full collection, whose time goes by all objects there are: torch and transformers make
    it half of a small training.
    """
    gc.collect()
    gc.freeze()


# 288 distinct sentences over a vocabulary of some 25 words, of 4 to 6 words each, in mixed order.
SENTENCES = [
    f"the {subject} {verb} {thing}"
    for subject, verb, thing in product(
        ("boy", "girl", "dog", "cat", "man", "woman", "child", "bird"),
        ("eats", "sees", "likes", "draws", "finds", "wants"),
        ("fish", "bread", "a ball", "old houses", "much water", "one tree"),
    )
]
random.Random(0).shuffle(SENTENCES)
WORDS = sorted({word for sentence in SENTENCES for word in sentence.split()})

# Wide weights: with BERT's own 0.02 the first token hardly depends on the words, and nothing would move.
SMALL = {"initializer_range": 0.1}
MAX_LENGTH = 32


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Distinct sentences of the words that the checkpoints' tokenizers know."""
    return list(SENTENCES)


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory) -> Path:
    """A BERT of two layers and 64 dimensions with random weights, and its WordPiece tokenizer."""
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    config = BertConfig(vocab_size=5 + len(WORDS), max_position_embeddings=MAX_LENGTH, **sizes, **SMALL)
    return _save(tmp_path_factory.mktemp("checkpoint") / "bert", BertModel, config, _wordpiece())


@pytest.fixture(scope="session")
def distilbert_folder(tmp_path_factory) -> Path:
    """A DistilBERT of two layers, with the same tokenizer."""
    from transformers import DistilBertConfig, DistilBertModel

    sizes = {"dim": 64, "n_layers": 2, "n_heads": 2, "hidden_dim": 128}
    config = DistilBertConfig(vocab_size=5 + len(WORDS), max_position_embeddings=MAX_LENGTH, **sizes, **SMALL)
    return _save(tmp_path_factory.mktemp("checkpoint") / "distilbert", DistilBertModel, config, _wordpiece())


@pytest.fixture(scope="session")
def xlmr_folder(tmp_path_factory) -> Path:
    """An XLM-R of two layers and its Unigram tokenizer. Its position numbers start at 2: 34 make 32 tokens."""
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizer

    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(f"▁{word}" for word in WORDS), "<mask>"]
    tokenizer = XLMRobertaTokenizer(
        vocab=[(piece, -float(number)) for number, piece in enumerate(pieces)], model_max_length=MAX_LENGTH
    )
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    config = XLMRobertaConfig(vocab_size=len(pieces), max_position_embeddings=MAX_LENGTH + 2, **sizes, **SMALL)
    return _save(tmp_path_factory.mktemp("checkpoint") / "xlmr", XLMRobertaModel, config, tokenizer)


def _wordpiece():
    from transformers import BertTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    return BertTokenizerFast(vocab={piece: number for number, piece in enumerate(pieces)}, model_max_length=MAX_LENGTH)


def _save(folder: Path, architecture, config, tokenizer) -> Path:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = architecture(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
