"""One dialect for every command: dataclass fields as `--field value`, and `--config FILE.yaml` with the same fields.

The command line wins over the file. A YAML value becomes the token that a user would have typed, so that argparse does
all conversion and checking: PyYAML would read `2e-5` as a string, `language: no` as false, the revision `0755` as 493.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import difflib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import yaml
from transformers import HfArgumentParser

from hf_xling.errors import InputError

# What `--help` lists of transformers.TrainingArguments; `--help_all` lists the other hundred.
COMMON_TRAINING_FIELDS = {
    *("output_dir", "num_train_epochs", "max_steps", "per_device_train_batch_size", "per_device_eval_batch_size"),
    *("gradient_accumulation_steps", "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "optim"),
    *("bf16", "use_cpu", "eval_strategy", "eval_steps", "save_strategy", "save_steps", "save_total_limit"),
    *("load_best_model_at_end", "logging_steps", "report_to", "seed"),
    *("push_to_hub", "hub_model_id", "hub_private_repo"),
}


def option(help: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field with its line of `--help`; a field without a default must be given."""
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata={"help": help})
    return dataclasses.field(default=default, metadata={"help": help})


def section(help: str) -> Any:
    """A dataclass field that holds a mapping of a recipe: `simcse: {max_steps: 10}`, or `--simcse.max_steps 10`."""
    return dataclasses.field(default_factory=dict, metadata={"help": help, "section": True})


class RecipeParser(HfArgumentParser):
    """Parses a YAML recipe and a command line into dataclasses.

    Args:
        dataclass_types: the dataclasses to fill, in the order in which `parse` returns them.
        kwargs: passed to `argparse.ArgumentParser` (`prog`, `description`, `epilog`).
    """

    def __init__(self, dataclass_types: Sequence[Any], **kwargs: Any):
        self.sections: list[str] = []
        self.rare: list[argparse.Action] = []
        # Abbreviated options would hide misspelt ones.
        super().__init__(dataclass_types, allow_abbrev=False, add_help=False, formatter_class=_HelpFormatter, **kwargs)
        general = self.add_argument_group("general")
        general.add_argument("--config", metavar="FILE", help="a YAML recipe of the same fields; options win over it")
        if "--debug" not in self._option_string_actions:  # transformers' own takes a value; the bare flag works too
            general.add_argument("--debug", action="store_true", help="show the traceback of an error")
        general.add_argument("--help", "-h", action="store_true", help="show this help and exit")
        if self.rare:
            general.add_argument("--help_all", action="store_true", help="… with every field of TrainingArguments")
        for action in general._group_actions:
            action.default = argparse.SUPPRESS

    def parse(self, argv: Sequence[str]) -> tuple[Any, ...]:
        """Fill the dataclasses from `argv` and from the recipe that its `--config` names.

        Raises:
            InputError: an unknown key or option (with the nearest known one), a value of the wrong type, a missing
                required field, a recipe that is no YAML mapping, or whatever a dataclass's `__post_init__` refuses.
        """
        argv = list(argv)
        for token in argv:
            if any("\udc80" <= character <= "\udcff" for character in token):  # as Python shows a byte that is no UTF-8
                raise InputError(f"{os.fsencode(token)!r}: is not UTF-8; no record could name it")
        if {"-h", "--help", "--help_all"} & set(argv):
            self._show_help(everything="--help_all" in argv)
        recipe_path, argv = _take_config(argv)
        tokens, sections = self._recipe_tokens(recipe_path) if recipe_path else ([], {})
        tokens += self._take_sections(argv, sections)
        namespace, unknown = self.parse_known_args(tokens)
        if unknown:
            raise InputError(f"unknown option {unknown[0]}{self._suggestion(unknown[0])}")
        values = vars(namespace)
        filled = []
        for dtype in self.dataclass_types:
            names = {field.name for field in dataclasses.fields(dtype) if field.init}
            arguments = {name: values[name] for name in names if name in values}
            arguments |= {name: section for name, section in sections.items() if name in names}
            try:
                filled.append(dtype(**arguments))
            except (ValueError, TypeError) as error:
                raise InputError(str(error)) from error
        return tuple(filled)

    def error(self, message: str) -> NoReturn:
        """argparse's way out, as one line without the usage text."""
        raise InputError(message)

    def _add_dataclass_arguments(self, dtype: type) -> None:
        """One help group for the fields that `dtype` declares, one for those of `TrainingArguments`."""
        hints = get_type_hints(dtype)
        own = self.add_argument_group(getattr(dtype, "_argument_group_name", dtype.__name__))
        inherited = None
        for field in dataclasses.fields(dtype):
            if not field.init:
                continue
            if field.metadata.get("section"):
                self.sections.append(field.name)
                option, help = f"--{field.name}.KEY", field.metadata["help"]
                own.add_argument(option, metavar="VALUE", help=help, default=argparse.SUPPRESS)
                continue
            field = copy.copy(field)  # its type is changed here and in transformers, and other threads parse as well
            field.type = hints[field.name]
            group = own
            if _comes_from_training_arguments(dtype, field.name):
                inherited = inherited or self.add_argument_group("training (fields of transformers.TrainingArguments)")
                group = inherited
            before = len(self._actions)
            self._parse_dataclass_field(group, field)  # type: ignore[arg-type]  # it only adds an argument
            for action in self._actions[before:]:
                if action.const is False:  # the `--no_…` of a flag that is on, with the help of that flag
                    action.help = f"the opposite of --{field.name}"
            if group is inherited and field.name not in COMMON_TRAINING_FIELDS:
                self.rare += self._actions[before:]

    def _show_help(self, everything: bool) -> NoReturn:
        for action in [] if everything else self.rare:
            action.help = argparse.SUPPRESS
        self.print_help()
        raise SystemExit(0)

    def _recipe_tokens(self, path: Path) -> tuple[list[str], dict[str, dict]]:
        """The recipe at `path` as command-line tokens, and its sections."""
        content, typed = read_yaml(path, _AsTyped), read_yaml(path)
        sections = {}
        for key in list(content):
            if key in self.sections:
                if not isinstance(content[key], dict):
                    raise InputError(f"{path}: `{key}` must be a mapping of fields, not {content[key]!r}")
                sections[key] = _keep_types(content.pop(key), typed[key])
            elif key in ("config", "help", "help_all"):
                raise InputError(f"{path}: `{key}` belongs on the command line, not in a recipe")
            elif f"--{key}" not in self._option_string_actions:
                raise InputError(f"{path}: unknown key `{key}`{self._suggestion(str(key))}")
        return to_argv(_keep_types(content, typed)), sections

    def _take_sections(self, argv: list[str], sections: dict[str, dict]) -> list[str]:
        """Move `--section.key value …` from `argv` into `sections`; return what is left."""
        rest: list[str] = []
        values: list[str] | None = None
        for token in argv:
            name, _, value = token.partition("=")
            section, dot, key = name.removeprefix("--").partition(".")
            if token.startswith("--") and dot and section in self.sections:
                values = sections.setdefault(section, {})[key] = [value] if value else []
            elif token.startswith("--") or values is None:
                values = None
                rest.append(token)
            else:
                values.append(token)
        for given in sections.values():
            given.update({key: value[0] for key, value in given.items() if isinstance(value, list) and len(value) == 1})
        return rest

    def _suggestion(self, name: str) -> str:
        known = [option.removeprefix("--") for option in self._option_string_actions] + self.sections
        nearest = difflib.get_close_matches(name.removeprefix("--").split("=")[0], known, n=1)
        return f"; did you mean `{nearest[0]}`?" if nearest else "; --help lists the known ones"


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows one spelling of each option, and no default where there is none."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=32, width=110)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        metavar = str(action.metavar or (action.dest.upper() if action.nargs != 0 else ""))
        if action.choices:
            shown = list(map(str, action.choices))
            metavar = "{" + ",".join(shown if len(shown) <= 6 else [*shown[:4], "…"]) + "}"
        more = " …" if action.nargs == "+" else ""
        return f"{action.option_strings[0]} {metavar}{more}".strip() if action.option_strings else metavar

    def _get_help_string(self, action: argparse.Action) -> str:
        without = action.default in (None, argparse.SUPPRESS) or action.default == [] or action.const is False
        if without or action.required:
            return action.help or ""
        return super()._get_help_string(action) or ""

    def _format_usage(self, usage: str | None, actions: Iterable[argparse.Action], groups: Any, prefix: Any) -> str:
        required = [f"{action.option_strings[0]} {action.dest.upper()}" for action in actions if action.required]
        return f"usage: {' '.join([self._prog, *required])} [--config FILE] [options]\n\n"


class _AsTyped(yaml.SafeLoader):
    """YAML in which every scalar but null is the text as it is in the file."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _keep_types(fields: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    """`fields` as typed, but a mapping among them (`lr_scheduler_kwargs: {num_cycles: 2}`) with YAML's own types."""
    return {name: typed.get(name) if isinstance(value, dict) else value for name, value in fields.items()}


def read_yaml(path: str | Path, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> dict[str, Any]:
    """The mapping in the YAML file at `path`; anything else is an `InputError` that names the file."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8-sig"), loader)
    except OSError as error:
        raise InputError(f"{path}: cannot read the recipe: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a recipe is a mapping of fields (`learning_rate: 3e-5`), one a line")
    return content


def given_fields(*configs: Any) -> dict[str, Any]:
    """The fields of dataclasses that differ from their defaults, without those that change no result.

    This is what makes one training run another: `output_dir`, logging, saving and publishing do not.
    """
    given = {}
    for config in configs:
        for spec in dataclasses.fields(config):
            # Not compared with a second instance: `TrainingArguments` takes over the state of a distributed launch.
            default = spec.default if spec.default_factory is dataclasses.MISSING else spec.default_factory()
            value = getattr(config, spec.name)
            if spec.init and value != default and not spec.name.startswith(_HARMLESS):
                given[spec.name] = value
    return given


# Beginnings of fields that change no result, or that `TrainingArguments` fills in of its own accord.
_HARMLESS = (
    *("output_dir", "logging_", "log_", "report_to", "run_name", "disable_tqdm", "save_", "hub_", "push_to_hub"),
    *("dataloader_num_workers", "dataloader_pin_memory", "project", "trackio", "local_rank", "debug", "do_"),
    *("accelerator_config", "activation_checkpointing", "gradient_checkpointing"),
)


def to_argv(fields: Mapping[str, Any]) -> list[str]:
    """The command line that gives `fields`; `None` leaves a field at its default.

    >>> to_argv({"max_steps": 10, "seeds": [1, 2], "bf16": True})
    ['--max_steps=10', '--seeds', '1', '2', '--bf16=true']
    """
    tokens: list[str] = []
    for name, value in fields.items():
        if value is None:
            continue
        if isinstance(value, (list, tuple)):
            tokens += [f"--{name}", *map(str, value)]
        elif isinstance(value, dict):
            tokens.append(f"--{name}={json.dumps(value)}")
        else:
            tokens.append(f"--{name}={str(value).lower() if isinstance(value, bool) else value}")
    return tokens


def _take_config(argv: list[str]) -> tuple[Path | None, list[str]]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", type=Path)
    try:
        namespace, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise InputError("--config wants a file") from error
    return namespace.config, rest


def _comes_from_training_arguments(dtype: type, name: str) -> bool:
    return any(
        base.__name__ == "TrainingArguments" and name in base.__dict__.get("__dataclass_fields__", {})
        for base in dtype.__mro__[1:]
    )
