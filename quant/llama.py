"""The one module that talks to llama_cpp: a small typed wrapper on llama.cpp's C interface.

    with Model(path) as model, Context(model, n_ctx=512, n_threads=2) as context:
        tokens = model.tokenize("Hello", add_special=True)
        batch = Batch(len(tokens))
        last = batch.add(tokens, pos=0, n_logits=1)
        context.decode(batch)
        token = Sampler(model).sample(context, last)

Not thread-safe, but for Model's vocabulary: one thread owns a context. Calls release the GIL.
Failures raise LlamaError with llama.cpp's own message. A failed assertion inside llama.cpp ends
the process: what could trip one is checked here first.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import llama_cpp.llama_cpp as lib
import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from quant.llama_log import LlamaLog

# Names as llama-quantize takes them.
FILE_TYPES: dict[str, int] = {
    "F32": lib.LLAMA_FTYPE_ALL_F32,
    **{
        name.removeprefix("LLAMA_FTYPE_MOSTLY_"): value
        for name, value in vars(lib).items()
        if name.startswith("LLAMA_FTYPE_MOSTLY_")
    },
}
Tokens = Sequence[int] | NDArray[np.int32]
InputListener = Callable[[str, NDArray[np.float32]], None]
POOLING = {"none": 0, "mean": 1, "cls": 2, "last": 3}


# gcc 12 miscompiles the set-up of AMX tiles: the first batch would end the process. make setup
# builds without them; with any other build weights stay out of the buffers that lead there.
_BUILT_WITH_AMX = hasattr(lib._lib, "_Z28ggml_backend_amx_buffer_typev")


class LlamaError(RuntimeError):
    """llama.cpp refused; the message says why."""


class ContextFull(LlamaError):
    """No free cells for the batch; nothing was changed."""


_log = LlamaLog()
log_lines = _log.lines


@lib.llama_log_callback
def _log_callback(level: int, text: bytes, _user_data: Any) -> None:
    _log.write(level, text)


# The module keeps the callback object alive. The package's own one drops errors.
lib.llama_log_set(_log_callback, ctypes.c_void_p(0))
lib.llama_backend_init()


def _failure(what: str) -> LlamaError:
    return LlamaError(_log.explained(what))


def default_threads() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


class _Owner:
    """Frees what llama.cpp allocated: on close(), at the end of a `with`, or with the object."""

    _finalizer: weakref.finalize

    def close(self) -> None:
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Model(_Owner):
    """A GGUF file, its weights mapped into memory, and its vocabulary."""

    def __init__(
        self, path: str | Path, *, vocab_only: bool = False, check_weights: bool = False
    ) -> None:
        """check_weights: read them all, and refuse a file with one that is no number."""
        self.path = Path(path)
        if not self.path.is_file():
            raise LlamaError(f"{self.path}: no such file")
        params = lib.llama_model_default_params()
        params.vocab_only = vocab_only
        params.n_gpu_layers = 0
        params.check_tensors = check_weights
        params.use_extra_bufts = not (_BUILT_WITH_AMX or check_weights)  # these copy weights
        _log.forget_errors()
        self._model = lib.llama_model_load_from_file(os.fsencode(self.path), params)
        if not self._model:
            raise _failure(f"{self.path.name} can't be loaded")
        self._finalizer = weakref.finalize(self, lib.llama_model_free, self._model)
        self._vocab = lib.llama_model_get_vocab(self._model)
        self.contexts: weakref.WeakSet[Context] = weakref.WeakSet()
        self.n_vocab: int = lib.llama_vocab_n_tokens(self._vocab)
        self.n_embd: int = lib.llama_model_n_embd(self._model)
        self.n_layer: int = lib.llama_model_n_layer(self._model)
        self.n_ctx_train: int = lib.llama_model_n_ctx_train(self._model)
        self.n_params: int = lib.llama_model_n_params(self._model)
        self.tensor_bytes: int = lib.llama_model_size(self._model)
        # Token numbers; -1 where the vocabulary has none.
        self.bos: int = lib.llama_vocab_bos(self._vocab)
        self.eos: int = lib.llama_vocab_eos(self._vocab)
        self.eot: int = lib.llama_vocab_eot(self._vocab)
        self.adds_bos: bool = lib.llama_vocab_get_add_bos(self._vocab)
        self.adds_eos: bool = lib.llama_vocab_get_add_eos(self._vocab)

    def close(self) -> None:
        for context in list(self.contexts):
            context.close()
        super().close()

    @cached_property
    def metadata(self) -> dict[str, str]:
        """The file's key-value pairs as text (arrays shortened by llama.cpp)."""
        by_key, by_value = (
            lib.llama_model_meta_key_by_index,
            lib.llama_model_meta_val_str_by_index,
        )
        count = lib.llama_model_meta_count(self._model)
        return {self._meta(by_key, i): self._meta(by_value, i) for i in range(count)}

    def _meta(self, read: Callable[..., int], index: int) -> str:
        size = read(self._model, index, ctypes.create_string_buffer(1), 1) + 1
        buffer = ctypes.create_string_buffer(size)
        read(self._model, index, buffer, size)
        return buffer.value.decode("utf-8", "replace")

    @cached_property
    def chat_template(self) -> str | None:
        """The Jinja source of the model's chat template."""
        text = lib.llama_model_chat_template(self._model, None)
        return text.decode() if text else None

    def is_eog(self, token: int) -> bool:
        """Whether the token ends a generation (end of text, of turn, ...)."""
        return lib.llama_vocab_is_eog(self._vocab, token)

    @cached_property
    def eog_tokens(self) -> list[int]:
        return [token for token in range(self.n_vocab) if self.is_eog(token)]

    def tokenize(
        self, text: str, *, add_special: bool = False, parse_special: bool = False
    ) -> list[int]:
        """Token numbers. Special tokens in `text` are read as such only with parse_special."""
        data = text.encode(errors="replace")  # half a surrogate pair is no text
        room = len(data) + 8
        while True:
            tokens = (lib.llama_token * room)()
            count = lib.llama_tokenize(
                self._vocab, data, len(data), tokens, room, add_special, parse_special
            )
            if count >= 0:
                return tokens[:count]
            if count == -(2**31):
                raise LlamaError(f"{len(data)} bytes of text are too many to tokenize")
            room = -count

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The token's bytes: possibly a part of a character. Special tokens only if asked for."""
        if not 0 <= token < self.n_vocab:
            raise LlamaError(f"token {token} is not in the vocabulary of {self.n_vocab}")
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            size = lib.llama_token_to_piece(self._vocab, token, buffer, room, 0, special)
            if size >= 0:
                return buffer.raw[:size]
            room = -size

    def detokenize(self, tokens: Iterable[int], *, special: bool = False) -> str:
        """The text; bytes that are no whole character become U+FFFD."""
        pieces = b"".join(self.piece(token, special=special) for token in tokens)
        return pieces.decode("utf-8", "replace")


class Batch:
    """Tokens for one decode, of any sequences."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.tokens = np.zeros(capacity, np.int32)
        self._pos = np.zeros(capacity, np.int32)
        self._n_seq = np.ones(capacity, np.int32)
        self.seqs = np.zeros(capacity, np.int32)
        self.wants_logits = np.zeros(capacity, np.int8)
        first = self.seqs.ctypes.data
        self._seq_pointers = first + np.arange(capacity, dtype=np.uintp) * self.seqs.itemsize
        seq_id = ctypes.POINTER(lib.llama_seq_id)
        self.struct = lib.llama_batch(
            n_tokens=0,
            token=self.tokens.ctypes.data_as(ctypes.POINTER(lib.llama_token)),
            embd=None,
            pos=self._pos.ctypes.data_as(ctypes.POINTER(lib.llama_pos)),
            n_seq_id=self._n_seq.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
            seq_id=self._seq_pointers.ctypes.data_as(ctypes.POINTER(seq_id)),
            logits=self.wants_logits.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )

    def __len__(self) -> int:
        return self.struct.n_tokens

    def clear(self) -> None:
        self.struct.n_tokens = 0

    def add(self, tokens: Tokens, pos: int, seq: int = 0, *, n_logits: int = 0) -> int:
        """Append tokens of one sequence from position `pos` on; the last n_logits give logits.

        Returns the index in the batch of the last one, for Context.logits and Sampler.sample.
        """
        begin, end = len(self), len(self) + len(tokens)
        if end > self.capacity:
            raise LlamaError(
                f"a batch of {self.capacity} tokens has no room for {len(tokens)} more"
            )
        self.tokens[begin:end] = tokens
        self._pos[begin:end] = np.arange(pos, pos + len(tokens))
        self.seqs[begin:end] = seq
        self.wants_logits[begin:end] = 0
        self.wants_logits[end - min(n_logits, len(tokens)) : end] = 1
        self.struct.n_tokens = end
        return end - 1


class _Tensor(ctypes.Structure):
    """ggml.h's struct ggml_tensor."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),  # elements, row length first
        ("nb", ctypes.c_size_t * 4),  # strides in bytes
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
        ("extra", ctypes.c_void_p),
        ("padding", ctypes.c_char * 8),
    ]


class _Inputs:
    """llama.cpp's evaluation callback, asked for every node of the graph before it is computed."""

    F32 = 0

    def __init__(self, listener: InputListener) -> None:
        self.listener = listener
        self.callback = lib.ggml_backend_sched_eval_callback(self._evaluate)
        self._op_name = lib._lib.ggml_op_desc
        self._op_name.argtypes, self._op_name.restype = [ctypes.c_void_p], ctypes.c_char_p
        self._failure: Exception | None = None

    def _evaluate(self, address: int, ask: bool, _user_data: Any) -> bool:
        """ask: whether the node is wanted. Otherwise it has been computed: go on?"""
        try:
            node = _Tensor.from_address(address)
            if self._op_name(address) not in (b"MUL_MAT", b"MUL_MAT_ID"):
                return not ask
            weight = _Tensor.from_address(node.src[0]).name.decode()
            if not ask and not self._failure:
                self.listener(weight, self._values(weight, _Tensor.from_address(node.src[1])))
            return not ask or weight.startswith("blk.")
        except Exception as error:  # ctypes would print and forget it
            self._failure = error
            return False

    def _values(self, weight: str, tensor: _Tensor) -> NDArray[np.float32]:
        columns, tokens, *others = tensor.ne
        if tensor.type != self.F32 or tensor.nb[0] != 4 or list(others) != [1, 1]:
            raise LlamaError(f"the inputs of {weight} can't be read")
        row = tensor.nb[1] // 4
        values = ctypes.cast(tensor.data, ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(values, (tokens, row))[:, :columns]

    def raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure:
            raise failure


class Context(_Owner):
    """A model at work: its memory (KV cache) and buffers.

    n_ctx: cells; 0 means as many as the model was trained for. With kv_unified all sequences share
    them, and seq_cp of a part is allowed; without, each of n_seq_max sequences has its share.
    n_batch: tokens in one decode; n_ubatch: of these at once. n_outputs: rows of logits in one
    decode at most (0: n_batch), for a smaller buffer.
    pooling (for embeddings): "mean", "cls", "last" or None for what the model says.
    on_input(weight, inputs) sees what every matrix of the blocks is multiplied with while a batch
    is decoded: the matrix's name and (tokens, columns) float32, good until it returns. Matrices
    with the same input (query, key, value) hand over the same one, one after another.
    adapter: a GGUF file of low-rank changes (LoRA) to the model's matrices, for this context only.
    """

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int = 0,
        n_seq_max: int = 1,
        kv_unified: bool = False,
        n_batch: int = 512,
        n_ubatch: int = 512,
        n_outputs: int = 0,
        n_threads: int | None = None,
        embedding: bool = False,
        pooling: str | None = None,
        on_input: InputListener | None = None,
        adapter: Path | None = None,
    ) -> None:
        if n_seq_max > lib.llama_max_parallel_sequences():
            raise LlamaError(f"at most {lib.llama_max_parallel_sequences()} sequences")
        self.model, self.embedding = model, embedding
        threads = n_threads or default_threads()
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = n_ctx, n_seq_max, kv_unified
        params.n_batch, params.n_ubatch = n_batch, min(n_batch, n_ubatch)
        params.n_outputs_max = n_outputs
        params.n_threads = params.n_threads_batch = threads
        params.embeddings = embedding
        if pooling is not None:
            params.pooling_type = POOLING[pooling]
        self._inputs = _Inputs(on_input) if on_input else None
        if self._inputs:
            params.cb_eval = self._inputs.callback
        _log.forget_errors()
        self._ctx = lib.llama_init_from_model(model._model, params)
        if not self._ctx:
            raise _failure(f"no context of {n_ctx} tokens for {model.path.name}")
        # The finalizer's reference keeps the model's memory until this context is gone.
        self._finalizer = weakref.finalize(self, _free_context, self._ctx, model)
        model.contexts.add(self)
        if adapter:
            self._use_adapter(adapter)
        self._memory = lib.llama_get_memory(self._ctx)  # None: an encoder such as BERT
        self.n_ctx: int = lib.llama_n_ctx(self._ctx)
        self.n_seq_max: int = lib.llama_n_seq_max(self._ctx)
        self.n_batch: int = lib.llama_n_batch(self._ctx)
        self.n_outputs = n_outputs or self.n_batch
        self._n_rows = 0

    def _use_adapter(self, path: Path) -> None:
        _log.forget_errors()
        loaded = lib.llama_adapter_lora_init(self.model._model, os.fsencode(path))
        if not loaded:  # the model owns it from here on
            raise _failure(f"{path.name} is no adapter for {self.model.path.name}")
        adapters = (lib.llama_adapter_lora_p_ctypes * 1)(loaded)
        if lib.llama_set_adapters_lora(self._ctx, adapters, 1, (ctypes.c_float * 1)(1.0)):
            raise _failure(f"{path.name} can't be used with {self.model.path.name}")

    @property
    def generates(self) -> bool:
        """Whether it has a memory; an encoder such as BERT has none."""
        return bool(self._memory)

    def set_threads(self, n_threads: int) -> None:
        lib.llama_set_n_threads(self._ctx, n_threads, n_threads)

    def decode(self, batch: Batch) -> None:
        """Run the batch. ContextFull leaves everything as it was."""
        self._check(batch)
        _log.forget_errors()
        run = lib.llama_decode if self._memory else lib.llama_encode
        status = run(self._ctx, batch.struct)
        if self._inputs:
            self._inputs.raise_failure()
        if status == 1:
            raise ContextFull(f"no room for {len(batch)} tokens in a context of {self.n_ctx}")
        if status != 0:
            raise _failure(f"a batch of {len(batch)} tokens failed (status {status})")

    def _check(self, batch: Batch) -> None:
        count = len(batch)
        if not 0 < count <= self.n_batch:
            raise LlamaError(f"{count} tokens in a batch; 1 to {self.n_batch} are possible")
        tokens, seqs = batch.tokens[:count], batch.seqs[:count]
        if tokens.min() < 0 or tokens.max() >= self.model.n_vocab:
            raise LlamaError(f"a token outside the vocabulary of {self.model.n_vocab}")
        if seqs.min() < 0 or seqs.max() >= self.n_seq_max:
            raise LlamaError(f"a sequence outside 0..{self.n_seq_max - 1}")
        self._n_rows = int(batch.wants_logits[:count].sum())
        if self._n_rows > self.n_outputs:
            raise LlamaError(f"{self._n_rows} rows of logits; the context allows {self.n_outputs}")

    def logits(self, index: int) -> NDArray[np.float32]:
        """(n_vocab,) of the batch's token `index`: a view, good until the next decode."""
        row = lib.llama_get_logits_ith(self._ctx, index)
        if not row:
            raise LlamaError(f"token {index} of the last batch was not asked for logits")
        return np.ctypeslib.as_array(row, (self.model.n_vocab,))

    def all_logits(self) -> NDArray[np.float32]:
        """(rows, n_vocab) of every token of the last batch that was asked for logits: a view."""
        if not self._n_rows:
            raise LlamaError("no token of the last batch was asked for logits")
        return np.ctypeslib.as_array(
            lib.llama_get_logits(self._ctx), (self._n_rows, self.model.n_vocab)
        )

    def embeddings(self, seq: int) -> NDArray[np.float32]:
        """(n_embd,) of a sequence of the last batch, pooled, not normalised: a copy."""
        row = lib.llama_get_embeddings_seq(self._ctx, seq)
        if not row:
            raise LlamaError(f"the last batch gave no embedding for sequence {seq}")
        return np.ctypeslib.as_array(row, (self.model.n_embd,)).copy()

    def token_embedding(self, index: int) -> NDArray[np.float32]:
        """(n_embd,) of the last batch's token `index`, with pooling "none": a copy."""
        row = lib.llama_get_embeddings_ith(self._ctx, index)
        if not row:
            raise LlamaError(f"token {index} of the last batch has no embedding")
        return np.ctypeslib.as_array(row, (self.model.n_embd,)).copy()

    def clear(self) -> None:
        """Forget every sequence."""
        if self._memory:
            lib.llama_memory_clear(self._memory, False)

    def seq_rm(self, seq: int, start: int = 0, end: int = -1) -> bool:
        """Forget positions start..end-1 of a sequence (seq -1: of all; end -1: to the end)."""
        return lib.llama_memory_seq_rm(self._memory, seq, start, end)

    def seq_cp(self, source: int, target: int, start: int = 0, end: int = -1) -> None:
        """Let `target` share the cells of `source`; costs no memory with kv_unified."""
        lib.llama_memory_seq_cp(self._memory, source, target, start, end)

    def seq_length(self, seq: int) -> int:
        """Positions held by a sequence that starts at 0."""
        return lib.llama_memory_seq_pos_max(self._memory, seq) + 1

    def save_seq(self, seq: int, path: Path, tokens: Sequence[int]) -> int:
        """Write a sequence's state and the tokens it stands for; returns bytes."""
        _log.forget_errors()
        array = (lib.llama_token * len(tokens))(*tokens)
        size = lib.llama_state_seq_save_file(self._ctx, os.fsencode(path), seq, array, len(tokens))
        if not size:
            raise _failure(f"{path}: the state of sequence {seq} can't be written")
        return size

    def load_seq(self, seq: int, path: Path) -> list[int]:
        """Read what save_seq wrote into a sequence; returns the tokens it stands for."""
        _log.forget_errors()
        tokens, count = (lib.llama_token * self.n_ctx)(), ctypes.c_size_t(0)
        size = lib.llama_state_seq_load_file(
            self._ctx, os.fsencode(path), seq, tokens, self.n_ctx, ctypes.byref(count)
        )
        if not size:
            raise _failure(f"{path}: no state for this model and context")
        return tokens[: count.value]


def _free_context(pointer: Any, _model: Model) -> None:
    lib.llama_free(pointer)


class Sampler(_Owner):
    """Chooses the next token; with temperature 0 the likeliest one.

    banned: tokens never chosen (say, model.eog_tokens). seed None: a random one.
    """

    def __init__(
        self,
        model: Model,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repeat_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        repeat_last_n: int = 64,
        seed: int | None = None,
        banned: Sequence[int] = (),
    ) -> None:
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        self._chain = chain
        self._finalizer = weakref.finalize(self, lib.llama_sampler_free, chain)

        def add(sampler: Any) -> None:  # the chain owns it
            lib.llama_sampler_chain_add(chain, sampler)

        if banned:
            biases = (lib.llama_logit_bias * len(banned))()
            for bias, token in zip(biases, banned, strict=True):
                bias.token, bias.bias = token, float("-inf")
            add(lib.llama_sampler_init_logit_bias(model.n_vocab, len(banned), biases))
        if repeat_penalty != 1.0 or frequency_penalty or presence_penalty:
            penalties = (repeat_penalty, frequency_penalty, presence_penalty)
            add(lib.llama_sampler_init_penalties(model.n_vocab, repeat_last_n, *penalties))
        if temperature <= 0:
            add(lib.llama_sampler_init_greedy())
            return
        if top_k > 0:
            add(lib.llama_sampler_init_top_k(top_k))
        if top_p < 1:
            add(lib.llama_sampler_init_top_p(top_p, 1))
        if min_p > 0:
            add(lib.llama_sampler_init_min_p(min_p, 1))
        add(lib.llama_sampler_init_temp(temperature))
        random_seed = 0xFFFFFFFF  # llama.cpp: choose one
        add(lib.llama_sampler_init_dist(random_seed if seed is None else seed & 0xFFFFFFFF))

    def sample(self, context: Context, index: int) -> int:
        """The token that follows the last batch's token `index`. The sampler remembers it."""
        context.logits(index)  # a row that was not asked for would end the process
        return lib.llama_sampler_sample(self._chain, context._ctx, index)


def quantize(
    source: Path,
    target: Path,
    file_type: str,
    *,
    n_threads: int | None = None,
    pure: bool = False,
    allow_requantize: bool = False,
    imatrix: Mapping[str, NDArray[np.float32]] | None = None,
    tables: str | None = None,
    dry_run: bool = False,
) -> None:
    """Write `target` as llama-quantize would, reporting a line per tensor through log_lines.

    imatrix: for each weight's name the mean squares of its inputs, one per column.
    tables: the type of token embeddings and output head, say "Q8_0", if not what the rules say.
    Blocks until done and can't be stopped: run it in a process of its own.
    """
    params = lib.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[file_type]
    params.nthread = n_threads or default_threads()
    params.pure, params.allow_requantize, params.dry_run = pure, allow_requantize, dry_run
    if tables:  # a number that is no type would end the process
        params.token_embedding_type = params.output_tensor_type = GGMLQuantizationType[tables]
    if imatrix:
        entries = (lib.llama_model_imatrix_data * (len(imatrix) + 1))()  # the last one is null
        kept = {name: np.ascontiguousarray(data, np.float32) for name, data in imatrix.items()}
        for entry, (name, data) in zip(entries, kept.items(), strict=False):
            entry.name, entry.size = name.encode(), data.size
            entry.data = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        params.imatrix = entries
    _log.forget_errors()
    status = lib.llama_model_quantize(
        os.fsencode(source), os.fsencode(target), ctypes.byref(params)
    )
    if status:
        raise _failure(f"{source.name} can't be quantized to {file_type}")
