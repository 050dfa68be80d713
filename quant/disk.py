"""The room that variants' files take, and how to get it back without losing a report."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from quant import lab
from quant.models import Experiment, State


@dataclass(frozen=True)
class Usage:
    """An experiment's own model files that are there; not its source."""

    files: list[Path]
    kept: dict[Path, str]  # those that can't be removed now: why
    free: int  # bytes

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)

    @property
    def removable(self) -> list[Path]:
        return [path for path in self.files if path not in self.kept]


def free() -> int:
    """Bytes left where experiments lie."""
    return shutil.disk_usage(settings.DATA_DIR).free


def by_experiment() -> dict[int, int]:
    """Bytes of the model files of each experiment that has any."""
    found: dict[int, int] = {}
    for path in lab.home().glob("*/*.gguf"):
        if path.is_file() and path.parent.name.isdecimal():
            pk = int(path.parent.name)
            found[pk] = found.get(pk, 0) + path.stat().st_size
    return found


def usage(experiment: Experiment) -> Usage:
    files = _files(experiment)
    return Usage(files, _kept(experiment, files), free())


def _files(experiment: Experiment) -> list[Path]:
    return sorted(path for path in lab.folder(experiment).glob("*.gguf") if path.is_file())


def _kept(experiment: Experiment, files: list[Path]) -> dict[Path, str]:
    if not experiment.ended:
        return dict.fromkeys(files, "the experiment has not ended")
    if not files:
        return {}
    reasons: dict[Path, str] = {}
    others = Experiment.objects.exclude(pk=experiment.pk).values_list("pk", "plan")
    for pk, plan in others:
        if source := plan.get("source"):
            reasons[Path(source).resolve()] = f"experiment {pk} starts from it"
    for path in import_string(settings.QUANT_TUTOR_FILES_PROVIDER)():
        reasons[path.resolve()] = "the tutor uses it"
    found = {path: reasons.get(path.resolve(), "") for path in files}
    return {path: why for path, why in found.items() if why}


def remove(experiment: Experiment) -> int:
    """Remove the model files that nobody else needs; how many they were.

    The report stays. One that failed or was stopped makes them again when it goes on.
    """
    with transaction.atomic():  # nobody takes it up again meanwhile
        found = Experiment.objects.select_for_update().filter(pk=experiment.pk).first()
        if found is None:
            return 0
        files = usage(found).removable
        for path in files:
            path.unlink(missing_ok=True)
        if files and found.state != State.DONE:
            made = found.steps.filter(key__startswith="quantize:", state=State.DONE)
            gone = [one.pk for one in made if one.result and Path(one.result["file"]) in files]
            made.filter(pk__in=gone).update(state=State.QUEUED)
    return len(files)
