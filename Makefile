# The commands of the project. Each installs what it needs on Debian 12 before it runs.

SHELL := /bin/bash
export PATH := $(CURDIR)/.cache/tools/cargo-nextest/bin:$(CURDIR)/.cache/tools/cargo-deb/bin:$(CURDIR)/.cache/tools/cargo-deny/bin:$(CURDIR)/.cache/tools/cargo-auditable/bin:$(PATH)

COMPILE := gcc libc6-dev
PEERS   := mosquitto mosquitto-clients socat python3-venv
EXTRA   := pkg-config libmodbus-dev openssl lintian dpkg-dev systemd-container mmdebstrap

.PHONY: help demo test bench deb

help:
	@echo 'make demo [SECONDS=30]   a simulated plant, a broker and the daemon; without SECONDS until Ctrl-C'
	@echo 'make test                every check of the project, with the time of each stage'
	@echo 'make bench [SECONDS=60]  gatewayd against a bare program, measured from outside'
	@echo 'make deb [ARCH=arm64]    the Debian package for this machine or another, in target/debian'

demo:
	@tests/setup packages $(COMPILE) $(PEERS)
	@tests/setup venv
	@cargo build --release --locked --quiet -p gatewayd
	@.venv/bin/python tests/demo/demo.py --binary target/release/gatewayd $(if $(SECONDS),--seconds $(SECONDS))

test:
	@tests/setup packages $(COMPILE) $(PEERS) $(EXTRA)
	@tests/setup venv
	@tests/setup tool cargo-nextest
	@tests/setup tool cargo-deb
	@tests/setup tool cargo-deny
	@tests/setup tool cargo-auditable
	@tests/run

bench:
	@tests/setup packages $(COMPILE) $(PEERS) libmosquitto-dev
	@cargo build --release --locked --quiet -p gatewayd
	@cargo build --release --locked --quiet -p tests --example floor --example backlog
	@mkdir -p target/bench
	@gcc -O2 -o target/bench/plant tests/bench/plant.c
	@gcc -O2 -o target/bench/sink tests/bench/sink.c -lmosquitto
	@python3 tests/bench/bench.py --gatewayd target/release/gatewayd \
	    --floor target/release/examples/floor --plant target/bench/plant --sink target/bench/sink \
	    --results bench-results $(if $(SECONDS),--seconds $(SECONDS))
	@python3 tests/bench/backlog.py --gatewayd target/release/gatewayd \
	    --backlog target/release/examples/backlog --plant target/bench/plant --sink target/bench/sink \
	    --results bench-results

deb:
	@tests/setup packages $(COMPILE) binutils dpkg-dev python3
	@tests/setup tool cargo-deb
	@tests/setup tool cargo-auditable
	@packaging/build $(ARCH)
