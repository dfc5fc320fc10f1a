GOLANGCI    = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOTESTSUM   = go run gotest.tools/gotestsum@v1.13.0

FLAGS     =
FUZZTIME  = 30s
BENCHTIME = 1s
BASELINE  =
DELAY     = 0s
DIR       = /tmp/states
MINUTES   = 10
SEED      = 0

.PHONY: help run build test check format bench fuzz failover vendored pictures states compose clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

run: ## build and run, with nothing but Go
	@echo 'Building. The first time this takes about a minute.'
	@go build -o application . && exec ./application

build: ## build the static binary ./application
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o application .

test: ## run all tests against real servers and list the slowest; FLAGS='-run X -v' is passed to go test
	@events=$$(mktemp) && trap 'rm -f "$$events"' EXIT && status=0; \
	.ci/with-services $(GOTESTSUM) --format standard-$(if $(filter -v,$(FLAGS)),verbose,quiet) \
		--jsonfile "$$events" -- \
		-race -shuffle=on -vet=off -p 3 $(FLAGS) ./... || status=$$?; \
	echo 'The ten slowest tests:'; $(GOTESTSUM) tool slowest --num 10 --jsonfile "$$events"; exit $$status

check: ## check format, names, comments and faults of the Go code, go.mod, the scripts and the pages
	$(GOLANGCI) run ./...
	go mod tidy -diff
	@type shellcheck >/dev/null 2>&1 || .ci/install shellcheck
	find .ci -maxdepth 1 -type f -exec shellcheck {} +
	.ci/columns
	.ci/pages
	.ci/deploy

format: ## format the Go code
	$(GOLANGCI) fmt ./...

bench: ## measure the parts, then the whole service; BENCHTIME=1s FLAGS= BASELINE=commit DELAY=0s of the webhook
	.ci/with-services go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) $(FLAGS) ./internal/...
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	if [ -n "$(BASELINE)" ]; then \
		mkdir "$$dir/src" && git archive "$(BASELINE)" | tar -x -C "$$dir/src" && \
		(cd "$$dir/src" && go build -o ../baseline .) || exit; \
		.ci/with-services go run ./internal/bench -delay $(DELAY) -baseline "$$dir/baseline"; \
	else \
		.ci/with-services go run ./internal/bench -delay $(DELAY); \
	fi

fuzz: ## fuzz each parser of foreign input for FUZZTIME=30s
	go test -run '^$$' -fuzz '^FuzzParse$$' -fuzztime $(FUZZTIME) ./internal/phone
	go test -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime $(FUZZTIME) ./internal/httpapi
	go test -run '^$$' -fuzz '^FuzzLocale$$' -fuzztime $(FUZZTIME) ./internal/text
	go test -run '^$$' -fuzz '^FuzzParent$$' -fuzztime $(FUZZTIME) ./internal/trace

failover: ## let real stores fail over at random for MINUTES=10, and print one table; SEED=0 draws a seed
	.ci/with-services go test -count=1 -v -timeout 0 -run '^TestRounds$$' ./internal/e2e/failover \
		-minutes $(MINUTES) -seed $(SEED)

vendored: ## fetch the files of other projects that the _vendored files of the pages list
	.ci/vendored

pictures: ## take the pictures of the documents
	.ci/with-services go test -count=1 -run '^TestPictures$$' ./internal/e2e/pages -pictures

states: ## take pictures of every state of the login page in all browsers, into the folder DIR=/tmp/states
	@mkdir -p "$(DIR)"
	TEST_PICTURES="$(abspath $(DIR))" .ci/with-services go test -count=1 -run '^TestStates$$' ./internal/e2e/pages

compose: ## try the image and docker-compose.yml on a Docker engine: build, log in, down, up, log in again
	@.ci/compose

clean: ## remove what was built; data/ stays
	rm -f application
