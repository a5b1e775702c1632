"""Checkpoints of sentence-transformers: how a base turns texts into vectors, read; what was trained, written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, PreTrainedTokenizerBase

from hf_xling.contrastive.model import DEFAULT_POOLING, EXPORTED_POOLING, POOLING_FIELDS, SentenceForm, SimCSEModel
from hf_xling.errors import InputError
from hf_xling.places import hub_file
from hf_xling.training.pretrained import MODEL_OPTION

MODULES, SETTINGS, TRANSFORMER = "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"
WEIGHTED_LAYERS = "WeightedLayerPooling"
HEADS_FILE = "simcse_heads.safetensors"
DENSE, LAYERS = "2_Dense", "1_WeightedLayerPooling"


def form_of(name: str, revision: str | None = None, pooling: str | None = None) -> tuple[SentenceForm, str]:
    """The form that the base `name` asks for: that of a sentence-transformers checkpoint, else the default.

    Args:
        name: a folder or Hub id.
        revision: on the Hub.
        pooling: to take in place of the base's own, whose modules behind the pooling are then left out.

    Returns:
        The form, and one line that says what of it is the base's; empty where nothing is.

    Raises:
        InputError: the base has modules that are not trained here, or its files are damaged.
    """
    try:
        modules = _read(name, MODULES, revision)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # the Hub does not answer
        return SentenceForm(pooling or DEFAULT_POOLING), f"{name}: {MODULES} could not be asked for ({error})"
    if modules is None:
        return SentenceForm(pooling or DEFAULT_POOLING), ""
    try:
        return _form_of(name, revision, pooling, modules)
    except (TypeError, AttributeError, LookupError) as error:
        raise InputError(f"{MODEL_OPTION} {name}: its sentence-transformers files are damaged ({error!r})") from error


def _form_of(name: str, revision: str | None, pooling: str | None, modules: Any) -> tuple[SentenceForm, str]:
    kinds = [(str(module["type"]).rsplit(".", 1)[-1], module.get("path", "")) for module in modules]
    if not kinds or kinds[0][0] != "Transformer":
        raise InputError(
            f"{MODEL_OPTION} {name}: begins with a module `{kinds[0][0] if kinds else ''}`, no Transformer"
        )
    if kinds[0][1]:
        raise InputError(f"{MODEL_OPTION} {name}: has its encoder in {kinds[0][1]}; give that folder")
    settings = _read(name, SETTINGS, revision) or {}
    form = SentenceForm(
        prompts={key: prompt or "" for key, prompt in (settings.get("prompts") or {}).items()},
        default_prompt=settings.get("default_prompt_name"),
        normalize=kinds[-1][0] == "Normalize",
        lower=bool((_read(name, TRANSFORMER, revision) or {}).get("do_lower_case")),
    )
    if form.default_prompt is not None and form.default_prompt not in form.prompts:
        raise InputError(f"{name}/{SETTINGS}: default_prompt_name `{form.default_prompt}` is none of its prompts")
    if pooling is None:
        form = replace(form, pooling=_own_pooling(name, revision, kinds, form))
        return form, f"{name}: a sentence-transformers checkpoint; its own {_in_words(form)}"
    left_out = [kind for kind, _ in kinds[1:] if kind not in ("Pooling", "Normalize")]
    without = f", without its {', '.join(left_out)}" if left_out else ""
    form = replace(form, pooling=pooling)
    return form, f"{name}: a sentence-transformers checkpoint, with --pooling {pooling} in place of its own{without}"


def _own_pooling(name: str, revision: str | None, kinds: list[tuple[str, str]], form: SentenceForm) -> str:
    """The pooling of modules that are `Transformer`, `Pooling` and perhaps `Normalize`, or what is exported here."""
    behind = [kind for kind, _ in kinds[1:]]
    both_ends = behind[:1] == [WEIGHTED_LAYERS] and _are_both_ends(name, revision, kinds[1][1])
    known = ["Pooling", *(["Normalize"] if form.normalize else [])]
    if behind != ([WEIGHTED_LAYERS] if both_ends else []) + known:
        other = next((kind for kind in behind if kind not in known), behind[-1] if behind else "Transformer")
        raise InputError(
            f"{MODEL_OPTION} {name}: its sentence vectors come from a module `{other}`, which is not trained here; "
            "--pooling (such as mean) trains its encoder alone"
        )
    config = _read(name, f"{kinds[-1 - form.normalize][1]}/config.json", revision) or {}
    given = config.get("pooling_mode") or [mode for key, mode in POOLING_FIELDS.items() if config.get(key)] or "mean"
    modes = [given] if isinstance(given, str) else list(given)
    if len(modes) != 1 or modes[0] not in POOLING_FIELDS.values():
        raise InputError(
            f"{MODEL_OPTION} {name}: its pooling is {' and '.join(map(str, modes))}; give one as --pooling"
        )
    if form.prompt and not config.get("include_prompt", True):
        raise InputError(
            f"{MODEL_OPTION} {name}: its pooling leaves the prompt out; --pooling trains it with the prompt"
        )
    return "first_last_mean" if both_ends else modes[0]


def _are_both_ends(name: str, revision: str | None, folder: str) -> bool:
    path = hub_file(name, f"{folder}/model.safetensors", revision)
    weights = load_file(path)["layer_weights"] if path is not None else None
    return weights is not None and bool(weights[1:-1].abs().sum() == 0 and weights[0] == weights[-1])


def _in_words(form: SentenceForm) -> str:
    prompt = f", prompt {form.prompt!r}" if form.prompt else ""
    return f"pooling ({form.pooling}{', normalised' if form.normalize else ''}{prompt}) is trained and kept"


def _read(name: str, file: str, revision: str | None) -> Any:
    path = hub_file(name, file, revision)
    if path is None:
        return None
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{name}/{file}: is no JSON ({error})") from error
    if not isinstance(content, dict | list):
        raise InputError(f"{name}/{file}: holds {content!r}, no settings")
    return content


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
    """Write what of `model` is outside of the encoder, for training to go on from."""
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
