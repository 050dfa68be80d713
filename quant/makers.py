"""Who may stop, change and remove an experiment.

Whoever made it: signed in, on every device of theirs; signed out, in the same browser. Where others
come in, teachers as well; on a machine of one's own, anybody.
"""

from collections.abc import MutableMapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils.module_loading import import_string

from quant.models import Experiment

KEY = "experiments"  # in a session: those made in it while signed out
KEPT = 100

User = AbstractBaseUser | AnonymousUser
Session = MutableMapping[str, Any]


def remember(experiment: Experiment, user: User, session: Session) -> None:
    """That this user, or whoever has this session, made it."""
    if user.is_authenticated:
        Experiment.objects.filter(pk=experiment.pk).update(made_by=user.pk)
    else:
        session[KEY] = [*session.get(KEY, ()), experiment.pk][-KEPT:]


def may_change(experiment: Experiment, user: User, session: Session) -> bool:
    if import_string(settings.QUANT_OWNER_PROVIDER)(user):
        return True
    if experiment.made_by_id:
        return experiment.made_by_id == user.pk
    return experiment.pk in session.get(KEY, ())
