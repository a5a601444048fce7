# make            every program, in build/bin
# make run        the whole line on private servers, with 100,000 events
# make test       unit tests and end-to-end tests, under ASan and UBSan
# make help       all targets
PREFIX  ?= /usr/local
CC      ?= gcc
PYTHON  ?= /usr/bin/python3
JOBS    ?= 4

# SAN=1 builds the same programs with sanitizers, in a folder of their own.
B       := build$(if $(SAN),/san)$(if $(FLAVOUR),/$(FLAVOUR))
COMMA   := ,
SAN_FLAGS := $(if $(SAN),-fsanitize=address$(COMMA)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
LIBS    := hiredis libcurl libpq jansson libuv libmicrohttpd libsodium
WARN    := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
           -Wvla -Wformat=2 -Werror
CFLAGS  ?= -O2 -g
HARDEN  := $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong -fPIE
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(CFLAGS) $(HARDEN) $(WARN) $(SAN_FLAGS) -I. -I$(B)/gen \
           $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(LIBS))) -MMD -MP
LINK     = $(CC) $(CFLAGS) $(SAN_FLAGS) -pie $(if $(SAN),,-Wl$(COMMA)-z$(COMMA)relro$(COMMA)-z$(COMMA)now)
LDLIBS   = $(shell pkg-config --libs $(LIBS)) -lm

# folder:program
STAGES  := emitter:meterline-emitter aggregator:meterline-aggregator sink:meterline-sink \
           webhookd:meterline-webhookd ctl:meterctl
folder   = $(firstword $(subst :, ,$(1)))
program  = $(lastword $(subst :, ,$(1)))
objects  = $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(1)/*.c))
PROGRAMS := $(foreach s,$(STAGES),$(if $(wildcard $(call folder,$(s))/main.c),$(B)/bin/$(call program,$(s))))
FOLDERS := common $(foreach s,$(STAGES),$(call folder,$(s)))
UNITS   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
GENERATED := $(foreach f,$(FOLDERS),$(if $(wildcard $(f)/sql/*.sql),$(B)/gen/$(f)/sql.h)) \
           $(B)/gen/ctl/migrations.h

.PHONY: all help deps run test unit e2e check bench fuzz fmt lint install clean valgrind
all: $(PROGRAMS)

help:
	@sed -n 's/^# make/make/p' Makefile

# make deps       install the Debian packages that are missing
deps:
	@deploy/install_packages

$(B)/gen/%/sql.h: common/embed_sql
	@mkdir -p $(@D)
	@common/embed_sql $(sort $(wildcard $*/sql/*.sql)) >$@
$(B)/gen/ctl/migrations.h: $(wildcard deploy/migrations/*.sql) ctl/embed_migrations
	@mkdir -p $(@D)
	@ctl/embed_migrations $(sort $(wildcard deploy/migrations/*.sql)) >$@
$(foreach f,$(FOLDERS),$(eval $(B)/gen/$(f)/sql.h: $(wildcard $(f)/sql/*.sql)))

$(B)/obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -c $< -o $@

$(B)/libcommon.a: $(call objects,common)
	@rm -f $@
	@ar rcs $@ $^

define stage_rule
$(B)/bin/$(call program,$(1)): $(call objects,$(call folder,$(1))) $(B)/libcommon.a
	@mkdir -p $$(@D)
	@$$(LINK) $$^ $$(LDLIBS) -o $$@
# A stage without its main, for unit tests.
$(B)/lib$(call folder,$(1)).a: $(filter-out %/main.o,$(call objects,$(call folder,$(1))))
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach s,$(STAGES),$(eval $(call stage_rule,$(s))))

# One binary a test file; the linker takes what it needs of each archive.
STAGE_LIBS := $(foreach s,$(STAGES),$(if $(wildcard $(call folder,$(s))/*.c),$(B)/lib$(call folder,$(s)).a))
$(B)/unit/%: tests/unit/%.c $(STAGE_LIBS) $(B)/libcommon.a
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) $< $(STAGE_LIBS) $(B)/libcommon.a $(LDLIBS) -lcmocka -pie -o $@

units: $(UNITS)

$(B)/fuzz/%: tests/fuzz/%.c $(STAGE_LIBS) $(B)/libcommon.a
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $< $(STAGE_LIBS) $(B)/libcommon.a $(LDLIBS) -pie -o $@

# make run        the whole line on private servers, with 100,000 events
run: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@$(PYTHON) tests/demo/run.py

# make test       unit tests and end-to-end tests, under ASan and UBSan
test: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) SAN=1 all units
	@tests/run_all $(B)/san

# make bench      speed of the aggregator as a ratio to a bare XREAD loop
bench: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@$(PYTHON) tests/bench/run.py

# make fuzz       each fuzz target with clang, for FUZZ_S seconds (60)
fuzz: deps
	@tests/fuzz/run $(or $(FUZZ_S),60)

# make check      format, lint, test
check: lint test

# make fmt        format the C sources
fmt:
	clang-format -i $(wildcard $(addsuffix /*.[ch],$(FOLDERS)) tests/unit/*.c)
# make lint       formatting, clang-tidy, cppcheck, gcc and clang without a warning
lint:
	@tests/lint

# make install    programs into $(PREFIX)/bin
install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin

clean:
	rm -rf build

-include $(shell find $(B)/obj $(B)/unit -name '*.d' 2>/dev/null)
