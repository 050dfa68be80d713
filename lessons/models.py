"""Lessons as load_lessons stores them (nobody edits these: files in lessons/content are edited),
and learners' progress as their browsers send it.
"""

import secrets
import uuid

from django.conf import settings
from django.db import models


class Lesson(models.Model):
    slug = models.SlugField(max_length=200, unique=True)
    title = models.CharField(max_length=300)
    summary = models.TextField()
    track = models.CharField(max_length=100)
    track_slug = models.SlugField(max_length=100)
    topic = models.CharField(max_length=100)
    minutes = models.PositiveSmallIntegerField()
    position = models.PositiveIntegerField(help_text="1-based place in the catalogue")
    html = models.TextField(help_text="the sections, rendered")
    text = models.TextField(help_text="the same as plain text")
    headings = models.JSONField(default=list, help_text="[{anchor, title, level}] in order")
    sources = models.JSONField(default=list, help_text="strings, in their numbers' order")
    related = models.JSONField(default=list, help_text="slugs that the author names")
    source_hash = models.CharField(max_length=64, help_text="SHA-256 of the lesson's files")

    class Meta:
        ordering = ("position",)
        indexes = (
            models.Index(fields=("position",), name="lesson_position"),
            models.Index(
                fields=("track_slug", "track", "topic", "position"), name="lesson_by_topic"
            ),
        )

    def __str__(self) -> str:
        return self.title


class Passage(models.Model):
    """One sentence, list item or table row (lessons/markdown.py): what the tutor quotes."""

    class Kind(models.TextChoices):
        SENTENCE = "sentence"
        ITEM = "item"
        ROW = "row"

    lesson = models.ForeignKey(Lesson, on_delete=models.CASCADE, related_name="passages")
    position = models.PositiveIntegerField()
    anchor = models.CharField(max_length=40, help_text='its id on the page, "p-12"')
    section = models.CharField(max_length=200, help_text="the heading above it")
    kind = models.CharField(max_length=10, choices=Kind)
    text = models.TextField(help_text="word for word as the page shows it")
    context = models.TextField(blank=True, help_text="the words that it hangs on")
    embedding = models.BinaryField(null=True, help_text="384 float32, little-endian, length 1")

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(fields=("lesson", "anchor"), name="passage_anchor_once"),
        )

    def __str__(self) -> str:
        return f"{self.anchor}: {self.text[:60]}"


class Question(models.Model):
    lesson = models.ForeignKey(Lesson, on_delete=models.CASCADE, related_name="questions")
    key = models.CharField(max_length=100, help_text="stable: learners' progress refers to it")
    position = models.PositiveSmallIntegerField()
    ask = models.TextField()
    passage = models.ForeignKey(Passage, on_delete=models.CASCADE, related_name="questions")

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=("lesson", "key"), name="question_key_once"),)

    def __str__(self) -> str:
        return self.ask


class Choice(models.Model):
    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="choices")
    position = models.PositiveSmallIntegerField()
    text = models.TextField()
    correct = models.BooleanField()
    because = models.TextField(help_text="why it is right or wrong")

    class Meta:
        ordering = ("position",)

    def __str__(self) -> str:
        return self.text


class Related(models.Model):
    """ "Keep going": named by the author, or the nearest by meaning."""

    lesson = models.ForeignKey(Lesson, on_delete=models.CASCADE, related_name="keep_going")
    to = models.ForeignKey(Lesson, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ("position",)

    def __str__(self) -> str:
        return f"{self.lesson_id} → {self.to_id}"


class ProgressLog(models.Model):
    """One learner's list of events. Its row is the lock under which numbers are given out."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="progress_log"
    )
    head = models.BigIntegerField(default=0, help_text="the number of the newest event")
    # Whose log it is, for as long as the account lives: its name may be somebody else's later.
    key = models.UUIDField(default=uuid.uuid4)
    # New after a restore: browsers then offer everything again instead of trusting old cursors.
    restored = models.UUIDField(null=True)

    def __str__(self) -> str:
        return f"{self.owner_id}: {self.head} events"

    @property
    def name(self) -> str:
        """What devices know it by."""
        return f"{self.key}.{self.restored}" if self.restored else str(self.key)


class DeletedLog(models.Model):
    """What is left of a deleted account: its log's key, so that its devices drop what they hold."""

    key = models.UUIDField(primary_key=True)

    def __str__(self) -> str:
        return str(self.key)


class ProgressEvent(models.Model):
    """One event as it came in. `number` is the server's cursor, per learner."""

    log = models.ForeignKey(
        ProgressLog, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    number = models.BigIntegerField()
    event_id = models.UUIDField()
    type = models.CharField(max_length=20)
    lesson = models.CharField(max_length=200)
    at = models.CharField(max_length=40, help_text="as written")
    instant = models.DateTimeField()
    data = models.TextField(help_text="JSON text: any string is safe in any database")

    class Meta:
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=("log", "number"), name="event_number_once"),
            models.UniqueConstraint(fields=("log", "event_id"), name="event_id_once"),
        )
        indexes = (
            models.Index(fields=("log", "lesson", "instant"), name="event_by_lesson"),
            models.Index(fields=("log", "type"), name="event_by_type"),
        )

    def __str__(self) -> str:
        return f"{self.number}: {self.type} {self.lesson}"


class SearchWord(models.Model):
    """A word that some lesson says (lessons/search_index.py)."""

    word = models.CharField(max_length=40, unique=True)
    token = models.CharField(max_length=60, db_index=True, help_text="what it is found by")

    def __str__(self) -> str:
        return self.word


class SearchVariant(models.Model):
    """A word with one letter left out, or whole: where a misspelt one meets it."""

    variant = models.CharField(max_length=40, db_index=True)
    word = models.CharField(max_length=40, db_index=True)

    def __str__(self) -> str:
        return f"{self.variant} ← {self.word}"


def join_code() -> str:
    return secrets.token_urlsafe(9)


class Classroom(models.Model):
    """A teacher's class. Whoever has the link may join; learners may leave."""

    teacher = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="classrooms"
    )
    name = models.CharField(max_length=100)
    code = models.CharField(max_length=20, unique=True, default=join_code)

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    classroom = models.ForeignKey(Classroom, on_delete=models.CASCADE, related_name="members")
    learner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("classroom", "learner"), name="member_once"),
        )

    def __str__(self) -> str:
        return f"{self.learner_id} in {self.classroom_id}"
