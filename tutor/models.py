from django.db import models


class Feedback(models.Model):
    """What a learner chose to send about one answer. Without a name, an account or an address."""

    sent = models.DateTimeField(auto_now_add=True)
    lesson = models.CharField(max_length=200, help_text="its slug")
    kind = models.CharField(max_length=20, help_text="the answer's: quote, written, …")
    helpful = models.BooleanField()
    reason = models.CharField(max_length=500, blank=True)
    question = models.TextField(help_text="2,000 characters at most")

    class Meta:
        ordering = ("-sent", "-pk")
        verbose_name_plural = "feedback"

    def __str__(self) -> str:
        return f"{'+' if self.helpful else '-'} {self.question[:60]}"
