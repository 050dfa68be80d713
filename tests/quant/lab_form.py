"""The lab's form as somebody sends it."""

from django.test import Client
from django.utils import timezone

from quant.models import Experiment, State

TEXT = "Some words to measure with. " * 400


def filled(**changes: object) -> dict[str, object]:
    """The form as somebody sends it."""
    return {
        "source": "tiny-F32.gguf",
        "types": ["Q8_0", "Q4_K_M"],
        "prompt_1": "Hello?",
        "text": "own",
        "own_text": TEXT,
        "tasks": "none",
        "windows": "2",
        "limit": "90",
    } | changes


def start(client: Client, **changes: object) -> Experiment:
    answer = client.post("/lab/", filled(**changes))
    assert answer.status_code == 302, answer.content.decode()
    return Experiment.objects.get()


def end(experiment: Experiment, state: State = State.DONE) -> None:
    Experiment.objects.filter(pk=experiment.pk).update(state=state, finished=timezone.now())
