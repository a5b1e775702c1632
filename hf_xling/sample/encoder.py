"""A small BERT for the sample world: enough to show training at work on two cores, and of no other use.

Its weights are random and wide. With BERT's own range of 0.02 the first token hardly depends on the words: after 120
steps of SimCSE (batch 64, learning rate 5e-4) the loss is still at 0.6 to 0.7 of log B; with 0.07 it is at 0.06, and
the regressions do as well. A short masked-language-model warm-up (300 steps, 15 s) made neither better.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertConfig, BertModel, BertTokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_LENGTH = 128

CARD = """---
language: [en, ta]
license: apache-2.0
library_name: transformers
pipeline_tag: feature-extraction
tags: [sample, random-weights]
---

# Sample encoder of hf_xling

A BERT of {layers} layers and {hidden_size} dimensions with **random weights** (seed {seed}, initializer range
{initializer_range}) and a vocabulary of {vocab_size} word pieces learnt from hf_xling's generated sample world. It has
seen no language. `hf-xling demo` trains it to show the pipeline at work; its vectors and ratings mean nothing outside
that demo, and no figure got with it says anything about English or Tamil.
"""


def make_encoder(
    folder: Path,
    texts: Sequence[str],
    seed: int = 0,
    *,
    layers: int = 2,
    hidden_size: int = 128,
    vocab_size: int = 4000,
    initializer_range: float = 0.07,
) -> None:
    """Writes a randomly initialised BERT, its tokenizer (vocabulary learnt from `texts`) and a card into `folder`.

    The same texts and seed give the same files; the global random state is left as it was.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(texts, vocab_size)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=initializer_range,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config)
    card = CARD.format(
        layers=layers,
        hidden_size=hidden_size,
        seed=seed,
        initializer_range=initializer_range,
        vocab_size=len(tokenizer),
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")


def train_tokenizer(texts: Sequence[str], vocab_size: int) -> BertTokenizer:
    """A lower-casing WordPiece tokenizer that keeps the vowel signs of Tamil.

    `strip_accents=False` has to be said twice: unset, it follows `lowercase`, and stripping "accents" removes the
    Tamil vowel signs and the pulli (they are combining marks), which turns படிக்கிறான் into another string.
    """
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # The trainer numbers "##x" pieces in the order of a hash map and breaks ties by number: the vocabulary would differ
    # from run to run. Numbering them beforehand, as special tokens of this throw-away tokenizer, makes it repeatable.
    letters = {letter for text in texts for letter in trained.normalizer.normalize_str(text) if not letter.isspace()}
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *(f"##{letter}" for letter in sorted(letters))],
        initial_alphabet=sorted(letters),
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    return BertTokenizer(
        vocab=trained.get_vocab(), do_lower_case=True, strip_accents=False, model_max_length=MAX_LENGTH
    )
