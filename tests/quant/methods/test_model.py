"""Whole models: files that hold exactly the codes chosen, and that llama.cpp runs."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from quant import gguf_file, llama
from quant.calibration import Calibration, gather
from quant.methods import model as whole
from quant.methods.blocks import GRIDS
from quant.methods.gptq import gptq, prepare
from quant.methods.model import write_model
from quant.methods.rotation import random_orthogonal
from quant.methods.round_to_nearest import round_to_nearest
from quant.methods.weighted import fit_weighted
from quant.rotate import Tensors
from quant.variants import METHODS, NAMES, MethodError, Recipe, check
from tests.quant.conftest import LAYERS, write_tiny_model
from tests.quant.test_calibration import TEXT, quiet

MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
OWN = [name for name in NAMES if not name.startswith("IMATRIX")]


@pytest.fixture(scope="module")
def folder(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("calibration")
    (made / "text.txt").write_text(TEXT)
    options = {"windows": 4, "n_ctx": 64, "n_threads": 1, "progress": quiet}
    gather(str(tiny), str(made / "text.txt"), str(made / "tiny"), **options)
    return made / "tiny"


def write(tiny: Path, name: str, folder: Path, target: Path, progress=quiet) -> gguf_file.GgufFile:
    recipe = Recipe.parse(name)
    assert recipe
    calibration = str(folder) if recipe.needs_inputs else ""
    parts = str(target.with_suffix(".parts"))
    arguments = (recipe.method, recipe.type, calibration, parts, 1)
    write_model(str(tiny), str(target), *arguments, progress=progress)
    return gguf_file.check_source(target)


def weights_in(file: gguf_file.GgufFile, name: str) -> np.ndarray:
    """As any reader of GGUF files sees them."""
    (tensor,) = (tensor for tensor in file.tensors if tensor.name == name)
    raw = np.fromfile(file.path, np.uint8, tensor.bytes, offset=tensor.offset)
    if tensor.type == "F32":
        return raw.view(np.float32).reshape(tensor.shape)
    return dequantize(raw.reshape(tensor.shape[0], -1), GGMLQuantizationType[tensor.type])


def logits_of(path: Path) -> np.ndarray:
    with llama.Model(path) as model, llama.Context(model, n_ctx=64, n_threads=1) as context:
        tokens = model.tokenize("The quick brown fox")
        batch = llama.Batch(len(tokens))
        batch.add(tokens, 0, n_logits=len(tokens))
        context.decode(batch)
        return context.all_logits().copy()


@pytest.mark.parametrize("name", OWN)
def test_every_method_gives_a_file_of_its_type_that_llama_cpp_runs(
    tiny: Path, folder: Path, tmp_path: Path, name: str
):
    kind = name.rpartition("-")[2]
    file = write(tiny, name, folder, tmp_path / f"tiny-{name}.gguf")
    types = {tensor.name: tensor.type for tensor in file.tensors}
    for layer in range(LAYERS):
        assert {types[f"blk.{layer}.{each}.weight"] for each in MATRICES} == {kind}
        assert types[f"blk.{layer}.attn_norm.weight"] == "F32"
    assert types["token_embd.weight"] == "Q8_0"
    assert file.get("openbook.method") == name.rpartition("-")[0]
    before, after = logits_of(tiny), logits_of(file.path)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.8
    assert not list(tmp_path.glob("*.parts"))


def test_the_blocks_hold_exactly_the_codes_chosen(tiny: Path, folder: Path, tmp_path: Path):
    file = write(tiny, "GPTQ-Q4_1", folder, tmp_path / "t.gguf")
    source, calibration = Tensors(gguf_file.read(tiny)), Calibration.open(folder)
    for name in ("blk.0.attn_k.weight", "blk.1.ffn_down.weight"):
        w = source[name].astype(np.float32)
        xtx, grid = calibration[name].xtx, GRIDS["Q4_1"]
        grids = fit_weighted(grid.split(w), grid.split(np.diag(xtx)), grid)
        chosen = gptq(w, prepare(xtx), grid, grids=grids)
        assert np.array_equal(weights_in(file, name), chosen.weights().astype(np.float32))


def test_awq_moves_scales_into_the_norms_and_nothing_else(tiny: Path, folder: Path, tmp_path: Path):
    file = write(tiny, "AWQ-Q4_1", folder, tmp_path / "t.gguf")
    source = Tensors(gguf_file.read(tiny))
    for layer in range(LAYERS):
        norm, up = f"blk.{layer}.attn_norm.weight", f"blk.{layer}.attn_q.weight"
        scales = source[norm] / weights_in(file, norm)
        folded = (source[up] * scales).astype(np.float32)
        rounded = round_to_nearest(folded, GRIDS["Q4_1"]).weights()
        step = np.ptp(folded) / 15
        assert np.abs(weights_in(file, up) - rounded).max() < step
    assert np.array_equal(weights_in(file, "output_norm.weight"), source["output_norm.weight"])


def test_rotation_alone_leaves_the_function_as_it_was(
    tiny: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Written without rounding, the rotated model computes what the source computes."""
    monkeypatch.setattr(whole, "_round", lambda recipe, tensors, *_: (tensors, {}))
    monkeypatch.setattr(whole, "to_type", lambda values, kind: values)
    file = write(tiny, "ROT-RTN-Q4_1", folder, tmp_path / "t.gguf")
    assert {tensor.type for tensor in file.tensors} == {"F32"}
    before, after = logits_of(tiny), logits_of(file.path)
    assert np.allclose(before, after, atol=1e-3 * np.abs(before).max())
    turned = Tensors(gguf_file.read(tiny))["token_embd.weight"] @ random_orthogonal(64)
    assert np.allclose(weights_in(file, "token_embd.weight"), turned, atol=1e-6)
    assert "output.weight" in {tensor.name for tensor in file.tensors}  # the source shares it


def test_an_untied_head_stays_one(folder: Path, tmp_path: Path):
    untied = write_tiny_model(tmp_path / "untied-F32.gguf", tied=False)
    for name in ("RTN-Q4_1", "ROT-RTN-Q4_1"):
        file = write(untied, name, folder, tmp_path / f"{name}.gguf")
        assert len(file.tensors) == len(gguf_file.read(untied).tensors)


def test_work_that_was_stopped_goes_on_at_the_next_block(
    tiny: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Stop(Exception):
        pass

    rounded: list[str] = []
    plain = whole.Rounding.block
    monkeypatch.setattr(
        whole.Rounding, "block", lambda self, name: rounded.append(name) or plain(self, name)
    )

    def stop(done: int, total: int, detail: str) -> None:
        if detail == "blk.0":
            raise Stop

    target = tmp_path / "t.gguf"
    with pytest.raises(Stop):
        write(tiny, "GPTQ-Q4_1", folder, target, stop)
    assert not target.exists()
    seen: list[tuple[int, int]] = []
    file = write(tiny, "GPTQ-Q4_1", folder, target, lambda d, t, _: seen.append((d, t)))
    assert rounded == ["blk.0", "blk.1"]
    total = len(file.tensors)
    assert seen == [(2, total), (2 + 9, total), (total, total)]
    again = write(tiny, "GPTQ-Q4_1", folder, tmp_path / "again.gguf")
    assert again.path.read_bytes() == target.read_bytes()


def test_blocks_kept_from_other_work_are_not_used(tiny: Path, folder: Path, tmp_path: Path):
    class Stop(Exception):
        pass

    def stop(done: int, total: int, detail: str) -> None:
        raise Stop

    target = tmp_path / "t.gguf"
    with pytest.raises(Stop):
        write(tiny, "GPTQ-Q4_1", folder, target, stop)
    write(tiny, "RTN-Q4_1", folder, target)
    fresh = write(tiny, "RTN-Q4_1", folder, tmp_path / "fresh.gguf")
    assert fresh.path.read_bytes() == target.read_bytes()


def test_names_are_read_strictly():
    assert Recipe.parse("ROT-GPTQ-Q4_1") == Recipe("ROT-GPTQ", "Q4_1")
    assert Recipe.parse("IMATRIX-Q4_K_M") == Recipe("IMATRIX", "Q4_K_M")
    for name in ("Q4_1", "GPTQ", "GPTQ-Q8_0", "OTHER-Q4_1", "", "GPTQ-", "gptq-Q4_1"):
        assert Recipe.parse(name) is None
    assert {Recipe.parse(name).method for name in NAMES} == set(METHODS)


def test_rows_that_blocks_dont_divide_are_refused_with_their_name(tmp_path: Path):
    odd = write_tiny_model(tmp_path / "odd-F32.gguf", embd=48)
    with pytest.raises(MethodError, match=r"rows of .* are 48 long"):
        check(gguf_file.read(odd), ["RTN-Q4_1"])


def test_methods_that_need_the_structure_refuse_unknown_ones(tiny: Path, tmp_path: Path):
    file = gguf_file.read(tiny)
    file.values["general.architecture"] = gguf_file.Value(
        file.values["general.architecture"].type, "phi2"
    )
    for name in ("AWQ-Q4_1", "ROT-RTN-Q4_1"):
        with pytest.raises(MethodError, match="GPTQ takes any"):
            check(file, [name])
    check(file, ["GPTQ-Q4_1", "Q4_K_M"])
