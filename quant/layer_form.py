"""What may be asked of the page that shows one matrix."""

from typing import Any

from django import forms

from quant import layer
from quant.layer import GROUPS, MATRICES, METHODS, Choice
from quant.sources import header

BLOCK = 10
DEFAULTS = {
    "block": BLOCK,
    "matrix": "ffn_up",
    "method": "GPTQ",
    "bits": 4,
    "size": GROUPS.index(32),
    "symmetric": False,
}
MOST_BLOCKS = 1000


class LayerForm(forms.Form):
    """Empty fields take their defaults, so that a link need not name them all."""

    source = forms.ChoiceField(required=False)
    block = forms.IntegerField(required=False, min_value=0, max_value=MOST_BLOCKS)
    matrix = forms.ChoiceField(required=False, choices=tuple(MATRICES.items()))
    method = forms.ChoiceField(required=False, choices=tuple(METHODS.items()))
    bits = forms.IntegerField(required=False, min_value=2, max_value=8)
    size = forms.IntegerField(required=False, min_value=0, max_value=len(GROUPS) - 1)
    symmetric = forms.BooleanField(required=False)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data or {})
        self.sources = layer.sources()
        field = self.fields["source"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, name) for name in self.sources]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name, default in DEFAULTS.items():
            if cleaned.get(name) in (None, "") and name not in self.errors:
                cleaned[name] = default
        if not cleaned.get("source") and self.sources:
            cleaned["source"] = self.sources[0]
        blocks = self.blocks(cleaned.get("source"))
        if "block" in cleaned and blocks:  # another model may have fewer
            cleaned["block"] = min(cleaned["block"], blocks - 1)
        return cleaned

    @staticmethod
    def blocks(source: str | None) -> int:
        if not source:
            return 0
        return int(header(source).get("{arch}.block_count", 0))

    @property
    def last_block(self) -> int:
        return max(self.blocks(self.cleaned_data.get("source")) - 1, 0)

    @property
    def choice(self) -> Choice:
        cleaned = self.cleaned_data
        return Choice(
            source=cleaned["source"],
            block=cleaned["block"],
            matrix=cleaned["matrix"],
            bits=cleaned["bits"],
            group=GROUPS[cleaned["size"]],
            symmetric=cleaned["symmetric"],
        )
