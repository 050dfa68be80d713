"""Choosing the tutor's model, on the lab's pages."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from tutor import model_choice


@require_POST
def use_model(request: HttpRequest) -> HttpResponse:
    if not model_choice.may_choose(request.user):
        raise PermissionDenied("Only a teacher may choose the tutor's model on this site.")
    try:
        name = model_choice.use(request.POST.get("file", ""))
        messages.success(request, f"The tutor uses {name} now.")
    except model_choice.CannotSwitch as error:
        messages.error(request, f"The tutor keeps its model: {error}.")
    back = request.POST.get("next", "")
    return redirect(back if url_has_allowed_host_and_scheme(back, None) else "lab")
