"""How a text becomes a sentence vector around the encoder: pooling, prompt, normalisation, as the base has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from hf_xling.errors import InputError
from hf_xling.places import hub_file
from hf_xling.training.pretrained import MODEL_OPTION

MODULES, SETTINGS, TRANSFORMER = "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"
WEIGHTED_LAYERS = "WeightedLayerPooling"
# The fields of a Pooling module in older checkpoints; newer ones have `pooling_mode` with these values.
POOLING_FIELDS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
DEFAULT_POOLING = "cls_mlp"


@dataclass(frozen=True)
class SentenceForm:
    """How texts become sentence vectors, in training and in the exported checkpoint.

    Attributes:
        pooling: of the token vectors; see `pooling.EXPORTED_POOLING`.
        prompts: what may stand before a text, by name, as sentence-transformers has them.
        default_prompt: the name of the one that `encode` puts there, if any.
        normalize: whether vectors are brought to length 1.
        lower: whether texts are put in lower case first.
    """

    pooling: str = DEFAULT_POOLING
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    normalize: bool = False
    lower: bool = False

    @property
    def prompt(self) -> str:
        """What stands before each text."""
        return self.prompts.get(self.default_prompt, "") if self.default_prompt is not None else ""


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
    return weights is not None and weights[1:-1].abs().sum() == 0 and weights[0] == weights[-1]


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
