# make run    the service and its demo on http://127.0.0.1:8000/
# make test   the check and every test
# make faults every fault, with all rounds, and the table of what was lost and doubled
# make check  lint, format, types;  make fix mends what it can of them
# make audit  asks the package index whether what we pin is still offered and without a known hole
# make bench  measures this machine; make bench PEER=http://... another system under the same load
# make screenshots draws the README's pictures;  make clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install -qq --disable-pip-version-check
NPM = NODE_USE_SYSTEM_CA=1 $(BIN)/npm --loglevel=error --no-audit --no-fund --no-update-notifier
APT = DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0
GET = $(APT) install -y --no-install-recommends

# Where somebody has forbidden it, each of the hundreds of processes of the tests would compile us anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test faults check fix audit bench screenshots clean

run: $(VENV)/runs
	@exec $(BIN)/python -m hitwall run

test: check $(VENV)/couchdb/installed
	$(call need,chromium-headless-shell,$(BROWSER),The tests drive a browser)
	$(call need,libatomic1,$(DRIVER),The tests drive a browser through Playwright)
	$(call need,postgresql,$(POSTGRES),The tests of the archive start a PostgreSQL of their own)
	$(call need,nginx-light,$(NGINX),The tests of a rolling restart put nginx in front)
	$(call need,curl,command -v curl,The tests type the commands of the README)
	$(call need,faketime,$(FAKETIME),The tests set the clocks of running processes)
	$(call need,wrk,command -v wrk,The test of the benchmark makes a load with wrk)
	$(BIN)/python -m pytest -n 2 --dist worksteal

faults: $(VENV)/tests
	$(call need,chromium-headless-shell,$(BROWSER),The tests drive a browser)
	$(call need,libatomic1,$(DRIVER),The tests drive a browser through Playwright)
	$(call need,nginx-light,$(NGINX),The tests of a rolling restart put nginx in front)
	$(call need,faketime,$(FAKETIME),The tests set the clocks of running processes)
	HITWALL_FAULTS=full $(BIN)/python -m pytest -q -n 2 --dist worksteal tests/faults tests/browser/test_strangers.py tests/test_replay.py

check: $(VENV)/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(VENV)/tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: $(VENV)/tests
	$(BIN)/python -m tests.audit

bench: $(VENV)/tests
	$(call need,wrk,command -v wrk,The benchmark makes its load with wrk)
	$(call need,nginx-light,$(NGINX),The benchmark measures nginx alone and in front of Hitwall)
	$(call need,redis-tools,command -v redis-benchmark,The benchmark compares with redis-benchmark)
	$(BIN)/python -m tests.bench $(if $(PEER),peer)

screenshots: $(VENV)/tests
	$(call need,chromium-headless-shell,$(BROWSER),The screenshots are a browser's)
	$(call need,libatomic1,$(DRIVER),The screenshots are made through Playwright)
	$(BIN)/python -m tests.browser.screenshots

clean:
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

BROWSER = command -v chromium-headless-shell || command -v chromium || command -v chromium-browser || \
  command -v google-chrome || command -v chrome
DRIVER = $(BIN)/python -m playwright --version
FAKETIME = ls /usr/lib/*/faketime/libfaketimeMT.so.1
NGINX = command -v nginx || command -v /usr/sbin/nginx
REDIS = $(BIN)/python -c 'from hitwall.redis_server import find_server; find_server()'
POSTGRES = command -v initdb || ls /usr/lib/postgresql/*/bin/initdb
VENV_PARTS = $(PYTHON) -c 'import ensurepip, venv'
NEW_ENOUGH = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'
POLICY = /usr/sbin/policy-rc.d

$(VENV)/runs: requirements.txt
	@$(NEW_ENOUGH) || { echo >&2 'Hitwall needs Python 3.11 or newer, which $(PYTHON) is not:' \
	  'install it and name it, as in: make PYTHON=python3.12 $(MAKECMDGOALS)'; exit 1; }
	@[ ! -e $(VENV) ] || [ -e $(VENV)/hitwall ] || [ -e $@ ] || { echo >&2 '$(VENV) is there and none of ours:' \
	  'it would be emptied. Remove it, or name another: make VENV=... $(MAKECMDGOALS)'; exit 1; }
	$(call need,python3-venv,$(VENV_PARTS),Python has to make a virtual environment)
	@echo 'Installing requirements.txt into $(VENV) ...'
	@$(PYTHON) -m venv --clear $(VENV) && touch $(VENV)/hitwall
	@$(PIP) -r requirements.txt
	$(call need,redis-server,$(REDIS),Hitwall keeps its hits in Redis 6.2 or newer)
	@touch $@

$(VENV)/tests: tests/requirements.txt tests/flask23.txt $(VENV)/runs
	@echo 'Installing tests/requirements.txt into $(VENV) ...'
	@$(PIP) -r tests/requirements.txt
	@rm -rf $(VENV)/flask23
	@$(PIP) --no-deps --target $(VENV)/flask23 -r tests/flask23.txt
	@touch $@

$(VENV)/couchdb/installed: tests/couchdb/package.json tests/couchdb/package-lock.json $(VENV)/tests
	@echo 'Installing tests/couchdb/package-lock.json into $(@D) ...'
	@mkdir -p $(@D) && cp tests/couchdb/*.json $(@D)
	@$(NPM) ci --prefix $(@D) --omit=optional --ignore-scripts >/dev/null
	@touch $@

# $(call need,Debian's package,command that succeeds where it is there,what for): installs what is
# missing where we are root on Debian, starting no service of it; elsewhere says what to install.
# The lists of packages are fetched only where without them, or with those of yesterday, it fails.
define need
@{ $(2); } >/dev/null 2>&1 || { \
  if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
    echo >&2 "$(3): install $(1) (Debian: apt install $(1)) and run make again."; exit 1; fi; \
  echo "Installing $(1) ..."; \
  if [ ! -e $(POLICY) ]; then trap 'rm -f $(POLICY)' EXIT; \
    printf '#!/bin/sh\nexit 101\n' >$(POLICY) && chmod +x $(POLICY); fi; \
  said=$$({ $(GET) $(1) || { $(APT) update && $(GET) $(1); }; } 2>&1) || { \
    echo >&2 "$$said"; exit 1; }; \
  { $(2); } >/dev/null; }
endef
