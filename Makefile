# Daily work. ./dev does the set-up and needs no make; these targets call it where they need that.
.DEFAULT_GOAL := help
.PHONY: help setup test vm-test lint lint-python lint-c format aarch64 asan fuzz points bench check clean

PYTHON := .venv/bin/python
ARGS ?=
# Seconds for each fuzz harness, and how many run at a time.
FUZZ_SECONDS ?= 30
FUZZ_JOBS ?= 2
FUZZ_RUNS := $(patsubst csrc/fuzz/fuzz_%.c,fuzz-%,$(wildcard csrc/fuzz/fuzz_*.c))

STRICT := -std=gnu11 -O2 -Wall -Wextra -Wshadow -Wconversion -Werror
CROSS ?= aarch64-linux-gnu-gcc
# The two that are left out compile with sanitizers of their own.
ASAN_TESTS := tests/unpack tests/run/test_api.py --ignore=tests/unpack/test_fuzz_corpus.py --ignore=tests/unpack/test_sources.py
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g -O1
# VM CMD... runs CMD on a machine with AppArmor, systemd and a pure cgroup v2 that shows this directory, and all else, as it is.
VM ?= ../shared/tools/vm
VM_TESTS := tests/security/test_apparmor.py tests/security/test_selinux.py tests/run/test_isolation.py tests/run/test_api.py
C_SOURCES := $(wildcard csrc/*.c)
.PHONY: $(FUZZ_RUNS)

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## system packages, .venv, pyrt built in place (./dev setup)
	./dev setup

test: ## all tests, or some: make test ARGS='tests/oci -k digest'
	./dev test $(ARGS)

vm-test: setup ## the confinement's tests on another machine: make vm-test VM=PROGRAM ARGS='tests/run'
	VM_TIMEOUT=$(or $(VM_TIMEOUT),1800) $(VM) env PYRT_TEST_MUST_WORK=1 PATH=$(CURDIR)/.venv/bin:$(PATH) \
	  $(PYTHON) -m pytest -p no:cacheprovider $(or $(ARGS),$(VM_TESTS))

lint: lint-python lint-c ## ruff, mypy --strict, gcc with every warning an error

lint-python: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

lint-c:
	@set -e; for source in $(C_SOURCES); do echo "gcc -Werror $$source"; gcc $(STRICT) -c -o /dev/null $$source; done

format: setup ## ruff format, and what ruff can mend
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

aarch64: setup ## all the C for the other architecture, with Debian's cross compiler
	@set -e; for source in $(C_SOURCES); do echo "$(CROSS) $$source"; $(CROSS) $(STRICT) -c -o /dev/null $$source; done
	$(PYTHON) csrc/build_static.py --cc $(CROSS) --into build/aarch64

asan: setup ## the tests of the C code with the address and undefined-behaviour sanitizers
	$(PYTHON) -m pip install -qq --disable-pip-version-check 'setuptools>=77'
	rm -rf build/asan && mkdir -p build/asan
	CFLAGS="$(SANITIZE)" LDFLAGS="-fsanitize=address,undefined" $(PYTHON) setup.py -q build --build-lib build/asan --build-temp build/asan-objects
	cp -r tests pyproject.toml build/asan
	cd build/asan && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONSAFEPATH= PYRT_TEST_MUST_WORK=1 ../../$(PYTHON) -m pytest $(or $(ARGS),$(ASAN_TESTS))

fuzz: ## each fuzz harness of csrc/fuzz with libFuzzer, two at a time: make fuzz FUZZ_SECONDS=600
	./dev setup fuzz
	$(PYTHON) csrc/fuzz/build.py --libfuzzer --cc clang --into build/fuzz
	@$(MAKE) --no-print-directory --keep-going --output-sync --jobs=$(FUZZ_JOBS) $(FUZZ_RUNS)

# The harnesses that unpack are ten times as fast in memory.
$(FUZZ_RUNS): fuzz-%:
	@mkdir -p build/fuzz/found/$*
	@if [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi; \
	  build/fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
	    -artifact_prefix=build/fuzz/ build/fuzz/found/$* csrc/fuzz/corpus/$(if $(filter tar,$*),layer,$*) \
	    >build/fuzz/$*.log 2>&1 || { tail -50 build/fuzz/$*.log; exit 1; }
	@sed -n 's/^stat::number_of_executed_units: */fuzz_$* for $(FUZZ_SECONDS) s: /p' build/fuzz/$*.log

points: setup ## kill, fail and cut the power at every step of the commands that change the store: an hour or two, as root
	$(PYTHON) -m tests.faults.points kill
	$(PYTHON) -m tests.faults.points term
	$(PYTHON) -m tests.faults.points fault
	$(PYTHON) -m tests.faults.powercut --bite --fs ext4 'pull a layout'
	$(PYTHON) -m tests.faults.powercut --points 200

bench: ## the benchmarks, with their peers installed: make bench ARGS='-k start'
	./dev bench $(ARGS)

check: lint aarch64 test ## what has to pass before a commit

clean: ## what was built
	rm -rf build dist csrc/build *.egg-info pyrt/_native/bin pyrt/_native/*.so .venv/installed-*
