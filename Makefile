# make demo   the whole story on this machine, with simulated devices
# make test   all tests (as root it installs the Debian packages that some need; otherwise those skip and say so)
# make check  format, lint, types, layers, fast tests: about two minutes, before every push
# make validate  accuracy on public recordings, where they lie, other packages beside ours; writes docs/clinical/ecg.md and spirometry-accuracy.md
# make bluez  pairing and reading against the real BlueZ, in a virtual machine: ten minutes; QEMU, and once root and debootstrap
# make fuzz   ten minutes of damaged bytes for every decoder
# make disk   every write and sync of the kit's disk fails once; as root, with strace; writes docs/reliability-disk.md
# make reliability  that nothing is lost, doubled or reordered: stories, power cuts, kills, networks, clocks, strangers; hours (docs/reliability.md)
# make reliability-small  small versions of these tools and tests of the tools, in some minutes
# make county  a simulated county, 200 kits and 30 days: every clock, call, place and indicator counted a second time; ten minutes alone (docs/hub-county.md)
# make bench  speed, import and memory beside other packages, as ratios of one run

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: county reliability-small demo test check format validate bench bluez fuzz disk clean reliability reliability-machine reliability-power reliability-kill \
  reliability-clocks reliability-hostile reliability-network
.DEFAULT_GOAL := demo

$(READY): pyproject.toml constraints.txt package.json package-lock.json zhenbao/hub/web/vendor.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "The venv module is missing; on Debian: apt install python3-venv"; exit 1; }
	@echo "Setting up .venv (once; a few minutes, needs the network) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/npm ci --silent --ignore-scripts --no-audit --no-fund
	@$(BIN)/python -m zhenbao.hub.web.vendor > /dev/null
	@touch $@

demo: $(READY)
	@$(BIN)/zhenbao demo

test: $(READY)
	@./tests/debian-packages
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --ignore tests/reliability

check: $(READY)
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > .venv/layers.log || { cat .venv/layers.log; exit 1; }
	@$(BIN)/python -m pytest -n 2 -m 'not slow and not browser'

format: $(READY)
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

# Other packages are measured in an environment of their own: the product depends on none of them.
PEERS := .venv-peers

$(PEERS)/.ready: pyproject.toml
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "Setting up $(PEERS) (once; a few minutes, needs the network) ..."
	@$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check --editable '.[peers]'
	@touch $@

validate: $(PEERS)/.ready
	@OPENBLAS_NUM_THREADS=1 $(PEERS)/bin/python tests/validation/spirometry_report.py
	@OPENBLAS_NUM_THREADS=1 $(PEERS)/bin/python tests/validation/ecg_report.py

bench: $(PEERS)/.ready $(READY)
	@OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(PEERS)/bin/python tests/benchmarks/ecg_speed.py
	@OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(PEERS)/bin/python tests/benchmarks/spirometry_reference.py
	@$(BIN)/python tests/benchmarks/devices.py
	@$(BIN)/python tests/benchmarks/sync_speed.py
	@$(BIN)/python tests/benchmarks/worklist_speed.py

bluez: $(READY)
	@./tests/bluez/run.sh $(BIN)/python

fuzz: $(READY)
	@$(BIN)/python tests/fuzz/decoders.py

disk: $(READY)
	@$(BIN)/python tests/reliability/disk_full.py

# Each tool prints its figures as JSON; SEED and CYCLES change a run: make reliability-kill CYCLES=50.
SEED ?= 1
PROOF = PYTHONPATH=.:tests $(BIN)/python -m
RUN = --seed $(SEED) $(if $(CYCLES),--cycles $(CYCLES))

reliability: reliability-machine reliability-power reliability-kill reliability-clocks reliability-hostile reliability-network

reliability-small: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/reliability

reliability-machine: $(READY)
	@$(PROOF) reliability.machine $(RUN)

reliability-power: $(READY)
	@$(PROOF) reliability.power_loss $(RUN)
	@if $(PROOF) reliability.power_loss $(RUN) --synchronous NORMAL 2> /dev/null; then echo "The positive control did not fail"; exit 1; fi

reliability-kill: $(READY)
	@$(PROOF) reliability.kill_loop $(RUN)

reliability-clocks: $(READY)
	@$(BIN)/python -m pytest tests/reliability/test_clocks.py

reliability-hostile: $(READY)
	@$(PROOF) reliability.hostile $(RUN)

reliability-network: $(READY)
	@$(PROOF) reliability.slow_link
	@$(PROOF) reliability.proxy_loop $(RUN)
	@$(PROOF) reliability.two_links $(RUN)
	@$(PROOF) reliability.storm --kits 500
	@$(PROOF) reliability.poor_link $(RUN) --cold --tls
	@$(PROOF) reliability.poor_link $(RUN) --tls

county: $(READY)
	@PYTHONPATH=.:tests nice $(BIN)/python -m county.run --seed $(SEED) $(if $(KITS),--kits $(KITS)) $(if $(DAYS),--days $(DAYS)) $(if $(VISITS),--visits $(VISITS))

clean:
	@rm -rf .venv $(PEERS) node_modules zhenbao/hub/web/vendor build dist *.egg-info
