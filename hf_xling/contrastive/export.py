"""Checkpoints: an encoder that plain transformers and sentence-transformers load, and what only training needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, PreTrainedTokenizerBase

from hf_xling.contrastive.form import POOLING_FIELDS
from hf_xling.contrastive.pooling import EXPORTED_POOLING, SimCSEModel

HEADS_FILE = "simcse_heads.safetensors"
DENSE, LAYERS = "2_Dense", "1_WeightedLayerPooling"


def export_encoder(
    model: SimCSEModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: str | Path,
    max_length: int,
    keep_mlp: bool = False,
) -> None:
    """Write `model`'s encoder (or its adapter) to `folder`, as safetensors, with the files of sentence-transformers.

    With `keep_mlp` sentence-transformers applies the MLP as well, from a folder of its own; `AutoModel` has none.
    """
    folder = Path(folder)
    pooling, width = EXPORTED_POOLING[model.pooling], model.config.hidden_size
    both_ends = pooling == "first_last_mean"
    model.encoder.save_pretrained(folder)
    if hasattr(tokenizer, "backend_tokenizer"):
        tokenizer.backend_tokenizer.no_truncation()  # or the file would carry that of the last call
    tokenizer.save_pretrained(folder)
    # These module paths load in every sentence-transformers from 2 to 6.
    modules = [
        ("Transformer", ""),
        *([("WeightedLayerPooling", LAYERS)] if both_ends else ()),
        ("Pooling", "1_Pooling"),
    ]
    # Not in the encoder's own config, where it would change what other models made from it return.
    more = {"config_args": {"output_hidden_states": True}} if both_ends else {}
    files: dict[str, Any] = {
        "sentence_bert_config.json": {"max_seq_length": max_length, "do_lower_case": model.form.lower, **more},
        "config_sentence_transformers.json": {
            **{"similarity_fn_name": "cosine", "prompts": dict(model.form.prompts)},
            **({"default_prompt_name": model.form.default_prompt} if model.form.default_prompt is not None else {}),
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": width,
            **{name: mode == ("mean" if both_ends else pooling) for name, mode in POOLING_FIELDS.items()},
        },
    }
    if keep_mlp and model.mlp is not None:
        modules.append(("Dense", DENSE))
        activation = "torch.nn.modules.activation.Tanh"
        sizes = {"in_features": width, "out_features": width}
        files[f"{DENSE}/config.json"] = {**sizes, "bias": True, "activation_function": activation}
    if model.form.normalize:
        modules.append(("Normalize", f"{len(modules)}_Normalize"))
    files["modules.json"] = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(modules)
    ]
    if both_ends:
        layers = model.config.num_hidden_layers
        sizes = {"word_embedding_dimension": width, "layer_start": 0, "num_hidden_layers": layers}
        files[f"{LAYERS}/config.json"] = sizes
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if both_ends:
        weights = torch.zeros(layers + 1)
        weights[[0, -1]] = 1.0
        save_file({"layer_weights": weights}, folder / LAYERS / "model.safetensors")
    if keep_mlp and model.mlp is not None:
        dense = {f"linear.{name}": value.contiguous() for name, value in model.mlp[0].state_dict().items()}
        save_file(dense, folder / DENSE / "model.safetensors")


def save_heads(model: SimCSEModel, folder: Path) -> None:
    """Write what of `model` stands outside of the encoder, for training to go on from."""
    if heads := _heads(model):
        save_file({name: value.contiguous() for name, value in heads.items()}, folder / HEADS_FILE)


def load_heads(model: SimCSEModel, folder: Path) -> None:
    """The other half of `save_heads`."""
    if _heads(model):
        model.load_state_dict(load_file(folder / HEADS_FILE), strict=False)


def restore_encoder(model: SimCSEModel, folder: Path) -> None:
    """Put the weights of the encoder or adapter in `folder` into `model`."""
    if hasattr(model.encoder, "peft_config"):
        from peft import set_peft_model_state_dict
        from peft.utils import SAFETENSORS_WEIGHTS_NAME

        set_peft_model_state_dict(model.encoder, load_file(folder / SAFETENSORS_WEIGHTS_NAME))
        return
    # AutoModel adds a pooler to an encoder that was made without one.
    saved, names = AutoModel.from_pretrained(folder).state_dict(), model.encoder.state_dict().keys()
    model.encoder.load_state_dict({name: tensor for name, tensor in saved.items() if name in names})


def _heads(model: SimCSEModel) -> dict[str, Tensor]:
    """The parameters outside of the encoder; an output layer that is tied to the encoder's embeddings is inside."""
    inside = {id(parameter) for parameter in model.encoder.parameters()}
    return {name: value.detach() for name, value in model.named_parameters() if id(value) not in inside}
