import asyncio
from collections.abc import AsyncIterator, Callable
from functools import wraps
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from quant import disk, gguf_file, lab, makers, model_file, registry, sources
from quant.compare import CannotCompare, comparison
from quant.experiment import PlanError
from quant.export import as_html
from quant.forms import ExperimentForm, defaults
from quant.layer import GROUPS, LayerError, examine
from quant.layer_figures import Figures
from quant.layer_form import LayerForm
from quant.models import Experiment, State
from quant.notes import NotesForm
from quant.progress import progress as progress_of
from quant.report import Report


@never_cache
def index(request: HttpRequest) -> HttpResponse:
    owner = import_string(settings.QUANT_OWNER_PROVIDER)(request.user)
    if request.method == "POST":
        form = ExperimentForm(request.POST, may_use_paths=owner)
        if form.is_valid():
            try:
                made = lab.create(**form.setup())
            except PlanError as error:
                form.add_error(None, str(error))
            else:
                makers.remember(made, request.user, request.session)
                return redirect("lab-experiment", made.pk)
    else:
        form = ExperimentForm(initial=defaults(dict(request.GET.lists())), may_use_paths=owner)
    return setup_page(request, form, status=400 if form.errors else 200)


def setup_page(
    request: HttpRequest, form: ExperimentForm, *, status: int = 200, upload_error: str = ""
) -> HttpResponse:
    used = disk.by_experiment()
    context = {
        "form": form,
        "experiments": [
            (one, used.get(one.pk, 0)) for one in Experiment.objects.defer("text")[:50]
        ],
        "trouble": lab.trouble(),
        "upload_limit": settings.UPLOAD_LIMIT,
        "upload_error": upload_error,
        "bytes": sum(used.values()),
        "free": disk.free(),
        "pair": _pair(),
    }
    return render(request, "quant/lab.html", context, status=status)


def _pair(a: str = "", b: str = "") -> dict[str, object]:
    """The form that chooses two finished experiments; the newest two, unless others are given."""
    done = list(Experiment.objects.filter(state=State.DONE).only("title", "created")[:200])
    newest = [one.pk for one in done[:2]]
    chosen = [int(given) if given.isdecimal() and len(given) < 10 else 0 for given in (a, b)]
    if not set(chosen) & {one.pk for one in done}:
        chosen = newest[::-1]
    return {"done": done, "chosen": dict(zip("ab", chosen, strict=False))}


@require_safe
@never_cache
def compare(request: HttpRequest) -> HttpResponse:
    """Variants of two experiments in one table; `?a=3&b=5` are their numbers."""
    a, b = (request.GET.get(name, "").strip() for name in "ab")
    context: dict[str, object] = {"pair": _pair(a, b)}
    try:
        if a or b:
            context["found"] = comparison(a, b)
    except CannotCompare as error:
        context["error"] = error
    return render(request, "quant/compare.html", context, status=400 if "error" in context else 200)


@require_safe
def layer(request: HttpRequest) -> HttpResponse:
    """One matrix, rounded by each method."""
    form = LayerForm(request.GET)
    context: dict[str, object] = {"form": form, "sizes": GROUPS}
    if form.is_valid() and form.sources:
        try:
            figures = Figures(examine(form.choice), form.cleaned_data["method"])
            context |= {"figures": figures, "look": figures.look}
        except LayerError as error:
            form.add_error(None, str(error))
    return render(request, "quant/layer.html", context, status=400 if form.errors else 200)


def _experiment(pk: int) -> Experiment:
    return get_object_or_404(Experiment.objects.defer("text"), pk=pk)


@require_safe
@never_cache
def experiment(request: HttpRequest, pk: int) -> HttpResponse:
    found = _experiment(pk)
    return _page(request, found, NotesForm(initial={"notes": found.notes}))


def _page(
    request: HttpRequest, found: Experiment, form: NotesForm, status: int = 200
) -> HttpResponse:
    context = {
        "experiment": found,
        "may_change": makers.may_change(found, request.user, request.session),
        "progress": None if found.ended else progress_of(found),
        "report": Report(found),
        "source": sources.what(found.source),
        "notes_form": form,
        "disk": disk.usage(found),
        "refused": status == 403,
    }
    return render(request, "quant/experiment.html", context, status=status)


def for_its_maker(
    change: Callable[[HttpRequest, Experiment], HttpResponse],
) -> Callable[[HttpRequest, int], HttpResponse]:
    """A view that changes an experiment; others see its page, which says who may."""

    @require_POST
    @wraps(change)
    def checked(request: HttpRequest, pk: int) -> HttpResponse:
        found = _experiment(pk)
        if makers.may_change(found, request.user, request.session):
            return change(request, found)
        return _page(request, found, NotesForm(initial={"notes": found.notes}), status=403)

    return checked


@for_its_maker
def notes(request: HttpRequest, found: Experiment) -> HttpResponse:
    """A mistake shows the page again with what was written."""
    form = NotesForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form, status=400)
    Experiment.objects.filter(pk=found.pk).update(notes=form.cleaned_data["notes"])
    return redirect(reverse("lab-experiment", args=(found.pk,)) + "#notes")


@require_safe
@never_cache
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    found = _experiment(pk)
    if found.ended:
        return HttpResponse(headers={"HX-Refresh": "true"})
    now = progress_of(found)
    stepped = request.GET.get("finished") != str(now.finished)
    context = {"experiment": found, "progress": now, "stepped": stepped}
    response = render(request, "quant/parts/progress.html", context)
    if stepped:
        response["HX-Trigger"] = "lab:step"
    return response


@require_safe
@never_cache
def report(request: HttpRequest, pk: int) -> HttpResponse:
    context = {"report": Report(_experiment(pk))}
    return render(request, "quant/parts/report.html", context)


@require_safe
@never_cache
def log(request: HttpRequest, pk: int) -> HttpResponse:
    found = _experiment(pk)
    return render(request, "quant/log.html", {"experiment": found, "steps": found.steps.all()})


@for_its_maker
def stop(request: HttpRequest, found: Experiment) -> HttpResponse:
    lab.stop(found)
    return redirect("lab-experiment", found.pk)


@for_its_maker
def retry(request: HttpRequest, found: Experiment) -> HttpResponse:
    lab.retry(found)
    return redirect("lab-experiment", found.pk)


@for_its_maker
def delete(request: HttpRequest, found: Experiment) -> HttpResponse:
    """Not while somebody else needs one of its files: its page says who."""
    deleted = not disk.usage(found).kept and lab.delete(found)
    return redirect("lab") if deleted else redirect("lab-experiment", found.pk)


@for_its_maker
def remove_files(request: HttpRequest, found: Experiment) -> HttpResponse:
    disk.remove(found)
    return redirect(reverse("lab-experiment", args=(found.pk,)) + "#files")


@require_safe
def export_json(request: HttpRequest, pk: int) -> HttpResponse:
    return JsonResponse(Report(_experiment(pk)).data, json_dumps_params={"indent": 1})


@require_safe
def export_html(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse(
        as_html(Report(_experiment(pk))),
        headers={"Content-Disposition": f'attachment; filename="experiment-{pk}.html"'},
    )


@require_safe
def tokens(request: HttpRequest, pk: int) -> HttpResponse:
    return JsonResponse(Report(_experiment(pk)).tokens)


@require_safe
def export_csv(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse(
        Report(_experiment(pk)).as_csv(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="experiment-{pk}.csv"'},
    )


def _model(request: HttpRequest, path: Path, context: dict[str, object]) -> HttpResponse:
    if not path.is_file():
        raise Http404(f"no file {path.name}")
    offer = import_string(settings.QUANT_TUTOR_PROVIDER)
    context |= {
        "model": model_file.model_file(path),
        "tutor": offer(path, request.user),
        "path": path,
        "sha256": model_file.sha256(path) if "hash" in request.GET else "",
    }
    return render(request, "quant/model.html", context)


@require_safe
def stored_model(request: HttpRequest, name: str) -> HttpResponse:
    try:
        path = registry.path_of(name) if name in registry.entries() else sources.stored(name)
    except registry.StoreError as error:
        raise Http404(str(error)) from error
    entry = registry.entries().get(name)
    try:
        title = sources.title(name)
    except gguf_file.BadGguf as error:
        raise Http404(str(error)) from error
    context: dict[str, object] = {
        "title": title,
        "what": sources.what(name),
        "licence": entry.licence if entry else "",
    }
    return _model(request, path, context)


def _variant(pk: int, name: str) -> tuple[Experiment, Path, str]:
    """The experiment, the variant's file (which may have been removed) and its type."""
    found = _experiment(pk)
    files = {path.name: (path, kind) for kind, path in Report(found).files.items()}
    if name not in files:
        raise Http404(f"experiment {pk} has no file {name}")
    return found, *files[name]


def _gone(request: HttpRequest, found: Experiment, path: Path, kind: str) -> HttpResponse:
    context = {"experiment": found, "path": path, "type": kind}
    return render(request, "quant/gone.html", context, status=404)


@require_safe
def variant_model(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    found, path, kind = _variant(pk, name)
    if not path.is_file():
        return _gone(request, found, path, kind)
    context: dict[str, object] = {
        "experiment": found,
        "title": f"{found.title}, {kind}",
        "download": request.path.removesuffix("/"),
    }
    return _model(request, path, context)


@require_safe
def download(request: HttpRequest, pk: int, name: str) -> HttpResponse | StreamingHttpResponse:
    found, path, kind = _variant(pk, name)
    if not path.is_file():
        return _gone(request, found, path, kind)
    return StreamingHttpResponse(
        _pieces(path),
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{path.name}"',
            "Content-Length": str(path.stat().st_size),
        },
    )


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, 1 << 18):
            yield piece
