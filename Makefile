# `make test` checks everything; `make sandbox` shows the whole journey, running.
# Both build in the same profile, so what one has built the other need not.

SHELL := bash
.PHONY: test sandbox bench clean

test:
	@scripts/timed "setup" scripts/setup
	@scripts/timed "tools that make documents" scripts/setup-sandbox documents
	@scripts/timed "Python for the tests" scripts/setup-python
	@scripts/timed "tidy" cargo xtask tidy
	@scripts/timed "format" cargo fmt --all --check
	@scripts/timed "lint" cargo clippy --locked --workspace --all-targets -- -D warnings
	@scripts/timed "licences and advisories" scripts/licences
	@scripts/timed "tests" cargo xtask test

# FILES=folder walks the journey on your own documents; without it three are made.
sandbox:
	@scripts/timed "setup" scripts/setup-sandbox $(if $(FILES),,documents)
	@$(if $(FILES),,scripts/timed "documents" scripts/make-documents target/documents)
	@scripts/timed "build" cargo build --locked --workspace --bins
	@scripts/sandbox-walk --programs $(or $(CARGO_TARGET_DIR),target)/debug \
		--files "$(or $(FILES),target/documents)"

# NAME=bench, submit unless said otherwise; ARGUMENTS="…" go to it.
bench:
	cargo xtask bench $(or $(NAME),submit) $(ARGUMENTS)

clean:
	cargo clean
