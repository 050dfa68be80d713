"""What may be asked of the lab, with a clear word for everything that may not."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.utils.module_loading import import_string

from quant import evals, gguf_file, registry, variants
from quant.calibration import DEFAULT_TEXT
from quant.models import Experiment
from quant.sources import Source, header, is_embedder, sources

PROMPTS = (
    "Explain in two sentences why the sky is blue.",
    "Write a short, friendly email that moves a meeting from Monday to Tuesday.",
    "A train leaves at 9:40 and arrives at 11:15. How long is the journey?",
)
PROMPT_CHARACTERS = 4_000
TEXT_CHARACTERS = 500_000
QUIZ_QUESTIONS = 80
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
METHODS = {f"{method}-Q4_1": hint for method, hint in variants.METHODS.items()}
DEFAULT_TYPES = ("Q8_0", "Q4_K_M")
YOUR_TEXT = "your text"
PATH = "path"  # as a source: the file that the path names
LONGEST_PATH = 500
LESSONS, OWN, NONE = "lessons", "own", "none"
QUESTIONS = """\
How many days are in a week?; 7 | seven
Which animal says meow?; cat
What is the opposite of hot?; cold
What is 2 + 2?; 4 | four
What colour is the sky on a clear day?; blue
What do bees make?; honey
How many legs does a spider have?; 8 | eight
What is frozen water called?; ice
Which planet do we live on?; Earth
What is the largest ocean on Earth?; Pacific
What is the opposite of big?; small | little | tiny
Which season comes after winter?; spring
What is 10 - 3?; 7 | seven
Who wrote Romeo and Juliet?; Shakespeare
Which gas do plants take in from the air?; carbon dioxide | CO2
How many months are in a year?; 12 | twelve
What is the capital of Italy?; Rome
Which star gives us daylight?; sun
What is the opposite of up?; down
At how many degrees Celsius does water boil?; 100 | hundred"""
OURS = "ours"


def lesson_text() -> str:
    """The lessons' words, from the provider that the settings name; empty if there are none."""
    try:
        return str(import_string(settings.QUANT_TEXT_PROVIDER)())
    except ImportError:
        return ""


def quiz_tasks() -> list[evals.Task]:
    """Quiz questions from all over the lessons, from the provider that the settings name."""
    try:
        tasks = list(import_string(settings.QUANT_TASK_PROVIDER)())
    except ImportError:
        return []
    return tasks[:: max(1, len(tasks) // QUIZ_QUESTIONS)][:QUIZ_QUESTIONS]


def lesson_prompts() -> list[dict[str, Any]]:
    """Every lesson's questions, from the provider that the settings name."""
    try:
        return list(import_string(settings.QUANT_PROMPT_PROVIDER)())
    except ImportError:
        return []


class ExperimentForm(forms.Form):
    path = forms.CharField(required=False, max_length=LONGEST_PATH)
    source = forms.ChoiceField()
    types = forms.MultipleChoiceField(
        choices=tuple((TYPES | METHODS).items()),
        error_messages={
            "required": "Choose at least one type to compare with F16.",
            "invalid_choice": "%(value)s is not one of the types offered here.",
        },
    )
    prompts_from = forms.ChoiceField(required=False)
    prompt_1 = forms.CharField(required=False, max_length=PROMPT_CHARACTERS)
    prompt_2 = forms.CharField(required=False, max_length=PROMPT_CHARACTERS)
    prompt_3 = forms.CharField(required=False, max_length=PROMPT_CHARACTERS)
    text = forms.ChoiceField(choices=((LESSONS, "The lessons"), (OWN, "My own text")))
    own_text = forms.CharField(required=False, max_length=TEXT_CHARACTERS)
    tasks = forms.ChoiceField(
        choices=((OWN, "My own questions"), (LESSONS, "The lessons’ quizzes"), (NONE, "None"))
    )
    own_tasks = forms.CharField(required=False, max_length=TEXT_CHARACTERS, strip=False)
    sample = forms.ChoiceField(
        required=False, choices=((OURS, "A text of ours"), (OWN, "My own text"))
    )
    own_sample = forms.CharField(required=False, max_length=TEXT_CHARACTERS)
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
    pure = forms.BooleanField(required=False)
    imatrix = forms.BooleanField(required=False)

    @property
    def plain_types(self) -> list[tuple[str, str]]:
        return list(TYPES.items())

    @property
    def methods(self) -> list[tuple[str, str]]:
        return list(METHODS.items())

    @property
    def has_methods(self) -> bool:
        return any(name in METHODS for name in self["types"].value() or ())

    def __init__(self, *args: Any, may_use_paths: bool = False, **kwargs: Any) -> None:
        """may_use_paths: whether any file on this machine may be named."""
        super().__init__(*args, **kwargs)
        self.sources = sources()
        self.may_use_paths = may_use_paths
        self.lessons = lesson_prompts()
        field = self.fields["source"]
        assert isinstance(field, forms.ChoiceField)
        names = [source.name for source in self.sources] + [PATH] * may_use_paths
        field.choices = [(name, name) for name in names]
        field.error_messages["invalid_choice"] = "%(value)s is not one of the models offered here."
        field = self.fields["prompts_from"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(lesson["slug"], lesson["title"]) for lesson in self.lessons]
        field.error_messages["invalid_choice"] = "There is no lesson %(value)s to ask from."

    @property
    def wide(self) -> list[Source]:
        found = [source for source in self.sources if not source.warning]
        return sorted(found, key=_searches)  # a first experiment compares answers

    @property
    def quantized(self) -> list[Source]:
        return [source for source in self.sources if source.warning]

    @property
    def chosen(self) -> str:
        """The source's name: what was asked for, or the first that can be used."""
        usable = [source.name for source in self.wide if source.is_here and not source.problem]
        return str(self["source"].value() or (usable or [""])[0])

    @property
    def is_quantized(self) -> bool:
        return self.chosen in [source.name for source in self.quantized]

    @property
    def prompts(self) -> list[Any]:
        return [self[name] for name in ("prompt_1", "prompt_2", "prompt_3")]

    def clean_source(self) -> str:
        source = self.cleaned_data["source"]
        if source == PATH:
            source = self.cleaned_data.get("path", "")
            if not Path(source).is_absolute():
                raise forms.ValidationError("Give the file’s whole path on this machine: /…/x.gguf")
        try:
            header(source)
        except (registry.StoreError, gguf_file.BadGguf, OSError) as error:
            raise forms.ValidationError(str(error)) from error
        return source

    def clean_own_tasks(self) -> list[evals.Task]:
        """The parsed tasks; in no need of being right where they are not asked for."""
        if self.data.get("tasks") != OWN:
            return []
        try:
            return evals.parse(self.cleaned_data["own_tasks"])
        except evals.TaskError as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        has_none = "own_text" in cleaned and not cleaned["own_text"].strip()
        if cleaned.get("text") == OWN and has_none:
            self.add_error("own_text", "Paste the text to measure with, or choose the lessons.")
        if cleaned.get("text") == LESSONS:
            cleaned["own_text"] = lesson_text()
            if not cleaned["own_text"]:
                self.add_error("text", "No lessons are loaded yet: choose your own text.")
        if cleaned.get("tasks") == LESSONS:
            cleaned["own_tasks"] = quiz_tasks()
            if not cleaned["own_tasks"]:
                self.add_error("tasks", "No quizzes are loaded yet: choose your own questions.")
        if cleaned.get("sample") == OWN and not cleaned.get("own_sample", "").strip():
            self.add_error("own_sample", "Paste the methods’ sample text, or choose ours.")
        return cleaned

    def setup(self) -> dict[str, Any]:
        """What lab.create takes."""
        cleaned = self.cleaned_data
        asked = [cleaned[f"prompt_{number}"].strip() for number in (1, 2, 3)]
        if slug := cleaned["prompts_from"]:
            (lesson,) = (lesson for lesson in self.lessons if lesson["slug"] == slug)
            asked = lesson["prompts"][: len(PROMPTS)]
        prompts: list[str] | None = [prompt for prompt in asked if prompt]
        tasks = cleaned["own_tasks"]
        if is_embedder(cleaned["source"]):  # which answers nothing; the text is searched
            tasks = []
            prompts = None if prompts in ([], list(PROMPTS)) else prompts
        return {
            "source": cleaned["source"],
            "types": [
                with_matrix(name) if cleaned["imatrix"] else name
                for name in TYPES | METHODS
                if name in cleaned["types"]
            ],
            "prompts": prompts,
            "text_name": YOUR_TEXT if cleaned["text"] == OWN else "the lessons",
            "text": cleaned["own_text"],
            "sample": cleaned["own_sample"] if cleaned["sample"] == OWN else "",
            "windows": cleaned["windows"],
            "limit": cleaned["limit"] / 100,
            "speed": cleaned["speed"],
            "pure": cleaned["pure"],
            "tasks": tasks,
        }


def defaults(query: dict[str, list[str]]) -> dict[str, Any]:
    """What the form shows at first.

    A lesson's link chooses with `?source=…&types=Q8_0,Q4_K_M`; `?again=12` takes it all from
    experiment 12.
    """
    again = query.get("again", [""])[0]
    before = Experiment.objects.filter(pk=again).first() if again.isdecimal() else None
    asked = [name for value in query.get("types", []) for name in value.split(",")]
    shown = {
        "source": query.get("source", [""])[0],
        **_types_as_filled_in(asked),
        "text": LESSONS,
        "sample": OURS,
        "windows": 12,
        "limit": 90,
        "speed": True,
        "tasks": OWN,
        "own_tasks": QUESTIONS,
        **{f"prompt_{number}": prompt for number, prompt in enumerate(PROMPTS, start=1)},
    }
    return shown | (_as_filled_in(before) if before else {})


def _as_filled_in(before: Experiment) -> dict[str, Any]:
    plan = before.plan
    own = before.text_name == YOUR_TEXT
    return {
        **_source_as_filled_in(before.source),
        **_types_as_filled_in(plan["types"][1:]),
        "windows": plan["windows"],
        "limit": round(100 * before.limit),
        "speed": before.steps.filter(key__startswith="speed:").exists(),
        "pure": plan["pure"],
        **({"text": OWN, "own_text": before.text} if own else {}),
        **_sample_as_filled_in(plan.get("calibration", "")),
        **_tasks_as_filled_in(plan["tasks"]),
        **_prompts_as_filled_in(plan["prompts"]),
    }


def with_matrix(name: str) -> str:
    """The type made with an importance matrix, where that makes a difference."""
    return f"{variants.IMATRIX}-{name}" if name in TYPES and name != "Q8_0" else name


def boxes() -> dict[str, str]:
    """The types that a link or an experiment may name, and the box of the form for each."""
    plain = {name: name for name in TYPES | METHODS}
    return plain | {with_matrix(name): name for name in TYPES}


def _types_as_filled_in(names: Iterable[str]) -> dict[str, Any]:
    known = boxes()
    asked = [name for name in names if name in known]
    return {
        "types": [known[name] for name in asked] or list(DEFAULT_TYPES),
        "imatrix": any(known[name] != name for name in asked),
    }


def _searches(source: Source) -> bool:
    """Whether it is a sentence embedder."""
    return source.is_here and not source.problem and is_embedder(source.name)


def _source_as_filled_in(source: str) -> dict[str, Any]:
    is_path = Path(source).is_absolute()
    return {"source": PATH, "path": source} if is_path else {"source": source}


def _prompts_as_filled_in(prompts: list[str]) -> dict[str, Any]:
    if len(prompts) > len(PROMPTS):  # an embedder's, which were the lessons' questions
        return {}
    filled = [*prompts, "", "", ""]
    return {f"prompt_{number}": filled[number - 1] for number in (1, 2, 3)}


def _sample_as_filled_in(path: str) -> dict[str, Any]:
    sample = Path(path)
    if sample == DEFAULT_TEXT or not sample.is_file():
        return {"sample": OURS}
    return {"sample": OWN, "own_sample": sample.read_text(encoding="utf-8")}


def _tasks_as_filled_in(tasks: list[evals.Task]) -> dict[str, Any]:
    if not tasks:
        return {"tasks": NONE}
    if tasks == quiz_tasks():
        return {"tasks": LESSONS}
    return {"tasks": OWN, "own_tasks": evals.as_text(tasks)}
