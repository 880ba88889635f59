# A short front for meson. `make` says what there is.
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
JOBS    ?= $(shell nproc)
C_FILES  = $(shell find include src tests bench -name '*.[ch]' -not -path 'tests/gates/fixtures/*')

.PHONY: help build run test bench install format clean

help:
	@echo 'make run      build, then start the daemon on loopback with a sample that collects from this machine'
	@echo 'make test     run every test; the last line is "N passed, N failed"'
	@echo 'make build    compile; leaves $(BUILD)/holdfast'
	@echo 'make bench    measure, each value beside the limit measured in the same run'
	@echo 'make install  install into PREFIX (now $(PREFIX)), below DESTDIR if that is set'
	@echo 'make format   put every C file into the form that the tests ask for'
	@echo 'make clean    remove what was built'
	@echo
	@echo 'run, test, build, bench and install need Debian packages (packaging/packages-debian.txt); as root they'
	@echo 'install what is missing, otherwise they name it.'

build:
	@packaging/need-packages build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	@ninja -j $(JOBS) -C $(BUILD) program

run: build
	@exec packaging/run-sample $(BUILD)/holdfast

test:
	@packaging/need-packages build test
	@test tests/ui/node_modules -nt tests/ui/package-lock.json || \
	    (npm ci --silent --no-audit --no-fund --prefix tests/ui && touch tests/ui/node_modules)
	@tests/run

bench: build
	@bench/run $(BUILD)

install: build
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@ninja -j $(JOBS) -C $(BUILD) program
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild

format:
	@packaging/need-packages build test
	@clang-format -i $(C_FILES)

clean:
	rm -rf build build-asan build-tsan build-fuzz
