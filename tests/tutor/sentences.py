"""Quotes and sentences for the tests of checks and writing."""

from tutor.index import Quotable
from tutor.verdict import CANNOT, DOES_WELL


def quote(text: str, context: str = "", kind: str = "") -> Quotable:
    kind = kind or ("item" if context else "sentence")
    return Quotable("p-1", context or "The premise", kind, text, context)


SCALES = quote(
    "The stored scales add a little: the 8-bit type Q8_0 uses 8.5 bits per weight, "
    "and the popular 4-bit type Q4_K_M uses about 4.9."
)
SPEED = quote(
    "A 4-bit model usually writes faster than its FP16 original, but its speed does not grow in "
    "proportion to the saving in size."
)
WROTE = quote(
    "On one machine, Llama 3.1 8B wrote 29.2 tokens per second at FP16, 50.9 at 8-bit and 71.9 "
    "at 4-bit."
)
CACHE = quote("Long chats need more memory because the KV cache grows with every token.")
ITEM = quote(
    "Guarantee that nothing gets worse: no quantized model can promise zero quality loss.", CANNOT
)
WELL = quote("Hold on to its task quality at INT8 (8-bit) in many use cases.", DOES_WELL)
ROW = quote(
    "Q4_K_M 4.58 GiB 6.407 71.9",
    "Type: Q4_K_M; Size: 4.58 GiB; Perplexity: 6.407; Tokens/s: 71.9",
    kind="row",
)
