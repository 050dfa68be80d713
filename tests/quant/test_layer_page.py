"""The page of one matrix: every method on it, drawn by the server."""

import re
from pathlib import Path

import numpy as np
import pytest

from quant import calibration, layer
from quant.layer import METHODS, Choice, LayerError, examine
from quant.layer_figures import LEVELS, Figures, heat_map
from quant.methods.round_to_nearest import round_to_nearest
from tests.quant.test_calibration import quiet

SOURCE = "tiny-F32.gguf"


@pytest.fixture(scope="module")
def data(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose model's inputs are gathered."""
    made = tmp_path_factory.mktemp("var")
    (made / "models").mkdir()
    (made / "models" / SOURCE).symlink_to(tiny)
    return made


@pytest.fixture
def store(settings, data: Path) -> Path:
    settings.DATA_DIR, settings.MODELS_DIR = data, data / "models"
    return data


@pytest.fixture
def gathered(store: Path) -> Path:
    path = store / "models" / SOURCE
    text = calibration.DEFAULT_TEXT
    folder = calibration.folder_for(path, text)
    options = {"windows": 8, "n_ctx": 128, "n_threads": 1, "progress": quiet}
    calibration.gather(str(path), str(text), str(folder), **options)
    return folder


def test_without_gathered_inputs_the_page_says_how_to_get_them(client, settings, tmp_path):
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path, tmp_path / "models"
    settings.MODELS_DIR.mkdir()
    page = client.get("/lab/layer/").content.decode()
    assert "manage.py calibrate" in page
    assert "types=RTN-Q4_1" in page
    assert "<form" not in page.partition("<main")[2].partition("</main>")[0]


def test_the_page_shows_every_method_and_its_errors(client, gathered):
    answer = client.get("/lab/layer/")
    page = answer.content.decode()
    assert answer.status_code == 200
    for name in METHODS.values():
        assert f">{name}</th>" in page
    assert "Block 1, ffn_up" in page  # 10, the default, is more than it has
    assert page.count('class="map"') == 4
    assert "<script" not in page.partition("<main")[2].partition("</main>")[0]
    assert "style=" not in page


@pytest.mark.parametrize("matrix", layer.MATRICES)
def test_every_matrix_can_be_examined_with_every_method(client, gathered, matrix):
    for method in METHODS:
        page = client.get("/lab/layer/", {"matrix": matrix, "method": method, "size": "0"})
        assert page.status_code == 200
        assert f"before and after: {METHODS[method]}" in page.content.decode()


def test_sliders_change_what_is_computed(client, gathered):
    def errors(**query: str) -> list[str]:
        page = client.get("/lab/layer/", query).content.decode()
        table = page.partition("<tbody>")[2].partition("</tbody>")[0]
        return re.findall(r"<td>([\d.]+)%", table)

    assert float(errors(bits="2")[0]) > 3 * float(errors(bits="4")[0])
    assert errors(size="0") != errors(size="1")
    assert errors(symmetric="on") != errors()
    page = client.get("/lab/layer/", {"bits": "3", "size": "0"}).content.decode()
    assert "<b>5 bits per weight</b>" in page  # 3 + 32 / 16


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"bits": "9"}, "less than or equal to 8"),
        ({"bits": "x"}, "whole number"),
        ({"matrix": "nothing"}, "not one of the available choices"),
        ({"source": "/etc/passwd"}, "not one of the available choices"),
        ({"size": "4"}, "groups of 192"),
    ],
)
def test_what_can_not_be_shown_is_answered_with_what_is_wrong(client, gathered, query, message):
    answer = client.get("/lab/layer/", query)
    assert answer.status_code == 400
    assert message in answer.content.decode()


def test_figures_are_those_of_the_methods(gathered):
    choice = Choice(SOURCE, block=1, matrix="attn_q")
    look = examine(choice)
    plain = round_to_nearest(look.weights, choice.grid).weights()
    found = look.results["RTN"]
    assert np.array_equal(found.weights, plain)
    w, xtx = look.weights, calibration.Calibration.open(gathered)[choice.weight].xtx
    change = plain - w
    expected = np.sqrt(np.trace(change @ xtx @ change.T) / np.trace(w @ xtx @ w.T))
    assert found.output_error == pytest.approx(expected, rel=1e-4)
    for name in ("WEIGHTED", "AWQ", "GPTQ", "ROT-GPTQ"):
        assert look.results[name].output_error < found.output_error
    assert look.results["GPTQ"].weight_error > found.weight_error


def test_the_trace_ends_where_gptq_ends(gathered):
    look = examine(Choice(SOURCE, block=0, matrix="ffn_up"))
    trace, gptq = look.trace, look.results["GPTQ"].weights
    assert np.allclose(trace.after, gptq[trace.row, trace.columns])
    count = len(trace.pushes)
    assert np.array_equal(trace.pushes, np.triu(trace.pushes, 1))
    took_over = trace.pushes.sum(0)
    assert np.allclose(took_over, (trace.turn - trace.before)[:count], atol=1e-12)


def test_an_unknown_source_is_refused(store):
    with pytest.raises(LayerError, match="no model"):
        examine(Choice("nothing"))


def test_heat_maps_hold_every_cell_once_in_its_shade():
    values = np.array([[0.0, 1.0, 1.0, -2.0], [0.5, 0.0, -1.0, 1.0]])
    drawn = heat_map(values, limit=1.0)
    seen = np.zeros(values.shape)
    for shade in drawn.shades:
        side, level = shade.name.split("-")
        for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1H\1z", shade.path):
            cells = seen[int(y), int(x) : int(x) + int(width)]
            cells += int(level) / LEVELS * (1 if side == "above" else -1)
    assert np.allclose(seen, np.clip(values, -1, 1), atol=0.5 / LEVELS)


def test_channels_are_listed_strongest_first(gathered):
    figures = Figures(examine(Choice(SOURCE, block=0, matrix="ffn_up")), "AWQ")
    strengths = [channel.strength for channel in figures.channels]
    assert strengths == sorted(strengths, reverse=True)
    factors = [channel.factor for channel in figures.channels]
    if figures.look.scaled.exponent:
        assert factors == sorted(factors, reverse=True)
