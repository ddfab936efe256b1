# The front door. Meson and ninja do the work; every program is left at build/bin/NAME.
#
#   make run       install what is missing, build, start the server on 127.0.0.1:6379 in the foreground
#   make test      install what is missing and pass every test (PARTS="unit gates" runs some of them)
#   make bench     Skua beside Debian's redis-server; writes docs/benchmark.{md,svg,json}, build/benchmark.html
#   make fuzz      run every fuzz target for SECONDS (default 60) each
#   make sanitize  unit tests and integration core under ASan, UBSan and TSan
#   make docs      reference pages and sample configuration from the declarations, and their checks
#   make format    clang-format over the C files

MAKEFLAGS += --no-print-directory
SECONDS ?= 60
PARTS ?=
RUN_ARGS ?=

.PHONY: build run test bench fuzz sanitize docs format clean setup setup-test

build: setup
	@[ -f build/build.ninja ] || meson setup build >/dev/null
	@ninja -C build --quiet

# Only the server: who wants to run it need not wait for the tests to compile.
run: setup
	@[ -f build/build.ninja ] || meson setup build >/dev/null
	@ninja -C build --quiet bin/skua-server
	@exec build/bin/skua-server $(RUN_ARGS)

test: setup-test
	@/usr/bin/python3 dev/test $(PARTS)

bench: setup-test build
	@/usr/bin/python3 bench/run.py

fuzz: setup-test
	@dev/fuzz $(SECONDS)

sanitize: setup-test
	@/usr/bin/python3 dev/test asan tsan

docs: build
	@ninja -C build --quiet docs
	@/usr/bin/python3 dev/check-docs build

format: setup-test
	@find src client include tools tests -name '*.[ch]' -print0 | xargs -0 clang-format -i

clean:
	@rm -rf build build-asan build-tsan

setup:
	@dev/setup build

setup-test:
	@dev/setup test
