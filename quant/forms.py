"""What may be asked of the lab, with a clear word for everything that may not."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.module_loading import import_string

from quant import gguf_file, registry
from quant.sources import header, sources

PROMPTS = (
    "Explain in two sentences why the sky is blue.",
    "Write a short, friendly email that moves a meeting from Monday to Tuesday.",
    "A train leaves at 9:40 and arrives at 11:15. How long is the journey?",
)
PROMPT_CHARACTERS = 4_000
TEXT_CHARACTERS = 500_000
TYPES = {  # bits per weight inside a block (ggml-common.h)
    "Q8_0": "8.5 bits per weight",
    "Q6_K": "6.6 bits",
    "Q5_K_M": "5.5 bits, some tensors more",
    "Q4_K_M": "4.5 bits, some tensors more",
    "Q4_0": "4.5 bits, the simplest",
    "IQ4_XS": "4.25 bits",
    "Q3_K_M": "3.4 bits, some tensors more",
    "Q2_K": "2.6 bits, some tensors more",
}
DEFAULT_TYPES = ("Q8_0", "Q4_K_M")
LESSONS, OWN = "lessons", "own"


def lesson_text() -> str:
    """The lessons' words, from the provider that the settings name; empty if there are none."""
    try:
        return str(import_string(settings.QUANT_TEXT_PROVIDER)())
    except ImportError:
        return ""


class ExperimentForm(forms.Form):
    source = forms.ChoiceField()
    types = forms.MultipleChoiceField(
        choices=tuple(TYPES.items()),
        error_messages={
            "required": "Choose at least one type to compare with F16.",
            "invalid_choice": "%(value)s is not one of the types offered here.",
        },
    )
    prompt_1 = forms.CharField(required=False, max_length=PROMPT_CHARACTERS)
    prompt_2 = forms.CharField(required=False, max_length=PROMPT_CHARACTERS)
    prompt_3 = forms.CharField(required=False, max_length=PROMPT_CHARACTERS)
    text = forms.ChoiceField(choices=((LESSONS, "The lessons"), (OWN, "My own text")))
    own_text = forms.CharField(required=False, max_length=TEXT_CHARACTERS)
    windows = forms.IntegerField(
        min_value=1,
        max_value=500,
        error_messages={
            "invalid": "Give the number of windows as a whole number from 1 to 500.",
            "min_value": "Measure at least one window.",
            "max_value": "500 windows are the most: more take hours and tell little more.",
        },
    )
    limit = forms.IntegerField(
        min_value=50,
        max_value=100,
        error_messages={
            "invalid": "Give the limit as a whole percentage from 50 to 100.",
            "min_value": "A limit under 50%% would call almost anything good enough.",
            "max_value": "The limit can’t be over 100%%.",
        },
    )
    speed = forms.BooleanField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sources = sources()
        field = self.fields["source"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(source.name, source.what) for source in self.sources]
        field.error_messages["invalid_choice"] = "%(value)s is not one of the models offered here."

    @property
    def prompts(self) -> list[Any]:
        return [self[name] for name in ("prompt_1", "prompt_2", "prompt_3")]

    def clean_source(self) -> str:
        source = self.cleaned_data["source"]
        try:
            header(source)
        except (registry.StoreError, gguf_file.BadGguf, OSError) as error:
            raise forms.ValidationError(str(error)) from error
        return source

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        has_none = "own_text" in cleaned and not cleaned["own_text"].strip()
        if cleaned.get("text") == OWN and has_none:
            self.add_error("own_text", "Paste the text to measure with, or choose the lessons.")
        if cleaned.get("text") == LESSONS and not lesson_text():
            self.add_error("text", "No lessons are loaded yet: choose your own text.")
        return cleaned

    def setup(self) -> dict[str, Any]:
        """What lab.create takes."""
        cleaned = self.cleaned_data
        own = cleaned["text"] == OWN
        prompts = [cleaned[f"prompt_{number}"].strip() for number in (1, 2, 3)]
        return {
            "source": cleaned["source"],
            "types": [name for name in TYPES if name in cleaned["types"]],
            "prompts": [prompt for prompt in prompts if prompt],
            "text_name": "your text" if own else "the lessons",
            "text": cleaned["own_text"] if own else lesson_text(),
            "windows": cleaned["windows"],
            "limit": cleaned["limit"] / 100,
            "speed": cleaned["speed"],
        }


def defaults(query: dict[str, list[str]]) -> dict[str, Any]:
    """What the form shows at first; `?source=…&types=Q8_0,Q4_K_M` in a lesson's link chooses."""
    asked = [name for value in query.get("types", []) for name in value.split(",")]
    return {
        "source": query.get("source", [""])[0],
        "types": [name for name in asked if name in TYPES] or list(DEFAULT_TYPES),
        "text": LESSONS if lesson_text() else OWN,
        "windows": 12,
        "limit": 90,
        "speed": True,
        **{f"prompt_{number}": prompt for number, prompt in enumerate(PROMPTS, start=1)},
    }
