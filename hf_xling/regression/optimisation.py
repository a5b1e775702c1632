"""Learning rates by part of the model: a head in the ratings' units, lower layers slower, the body frozen at first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel

from hf_xling.errors import InputError
from hf_xling.regression.head import output_layer
from hf_xling.regression.tasks import Task


def parameter_groups(
    model: PreTrainedModel,
    decayed: Container[str],
    *,
    learning_rate: float,
    weight_decay: float,
    layer_lr_decay: float = 1.0,
    head_scale: float = 1.0,
) -> list[dict[str, Any]]:
    """The trained parameters of `model` in groups for an optimiser, each with `lr`, `weight_decay` and `is_body`.

    Args:
        model: a sequence classifier, or an adapter over one.
        decayed: the names of the parameters that weight decay acts on.
        learning_rate: of the head.
        weight_decay: of the head.
        layer_lr_decay: of L layers the one that is d from the top has `learning_rate * layer_lr_decay ** (d + 1)`, the
            embeddings that of d = L (Clark et al. 2020, "ELECTRA", appendix B).
        head_scale: the output layer has a learning rate that is larger by this, and decays at the same pace.
    """
    body, layers = _body(model), _layer_numbers(model)
    _, output = output_layer(model)
    outputs = {id(parameter) for parameter in output.parameters()}
    groups: dict[tuple, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = weight_decay if name in decayed else 0.0
        in_body = name in body
        if id(parameter) in outputs:
            groups[learning_rate * head_scale, decay / head_scale, in_body].append(parameter)
        else:
            from_top = layers.get(name, 0 if in_body else -1)
            groups[learning_rate * layer_lr_decay ** (from_top + 1), decay, in_body].append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay, "is_body": in_body}
        for (rate, decay, in_body), parameters in groups.items()
    ]


def head_scale(task: Task, optimiser: type) -> float:
    """How much larger than the others the learning rate of the output layer must be.

    Its weights are the labels' deviation times those of a standardised one, and must move by as much more. Adam and its
    kin move a weight by the learning rate, however small its gradient is; in the step of SGD (also without a schedule)
    the gradient, which is smaller by the deviation, counts as well.
    """
    return task.deviation**2 if optimiser.__name__.startswith("SGD") else task.deviation


def freeze_body(scheduler: Any, optimizer: Optimizer, steps: int) -> None:
    """Let the learning rate of all groups with `is_body` be 0 for the first `steps` steps of `scheduler`.

    Raises:
        InputError: a schedule whose rate is not a function of the step alone.
    """
    if not isinstance(scheduler, LambdaLR):
        raise InputError(f"--freeze_body_steps {steps}: does not go with this --lr_scheduler_type")

    def frozen(rate: Callable[[int], float]) -> Callable[[int], float]:
        return lambda step: 0.0 if step < steps else rate(step)

    for number, group in enumerate(optimizer.param_groups):
        if group["is_body"]:
            scheduler.lr_lambdas[number] = frozen(scheduler.lr_lambdas[number])
            group["lr"] = group["initial_lr"] * scheduler.lr_lambdas[number](scheduler.last_epoch)
    scheduler._last_lr = [group["lr"] for group in optimizer.param_groups]


def _encoder(model: Any) -> Any:
    """The encoder of a classifier, or of one with an adapter around it."""
    return (model.get_base_model() if hasattr(model, "peft_config") else model).base_model


def _body(model: nn.Module) -> set[str]:
    """The names of the parameters of the encoder, without its pooler."""
    encoder = _encoder(model)
    pooler = getattr(encoder, "pooler", None)
    head = {id(parameter) for parameter in pooler.parameters()} if pooler is not None else set()
    inside = {id(parameter) for parameter in encoder.parameters()} - head
    return {name for name, parameter in model.named_parameters() if id(parameter) in inside}


def _layer_numbers(model: PreTrainedModel) -> dict[str, int]:
    """How far from the top each of the body's parameters is: 0 for the last layer, L for what lies below the first."""
    count, encoder = getattr(model.config, "num_hidden_layers", 0), _encoder(model)
    layers = next(
        (each for each in encoder.modules() if isinstance(each, nn.ModuleList) and len(each) == count), nn.ModuleList()
    )
    numbers = {
        id(parameter): count - 1 - number for number, layer in enumerate(layers) for parameter in layer.parameters()
    }
    below = getattr(encoder, "embeddings", None) or getattr(encoder, "char_embeddings", None)  # of Canine
    embeddings = {id(parameter) for parameter in (below or encoder.get_input_embeddings()).parameters()}
    numbers |= dict.fromkeys(embeddings, count)
    return {name: numbers[id(parameter)] for name, parameter in model.named_parameters() if id(parameter) in numbers}
