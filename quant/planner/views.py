from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from config.htmx import HtmxRequest
from quant.planner.forms import PlannerForm
from quant.planner.page import PlanPage


@require_safe
@vary_on_headers("HX-Request")
def planner(request: HtmxRequest) -> HttpResponse:
    form = PlannerForm.asked(request.GET)
    plan = form.plan()
    template = "quant/parts/plan.html" if request.htmx else "quant/planner.html"
    context = {"form": form, "page": PlanPage(plan) if plan else None}
    response = render(request, template, context, status=200 if plan else 400)
    if request.htmx and plan:
        response["HX-Replace-Url"] = f"{reverse('planner')}?{form.link}".rstrip("?")
    return response
