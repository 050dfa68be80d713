"""Settings. Everything a person may want to change is an environment variable (README)."""

import os
import secrets
import tempfile
from hashlib import sha256
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parents[2]
DATA_DIR = Path(os.environ.get("OPENBOOK_DATA") or BASE_DIR / "var").resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)


def _port(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ImproperlyConfigured(f"{name}={value} is not a port: use a number from 1 to 65535.")
    return int(value)


def _gigabytes(name: str, default: float) -> int:
    """Bytes."""
    value = os.environ.get(name) or str(default)
    try:
        size = float(value)
    except ValueError:
        size = -1
    if not 0 <= size < 1e6:
        raise ImproperlyConfigured(f"{name}={value} is no size: give a number of gigabytes.")
    return int(size * 1e9)


HOST = os.environ.get("HOST") or "localhost"
PORT = _port("PORT", 8000)


def _kept_secret(path: Path) -> str:
    """The secret key: made once, kept beside the data, readable by its owner only."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        mine = path.with_name(f"{path.name}.{os.getpid()}")
        mine.touch(mode=0o600)
        mine.write_text(secrets.token_urlsafe(50))
        try:
            os.link(mine, path)  # fails where another process was first: then its key holds
        except FileExistsError:
            pass
        finally:
            mine.unlink()
        return path.read_text().strip()


def _socket_path(path: Path) -> Path:
    """A Unix socket's path holds about 100 bytes; a longer one moves to the temporary folder."""
    if len(os.fsencode(path)) <= 100:
        return path
    digest = sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"openbook-{digest}.sock"


SECRET_KEY = _kept_secret(DATA_DIR / "secret_key")
DEBUG = os.environ.get("OPENBOOK_DEBUG") == "1"
ALLOWED_HOSTS = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    HOST,
    *[host.strip() for host in os.environ.get("OPENBOOK_HOSTS", "").split(",") if host.strip()],
]
# Behind TLS (Caddy, README) the browser's origin is https://NAME.
CSRF_TRUSTED_ORIGINS = [
    f"https://{host}" for host in ALLOWED_HOSTS if host not in ("127.0.0.1", "[::1]", "*")
]

INSTALLED_APPS = [
    "config",
    "lessons",
    "tutor",
    "quant",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "site" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASE_URL = os.environ.get("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'openbook.sqlite3'}"
try:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_health_checks=True)}
except ValueError as error:
    raise ImproperlyConfigured(
        "DATABASE_URL must look like postgres://USER:PASSWORD@HOST:5432/NAME, or be left out."
    ) from error
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Web and worker both write: readers never wait, writers queue instead of failing.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

# Plain HTTP on this machine is the normal case; TLS in front turns these on.
OPENBOOK_TLS = os.environ.get("OPENBOOK_TLS") == "1"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = OPENBOOK_TLS
SECURE_HSTS_SECONDS = 31_536_000 if OPENBOOK_TLS else 0
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains: they are not ours to decide about
    "security.W021",  # and neither is the preload list
]
if not OPENBOOK_TLS:
    # No TLS on one's own machine: no HSTS, no redirect to it, no cookies that only it carries.
    SILENCED_SYSTEM_CHECKS += ["security.W004", "security.W008", "security.W012", "security.W016"]
CSRF_COOKIE_SAMESITE = SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True

# Accounts: a name (or e-mail) and a password, a passkey if wanted; nobody else is asked.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = ACCOUNT_LOGOUT_REDIRECT_URL = "/"
LOGIN_URL = "account_login"
ACCOUNT_ADAPTER = "config.accounts.Adapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Openbook: "
ACCOUNT_SESSION_REMEMBER = True
# A class behind one address signs up within a minute; the limit on failed tries stays allauth's.
ACCOUNT_RATE_LIMITS = {"signup": "100/m/ip", "login": "100/m/ip"}
MFA_SUPPORTED_TYPES = ["webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# Browsers take http://localhost for safe; allauth has to be told.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not OPENBOOK_TLS
USERSESSIONS_TRACK_ACTIVITY = True
OPENBOOK_SIGNUP = os.environ.get("OPENBOOK_SIGNUP") or "open"
if OPENBOOK_SIGNUP not in ("open", "closed"):
    raise ImproperlyConfigured(f"OPENBOOK_SIGNUP={OPENBOOK_SIGNUP}: use open or closed.")

# Password resets are written to the web process's log until EMAIL_HOST names a mail server.
EMAIL_HOST = os.environ.get("EMAIL_HOST", "")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
EMAIL_PORT = _port("EMAIL_PORT", 587)
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = EMAIL_PORT == 587
EMAIL_USE_SSL = EMAIL_PORT == 465
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = os.environ.get("EMAIL_FROM") or f"openbook@{HOST}"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "site" / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.storage.StaticStorage"},
}
MEDIA_ROOT = DATA_DIR / "uploads"

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# The processes (README, "What runs")
REDIS_SOCKET = _socket_path(DATA_DIR / "redis.sock")
REDIS_URL = os.environ.get("REDIS_URL") or f"unix://{REDIS_SOCKET}"
ENGINE_PORT = _port("ENGINE_PORT", PORT % 65535 + 1)
ENGINE_URL = f"http://127.0.0.1:{ENGINE_PORT}"
# Any OpenAI-compatible server writes in place of our chat model; embeddings stay ours.
TUTOR_URL = os.environ.get("TUTOR_URL", "").rstrip("/").removesuffix("/v1")
if TUTOR_URL and not TUTOR_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured(f"TUTOR_URL={TUTOR_URL}: write it as http://HOST:PORT.")
TUTOR_KEY = os.environ.get("TUTOR_KEY", "")
_model = os.environ.get("TUTOR_MODEL", "")
# With TUTOR_URL, TUTOR_MODEL is a name of that server's; empty: the first that it lists.
TUTOR_URL_MODEL = _model if TUTOR_URL else ""
TUTOR_MODEL = (not TUTOR_URL and _model) or "smollm2-135m-instruct"
TUTOR_WRITES = os.environ.get("TUTOR_WRITES") or "auto"
if TUTOR_WRITES not in ("auto", "yes", "no"):
    raise ImproperlyConfigured(f"TUTOR_WRITES={TUTOR_WRITES}: use auto, yes or no.")

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True  # results live in the database
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

MODELS_DIR = DATA_DIR / "models"
# Bodies lie here while they come in: elsewhere temporary files may be memory.
FILE_UPLOAD_TEMP_DIR = DATA_DIR
UPLOAD_LIMIT = _gigabytes("OPENBOOK_UPLOAD_LIMIT", 8)
LESSONS_DIR = BASE_DIR / "lessons" / "content"
# The folder of the one lesson that `manage.py preview` shows; a site for readers has none.
PREVIEW_DIR = Path(os.environ["OPENBOOK_PREVIEW"]) if os.environ.get("OPENBOOK_PREVIEW") else None
# quant knows no lessons: it asks these, by name, for text, questions and prompts.
QUANT_TEXT_PROVIDER = "lessons.evals.lesson_text"
QUANT_TASK_PROVIDER = "lessons.evals.quiz_tasks"
QUANT_PROMPT_PROVIDER = "lessons.evals.lesson_prompts"
# What a model file's page offers to do for the tutor.
QUANT_TUTOR_PROVIDER = "tutor.model_choice.offer"
# Who may add model files and name paths on this machine.
QUANT_OWNER_PROVIDER = "tutor.model_choice.may_choose"
# The files that the tutor needs, whoever asks: the lab does not remove them.
QUANT_TUTOR_FILES_PROVIDER = "tutor.model_choice.files"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {name: {"level": "INFO"} for name in ("config", "lessons", "tutor", "quant")},
}
