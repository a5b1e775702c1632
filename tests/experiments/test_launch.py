import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hf_xling.cli import run
from hf_xling.errors import InputError, XlingError
from hf_xling.experiments.launch import PACKAGED_CONFIGS, config_file, launch, main


@pytest.fixture
def commands(monkeypatch):
    """Records the commands that would have been run; all succeed."""
    recorded = []

    def call(command, **kwargs):
        recorded.append((command, kwargs))
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    return recorded


@pytest.mark.parametrize("name", PACKAGED_CONFIGS)
def test_packaged_configurations_are_files_that_accelerate_reads(name):
    from accelerate.commands.config.config_args import load_config_from_file

    path = config_file(name)
    assert path.is_file()
    assert load_config_from_file(str(path)).num_processes == yaml.safe_load(path.read_text("utf-8"))["num_processes"]


def test_a_configuration_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("num_processes: 1\n", encoding="utf-8")
    assert config_file(str(path)) == path
    with pytest.raises(InputError, match="--accelerate_config gpu: no such file; packaged are cpu, single_gpu, multi"):
        config_file("gpu")


@pytest.mark.parametrize("script", ["simcse", "regression"])
def test_the_stage_runs_the_packaged_script_with_its_arguments(commands, script):
    arguments = ["--output_dir", "out", "--label_map", "Sad=0", "--bf16=true"]
    run([script, *arguments])
    (command, kwargs), *others = commands
    assert not others and kwargs == {}
    assert command[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    at = command.index(str(Path(command[-len(arguments) - 1])))
    assert Path(command[at]).name == f"{script}.py" and Path(command[at]).is_file()
    assert command[at + 1 :] == arguments
    assert "--config_file" not in command


@pytest.mark.parametrize("option", [["--accelerate_config", "cpu"], ["--accelerate_config=cpu"]])
@pytest.mark.parametrize("at", [0, 2])
def test_the_configuration_goes_to_accelerate_and_not_to_the_script(commands, option, at):
    arguments = ["--output_dir", "out"]
    main("simcse", [*arguments[:at], *option, *arguments[at:]])
    ((command, _),) = commands
    assert command[command.index("--config_file") + 1] == str(config_file("cpu"))
    assert command[-2:] == arguments and not any("accelerate_config=" in token for token in command)
    assert "--accelerate_config" not in command


@pytest.mark.parametrize("argv", [["--accelerate_config"], ["--accelerate_config", "gpu"], ["--accelerate_config="]])
def test_a_bad_configuration_starts_nothing(commands, argv):
    with pytest.raises(InputError, match="--accelerate_config"):
        main("simcse", argv)
    assert not commands


@pytest.mark.parametrize("script", ["simcse", "regression"])
@pytest.mark.parametrize("option", ["--help", "-h", "--help_all"])
def test_help_is_the_scripts_own_and_needs_no_launch(commands, script, option, capsys):
    with pytest.raises(SystemExit) as ended:
        main(script, [option])
    assert ended.value.code == 0 and not commands
    assert "--model_name_or_path" in capsys.readouterr().out


def test_a_failure_is_an_error_with_its_status(monkeypatch):
    monkeypatch.setattr(subprocess, "call", lambda command, **kwargs: 3)
    with pytest.raises(XlingError, match=r"trainers/simcse.py failed \(exit status 3\); its own line is above"):
        launch("simcse", [])


@pytest.mark.slow
def test_a_real_launch_logs_and_fails_with_one_line(bert_folder, sentences, tmp_path, capfd):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(sentences[:16]), encoding="utf-8")
    arguments = ["--model_name_or_path", str(bert_folder), "--output_dir", str(tmp_path / "run"), "--max_steps", "1"]
    arguments += ["--per_device_train_batch_size", "8", "--max_length", "16", "--train_file"]
    launch("simcse", [*arguments, str(corpus)], "cpu", log=tmp_path / "logs" / "simcse.log")
    assert (tmp_path / "run" / "model.safetensors").exists()
    assert "16 rows, 1 steps" in (tmp_path / "logs" / "simcse.log").read_text("utf-8")
    shown = capfd.readouterr()
    assert "16 rows" not in shown.out + shown.err
    with pytest.raises(XlingError, match=r"exit status 1"):
        launch("simcse", [*arguments, "gone.txt"], "cpu")
    lines = capfd.readouterr().err.splitlines()
    assert "error: gone.txt: no such file or folder" in lines
    assert not any(line.startswith("Traceback") for line in lines)
