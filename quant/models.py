"""What the lab keeps. Everything an experiment found out is here; only models lie in files."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import models


class State(models.TextChoices):
    QUEUED = "queued", "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled", "stopped"


class Experiment(models.Model):
    """One source model, several variants, one report.

    A worker holds it by a lease: only who wrote `holder` last, and renews `lease_until`, may
    change it. Whoever finds the lease expired may take it.
    """

    title = models.CharField(max_length=300)
    source = models.CharField(max_length=500, help_text="registry name or file name in the store")
    plan = models.JSONField(default=dict, help_text="quant.experiment.Plan")
    text_name = models.CharField(max_length=200, help_text="what the text is: 'the lessons'")
    text = models.TextField(help_text="kept whole, so that the figures can be checked")
    limit = models.FloatField(default=0.9, help_text="good enough: this share of the same tokens")
    notes = models.TextField(blank=True, help_text="the learner's own, quant.notes")

    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text="quant.makers; nobody if it was made signed out, or the account is gone",
    )

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    error = models.TextField(blank=True, help_text="why it failed, for the learner")
    created = models.DateTimeField(auto_now_add=True)
    queued = models.DateTimeField(help_text="its place in the queue; newer after a retry")
    nudged = models.DateTimeField(null=True, help_text="when the workers were last told of it")
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)
    holder = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-pk",)
        indexes = (models.Index(fields=("state", "queued"), name="experiment_queue"),)

    def __str__(self) -> str:
        return f"Experiment {self.pk}: {self.title}"

    @property
    def ended(self) -> bool:
        return self.state in (State.DONE, State.FAILED, State.CANCELLED)


class Step(models.Model):
    """One piece of work in a process of its own, safe to do again."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=60, help_text="quantize:Q4_K_M")
    title = models.CharField(max_length=100, help_text="Quantize to Q4_K_M")
    unit = models.CharField(max_length=20, help_text="what done and total count")

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    detail = models.CharField(max_length=200, blank=True, help_text="what it is at just now")
    attempts = models.PositiveSmallIntegerField(default=0)
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)
    result = models.JSONField(null=True)
    log = models.TextField(blank=True, help_text="the end of what its process wrote")

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=("experiment", "key"), name="step_once"),)

    def __str__(self) -> str:
        return self.title

    @property
    def kind(self) -> str:
        """quantize, measure, generate, speed or source"""
        return self.key.partition(":")[0]

    @property
    def type(self) -> str:
        """The variant that it is about, if any: Q4_K_M"""
        return self.key.partition(":")[2]

    @property
    def seconds(self) -> float | None:
        if not (self.started and self.finished):
            return None
        return (self.finished - self.started).total_seconds()


def results(steps: Iterable[Step]) -> dict[str, dict[str, Any]]:
    """What is known so far, as quant.experiment takes it."""
    return {step.key: step.result for step in steps if step.result is not None}
