# SPDX-License-Identifier: Apache-2.0
# The front door. Everything behind it is meson and ninja (build/) and the programs of tools/.
.DEFAULT_GOAL := help
.PHONY: up down build programs check proof fuzz lint mutants bench format clean help

up: programs ## start a three-node cluster, show it survive its leader, leave it running
	@python3 tools/cluster.py up

down: ## stop that cluster; its data stays in run/
	@python3 tools/cluster.py down

build: ## compile everything; programs land at build/lashd and build/lashctl
	@tools/setup.sh build
	@tools/configure.sh build
	@ninja -C build

programs:
	@tools/setup.sh build
	@tools/configure.sh build
	@ninja -C build programs

check: ## build, test and check everything; the last line counts
	@tools/setup.sh check
	@python3 tools/check.py

proof: ## everything at once on real processes, the long run: 200 changes of members, 50 hand-overs, 50 snapshots sent, 100 kills
	@tools/setup.sh check
	@tools/configure.sh build
	@ninja -C build lashd lashctl lash-linear test/process/lash-chaos
	@LASH_PROOF=200,50,50,100 LASH_BUILD=$(CURDIR)/build python3 test/process/test_proof.py

fuzz: ## run each fuzz target for FUZZ_SECONDS (30)
	@tools/setup.sh fuzz
	@python3 tools/fuzz.py

lint: ## format, clang-tidy and house-keeping only
	@tools/setup.sh check
	@python3 tools/check.py lint

mutants: ## plant one bug after the other, see that the tests find each, and write the table into docs/mutants.md (an hour or so)
	@tools/setup.sh check
	@python3 tools/mutants.py --jobs 2 --asserts both --table docs/mutants.md

bench: ## measure Lash beside its peers and write bench/results.md (an hour); BENCH=--quick: does it all work? (two minutes)
	@tools/setup.sh bench
	@tools/configure.sh build
	@python3 bench/run.py $(BENCH)

format: ## rewrite the C sources in the house's format
	@tools/setup.sh check
	@python3 tools/format.py --write

clean: ## delete what was built (not run/)
	@rm -rf build

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile | expand -t 14
