"""Every field of `TrainingArguments` and every argument of `Trainer` works with both trainers, or is refused in a line.

Of what works, `OWN` is transformers' code that nothing of this package touches; a check in this file, or the test that
is named, shows the rest.
"""

import copy
import dataclasses
import inspect
import json
from pathlib import Path

import numpy
import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset, IterableDataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments
from transformers.training_args import OptimizerNames

from hf_xling import RegressionConfig, RegressionTrainer, SimCSEConfig, SimCSETrainer
from hf_xling.errors import InputError
from hf_xling.runs import last_checkpoint

CONFIGS = {"simcse": SimCSEConfig, "regression": RegressionConfig}
BATCH = 8
OWN, CHECKED = "transformers' own", "checked below"

WORKS = {
    **dict.fromkeys(
        (
            *("output_dir", "num_train_epochs", "max_steps", "learning_rate", "lr_scheduler_kwargs", "warmup_steps"),
            *("optim_target_modules", "bf16", "fp16", "fp16_full_eval", "tf32", "torch_compile_backend"),
            *("torch_compile_mode", "torch_empty_cache_steps", "logging_strategy", "logging_steps", "project"),
            *("logging_first_step", "log_on_each_node", "log_level", "log_level_replica", "disable_tqdm", "report_to"),
            *("run_name", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id", "eval_steps"),
            *("eval_delay", "save_steps", "save_on_each_node", "save_total_limit", "full_determinism", "seed"),
            *(
                "use_cpu",
                "ignore_data_skip",
                "use_cache",
                "skip_memory_metrics",
                "dataloader_pin_memory",
                "dataloader_prefetch_factor",
                "local_rank",
            ),
            *("dataloader_multiprocessing_context", "dataloader_in_order", "ddp_bucket_cap_mb", "ddp_backend"),
            *("ddp_timeout", "ddp_find_unused_parameters", "ddp_broadcast_buffers", "do_train", "do_eval"),
            *("per_device_train_batch_size", "per_device_eval_batch_size", "hub_token", "hub_private_repo"),
        ),
        OWN,
    ),
    **dict.fromkeys(
        (
            *("optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
            *("bf16_full_eval", "eval_on_start", "eval_strategy", "save_strategy", "save_only_model", "data_seed"),
            *("load_best_model_at_end", "metric_for_best_model", "greater_is_better", "resume_from_checkpoint"),
            *("dataloader_num_workers", "train_sampling_strategy"),
            *("lr_scheduler_type", "eval_accumulation_steps", "accelerator_config"),
        ),
        CHECKED,
    ),
    "weight_decay": "regression/test_optimisation.py",
    "gradient_accumulation_steps": "regression/test_trainer.py",
    "activation_checkpointing": "contrastive/test_trainer.py",
    "activation_checkpointing_kwargs": "contrastive/test_trainer.py",
    "gradient_checkpointing": "contrastive/test_trainer.py",  # the old names of both
    "gradient_checkpointing_kwargs": "contrastive/test_trainer.py",
    "torch_compile": "contrastive/test_trainer_compilation.py",
    "restore_callback_states_from_checkpoint": "contrastive/test_trainer_evaluation.py",
    **dict.fromkeys(("push_to_hub", "hub_model_id", "hub_strategy", "hub_revision"), "hub/test_publish_models.py"),
}
ONE_DEVICE = "training runs on one device, or with DDP on several"
REFUSED = {
    "average_tokens_across_devices": (False, "mean over the rows of all processes"),
    "batch_eval_metrics": (True, "all rows of a dataset at once"),
    "dataloader_persistent_workers": (True, "another dataset's rows"),
    "ddp_static_graph": (True, "different numbers of passes"),
    "debug": ("underflow_overflow", "do not take masks"),
    "deepspeed": ({"zero_optimization": {"stage": 2}}, ONE_DEVICE),
    "enable_jit_checkpoint": (True, "would count as finished"),
    "eval_use_gather_object": (True, "are tensors"),
    "fsdp": ("full_shard", ONE_DEVICE),
    "fsdp_config": ({"min_num_params": 10}, ONE_DEVICE),
    "hub_always_push": (True, "pushed once, at the end"),
    "include_for_metrics": (["inputs"], "do not see the inputs"),
    "include_num_input_tokens_seen": ("all", "not counted"),
    "label_names": (["label"], "fixed names"),
    "length_column_name": ("tokens", "those of the token ids"),
    "liger_kernel_config": ({"rope": True}, "no Liger kernels"),
    "logging_nan_inf_filter": (True, "ends the training"),
    "parallelism_config": (object(), ONE_DEVICE),
    "remove_unused_columns": (True, "leave it off"),
    "use_liger_kernel": (True, "no Liger kernels"),
}
BY_KIND = {
    "simcse": {
        "auto_find_batch_size": (True, "fewer negatives; --token_budget"),
        "do_predict": (True, "predicts nothing"),
        "label_smoothing_factor": (0.1, "no labels"),
        "neftune_noise_alpha": (5.0, "depends on the padding"),
        "eval_do_concat_batches": OWN,
        "dataloader_drop_last": "contrastive/test_trainer_refusals.py",
        "prediction_loss_only": OWN,
    },
    "regression": {
        "auto_find_batch_size": CHECKED,
        "do_predict": OWN,
        "label_smoothing_factor": (0.1, "ratings are no classes"),  # of classes: checked below
        "neftune_noise_alpha": CHECKED,
        "eval_do_concat_batches": (False, "all predictions in one array"),
        "dataloader_drop_last": (True, "texts of the test set"),
        "prediction_loss_only": (True, "need the predictions"),
    },
}
TABLE = {kind: {**WORKS, **REFUSED, **more} for kind, more in BY_KIND.items()}
REFUSALS = [
    (kind, name, *entry) for kind, table in TABLE.items() for name, entry in table.items() if not isinstance(entry, str)
]

# Of the constructor: what it takes beside its own, or why it does not.
ARGUMENTS = {
    **dict.fromkeys(("model", "args", "train_dataset", "eval_dataset", "processing_class"), CHECKED),
    **dict.fromkeys(("callbacks", "optimizers", "optimizer_cls_and_kwargs"), CHECKED),
    "data_collator": "the trainer has its own",
    "model_init": "make a trainer for each training",
    "compute_loss_func": "override `compute_loss`",
    "preprocess_logits_for_metrics": "of the predictions themselves",
}
COMPUTE_METRICS = {"simcse": "an encoder predicts nothing", "regression": CHECKED}


@pytest.fixture(scope="module")
def rows(sentences):
    """A dataset for either trainer."""
    values = [float(len(text) % 5) for text in sentences[:40]]
    return {
        "simcse": Dataset.from_dict({"anchor": sentences[:40]}),
        "regression": Dataset.from_dict({"text": sentences[:40], "label": values}),
    }


@pytest.fixture
def make(tmp_path, bert_folder, rows):
    """`make(kind, **fields and arguments)`: a trainer."""
    names = {field.name for field in dataclasses.fields(TrainingArguments)} | {"early_stopping_patience", "task"}

    def made(kind, model=None, train_dataset=None, eval_dataset=None, **given):
        small = {"max_steps": 2, "per_device_train_batch_size": BATCH, "logging_steps": 1, "disable_tqdm": True}
        small |= {"use_cpu": True, "save_strategy": "no", "eval_strategy": "no", "save_total_limit": None}
        small |= {"max_length": 16, "learning_rate": 1e-3, "output_dir": str(tmp_path / "run")}
        small |= {name: value for name, value in given.items() if name in names}
        arguments = {name: value for name, value in given.items() if name not in names}
        trainer = {"simcse": SimCSETrainer, "regression": RegressionTrainer}[kind]
        dataset = rows[kind] if train_dataset is None else train_dataset
        return trainer(model or str(bert_folder), CONFIGS[kind](**small), dataset, eval_dataset, **arguments)

    return made


kinds = pytest.mark.parametrize("kind", CONFIGS)


def losses(trainer, key="loss"):
    return [line[key] for line in trainer.state.log_history if key in line]


def refusal(make, kind, *arguments, **fields):
    with pytest.raises(InputError) as caught:
        make(kind, *arguments, **fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@kinds
def test_the_table_has_every_field(kind):
    """A new one of a later transformers is to be thought about, and added here."""
    assert {field.name for field in dataclasses.fields(TrainingArguments) if field.init} <= TABLE[kind].keys()
    assert not REFUSED.keys() & (WORKS.keys() | BY_KIND[kind].keys()) and not WORKS.keys() & BY_KIND[kind].keys()


@kinds
def test_the_files_that_the_table_names_are_there(kind):
    named = {where for where in TABLE[kind].values() if isinstance(where, str) and where.endswith(".py")}
    assert named and [where for where in named if not (Path(__file__).parents[1] / where).is_file()] == []


@kinds
def test_the_table_has_every_argument(kind):
    parameters = inspect.signature(Trainer.__init__).parameters.keys() - {"self"}
    assert parameters <= {*ARGUMENTS, "compute_metrics"}


@pytest.mark.parametrize("kind, name, value, why", REFUSALS, ids=[f"{kind}-{name}" for kind, name, *_ in REFUSALS])
def test_a_field_is_refused_before_anything_is_loaded(tmp_path, kind, name, value, why):
    known = {field.name for field in dataclasses.fields(TrainingArguments)}
    if name not in known:
        pytest.skip("another version of transformers")
    with pytest.raises(InputError) as caught:
        CONFIGS[kind](output_dir=str(tmp_path), use_cpu=True, **{name: value})
    assert str(caught.value).startswith(f"--{name}") and why in str(caught.value) and "\n" not in str(caught.value)


@kinds
@pytest.mark.parametrize("strategy", ["group_by_length", "batch_rebalance"])
def test_rows_are_not_sorted_by_length(make, kind, strategy):
    assert f"--train_sampling_strategy {strategy}: a batch is split" in refusal(
        make, kind, train_sampling_strategy=strategy
    )


@kinds
@pytest.mark.parametrize("name", [*ARGUMENTS, "compute_metrics"])
def test_an_argument_is_refused_before_anything_is_loaded(make, kind, name):
    why = {**ARGUMENTS, "compute_metrics": COMPUTE_METRICS[kind]}[name]
    if why != CHECKED:
        message = refusal(make, kind, "no such folder", **{name: lambda *given: None})
        assert message.startswith(f"{name}") and why in message


@kinds
def test_a_plain_configuration_is_refused(tmp_path, bert_folder, rows, kind):
    trainer = {"simcse": SimCSETrainer, "regression": RegressionTrainer}[kind]
    for args in (TrainingArguments(str(tmp_path), use_cpu=True), None):
        with pytest.raises(InputError, match=f"args: {CONFIGS[kind].__name__} is needed, not"):
            trainer(str(bert_folder), args, rows[kind])
    with pytest.raises(InputError, match="model: the name"):
        trainer(args=CONFIGS[kind](output_dir=str(tmp_path), use_cpu=True), train_dataset=rows[kind])


@kinds
def test_a_stream_and_other_containers_are_refused(make, rows, kind):
    stream = IterableDataset.from_generator(lambda: iter(rows[kind]))
    for data in (stream, list(rows[kind]), {"train": rows[kind]}):
        message = refusal(make, kind, train_dataset=data)
        assert f"train_dataset: a datasets.Dataset is needed, not {type(data).__name__}" in message
    assert "eval_dataset: a datasets.Dataset is needed" in refusal(make, kind, eval_dataset=stream)
    assert "eval_dataset['b']: a datasets" in refusal(make, kind, eval_dataset={"a": rows[kind], "b": stream})
    assert "eval_dataset: is empty" in refusal(make, kind, eval_dataset={})


@kinds
@pytest.mark.parametrize(
    "fields",
    [
        {"eval_on_start": True},
        {"eval_strategy": "steps"},
        {"save_strategy": "best", "metric_for_best_model": "loss"},
        {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "epoch"},
    ],
)
def test_what_needs_a_validation_set_says_so(make, kind, fields):
    message = refusal(make, kind, **fields)
    assert message.startswith(f"--{next(iter(fields))} {next(iter(fields.values()))}: needs ")


@kinds
@pytest.mark.parametrize(
    "name, value",
    [("per_device_train_batch_size", 0), ("per_device_eval_batch_size", -1), ("gradient_accumulation_steps", 0)],
)
def test_sizes_are_positive(make, kind, name, value):
    assert refusal(make, kind, **{name: value}) == f"--{name} {value}: at least 1 is needed"


@kinds
def test_what_transformers_refuses_is_one_line(make, kind):
    assert "`torch_empty_cache_steps` must be" in refusal(make, kind, torch_empty_cache_steps=0)
    assert "warmup_steps" in refusal(make, kind, warmup_steps=-1)
    assert "dispatch_batches" in refusal(make, kind, accelerator_config={"dispatch_batches": True})
    assert "bitsandbytes" in refusal(make, kind, optim="adamw_bnb_8bit")


@kinds
@pytest.mark.parametrize("optim", ["adamw_torch", "sgd", "adafactor", "rmsprop", "adagrad"])
def test_optimisers_by_name(make, kind, optim):
    trainer = make(kind, optim=optim, adam_beta1=0.5, adam_epsilon=1e-7, adam_beta2=0.8)
    trainer.train()
    optimizer = trainer.optimizer.optimizer
    assert type(optimizer).__name__.lower() == {"adamw_torch": "adamw"}.get(optim, optim)
    if optim == "adamw_torch":
        assert optimizer.defaults["betas"] == (0.5, 0.8) and optimizer.defaults["eps"] == 1e-7


@pytest.mark.parametrize("optim", [name.value for name in OptimizerNames if name.startswith(("galore", "lomo"))])
def test_ratings_need_learning_rates_by_part(make, optim):
    assert f"--optim {optim}: takes no learning rates by part" in refusal(make, "regression", optim=optim)


@kinds
def test_arguments_of_an_optimiser(make, kind):
    trainer = make(kind, optim="sgd", optim_args="momentum=0.5", max_steps=1)
    trainer.train()
    assert trainer.optimizer.optimizer.defaults["momentum"] == 0.5
    assert "not enough values" in refusal(make, kind, optim="sgd", optim_args="momentum")


@kinds
def test_gradients_are_clipped(make, kind):
    before = make(kind).model.state_dict()
    trainer = make(kind, optim="sgd", max_grad_norm=1e-9, max_steps=1)
    trainer.train()
    assert losses(trainer, "grad_norm")[0] > 1e-6
    after = trainer.model.state_dict()
    assert all(torch.allclose(after[name], tensor, atol=1e-7) for name, tensor in before.items())


def first_batch(trainer):
    batch = next(iter(trainer.get_train_dataloader()))
    return (batch["groups"] if "groups" in batch else batch["labels"]).tolist()


@kinds
def test_the_order_of_rows(make, rows, kind):
    by_data_seed = [first_batch(make(kind, seed=seed, data_seed=3)) for seed in (1, 2)]
    assert by_data_seed[0] == by_data_seed[1] != first_batch(make(kind, seed=1, data_seed=4))
    in_order = first_batch(make(kind, train_sampling_strategy="sequential"))
    assert in_order == (list(range(BATCH)) if kind == "simcse" else rows[kind]["label"][:BATCH])


@kinds
def test_workers_serve_the_same_batches(make, kind):
    runs = []
    for workers in (0, 1):
        runs.append(make(kind, dataloader_num_workers=workers))
        runs[-1].train()
    assert losses(runs[0]) == losses(runs[1])


@kinds
def test_evaluation_at_the_start_and_in_half_precision(make, rows, kind):
    trainer = make(kind, eval_dataset=rows[kind], eval_on_start=True, eval_strategy="steps", bf16_full_eval=True)
    trainer.train()
    assert [line["step"] for line in trainer.state.log_history if "eval_loss" in line] == [0, 1, 2]
    exact = losses(trainer, "eval_loss")[-1]
    half = trainer.evaluate()["eval_loss"]
    assert next(trainer.model.parameters()).dtype == torch.bfloat16 and half != exact
    assert half == pytest.approx(exact, rel=0.1)


@kinds
def test_several_validation_sets(make, rows, kind):
    """Each has its metrics; the first one chooses the best checkpoint unless another is named."""
    several = {"first": rows[kind].select(range(16)), "second": rows[kind].select(range(16, 40))}
    fields = {"eval_strategy": "steps", "save_strategy": "steps", "save_steps": 1, "load_best_model_at_end": True}
    metric = {"simcse": "loss", "regression": "mse"}[kind]
    for given, wanted in (({}, f"first_{metric}"), ({"metric_for_best_model": "second_loss"}, "second_loss")):
        trainer = make(kind, eval_dataset=several, eval_steps=1, **fields, **given)
        trainer.train()
        assert trainer.state.best_metric == min(losses(trainer, f"eval_{wanted}"))
    found = trainer.evaluate()
    assert found["eval_first_loss"] == pytest.approx(trainer.evaluate(several["first"])["eval_loss"])
    assert found["eval_first_loss"] != found["eval_second_loss"]
    assert "eval_other_loss" in trainer.evaluate({"other": several["second"]})
    message = refusal(make, kind, eval_dataset=several, metric_for_best_model=metric, **fields, eval_steps=1)
    assert f"--metric_for_best_model {metric}: is not measured; known are first_loss" in message


@kinds
def test_an_unknown_metric_is_refused_before_training(make, rows, kind):
    message = refusal(make, kind, eval_dataset=rows[kind], eval_strategy="epoch", metric_for_best_model="eval_msee")
    assert "--metric_for_best_model msee: is not measured; known are loss, " in message


@pytest.mark.parametrize(
    "kind, metric, greater",
    [
        ("simcse", "eval_loss", False),
        ("simcse", "uniformity", False),
        ("simcse", "alignment", False),
        ("simcse", "relative_distance", False),
        ("simcse", "sts_pearson", True),
        ("regression", "rmse", False),
        ("regression", "tamil_mae", False),
        ("regression", "eval_spearman", True),
    ],
)
def test_which_of_two_values_is_better(tmp_path, kind, metric, greater):
    config = CONFIGS[kind](output_dir=str(tmp_path), use_cpu=True, metric_for_best_model=metric)
    assert config.greater_is_better is greater
    forced = CONFIGS[kind](
        output_dir=str(tmp_path), use_cpu=True, metric_for_best_model=metric, greater_is_better=not greater
    )
    assert forced.greater_is_better is not greater


@kinds
@pytest.mark.parametrize("several", [True, False])
def test_the_callers_arguments_stay_as_they_were(tmp_path, rows, bert_folder, kind, several):
    """With several validation sets, and with none: both change the settings of a training."""
    args = CONFIGS[kind](
        str(tmp_path), max_steps=1, use_cpu=True, max_length=16, per_device_train_batch_size=BATCH, disable_tqdm=True
    )
    names = [field.name for field in dataclasses.fields(args)]
    before = copy.deepcopy({name: getattr(args, name) for name in names})
    held_out, more = {"a": rows[kind], "b": rows[kind]} if several else None, {}
    if kind == "simcse" and not several:
        texts = rows[kind]["anchor"][:4]
        more["sts_dataset"] = Dataset.from_dict({"sentence1": texts, "sentence2": texts[::-1], "score": range(4)})
    trainer = {"simcse": SimCSETrainer, "regression": RegressionTrainer}[kind]
    trainer(str(bert_folder), args, rows[kind], held_out, **more).train()
    assert {name: getattr(args, name) for name in names} == before


@kinds
def test_resuming_from_a_named_checkpoint(make, tmp_path, kind):
    """From the argument of `train` and from the field; the result is that of a training that was not interrupted."""
    whole = make(kind, max_steps=4, save_strategy="steps", save_steps=2)
    whole.train()
    checkpoint = str(tmp_path / "run" / "checkpoint-2")
    for fields, argument in (({}, checkpoint), ({"resume_from_checkpoint": checkpoint}, None)):
        resumed = make(kind, max_steps=4, output_dir=str(tmp_path / "resumed"), **fields)
        resumed.train(argument)
        assert [line["step"] for line in resumed.state.log_history if "loss" in line] == [1, 2, 3, 4]
        assert losses(resumed) == losses(whole)
    newest = make(kind, max_steps=4, resume_from_checkpoint="true")
    assert newest.train().global_step == 4


@kinds
def test_a_checkpoint_that_is_none_is_refused(make, tmp_path, bert_folder, kind):
    for given in ("nowhere", str(tmp_path / "missing"), str(bert_folder)):
        said = f"--resume_from_checkpoint {given}: is no checkpoint that training can go on from"
        assert said in refusal(make, kind, resume_from_checkpoint=given)
        with pytest.raises(InputError, match="is no checkpoint that training can go on from"):
            make(kind).train(resume_from_checkpoint=given)
    assert "run holds no checkpoint" in refusal(make, kind, resume_from_checkpoint="true")
    with pytest.raises(InputError, match="run holds no checkpoint"):
        make(kind).train(resume_from_checkpoint=True)
    assert make(kind, resume_from_checkpoint="false", max_steps=1).train(resume_from_checkpoint=False).global_step == 1


@kinds
def test_a_checkpoint_of_the_model_alone_cannot_be_resumed(make, tmp_path, kind):
    make(kind, save_strategy="steps", save_steps=1, save_only_model=True).train()
    saved = last_checkpoint(tmp_path / "run")
    assert saved is not None
    assert "it has no optimizer.pt" in refusal(make, kind, resume_from_checkpoint=saved)


@kinds
def test_resuming_true_does_not_train_on_after_early_stopping(make, tmp_path, rows, kind):
    fields = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 1, "save_steps": 1, "max_steps": 9}
    fields |= {"load_best_model_at_end": True, "early_stopping_patience": 1, "learning_rate": 0.0}
    stopped = make(kind, eval_dataset=rows[kind], **fields)
    stopped.train()
    steps = stopped.state.global_step
    assert steps < 9
    again = make(kind, eval_dataset=rows[kind], **fields)
    assert again.train(resume_from_checkpoint=True).global_step == steps
    assert again.state.best_global_step == stopped.state.best_global_step


@kinds
def test_optimisers_as_classes_and_callbacks(make, kind):
    seen = []

    class Counting(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            seen.append(state.global_step)

    trainer = make(
        kind, optimizer_cls_and_kwargs=(torch.optim.SGD, {"lr": 0.25, "momentum": 0.5}), callbacks=[Counting()]
    )
    trainer.train()
    optimizer = trainer.optimizer.optimizer
    assert type(optimizer) is torch.optim.SGD and optimizer.defaults["momentum"] == 0.5 and seen == [1, 2]
    assert 0.25 in [group["initial_lr"] for group in optimizer.param_groups]
    if kind == "regression":  # the head is in the ratings' units
        rates = sorted({group["initial_lr"] for group in optimizer.param_groups})
        assert rates == pytest.approx(sorted([0.25, 0.25 * trainer.task.deviation**2]))
        assert "a class of torch.optim.Optimizer" in refusal(make, kind, optimizer_cls_and_kwargs=(lambda: None, {}))


@kinds
def test_optimisers_as_objects(make, bert_folder, kind):
    """They must hold what is trained; a model that is loaded by name, or gets a new head, comes after them."""
    model = AutoModelForSequenceClassification.from_pretrained(bert_folder, num_labels=1)
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    assert "optimizers: the optimiser lacks" in refusal(make, kind, optimizers=(optimizer, None))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    assert "optimizers: a scheduler without" in refusal(make, kind, optimizers=(None, scheduler))
    if kind == "regression":
        given = {"model": model, "processing_class": tokenizer, "optimizers": (optimizer, scheduler)}
        trainer = make(kind, **given)
        trainer.train()
        assert trainer.optimizer.optimizer is optimizer and losses(trainer, "learning_rate") == [0.5, 0.5]


def test_metrics_of_ones_own(make, rows):
    def worst(prediction):
        errors = prediction.predictions.squeeze(-1) - prediction.label_ids
        return {"worst": abs(errors).max(), "mean_loss": prediction.losses.mean()}

    fields = {"compute_metrics": worst, "include_for_metrics": ["loss"], "eval_accumulation_steps": 1}
    trainer = make("regression", eval_dataset=rows["regression"], metric_for_best_model="worst", **fields)
    found = trainer.evaluate()
    ratings, labels, metrics = trainer.predict(rows["regression"])
    assert found["eval_worst"] == pytest.approx(abs(ratings.squeeze(-1) - labels).max())
    assert found["eval_mean_loss"] == pytest.approx(found["eval_mse"], rel=1e-5) and "test_worst" in metrics


def test_noise_on_embeddings(make):
    """NEFTune, in training alone."""
    plain, noisy = make("regression", max_steps=1), make("regression", max_steps=1, neftune_noise_alpha=50.0)
    for trainer in (plain, noisy):
        trainer.train()
    assert losses(plain) != losses(noisy)
    embeddings = noisy.model.get_input_embeddings()
    assert not embeddings._forward_hooks


def test_a_batch_that_does_not_fit_is_halved(make):
    class TooLarge(TrainerCallback):
        sizes = []  # noqa: RUF012

        def on_step_begin(self, args, state, control, **kwargs):
            self.sizes.append(state.train_batch_size)
            if state.train_batch_size == BATCH:
                raise RuntimeError("CUDA out of memory.")

    trainer = make("regression", auto_find_batch_size=True, callbacks=[TooLarge()])
    trainer.train()
    assert TooLarge.sizes[0] == BATCH and set(TooLarge.sizes[1:]) < set(range(1, BATCH))
    assert {group["is_body"] for group in trainer.optimizer.param_groups} == {True, False}


def test_labels_of_classes_are_smoothed(make, sentences):
    classes = Dataset.from_dict({"text": sentences[:40], "label": [len(text) % 3 for text in sentences[:40]]})
    given = {"train_dataset": classes, "eval_dataset": classes, "task": "classification"}
    trainer = make("regression", label_smoothing_factor=0.3, **given)
    trainer.train()
    logits, labels, metrics = trainer.predict(classes)
    logits, labels = torch.from_numpy(logits), torch.from_numpy(numpy.asarray(labels))
    smoothed = F.cross_entropy(logits, labels, label_smoothing=0.3).item()
    assert metrics["test_loss"] == pytest.approx(smoothed, rel=1e-4)
    assert smoothed != pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-3)


@kinds
def test_the_best_checkpoint_alone_is_saved(make, tmp_path, rows, kind):
    fields = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "best", "metric_for_best_model": "loss"}
    trainer = make(kind, eval_dataset=rows[kind], load_best_model_at_end=True, **fields)
    trainer.train()
    best = json.loads(
        (tmp_path / "run" / f"checkpoint-{trainer.state.best_global_step}/trainer_state.json").read_text()
    )
    assert best["best_metric"] == min(losses(trainer, "eval_loss"))


# Optimisers, schedules and numbers that no training can use


@pytest.mark.parametrize("trainer", ["simcse", "regression"])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "--lr_scheduler_type cosine_with_min_lr"),
        ({"lr_scheduler_kwargs": {"foo": 1}}, "--lr_scheduler_type linear.*foo"),
        ({"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": 1.0}}, "lr_end"),
        ({"adam_epsilon": -1.0}, "--optim adamw_torch.*epsilon"),
        ({"optim_args": "foo=1"}, "--optim_args foo=1: --optim adamw_torch.* does not read"),
        ({"learning_rate": -1.0}, "--learning_rate -1.0"),
        ({"learning_rate": float("nan")}, "--learning_rate nan"),
        ({"weight_decay": -1.0}, "--weight_decay -1.0"),
        ({"adam_beta1": 2.0}, "--adam_beta1 2.0"),
        ({"adam_beta2": -0.1}, "--adam_beta2 -0.1"),
        ({"max_steps": 0}, "--max_steps 0"),
    ],
)
def test_what_no_optimiser_can_use_is_refused_before_training(bert_folder, sentences, tmp_path, trainer, fields, said):
    fields = {"output_dir": str(tmp_path), "use_cpu": True, "per_device_train_batch_size": 16, **fields}
    with pytest.raises(InputError, match=said):
        if trainer == "simcse":
            rows = Dataset.from_dict({"anchor": sentences[:32]})
            SimCSETrainer(str(bert_folder), SimCSEConfig(max_length=16, **fields), rows)
        else:
            rows = Dataset.from_dict({"text": sentences[:32], "label": [float(n % 5) for n in range(32)]})
            RegressionTrainer(str(bert_folder), RegressionConfig(**fields), rows)


def test_a_zero_is_a_value_too(tmp_path):
    with pytest.raises(InputError, match=r"--neftune_noise_alpha 0\.0"):
        SimCSEConfig(output_dir=str(tmp_path), neftune_noise_alpha=0.0)
