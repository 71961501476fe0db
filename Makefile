# RayOS: the front door. `make help` lists what there is.
#
# Everything runs in the build root (tools/in-root), so that Debian 12 and 13 hosts behave
# the same; the host needs apt, mmdebstrap (installed when you are root) and a shell.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

IN := tools/in-root

# Arguments (make NAME=VALUE); docs/reference/make.md explains them.
NODES ?= 3
BOOT ?= pxe-uefi
STORY ?= none
DOWN ?= 0
ACCEL ?= auto
LAB ?= default
ARGS ?=
MINUTES ?=
SOAK ?= all
BENCH ?= all
SEEDS ?= 2000
RUNS ?= 100
export ACCEL

.PHONY: help build image lab lab-down ctl test soak sim mutants chaos bench check shell clean root

help: ## this list
	@echo 'RayOS. The two commands to begin with: make lab, make test.'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
	@echo
	@echo '  arguments: docs/reference/make.md'

root:
	@tools/buildroot ensure

build: root ## programs, release build, in build/bin
	@$(IN) tools/build release programs
	@ln -sfn release/bin build/bin

image: build ## the node image in build/image, and the one for tests in build/image-test
	@$(IN) provisioning/image/build --bin build/release/bin
	@$(IN) provisioning/image/build --bin build/release/bin --test

lab: image ## NODES=3 machines boot over the network (BOOT=pxe-uefi|pxe-bios|http-uefi|disk|direct DOWN=1 ACCEL=tcg|kvm LAB=name)
	@case '$(STORY)' in none) ;; *) echo "make lab: STORY=$(STORY) is not there: the story comes with the cluster, guests and compositor; use STORY=none" >&2; exit 1;; esac
	@$(IN) build/bin/clusterctl lab up --name '$(LAB)' --nodes '$(NODES)' --boot '$(BOOT)' --accel '$(ACCEL)'
	@$(IN) build/bin/clusterctl lab enter --name '$(LAB)' -- build/bin/clusterctl cluster status
	@[ '$(DOWN)' = 0 ] || $(IN) build/bin/clusterctl lab down --name '$(LAB)' >/dev/null

lab-down: root ## stops the lab (LAB=name)
	@[ -x build/bin/clusterctl ] || { echo 'lab-down: no lab was ever started here'; exit 0; }; \
	$(IN) build/bin/clusterctl lab down --name '$(LAB)'

ctl: root ## clusterctl against the running lab: make ctl ARGS='lab status -o json'
	@[ -x build/bin/clusterctl ] || { echo "make ctl: clusterctl is not built; next: make build" >&2; exit 1; }
	@$(IN) build/bin/clusterctl lab enter --name '$(LAB)' -- build/bin/clusterctl $(ARGS)

test: root ## everything that must hold, about 20 minutes on two cores
	@$(IN) tools/test

check: root ## layers, schema, format and clang-tidy over all files
	@$(IN) tools/check --all

soak: root ## long runs: SOAK=boots|fuzz|join|standby|quorum|...|all MINUTES=n
	@SOAK='$(SOAK)' MINUTES='$(MINUTES)' $(IN) tools/soak

bench: $(if $(filter operate registry,$(BENCH)),build,image) ## measures the promises beside a peer: BENCH=boot|operate|registry|all
	@tools/buildroot ensure $(if $(filter operate registry,$(BENCH)),,peers) $(if $(filter boot,$(BENCH)),,peers-registry)
	@$(IN) tests/bench/run '$(BENCH)'

sim: root ## SEEDS=2000 runs of a simulated cluster under faults, judged by checkers
	@$(IN) tools/sim '$(SEEDS)'

mutants: root ## every known bad variant of the coordinator must be convicted; prints the table
	@$(IN) tools/mutants

chaos: root ## RUNS=100 faults and recoveries in standing groups of real members; histories are judged
	@$(IN) tools/chaos '$(RUNS)'

shell: root ## a shell in the build root
	@$(IN) bash

clean: ## removes build/ (stops running labs first); the cached build root stays
	@[ ! -x build/bin/clusterctl ] || $(IN) build/bin/clusterctl lab down --all
	@rm -rf build
	@echo 'clean: build/ removed'
