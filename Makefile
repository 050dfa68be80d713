# make run: the site, on this machine. make test: the whole suite. Everything else is in README.md.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run setup dev test check bench format

run: setup
	@exec $(BIN)/python manage.py start

setup:
	@$(PYTHON) site/bootstrap.py run

dev:
	@$(PYTHON) site/bootstrap.py dev

test:
	@$(PYTHON) site/bootstrap.py test
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run

bench: setup
	@for one in bench/*.py; do echo "== $$one"; $(BIN)/python $$one || exit 1; done

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
