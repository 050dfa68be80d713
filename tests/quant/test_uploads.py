import os
import struct
from pathlib import Path

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from quant import gguf_file, uploads
from quant.quantize import quantize
from tests.quant.lab_site import files_of_at_most

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def store(settings, tmp_path: Path) -> Path:
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path, tmp_path / "models"
    settings.REDIS_URL = f"unix://{tmp_path}/redis.sock"
    settings.ALLOWED_HOSTS = ["localhost"]
    return settings.MODELS_DIR


@pytest.fixture
def client() -> Client:
    return Client(headers={"host": "localhost"})


def send(client: Client, data: bytes, name: str = "mine-F32.gguf"):
    return client.post("/lab/models/", {"file": SimpleUploadedFile(name, data)})


def refused(client: Client, store: Path, data: bytes, status: int = 400) -> str:
    before = sorted(store.glob("*"))
    answer = send(client, data)
    assert answer.status_code == status, answer.content.decode()
    assert sorted(store.glob("*")) == before  # hidden ones too: nothing half there
    assert not list(store.glob(".*"))
    page = answer.content.decode()
    return page.split('role="alert">')[1].split("</p>")[0]


def tensor(path: Path, name: str) -> gguf_file.Tensor:
    return next(tensor for tensor in gguf_file.read(path).tensors if tensor.name == name)


def test_a_model_is_kept_listed_and_shown(client, store, tiny):
    answer = send(client, tiny.read_bytes())
    assert answer.url == "/lab/models/mine-F32.gguf/"
    assert (store / "mine-F32.gguf").read_bytes() == tiny.read_bytes()
    assert not list(store.glob(".*"))
    assert client.get(answer.url).status_code == 200
    assert "mine-F32" in client.get("/lab/").content.decode()


def test_a_name_is_taken_once(client, store, tiny):
    send(client, tiny.read_bytes())
    assert "Rename yours" in refused(client, store, tiny.read_bytes(), 409)


def test_no_upload_passes_for_a_model_of_the_registry(client, store, tiny):
    """The tutor would take it for its own, or whoever fetches models for a damaged one."""
    answer = send(client, tiny.read_bytes(), "smollm2-135m-instruct-Q4_1.gguf")
    assert answer.status_code == 409
    assert "that Openbook fetches itself" in answer.content.decode()
    assert not list(store.glob("*"))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/My model (2).GGUF", "My-model-2.gguf"),
        (r"C:\models\a.gguf", "a.gguf"),
        (".hidden.gguf", "hidden.gguf"),
        ("x" * 300 + ".gguf", "x" * 120 + ".gguf"),
    ],
)
def test_names_are_made_safe(given: str, name: str):
    assert uploads.clean_name(given) == name


@pytest.mark.parametrize("given", ["", ".gguf", "..gguf", "model.bin", "模型.gguf", "a.gguf\0.exe"])
def test_names_that_are_none_are_refused(given: str):
    with pytest.raises(uploads.UploadError, match="GGUF"):
        uploads.clean_name(given)


def test_nothing_chosen_is_said(client):
    assert "Choose a GGUF file" in client.post("/lab/models/").content.decode()


def test_empty_cut_and_foreign_files_leave_nothing(client, store, tiny):
    data = tiny.read_bytes()
    assert "no GGUF file" in refused(client, store, b" ")
    assert "cut off" in refused(client, store, data[:-1])
    assert "cut off" in refused(client, store, data[:1000])
    assert "not a GGUF file" in refused(client, store, b"PK\3\4" + data[4:])
    assert "version 9" in refused(client, store, data[:4] + struct.pack("<I", 9) + data[8:])
    assert "unknown architecture" in refused(client, store, data.replace(b"llama", b"lmala"))


def test_a_wrong_shape_of_the_right_size_is_refused(client, store, tiny):
    """Only who knows the architecture can tell: llama.cpp."""
    data = tiny.read_bytes()
    name = b"blk.0.ffn_up.weight"
    at = data.index(name) + len(name) + 4
    shape = struct.unpack("<QQ", data[at : at + 16])
    turned = data[:at] + struct.pack("<QQ", *shape[::-1]) + data[at + 16 :]
    assert "blk.0.ffn_up.weight" in refused(client, store, turned)


@pytest.mark.parametrize("kind", ["F32", "Q8_0", "Q4_K_M", "F16", "BF16", "IQ4_XS", "Q2_K"])
def test_a_weight_that_is_no_number_is_named(client, store, tmp_path, tiny, kind):
    path = tiny
    if kind != "F32":
        path = quantize(tiny, kind, tmp_path / "made.gguf", n_threads=1).path
    found = tensor(path, "blk.1.ffn_down.weight")
    data = bytearray(path.read_bytes())
    end = found.offset + found.bytes
    # Every bit set is no number in each float type; in a block it is the last one's scale.
    block = {"F32": 4, "F16": 2, "BF16": 2}.get(found.type) or found.bytes // (found.elements // 32)
    data[end - block : end] = b"\xff" * block
    assert np.isnan(np.frombuffer(b"\xff" * 2, np.float16)[0])
    assert "blk.1.ffn_down.weight" in refused(client, store, bytes(data))


def test_what_is_too_large_is_refused_before_it_is_read(client, store, settings, tiny):
    settings.UPLOAD_LIMIT = 1000
    assert "at most 0.0 MB are taken" in refused(client, store, tiny.read_bytes(), 413)


def test_a_full_disk_is_named_and_nothing_stays(client, store, tiny):
    """A limit on a file's size fails a write in the middle as a full disk does."""
    with files_of_at_most(100_000):
        assert "the disk is full" in refused(client, store, tiny.read_bytes(), 507)
    assert send(client, tiny.read_bytes()).status_code == 302


def test_where_others_come_in_only_teachers_add_models(client, settings, tiny, store):
    settings.ALLOWED_HOSTS = ["localhost", "openbook.school.lan"]
    assert send(client, tiny.read_bytes()).status_code == 403
    assert 'id="upload"' not in client.get("/lab/").content.decode()
    assert not list(store.glob("*"))


def test_a_request_without_the_token_is_refused(tiny, store):
    assert (
        send(
            Client(enforce_csrf_checks=True, headers={"host": "localhost"}), tiny.read_bytes()
        ).status_code
        == 403
    )
    assert not list(store.glob("*"))
    assert not list(store.glob(".*"))


def test_what_a_killed_upload_left_goes_with_the_next(client, store, tiny):
    store.mkdir()
    left, at_work = store / ".upload-left.part", uploads.new_part()
    left.write_bytes(b"half")
    for path in (left, at_work.name):
        os.utime(path, (0, 0))
    send(client, tiny.read_bytes())
    assert not left.exists()
    assert Path(at_work.name).exists()
    at_work.close()
