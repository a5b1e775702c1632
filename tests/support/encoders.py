"""Small random encoders of many architectures, and token ids for them."""

import numpy
import torch
from transformers import AutoConfig, AutoModel

VOCABULARY, POSITIONS = 120, 48
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.1,
}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
FIELDS = {
    "bert": {},
    "xlm-roberta": {"max_position_embeddings": POSITIONS + 2, "pad_token_id": 1},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16},
    "modernbert": {"local_attention": 64, "global_attn_every_n_layers": 2, **SPECIAL},
    "mpnet": {"max_position_embeddings": POSITIONS + 2},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "llama": {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
}
THE_THREE = ("bert", "xlm-roberta", "distilbert")


def make_encoder(kind: str, dropout: float | None = None, **fields):
    """A random encoder; `dropout` sets all of its dropouts."""
    sizes = dict(SIZES)
    if kind == "distilbert":
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"):
            del sizes[name]
    names = ("dropout", "attention_dropout") if kind == "distilbert" else ()
    names = names or ("hidden_dropout_prob", "attention_probs_dropout_prob")
    still = {} if dropout is None else dict.fromkeys(names, dropout)
    config = AutoConfig.for_model(kind, **{**sizes, **FIELDS[kind], **still, **fields})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModel.from_config(config)


def token_ids(lengths, seed=0) -> list[numpy.ndarray]:
    """Texts of these lengths; no padding among them (0 and 1 are some encoder's padding)."""
    generator = numpy.random.default_rng(seed)
    return [generator.integers(3, VOCABULARY, length, dtype=numpy.int32) for length in lengths]


def gradients(model) -> dict[str, torch.Tensor]:
    """The gradient of each parameter that has one."""
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def largest_difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    """The norm of the largest difference of a parameter's gradients, relative to the norm of the largest gradient.

    Relative to a parameter's own gradient would say nothing: in theory that of a key's bias is zero.
    """
    assert first.keys() == second.keys()
    largest = max(gradient.norm() for gradient in first.values())
    assert largest > 1e-6, "the comparison is of nothing with nothing"
    return max((gradient - second[name]).norm().item() for name, gradient in first.items()) / largest.item()
