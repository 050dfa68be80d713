"""Classes: a teacher's list and tables, and the link by which learners join."""

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from lessons import classes
from lessons.models import Classroom, Membership, join_code


class SignedIn(HttpRequest):
    user: User


@login_required
@require_http_methods(["GET", "POST"])
@never_cache
def class_list(request: SignedIn) -> HttpResponse:
    """The classes that one teaches and those that one has joined. POST: a new one."""
    teacher = classes.is_teacher(request.user)
    if request.method == "POST":
        name = request.POST.get("name", "").replace("\0", "").strip()[:100]
        if not teacher or not name:
            return redirect("classes")
        made = Classroom.objects.create(teacher=request.user, name=name)
        return redirect("class", made.pk)
    context = {
        "teacher": teacher,
        "mine": request.user.classrooms.all(),
        "joined": request.user.memberships.select_related("classroom__teacher"),
    }
    return render(request, "lessons/classes.html", context)


def _own(request: SignedIn, pk: int) -> Classroom:
    return get_object_or_404(Classroom, pk=pk, teacher=request.user)


@login_required
@require_safe
@never_cache
def class_page(request: SignedIn, pk: int) -> HttpResponse:
    classroom = _own(request, pk)
    link = request.build_absolute_uri(f"/classes/join/{classroom.code}/")
    context = {"classroom": classroom, "link": link, "overview": classes.overview(classroom)}
    return render(request, "lessons/class.html", context)


@login_required
@require_POST
def class_change(request: SignedIn, pk: int) -> HttpResponse:
    """do=link: a new link, the old one stops; do=remove: one learner; do=delete: the class."""
    classroom = _own(request, pk)
    what, learner = request.POST.get("do"), request.POST.get("learner", "")
    if what == "delete":
        classroom.delete()
        return redirect("classes")
    if what == "link":
        classroom.code = join_code()
        classroom.save(update_fields=["code"])
    elif what == "remove" and learner.isdecimal() and len(learner) < 19:
        classroom.members.filter(learner=int(learner)).delete()
    return redirect("class", pk)


@require_http_methods(["GET", "POST"])
@never_cache
def class_join(request: HttpRequest, code: str) -> HttpResponse:
    """What the teacher will see is said before anybody joins. The link opens sign-up, too."""
    try:
        clean = code.replace("\0", "")  # PostgreSQL takes no NUL
        classroom = Classroom.objects.select_related("teacher").get(code=clean)
    except Classroom.DoesNotExist as missing:
        raise Http404("This link to a class is no longer good. Ask for a new one.") from missing
    request.session["invitation"] = code
    if request.method == "POST" and request.user.is_authenticated:
        Membership.objects.get_or_create(classroom=classroom, learner=request.user)
        return redirect("classes")
    return render(request, "lessons/join.html", {"classroom": classroom})


@login_required
@require_POST
def class_leave(request: SignedIn, pk: int) -> HttpResponse:
    Membership.objects.filter(classroom=pk, learner=request.user).delete()
    return redirect("classes")
