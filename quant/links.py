"""Whether a link into the lab, the layer's page or the planner chooses what these know.

The lessons' check asks here: an author hears of a misspelt type at once, and not from a reader.
"""

from collections.abc import Collection

from django.http import QueryDict
from django.urls import ResolverMatch

from quant import registry
from quant.forms import boxes
from quant.layer_form import LayerForm
from quant.planner.forms import PlannerForm


def problem(page: ResolverMatch, query: str) -> tuple[str, str] | None:
    """What is wrong with a link to this page, and what to do; None where all is well."""
    check = {"lab": _lab, "lab-layer": _layer, "planner": _planner}.get(page.url_name or "")
    return check(QueryDict(query)) if check else None


def _lab(query: QueryDict) -> tuple[str, str] | None:
    if wrong := _unknown(query, ("source", "types")):
        return wrong
    source = query.get("source")
    models = registry.entries()
    if source is not None and source not in models:
        return f"chooses no model of the registry: {source}", f"use one of {', '.join(models)}"
    types = boxes()
    for name in query.get("types", "Q8_0").split(","):
        if name not in types:
            return f"chooses no type: {name or 'an empty one'}", f"use {', '.join(types)}"
    return None


def _layer(query: QueryDict) -> tuple[str, str] | None:
    if wrong := _unknown(query, LayerForm.base_fields):
        return wrong
    asked = query.copy()
    if asked.get("source") in registry.entries():  # perhaps not fetched on this machine
        del asked["source"]
    return _first_error(LayerForm(asked))


def _planner(query: QueryDict) -> tuple[str, str] | None:
    if wrong := _unknown(query, PlannerForm.base_fields):
        return wrong
    form = PlannerForm.asked(query)
    form.plan()
    return _first_error(form)


def _unknown(query: QueryDict, known: Collection[str]) -> tuple[str, str] | None:
    for name in query:
        if name not in known:
            return f"chooses by {name}, which is no field of it", f"use {', '.join(known)}"
    return None


def _first_error(form: LayerForm | PlannerForm) -> tuple[str, str] | None:
    for name, (error, *_) in form.errors.items():
        where = "" if name == "__all__" else f" in {name}"
        return f"chooses what there isn't{where}: {error}", "correct the address"
    return None
