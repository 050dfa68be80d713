"""What may be asked of the planner's page, with a clear word for everything that may not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict

from quant import machine, registry
from quant.planner import here, recipe
from quant.planner.data import Machine, Model, data
from quant.planner.estimate import CACHE_TYPES
from quant.planner.plan import BEST, Plan, PlanError, make_plan
from quant.planner.tensors import UnknownModel

FIVE, OWN = "five", "own"
NUMBERS = ("layers", "width", "feed_forward", "kv_heads", "vocabulary")
PRICES = ("electricity", "watts", "rent")
DEFAULTS = {
    "model": "llama-3.1-8b",
    "quant": BEST,
    "context": "8192",
    "users": "1",
    "kv": "F16",
    # To start from, once somebody chooses their own: Llama 3 8B on an ordinary laptop.
    **dict(zip(NUMBERS, ("32", "4096", "14336", "8", "128256"), strict=True)),
    "memory": "16",
    "bandwidth": "50",
}
UNMEASURED = "laptop-ddr5"  # what to show while this machine has not been measured
Choices = list[tuple[str, Any]]


def _number(label: str, least: float, **options: Any) -> forms.FloatField:
    return forms.FloatField(
        label=label,
        required=False,
        min_value=least,
        error_messages={
            "invalid": f"{label}: give a number.",
            "min_value": f"{label}: give {least:g} or more.",
        },
        **options,
    )


def _whole(label: str, most: int, *, required: bool = True) -> forms.IntegerField:
    told = f"{label}: give a whole number from 1 to {most:,}."
    keys = ("required", "invalid", "min_value", "max_value")
    return forms.IntegerField(
        label=label,
        required=required,
        min_value=1,
        max_value=most,
        error_messages=dict.fromkeys(keys, told),
    )


class PlannerForm(forms.Form):
    model = forms.CharField(label="Model")
    layers = _whole("Layers", 1_000, required=False)
    width = _whole("Width (hidden size)", 1_000_000, required=False)
    feed_forward = _whole("Feed-forward length", 10_000_000, required=False)
    kv_heads = _whole("Key-value heads", 100_000, required=False)
    vocabulary = _whole("Vocabulary", 10_000_000, required=False)
    quant = forms.CharField(label="Quant")
    context = _whole("Context, tokens for each user", 10_000_000)
    users = _whole("Users at once", 10_000)
    kv = forms.ChoiceField(
        label="Type of the KV cache",
        choices=[(name, name) for name in CACHE_TYPES],
        error_messages={"invalid_choice": "No KV cache type is named %(value)s."},
    )
    machine = forms.CharField(label="Machine")
    memory = _number("Memory, GB", 0)
    bandwidth = _number("Memory bandwidth, GB/s", 0)
    electricity = _number("Electricity, price of a kWh", 0)
    watts = _number("Power under load, watts", 0)
    rent = _number("Rent, price of an hour", 0)

    @classmethod
    def asked(cls, query: QueryDict) -> PlannerForm:
        """The form as a link or the page itself filled it, defaults for all that it left out."""
        asked = {key: str(value).strip() for key, value in query.items() if value}
        return cls(defaults() | asked)

    def plan(self) -> Plan | None:
        """None, with the form's errors saying why, if no plan can be made."""
        if not self.is_valid():
            return None
        asked = self.cleaned_data
        try:
            return make_plan(
                self._model(asked),
                self._machine(asked),
                quant=asked["quant"],
                context=asked["context"],
                users=asked["users"],
                cache_type=asked["kv"],
                electricity=asked["electricity"],
                watts=asked["watts"],
                rent=asked["rent"],
            )
        except (PlanError, UnknownModel) as error:
            self.add_error(None, str(error))
            return None

    def _model(self, asked: dict[str, Any]) -> Model:
        if asked["model"] == FIVE:
            numbers = [asked[name] for name in NUMBERS]
            if None in numbers:
                raise PlanError(f"Your own numbers: all five are needed ({here.FIVE}).")
            return here.from_numbers(list(map(str, numbers)))
        if asked["model"].endswith(".gguf"):
            if asked["model"] not in stored():  # never a path: this page is open to others
                raise UnknownModel(f"no file {asked['model']} is in this site's model store")
            return here.from_file(registry.models_dir() / asked["model"])
        return data().model(asked["model"])

    def _machine(self, asked: dict[str, Any]) -> Machine:
        if asked["machine"] != OWN:
            return here.find_machine(asked["machine"])
        if asked["memory"] is None:
            raise PlanError("Your own machine: give at least its memory in GB.")
        return here.own_machine(asked["memory"], asked["bandwidth"] or 0)

    @property
    def five(self) -> list[forms.BoundField]:
        return [self[name] for name in NUMBERS]

    @property
    def own(self) -> list[forms.BoundField]:
        return [self["memory"], self["bandwidth"]]

    @property
    def prices(self) -> list[forms.BoundField]:
        return [self[name] for name in PRICES]

    @property
    def has_prices(self) -> bool:
        return any(field.value() for field in self.prices)

    @property
    def link(self) -> str:
        """The query that leads to this plan, without what is the default."""
        usual = defaults()
        asked = {name: self[name].value() for name in self.fields}
        return urlencode({k: v for k, v in asked.items() if v and v != usual.get(k)})

    # What the page offers. CharFields, so that a link may name a model however it is written.

    @property
    def models(self) -> Choices:
        groups: dict[str, Choices] = {}
        for model in data().models.values():
            groups.setdefault(model.family, []).append((model.name, model.title))
        if files := stored():
            groups["In this site’s store"] = [(name, name) for name in files]
        groups["Another"] = [(FIVE, "Five numbers of your own")]
        return list(groups.items())

    @property
    def quants(self) -> Choices:
        return [(BEST, "Best that fits"), *((name, name) for name in recipe.QUANTS)]

    @property
    def machines(self) -> Choices:
        state = "" if machine.measured() else " (not measured yet)"
        yours = [(here.THIS, f"This machine{state}"), (OWN, "Memory and bandwidth of your own")]
        groups: dict[str, Choices] = {"Yours": yours}
        for known in data().machines.values():
            groups.setdefault(known.group, []).append((known.name, known.title))
        return list(groups.items())

    @property
    def chosen_model(self) -> str:
        """The choice that the model asked for is, whichever way it was written."""
        asked = str(self["model"].value())
        try:
            return asked if asked == FIVE or asked in stored() else data().model(asked).name
        except UnknownModel:
            return asked

    @property
    def chosen_quant(self) -> str:
        asked = str(self["quant"].value())
        return next((name for name, _ in self.quants if name.lower() == asked.lower()), asked)


def defaults() -> dict[str, str]:
    return DEFAULTS | {"machine": here.THIS if machine.measured() else UNMEASURED}


def stored() -> list[str]:
    """GGUF files in the model store, by name."""
    return sorted(path.name for path in registry.models_dir().glob("*.gguf"))
