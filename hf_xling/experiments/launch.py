"""Launching the packaged training scripts through accelerate."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from hf_xling.errors import InputError, XlingError

PACKAGED_CONFIGS = ("cpu", "single_gpu", "multi_gpu")


def launch(
    script: str, arguments: Sequence[str], accelerate_config: str | None = None, log: str | Path | None = None
) -> None:
    """Run `trainers/{script}.py` with `arguments` under `accelerate launch` and wait for it.

    Args:
        script: `simcse` or `regression`.
        arguments: of the script.
        accelerate_config: the name of a packaged configuration or a file; by default accelerate's own.
        log: a file for what the script writes to stdout; its progress bars and its error line go to stderr as they are.

    Raises:
        XlingError: the script failed; its own line about it is above.
    """
    command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet"]
    if accelerate_config is not None:
        command += ["--config_file", str(config_file(accelerate_config))]
    command += [str(files("hf_xling.trainers") / f"{script}.py"), *arguments]
    if log is None:
        status = subprocess.call(command)
    else:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as stream:
            status = subprocess.call(command, stdout=stream)
    if status != 0:
        raise XlingError(f"trainers/{script}.py failed (exit status {status}); its own line is above")


def config_file(name: str) -> Path:
    """The file of a packaged accelerate configuration, or `name` itself if it is a file."""
    if name in PACKAGED_CONFIGS:
        return Path(str(files("hf_xling.accelerate_configs") / f"{name}.yaml"))
    if not Path(name).is_file():
        raise InputError(f"--accelerate_config {name}: no such file; packaged are {', '.join(PACKAGED_CONFIGS)}")
    return Path(name)


def main(script: str, argv: Sequence[str]) -> None:
    """`hf-xling simcse …` and `hf-xling regression …`: the script's arguments, and `--accelerate_config`."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    group = parser.add_argument_group("hf-xling")
    group.add_argument(
        "--accelerate_config",
        metavar="NAME",
        help=f"{', '.join(PACKAGED_CONFIGS)}, or a file of `accelerate config`; default: accelerate's own",
    )
    try:
        namespace, arguments = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise InputError(str(error)) from error
    if {"-h", "--help", "--help_all"} & set(arguments):
        try:
            import_module(f"hf_xling.trainers.{script}").main(arguments)
        finally:
            parser.usage = argparse.SUPPRESS
            parser.print_help()
    launch(script, arguments, namespace.accelerate_config)
