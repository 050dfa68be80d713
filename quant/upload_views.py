from pathlib import Path

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST

from quant import uploads
from quant.forms import ExperimentForm, defaults
from quant.upload_handler import StoreUploadHandler
from quant.views import setup_page


@csrf_exempt  # looking for the token reads the body: first it needs a place to go
@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    if not import_string(settings.QUANT_OWNER_PROVIDER)(request.user):
        raise PermissionDenied("Only a teacher may add models on this site.")
    handler = StoreUploadHandler(request)
    request.upload_handlers = [handler]
    try:
        return _upload(request)
    except uploads.UploadError as error:
        return _refused(request, error)
    except OSError as error:
        if error.errno not in uploads.NO_ROOM:
            raise
        return _refused(request, uploads.no_room())
    finally:
        handler.close()


@csrf_protect
def _upload(request: HttpRequest) -> HttpResponse:
    part = request.FILES.get("file")
    if part is None or part.file is None:
        raise uploads.UploadError("Choose a GGUF file first.")
    return redirect("lab-model", uploads.keep(Path(part.file.name), part.name or "").name)


def _refused(request: HttpRequest, error: uploads.UploadError) -> HttpResponse:
    form = ExperimentForm(initial=defaults({}), may_use_paths=True)
    return setup_page(request, form, status=error.status, upload_error=str(error))
