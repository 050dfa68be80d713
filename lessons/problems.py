"""What is wrong in a lesson's files: said in one line each, all at once."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake: `path:line: what is wrong; what to do`."""

    path: str
    line: int
    what: str
    cure: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}; {self.cure}"


class Problems(list[Problem]):
    """A list that knows which file it is about: `problems.at("lesson.md").add(3, …)`."""

    def __init__(self, path: str = "") -> None:
        super().__init__()
        self.path = path

    def add(self, line: int, what: str, cure: str, *, path: str = "") -> None:
        self.append(Problem(path or self.path, line, what, cure))


class LessonErrors(Exception):
    """Carries every problem found; nothing was changed."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
