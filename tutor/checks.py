"""Whether the quotes say what a sentence says: plain code, no model.

In doubt a sentence is not supported. `why_not` gives the reason, for people and for tests.
"""

from collections.abc import Sequence

from tutor import quizhelp, text
from tutor.index import Quotable


class Checker:
    """Checks sentences against some quotes, and against those it let through before."""

    def __init__(self, quotes: Sequence[Quotable], quiz: Sequence[quizhelp.Question] = ()) -> None:
        self.quotes, self.quiz = quotes, quiz
        self._said: list[str] = []

    def why_not(self, sentence: str) -> str:
        """Why the sentence may not be shown; empty if it may."""
        said = text.plain(sentence)
        if said in self._said:
            return "repeated"
        if quizhelp.leaks(sentence, self.quiz):
            return "quiz"
        if said not in {text.plain(quote.text) for quote in self.quotes}:
            return "not in the quotes"
        return ""

    def accept(self, sentence: str) -> str:
        """As why_not; a sentence let through is remembered."""
        if not (reason := self.why_not(sentence)):
            self._said.append(text.plain(sentence))
        return reason
