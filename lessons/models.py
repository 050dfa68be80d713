"""What load_lessons stores. Nothing here is edited by hand: files in lessons/content are."""

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
    source_hash = models.CharField(max_length=64, help_text="SHA-256 of the lesson's files")

    class Meta:
        ordering = ("position",)

    def __str__(self) -> str:
        return self.title


class Passage(models.Model):
    """One sentence or list item: the unit that the tutor quotes."""

    class Kind(models.TextChoices):
        SENTENCE = "sentence"
        ITEM = "item"

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
