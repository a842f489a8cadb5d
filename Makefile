# What a person can do here. ARGS is passed on to the program, REPO to the demo: make demo ARGS=--once REPO=~/code/app
.DEFAULT_GOAL := help
.PHONY: help demo dev up stack-up stack-down test test-stack test-gitlab drills drills-stack bench lint build
export SEED REPO GITLAB_URL GITLAB_TOKEN GITLAB_CA GITLAB_PROXY GROUP PROJECT READ_ONLY PUBLIC_URL ENGINE_PORT

# Installs and builds what is not up to date; needs Node 20.19 and git.
prepare = @node infra/demo/prepare.mjs

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: ## See it work: a simulated GitLab, an engine, a first sync, a real push (ARGS=--once ends after the show; REPO=path shows that repository)
	$(prepare) build
	@exec node dist/infra/demo/main.js $(ARGS)

dev: ## A simulated GitLab and an engine that is built and started again when a source changes
	$(prepare) build
	@exec node dist/infra/demo/dev.js $(ARGS)

up: ## The engine alone, with everything it needs (ARGS="ingress fetcher" runs the named services)
	$(prepare) build
	@exec node dist/services/main.js up $(ARGS)

stack-up: ## The distributed form, without Docker: Postgres, EventStoreDB's double (or EVENTSTORE_URL), Kafka, Redis and S3, and every service as a process of its own (ARGS="--port 28080")
	$(prepare) build
	@exec node dist/infra/stack/main.js up $(ARGS)

stack-down: ## Ends it
	@exec node dist/infra/stack/main.js down

test: ## All tests (ARGS=services/cli runs those whose path matches)
	$(prepare) build
	@TEKAI_TESTS_FROM=dist npm test --silent -- $(ARGS)

test-stack: ## The tests on real Kafka, Redis, S3 and more, started here without Docker (ARGS=shared/bus runs those whose path matches)
	$(prepare) build
	@npm run --silent test:stack -- $(ARGS)

test-gitlab: ## Our suites against a real GitLab (GITLAB_URL= GITLAB_TOKEN= GROUP=, or READ_ONLY=1 PROJECT=), and how it differs from the simulator
	$(prepare) install
	@exec node --conditions=source --import ./tests/harness/ts-loader.mjs tests/gitlab/run.ts

drills: ## Break things under a running engine, in full, and see that every invariant holds (ARGS=engine-killed runs the named ones, SEED=7 repeats a run, ARGS=--short is quick)
	$(prepare) install
	@exec node --conditions=source --import ./tests/harness/ts-loader.mjs tests/drills/main.ts $(ARGS)

drills-stack: ## The same under the distributed form, every service a process of its own (ARGS=services-killed, SEED=7, ARGS=--short)
	$(prepare) build
	@exec node --conditions=source --import ./tests/harness/ts-loader.mjs tests/stack/drills/main.ts $(ARGS)

bench: ## Our figures beside their references, from one run (ARGS="log sync read" runs the named ones; stack and relay want servers, and are run when named)
	$(prepare) build
	@exec node dist/bench/main.js $(ARGS)

lint: ## Types, lint and the architecture's tests
	$(prepare) install
	@npm run --silent lint

build: ## Compile to dist/
	$(prepare) build
