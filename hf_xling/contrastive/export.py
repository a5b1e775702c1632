"""Saving an encoder so that plain transformers and sentence-transformers both load it, with equal vectors."""

from __future__ import annotations

import json
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from hf_xling.contrastive.pooling import EXPORTED_POOLING, SimCSEModel


def export_encoder(model: SimCSEModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path, max_length: int) -> None:
    """Write `model`'s encoder without its MLP to `folder`, as safetensors, with the files of sentence-transformers."""
    folder = Path(folder)
    model.encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pooling = EXPORTED_POOLING[model.pooling]
    # These module paths load in every sentence-transformers from 2 to 6.
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    pooling_config = {
        "word_embedding_dimension": model.config.hidden_size,
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    (folder / "1_Pooling").mkdir(exist_ok=True)
    for name, content in (
        ("modules.json", modules),
        ("sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False}),
        ("1_Pooling/config.json", pooling_config),
        ("config_sentence_transformers.json", {"similarity_fn_name": "cosine", "prompts": {}}),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
