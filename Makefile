# The verbs of this repository. Each installs what it needs and can be said again at any time.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
PROGRAMS := -p berthd -p terraform-provider-berth
# cargo as the scripts use it: found through sudo too, and with a target folder that is known.
CARGO := . scripts/lib.sh && find_cargo && cargo

.PHONY: help
help: ## say this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## build everything, then a database through Terraform, and prove it
	@scripts/demo up

.PHONY: demo-down
demo-down: ## destroy what the demo built and leave nothing
	@scripts/demo down

.PHONY: test
test: ## run every test, with the real client and real containers
	@scripts/test

.PHONY: bench
bench: release ## print ratios against baselines measured in the same run
	@scripts/bench

.PHONY: lint
lint: ## formatting, clippy, licences and sources, shell
	@scripts/lint

.PHONY: docs
docs: ## build the documentation of the crates
	@scripts/prerequisites build
	$(CARGO) doc --locked --workspace --no-deps

.PHONY: release
release: ## build both programs with optimisation into target/release
	@scripts/prerequisites build
	$(CARGO) build --release --locked $(PROGRAMS)

.PHONY: install
install: release ## install both programs and the image recipes under PREFIX (/usr/local)
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin target/release/berthd target/release/terraform-provider-berth
	mkdir -p $(DESTDIR)$(PREFIX)/share/berth
	cp -a --no-preserve=ownership backend/images $(DESTDIR)$(PREFIX)/share/berth/

.PHONY: engine
engine: ## start a Docker engine when none answers
	@scripts/docker-engine up

.PHONY: images
images: engine ## build the images of all engines
	@scripts/prerequisites images
	@backend/images/build all

.PHONY: verify-images
verify-images: images ## prove that the images can do what berth asks of them
	@backend/images/verify
