"""Small random checkpoints of many architectures, beside the tokenizer of the tests' sentences."""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel, PreTrainedTokenizerBase

POSITIONS = 64
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.1,
}
_ENDS = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
_DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "pooler_hidden_size": 32}
_GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
_T5 = {"d_model": 32, "d_ff": 64, "num_layers": 2, "num_heads": 4, "d_kv": 8, "decoder_start_token_id": 0}
# Beside `_SIZES`; a kind of other names has None there.
_FIELDS = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "initializer_range": 0.1},
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16},
    "mpnet": {},
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA,
    "modernbert": {"local_attention": 64, "global_attn_every_n_layers": 2},
    "convbert": {"embedding_size": 32, "conv_kernel_size": 3},
    "fnet": {},
    "xlm": {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "pad_index": 0, "init_std": 0.2, "embed_init_std": 0.2},
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64, "initializer_range": 0.1},
    "canine": {
        **{"num_hash_buckets": 64, "num_hash_functions": 4, "downsampling_rate": 2},
        **{"local_transformer_stride": 8, "upsampling_kernel_size": 3},
    },
    "funnel": {
        **{"block_sizes": [1, 1], "num_decoder_layers": 1, "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64},
        **{"initializer_range": 0.1, "architectures": ["FunnelModel"]},
    },
    "perceiver": {
        **{"num_latents": 8, "d_latents": 32, "d_model": 32, "num_blocks": 1, "num_self_attends_per_block": 1},
        **{"num_self_attention_heads": 4, "num_cross_attention_heads": 4},
    },
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS},
    "llama": _GROUPED,
    "qwen2": _GROUPED,
    "t5": _T5,
    "bart": {
        **{"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4},
        **{"decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
    },
}
_OF_THEIR_OWN_SIZES = {"distilbert", "xlnet", "funnel", "perceiver", "t5", "bart", "gpt2", "xlm"}


def make_config(kind: str, vocabulary: int, **fields):
    """The config of a small model of two layers."""
    sizes = {} if kind in _OF_THEIR_OWN_SIZES else _SIZES
    return AutoConfig.for_model(kind, **{**sizes, "vocab_size": vocabulary, **_ENDS, **_FIELDS[kind], **fields})


def make_model(kind: str, vocabulary: int, loader=AutoModel, **fields) -> PreTrainedModel:
    """A random model of the kind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return loader.from_config(make_config(kind, vocabulary, **fields))


def save_model(folder: Path, kind: str, tokenizer: PreTrainedTokenizerBase, loader=AutoModel, **fields) -> Path:
    """A checkpoint of such a model and its tokenizer."""
    make_model(kind, len(tokenizer) + 8, loader, **fields).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
