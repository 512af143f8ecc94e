# Everything a newcomer needs: `make demo` and `make test`. What they need, they install into .venv, the package
# manager's packages through sudo where you are not root, and the container image, once.
# The first that there is and that is new enough.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
# So many files of tests run beside each other, in the order of their names: they wait a good part of their time, and
# those that take long alone must not come last.
BESIDE := $(shell cores=$$(nproc); echo $$((cores < 7 ? cores + 2 : 8)))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo serve test backup-drill conformance attacks inspect other-clients oracle fuzz gallery check bench image system clean

demo: image ## three conversations through the official SDK
	@$(BIN)/bathysphere demo

serve: image ## the server on http://127.0.0.1:8321, or as ARGS="--port ..." say
	@$(BIN)/bathysphere serve $(ARGS)

test: image $(VENV)/dev.done ## every test
	@./scripts/system-packages curl=curl jq=jq runsc=runsc
	$(BIN)/python -m pytest --numprocesses $(BESIDE) --dist loadfile --no-loadscope-reorder $(ARGS)

inspect: image ## inspect-ai's own checks of a sandbox, against containers
	@./scripts/system-packages runsc=runsc
	@test -x $(VENV)/inspect/bin/pytest || { $(PYTHON) -m venv $(VENV)/inspect && \
		$(VENV)/inspect/bin/pip install --quiet --require-hashes -r tests/inspect/requirements.txt && \
		$(VENV)/inspect/bin/pip install --quiet --no-deps --editable .; }
	$(VENV)/inspect/bin/python -m pytest --noconftest tests/inspect/self_check.py

other-clients: image $(VENV)/dev.done ## the AI SDK, LangChain, pydantic-ai and LiteLLM against a server of ours; ARGS="-k ..."
	$(BIN)/python -m pytest tests/other_clients/conversations.py $(ARGS)

oracle: image $(VENV)/dev.done ## the SDK's own tests of its calls, against a server of ours; ARGS="-k ..."
	$(BIN)/python -m tests.oracle $(ARGS)

fuzz: image $(VENV)/dev.done ## 20 000 requests made from our OpenAPI description; ARGS="--requests ..."
	$(BIN)/python -m tests.fuzz $(ARGS)

gallery: image $(VENV)/dev.done ## documents that our skills make, and pictures of them; look at them
	@./scripts/system-packages soffice=libreoffice-impress-nogui pdftoppm=poppler-utils
	@./scripts/system-packages /usr/lib/libreoffice/program/libscfiltlo.so=libreoffice-calc-nogui \
		/usr/lib/libreoffice/program/libwriterfilterlo.so=libreoffice-writer-nogui \
		/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf=fonts-liberation \
		/usr/share/fonts/truetype/crosextra/Carlito-Regular.ttf=fonts-crosextra-carlito
	$(BIN)/python -m tests.gallery --write docs/gallery $(ARGS)

check: $(VENV)/dev.done ## style, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

conformance: image $(VENV)/dev.done ## the conformance suite on every engine
	@./scripts/system-packages runsc=runsc
	$(BIN)/python -m bathysphere.host.conformance --engine bubblewrap
	$(BIN)/python -m bathysphere.host.conformance --engine gvisor

attacks: image $(VENV)/dev.done ## every hostile program on every engine; writes its page anew
	@./scripts/system-packages runsc=runsc
	$(BIN)/python -m tests.attacks --write docs/security.md

bench: image $(VENV)/dev.done ## every figure we quote
	@for script in $(filter-out bench/soak.py,$(sort $(wildcard bench/*.py))); do $(BIN)/python $$script || exit 1; done

crash: image $(VENV)/dev.done ## kill 300 processes while 20 clients work, then compare; ARGS="--seed ..."
	$(BIN)/python -m tests.crash $(ARGS)

backup-drill: image $(VENV)/dev.done ## backups under load and while things are killed, restored and compared; ARGS="--seed ..."
	$(BIN)/python -m tests.backup $(ARGS)

soak: image $(VENV)/dev.done ## an hour of work, which must end with what it began with; ARGS="--minutes ..."
	$(BIN)/python bench/soak.py $(ARGS)

image: $(VENV)/run.done system
	@$(BIN)/bathysphere image build

system:
	@./scripts/system-packages

$(VENV)/bin/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "Python 3.11 or newer is needed (make PYTHON=/path/to/it)"; exit 1; }
	@echo "Making a Python environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { ./scripts/system-packages python3-venv && $(PYTHON) -m venv --clear $(VENV); }

$(VENV)/run.done: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing bathysphere and what it stands on, pinned by hash ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements.txt
	@$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/dev.done: requirements-dev.txt requirements-model.txt $(VENV)/run.done
	@echo "Installing what the tests and checks need, pinned by hash ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.txt
	@$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements-model.txt
	@touch $@

clean:
	rm -rf $(VENV) build
