import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bootstrap(tmp_path, monkeypatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "site" / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / ".venv").mkdir()
    for name in ("requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "LOG", tmp_path / ".venv" / "setup.log")
    return module


def test_a_missing_compiler_is_one_line_with_the_cure(bootstrap, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="apt-get install build-essential cmake"):
        bootstrap.install("requirements.txt")


def test_a_full_disk_is_said_before_anything_is_downloaded(bootstrap, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SystemExit, match="Not enough disk for packages"):
        bootstrap.install("requirements.txt")


def test_no_network_is_told_from_a_broken_package(bootstrap):
    bootstrap.LOG.write_text("WARNING: Retrying after NewConnectionError('<pip…>')\n")
    assert "can't be reached" in bootstrap.why_pip_failed()
    bootstrap.LOG.write_text("error: command 'cmake' failed\n")
    assert "error: command 'cmake' failed" in bootstrap.why_pip_failed()


def test_installed_requirements_are_not_installed_again(bootstrap, monkeypatch):
    commands = []
    monkeypatch.setattr(
        bootstrap, "run_with_progress", lambda command, doing: commands.append(command) or True
    )
    bootstrap.install("requirements.txt")
    bootstrap.install("requirements.txt")
    assert len(commands) == 1
    (bootstrap.ROOT / "requirements.txt").write_text("llama-cpp-python==9\n")
    bootstrap.install("requirements.txt")
    assert len(commands) == 2


def test_a_data_folder_that_cannot_be_written_names_the_setting(bootstrap, monkeypatch):
    monkeypatch.setenv("OPENBOOK_DATA", "/proc/openbook")
    with pytest.raises(SystemExit, match="Set OPENBOOK_DATA to another folder"):
        bootstrap.need_data_folder()


def test_llama_cpp_is_known_to_be_built_already(bootstrap):
    packages = bootstrap.VENV / "lib" / "python3.11" / "site-packages"
    assert not bootstrap.installed_llama()
    version = "0.3.36"
    (packages / f"llama_cpp_python-{version}.dist-info").mkdir(parents=True)
    (bootstrap.ROOT / "requirements.txt").write_text(
        f'llama-cpp-python=={version} ; python_version > "3"\n'
    )
    assert bootstrap.installed_llama()
