"""answer.Reader with the embedder in this process: for the engine and for the commands.

Importing this loads llama.cpp: the web process asks the engine instead (remote.py).
"""

from pathlib import Path

from quant.cross_encoder import CrossEncoder
from quant.embedder import NAME, Embedder
from quant.registry import path_of

# Adapters of the embedder. How they were made: EXPERIMENTS.md
JUDGE = Path(__file__).with_name("cross-encoder-Q8_0.gguf")
QUESTIONS = Path(__file__).with_name("question-encoder-Q8_0.gguf")


class LocalReader:
    """One thread at a time. Two threads that wait for each other would be slow on a busy machine,
    and the texts are short."""

    def __init__(self, path: Path | None = None) -> None:
        embedder = Embedder(path or path_of(NAME), n_threads=1, adapter=QUESTIONS)
        self.embed = embedder.embed
        self.judge = CrossEncoder(embedder, JUDGE, n_threads=1).scores
        self.judge("ready", ["ready"])
