# SPDX-License-Identifier: Apache-2.0

PORT ?= 8080
MPM ?= event
PREFIX ?= /usr/local
APXS ?= apxs
MODULE_DIR ?= $(shell $(APXS) -q LIBEXECDIR)
export PORT MPM

GUESTS := $(CURDIR)/build/guests
APPLICATIONS := $(CURDIR)/build/applications
TEST_GUESTS := $(CURDIR)/build/test-guests

.PHONY: help fuzz bootstrap build guests interpreters serve test asan tsan soak test-restarts bench package test-package in-tree check-manual php-guest python-guest applications build-for-prefix install install-apxs test-guests clean

help:
	@echo 'make serve    install what is missing, build, serve the demo site on 127.0.0.1:$(PORT)'
	@echo '              (PORT=8080, MPM=event|worker|prefork; Ctrl-C stops it)'
	@echo 'make test     install what is missing, build, run all tests (TESTS="-k php" selects)'
	@echo 'make asan     tests of the module in real servers, with AddressSanitizer and'
	@echo '              UndefinedBehaviorSanitizer (part of make test)'
	@echo 'make tsan     the same with ThreadSanitizer'
	@echo 'make soak     good and bad requests of all kinds to each MPM (SOAK=600 seconds)'
	@echo 'make test-restarts  restart and kill under load for some minutes (RESTARTS=60 CHILDREN=1000)'
	@echo 'make build    the module, the runtime library and wasmctl, into build/release'
	@echo 'make install  the library, its header and wasmctl into PREFIX ($(PREFIX)), the module'
	@echo '              into MODULE_DIR (where apxs says); honours DESTDIR'
	@echo 'make install-apxs  the same with the module by `apxs -i -a`, which enables it'
	@echo 'make bench    measure against a native handler, mod_cgid, php-fpm and others'
	@echo 'make package  Debian packages, into build/packages'
	@echo 'make test-package  install, use and purge them on a clean Debian (root)'
	@echo 'make in-tree  build the module inside the source tree of httpd'
	@echo 'make check-manual  hold the manual page against the DTD and stylesheets of httpd'
	@echo 'make php-guest  PHP 8.4 with OPcache from Debian'"'"'s sources, into build/guests'
	@echo 'make python-guest  CPython 3.13 from Debian'"'"'s sources, into build/guests/cpython'
	@echo 'make applications  fetch WordPress and DokuWiki, into build/applications'
	@echo 'make fuzz     run the libFuzzer targets (FUZZ_SECONDS=60 each)'
	@echo 'make clean    remove build/'

bootstrap:
	@scripts/bootstrap.sh

build: bootstrap
	@echo 'Building into build/release (the engine is built once per machine, 4 to 10 minutes)'
	@cmake --preset release
	@cmake --build --preset release

guests: bootstrap
	@echo 'Building the guests into build/guests'
	@$(MAKE) --no-print-directory -C guests OUT='$(GUESTS)'
	@scripts/fetch_guests.sh '$(GUESTS)'

# For the site and the tests, which do without where their sources cannot be had.
interpreters: bootstrap
	@echo 'Getting PHP 8.4, two applications for it, and CPython 3.13 (built once per machine, about 12 minutes)'
	@$(MAKE) --no-print-directory php-guest applications || echo 'Going on without WordPress and DokuWiki'
	@$(MAKE) --no-print-directory python-guest || echo 'Going on without CPython 3.13'

serve: build guests interpreters
	@scripts/serve.sh

PYTEST := /usr/bin/python3 -m pytest -p no:cacheprovider

test: build test-guests interpreters
	@echo 'Running the tests of the runtime'
	@ctest --preset release --output-on-failure
	@echo 'Fuzzing for a moment what reads the bytes of guests and modules'
	@scripts/fuzz.sh 10
	@echo 'Running the tests of the module in real servers'
	@$(PYTEST) tests guests/php guests/python $(TESTS)
	@$(MAKE) --no-print-directory asan

test-guests: guests
	@$(MAKE) --no-print-directory -C tests/guests OUT='$(TEST_GUESTS)'

# Where memory is handled that guests and clients have a say in.
ASAN_TESTS := $(addprefix tests/test_,020_bodies.py 030_responses.py 040_faults.py 100_hostile_guests.py \
	110_hostile_clients.py 120_limits.py)
# Of tests for each MPM those for event.
ONE_MPM := -k 'not worker and not prefork'
# Where threads meet.
TSAN_TESTS := $(ASAN_TESTS) tests/test_080_load.py tests/test_090_status.py

asan: bootstrap test-guests
	@echo 'Running tests in servers with AddressSanitizer and UndefinedBehaviorSanitizer'
	@cmake --preset asan -DMOD_WASM_TESTS=OFF >/dev/null
	@cmake --build --preset asan
	@BUILD=build/asan SANITIZER=address $(PYTEST) $(ONE_MPM) $(ASAN_TESTS)

tsan: bootstrap test-guests
	@echo 'Running tests in servers with ThreadSanitizer'
	@cmake --preset tsan -DMOD_WASM_TESTS=OFF >/dev/null
	@cmake --build --preset tsan
	@BUILD=build/tsan SANITIZER=thread $(PYTEST) $(ONE_MPM) $(TSAN_TESTS)

soak: build test-guests
	@SOAK=$${SOAK:-600} $(PYTEST) tests/test_150_soak.py

test-restarts: build test-guests
	@RESTARTS=$${RESTARTS:-60} CHILDREN=$${CHILDREN:-1000} $(PYTEST) tests/test_140_restarts.py $(TESTS)

bench: build guests php-guest python-guest applications
	@scripts/bootstrap.sh wrk php8.2-fpm php8.2-opcache php8.2-sqlite3 php8.2-mbstring php8.2-xml php8.2-gd
	@bench/run.sh

package: bootstrap
	@packaging/build.sh

# Needs root: installs them on a clean Debian in a directory.
test-package:
	@scripts/bootstrap.sh mmdebstrap
	@packaging/test.sh

# PHP 8.4 with OPcache, from Debian's sources; takes long, the first time.
php-guest: bootstrap
	@guests/php/build.sh '$(GUESTS)/php.wasm'

# CPython 3.13, from Debian's sources.
python-guest: bootstrap
	@guests/python/build.sh '$(GUESTS)/cpython'

# WordPress and DokuWiki.
applications: bootstrap
	@scripts/fetch_applications.sh '$(APPLICATIONS)'

in-tree: build guests
	@scripts/in-tree.sh

check-manual:
	@scripts/check-manual.sh

FUZZ_SECONDS ?= 60
fuzz: bootstrap
	@scripts/fuzz.sh '$(FUZZ_SECONDS)'

# The module knows where its library and wasmctl will be.
build-for-prefix: bootstrap
	@cmake --preset release -DCMAKE_INSTALL_PREFIX='$(PREFIX)' -DMOD_WASM_MODULE_DIR='$(MODULE_DIR)'
	@cmake --build --preset release

install: build-for-prefix
	@cmake --install build/release

# What goes into a DESTDIR is for another place, and not enabled here.
install-apxs: build-for-prefix
	@cmake --install build/release --component Unspecified
	@mkdir -p '$(DESTDIR)$(MODULE_DIR)'
	@$(APXS) -S LIBEXECDIR='$(DESTDIR)$(MODULE_DIR)' $(APXSFLAGS) -i $(if $(DESTDIR),,-a) -n wasm build/release/mod_wasm.so

clean:
	rm -rf build
