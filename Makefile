# SPDX-License-Identifier: GPL-2.0-only
#
# Dune's build, its tests and its demonstration; `make help` lists what there is.
#
# Each part has a Makefile of its own, which is given absolute paths and builds into $(BUILD):
#
#   make -C kern     BUILD=  KDIR=    ->  $(BUILD)/kern/dune.ko
#   make -C kern/tools BUILD=         ->  $(BUILD)/tools/dune-stat
#   make -C tests/inject BUILD= KDIR= -> $(BUILD)/tests/inject/dune_inject.ko
#   make -C libdune  BUILD=           ->  $(BUILD)/libdune/libdune.so*, libdune.a
#   make -C sandbox  BUILD=           ->  $(BUILD)/sandbox/dune-sandbox
#   make -C samples  BUILD=           ->  $(BUILD)/samples/*
#   make -C tests    BUILD=           ->  $(BUILD)/tests/{unit,guest,sandbox,attack,bench,fuzz}/*
#
# CFLAGS, CC and AR arrive through the environment; a part adds its own flags to them. libdune is
# ready before sandbox, samples and tests start. Everything that runs Dune goes through
# tests/machine/run, which boots a stock kernel in an emulated machine with VT-x.

BUILD  := $(CURDIR)/build
CACHE  := $(or $(DUNE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dune)

# Neither make nor kbuild can tell a blank in a path from the end of it.
$(foreach path,BUILD CACHE,$(if $(filter-out 1,$(words $($(path)))),\
	$(error $(path) is "$($(path))": a path without blanks is needed, for CACHE by DUNE_CACHE=)))

# The machine that Dune runs in: bochs (emulated VT-x), kvm (nested), native (this computer).
MACHINE ?= bochs
KERNEL  ?= 6.1
# Empty: `make check` uses one CPU and then two, everything else uses one.
CPUS    ?=
TEST    ?=
MUTANT  ?=
CMD     ?= /bin/ls -l /
ARGS    ?=

CC      ?= gcc
AR      ?= ar
CFLAGS  ?= -std=gnu11 -O2 -g -Wall -Wextra

# The headers of the machine's kernel; on the native machine, those of the running kernel.
KDIR    ?= $(if $(filter native,$(MACHINE)),/lib/modules/$(shell uname -r)/build,$(CACHE)/kernel/$(KERNEL)/build)

# More of the machine's kernel command line.
KERNEL_ARGS ?=

export BUILD CACHE MACHINE KERNEL KERNEL_ARGS CPUS TEST CMD CC AR CFLAGS
export DUNE_CACHE := $(CACHE)

# Build in parallel unless told otherwise.
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-print-directory
# V=1 shows the commands of the build.
silent := $(if $(V),,-s)

parts := $(patsubst %/Makefile,%,$(wildcard $(addsuffix /Makefile,kern kern/tools libdune sandbox samples tests)))
user  := $(filter-out kern kern/tools libdune,$(parts))
# What is used, without what tests it.
wares := $(filter-out tests,$(parts))

.PHONY: all help demo check check-kernels check-variants check-debug check-mutants check-power lint bench stress fuzz fuzz-host run shell clean distclean format install-deps kernel $(parts)
.DEFAULT_GOAL := all

all: $(parts)

$(filter-out kern,$(parts)): | install-deps
	@$(MAKE) $(silent) -C $@ BUILD=$(BUILD)

# The module, and the one that tests it. For a kernel of a later Debian they are built with that
# Debian's compiler.
build_in := $(if $(filter native,$(MACHINE)),,tests/machine/build-in $(KERNEL))
kern: | install-deps kernel
	@$(build_in) $(MAKE) $(silent) -C kern BUILD=$(BUILD) KDIR=$(KDIR)
	@$(build_in) $(MAKE) $(silent) -C tests/inject BUILD=$(BUILD) KDIR=$(KDIR)

$(if $(filter libdune,$(parts)),$(user): libdune)

install-deps:
	@tests/machine/install

kernel: | install-deps
ifneq ($(MACHINE),native)
	@tests/machine/kernel $(KERNEL)
endif

demo: $(wares) kernel
	@tests/machine/demo

check: all kernel
	@tests/machine/check $(TEST)

# The legs of each are listed in tests/machine/legs.
check-kernels check-variants check-debug: all kernel
	@tests/machine/check --plan $(@:check-%=%) $(TEST)

check-power: all kernel
	@tests/machine/power

lint: | install-deps
	@tests/machine/lint

check-mutants: all kernel
	@tests/mutants/check '$(MUTANT)'

bench: all kernel
	@tests/machine/run --mem 2048 --output $(BUILD)/bench.json -- sh -c '$$DUNE_ROOT/tests/bench/bench $(ARGS)'
	@echo "The same as JSON: $(BUILD:$(CURDIR)/%=%)/bench.json"

# Longer, or another seed, than check does; SEED and STEPS are those that a failure names.
fuzz: all kernel
	@tests/machine/run --time-limit $(or $(TIME_LIMIT),36000) -- sh -c \
		'$$DUNE_ROOT/tests/fuzz/random_calls_do_no_harm --seed $(or $(SEED),$$(date +%s)) \
		--steps $(or $(STEPS),100000) --threads $(or $(THREADS),1) $(ARGS)'

# The two tests that are for minutes, which check has for seconds.
stress: all kernel
	@tests/machine/run --cpus 2 --time-limit $(or $(TIME_LIMIT),36000) -- sh -c \
		'cd $$DUNE_ROOT && DUNE_TEST_SECONDS=$(or $(SECONDS),180) ./runner --time-limit 36000 \
		tests/guest/guest_reads_what_the_host_reads tests/guest/kvm_runs_beside_under_load'

# What needs no Dune, under clang's libFuzzer.
fuzz-host:
	@FUZZ_HOST=1 tests/machine/install
	@$(MAKE) -C tests/fuzz-host BUILD=$(BUILD) $(if $(SECONDS),SECONDS=$(SECONDS)) fuzz

run: $(wares) kernel
	@tests/machine/run -- dune-sandbox $(CMD)

shell: $(wares) kernel
	@tests/machine/run -- sh -c "$$CMD"

format:
	@tests/machine/install lint
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf '$(BUILD)'

distclean: clean
	rm -rf '$(CACHE)'

help:
	@echo 'make              build everything into build/ (installs what is missing first)'
	@echo 'make demo         show what Dune does, in the machine'
	@echo 'make check        run all tests: on this computer and in the machine with 1 and 2 CPUs'
	@echo 'make check-kernels   all tests in the machine, on each supported kernel'
	@echo 'make check-variants  a part of them with mitigations, KPTI, KASLR, generic kernels, newer CPUs'
	@echo 'make check-debug     all of them on a kernel with KASAN, lockdep, kmemleak: built first, half an hour'
	@echo 'make lint         gcc W=1 for each kernel, sparse, checkpatch, clang-format'
	@echo 'make check-power     kexec and panic while processes are inside'
	@echo 'make check-mutants   take out one check after the other: a test must notice each time (half an hour)'
	@echo 'make bench        measure; the peers run in the same boot'
	@echo 'make stress       mappings that change, and KVM beside, SECONDS=180 each'
	@echo 'make fuzz         random calls: SEED= STEPS= THREADS= CPUS= (a failure names the seed)'
	@echo 'make fuzz-host    libFuzzer on the parts that need no Dune, SECONDS=60 each'
	@echo "make run CMD=...  run a program in Dune's sandbox, in the machine"
	@echo "make shell CMD=.. run a shell command in the machine, without the sandbox"
	@echo 'make format       apply .clang-format'
	@echo 'make clean        remove build/;  distclean: also the cache of kernels and root file systems'
	@echo 'make install-deps install the Debian packages that the build and the machine need'
	@echo
	@echo 'MACHINE=bochs     bochs (emulated, the default), kvm (nested), native (this computer, sudo)'
	@echo 'KERNEL=6.1        Linux in the machine: 6.1, 6.12, 7.2, 7.3, 6.1-generic and so on, 6.1-debug'
	@echo 'KERNEL_ARGS=...   more of its command line'
	@echo 'CPUS=1|2          CPUs of the machine; unset, check uses both'
	@echo 'TEST=name         check: only the test program of this name'
	@echo 'MUTANT=name       check-mutants: only this one, or those of a pattern'
	@echo 'V=1               show the commands of the build'
	@echo 'DUNE_CACHE=dir    where kernels are kept ($(CACHE))'
