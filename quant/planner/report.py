"""A plan as JSON and as a table for the shell."""

from __future__ import annotations

from typing import Any

from quant.planner.estimate import Range
from quant.planner.plan import Option, Plan, Quality, gib, said


def as_json(plan: Plan) -> dict[str, Any]:
    """Sizes in bytes. Rates: for each user; cost in the price's currency, middle of its range."""
    chosen = plan.chosen
    return {
        "model": plan.model.name,
        "quant": chosen.quant,
        "file_bytes": chosen.weights.file_bytes,
        "kv_bytes": chosen.cache_bytes,
        "memory_bytes": chosen.memory_bytes,
        "fits": chosen.fits,
        "tokens_per_second": _range(chosen.speed.each),
        "cost_per_million_tokens": _number(chosen.cost.middle) if chosen.cost else None,
        "quality": [_quality(figure) for figure in plan.quality],
        "sentence": plan.sentence,
        "notes": plan.notes,
        "machine": plan.machine.name,
        "context": plan.context,
        "users": plan.users,
        "kv_type": plan.cache_type,
        "usable_bytes": chosen.usable_bytes,
        "spare_bytes": chosen.spare_bytes,
        "overhead_bytes": chosen.overhead_bytes,
        "tensors": {part.type: part.tensors for part in chosen.weights.parts},
        "bits_per_weight": round(chosen.weights.bits_per_weight, 3),
        "tokens_per_second_together": _range(chosen.speed.together),
        "prompt_tokens_per_second": _range(chosen.speed.prompt),
        "bound_by": chosen.speed.bound_by or None,
        "cost_range": _range(chosen.cost),
        "cost_basis": plan.price.how,
        "measured_here": [
            {
                "quant": check.quant,
                "predicted": _number(check.predicted),
                "measured": _number(check.measured),
            }
            for check in (plan.machine.measured.checks if plan.machine.measured else [])
        ],
        "sources": {"model": str(plan.model.source), "machine": str(plan.machine.source)},
    }


def _number(value: float) -> float:
    return float(f"{value:.4g}")


def _range(found: Range | None) -> dict[str, float] | None:
    return {"low": _number(found.low), "high": _number(found.high)} if found else None


def _quality(figure: Quality) -> dict[str, Any]:
    return {
        "measure": figure.measure,
        "value": figure.value,
        "source": str(figure.source) if figure.source else figure.note,
        "model": figure.model,
    }


def as_text(plan: Plan) -> str:
    """For the shell: the answer, a line for each quant, what is known of quality."""
    lines = [
        f"{plan.model.title} on {plan.machine.title}, {plan.context:,} tokens "
        f"for {plan.users} user{'s' if plan.users > 1 else ''}, cache {plan.cache_type}",
        "",
        plan.sentence,
        *plan.notes,
        "",
        f"  {'':8}{'file':>10}{'memory':>11}{'left':>11}{'tokens/s':>14}{'per million':>14}",
    ]
    lines += [_line(option, option is plan.chosen) for option in plan.options]
    lines += ["", f"Cost: {plan.price.how}.", f"Quality of {plan.chosen.quant}:"]
    lines += [f"  {_quality_line(figure)}" for figure in plan.quality]
    lines += ["Sources:", f"  {plan.model.source}", f"  {plan.machine.source}"]
    return "\n".join(lines)


def _line(option: Option, chosen: bool) -> str:
    left = gib(option.spare_bytes) if option.fits else f"-{gib(-option.spare_bytes)}"
    each, cost = option.speed.each, option.cost
    rate = f"{each.low:.3g} to {each.high:.3g}" if each else "unknown"
    price = f"{cost.low:.2g} to {cost.high:.2g}" if cost else "unknown"
    file, memory = gib(option.weights.file_bytes), gib(option.memory_bytes)
    mark = "→" if chosen else " "
    return f"{mark} {option.quant:8}{file:>10}{memory:>11}{left:>11}{rate:>14}{price:>14}"


def _quality_line(figure: Quality) -> str:
    if figure.value is None:
        measure = "" if figure.measure == "any" else f"{figure.measure}: "
        return f"{measure}{figure.note} for {figure.model}"
    return f"{figure.measure} of {figure.model}: {said(figure.value)}. {figure.source}"
