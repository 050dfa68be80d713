"""answer.Reader with the embedder in this process: for the engine and for the commands.

Importing this loads llama.cpp: the web process asks the engine instead (remote.py).
"""

from pathlib import Path

from quant.cross_encoder import CrossEncoder
from quant.embedder import NAME, Embedder
from quant.registry import path_of

ADAPTER = Path(__file__).with_name("cross-encoder-Q8_0.gguf")  # how it was made: EXPERIMENTS.md


class LocalReader:
    """One thread at a time. Two threads that wait for each other would be slow on a busy machine,
    and the texts are short."""

    def __init__(self, path: Path | None = None) -> None:
        embedder = Embedder(path or path_of(NAME), n_threads=1)
        self.embed = embedder.embed
        self.judge = CrossEncoder(embedder, ADAPTER, n_threads=1).scores
        self.judge("ready", ["ready"])
