# make            every program, in build/bin
# make run        the whole line on private servers, with 100,000 events
# make test       unit tests and end-to-end tests, under ASan and UBSan; T=test_dedupe T=test_shards.py::test_x just one
# make help       all targets
PREFIX  ?= /usr/local
PYTHON  ?= /usr/bin/python3
JOBS    ?= $(shell nproc)
CFLAGS  ?= -O2 -g
WERROR  ?= # -Werror in tests/lint and .ci/run: a newer compiler may warn of what builds well
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))

# SAN=1 builds the same with sanitizers, FLAVOUR=name with other flags: each in a folder of its own.
B       := build$(if $(SAN),/san)$(if $(FLAVOUR),/$(FLAVOUR))
COMMA   := ,
WARN    := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
           -Wvla -Wformat=2 $(WERROR)
SANITIZE := -fsanitize=address$(COMMA)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FORTIFY := $(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDEN  := -fstack-protector-strong -fPIE $(if $(SAN),$(SANITIZE),$(FORTIFY))
LIBS    := hiredis libcurl libpq jansson libuv libmicrohttpd libsodium
# Asked once, and only when something is compiled: `make deps` must work without pkg-config.
once     = $(eval $(1) := $(2))$($(1))
TLS      = $(call once,TLS,$(shell pkg-config --exists hiredis_ssl openssl && echo hiredis_ssl openssl))
PKG_CFLAGS = $(call once,PKG_CFLAGS,$(shell pkg-config --cflags $(LIBS) $(TLS)))
PKG_LIBS = $(call once,PKG_LIBS,$(shell pkg-config --libs $(LIBS) $(TLS)))
COMPILE  = $(CC) -std=gnu11 -D_GNU_SOURCE -I. -I$(B)/gen $(PKG_CFLAGS:-I%=-isystem %) \
           $(if $(TLS),-DHAVE_HIREDIS_SSL) $(WARN) $(HARDEN) $(CFLAGS) $(CPPFLAGS)
LINK     = $(CC) $(CFLAGS) $(if $(SAN),$(SANITIZE),-Wl$(COMMA)-z$(COMMA)relro$(COMMA)-z$(COMMA)now) -pie $(LDFLAGS)
link     = @mkdir -p $(@D) && echo "  $@" && $(LINK) $^ $(PKG_LIBS) -lm -o $@

# folder:program
STAGES  := emitter:meterline-emitter aggregator:meterline-aggregator sink:meterline-sink \
           webhookd:meterline-webhookd notifier:meterline-notifier api:meterline-api ctl:meterctl
folder   = $(firstword $(subst :, ,$(1)))
program  = $(B)/bin/$(lastword $(subst :, ,$(1)))
objects  = $(patsubst %.c,$(B)/obj/%.o,$(shell find $(1) -name '*.c' | sort))
FOLDERS := $(foreach s,$(STAGES),$(call folder,$(s))) common
PROGRAMS := $(foreach s,$(STAGES),$(if $(wildcard $(call folder,$(s))/main.c),$(call program,$(s))))
ARCHIVES := $(FOLDERS:%=$(B)/lib%.a)
UNITS   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
statements = $(shell find $(1) -name '*.sql' -o -name '*.lua' | sort)
WITH_SQL := $(foreach f,$(FOLDERS),$(if $(call statements,$(f)),$(f)))
BENCH_SHARED := $(addprefix $(B)/obj/tests/bench/,events.o wire.o probes.o received.o)
GENERATED := $(addprefix $(B)/gen/,$(WITH_SQL:%=%/sql.h) ctl/migrations.h ctl/functions.h revision.h read_members.h)
# REVISION=: the commit, where the sources are no clone
REVISION ?= $(shell git describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)

.PHONY: all help deps run test units benches check bench soak valgrind fuzz fmt lint docs install clean FORCE
.DELETE_ON_ERROR .SECONDARY:
all: $(PROGRAMS)
units: $(UNITS)
benches: $(addprefix $(B)/bench/,fill floor lag stripe ceiling post emit bare)
help: ; @sed -n 's/^# make/make/p' Makefile
# make deps       install the Debian packages that are missing
deps: ; @deploy/install_packages
# With other flags or another compiler everything is compiled again.
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(COMPILE) $(LINK)' | cmp -s - $@ || echo '$(COMPILE) $(LINK)' >$@
# A folder is newer than what is made of it when a file in it was added, renamed or deleted.
wings    = $(shell find $(1) -type d)
$(foreach f,$(WITH_SQL),$(eval $(B)/gen/$(f)/sql.h: $(call wings,$(f)) $(call statements,$(f))))
$(B)/gen/%/sql.h: common/embed_sql
	@mkdir -p $(@D) && common/embed_sql $(call statements,$*) >$@
$(foreach n,migrations functions,$(eval $(B)/gen/ctl/$(n).h: deploy/$(n) $(wildcard deploy/$(n)/*.sql)))
$(B)/gen/ctl/migrations.h $(B)/gen/ctl/functions.h: $(B)/gen/ctl/%.h: ctl/migrate/embed_%
	@mkdir -p $(@D) && ctl/migrate/embed_$* $(sort $(wildcard deploy/$*/*.sql)) >$@
EVENT_READERS := $(wildcard common/stripe/objects/*.c webhookd/receive/*.c webhookd/work/*.c)
$(B)/gen/read_members.h: common/stripe/objects/embed_members $(EVENT_READERS)
	@mkdir -p $(@D) && $< $(EVENT_READERS) >$@
# Written when it is another one, and of all files just one includes it.
$(B)/gen/revision.h: FORCE
	@mkdir -p $(@D); echo '#define METERLINE_REVISION "$(REVISION)"' >$@.now; cmp -s $@.now $@ || cp $@.now $@
$(B)/obj/%.o: %.c $(B)/flags | $(GENERATED)
	@mkdir -p $(@D) && $(COMPILE) -MMD -MP -c $< -o $@
# A folder's archive holds all but main.o, so that unit tests can link it.
$(foreach f,$(FOLDERS),$(eval $(B)/lib$(f).a: $(call wings,$(f)) $(filter-out %/main.o,$(call objects,$(f)))))
$(B)/lib%.a:
	@rm -f $@ && ar rcs $@ $(filter %.o,$^)
$(foreach s,$(STAGES),$(eval $(call program,$(s)): \
    $(B)/obj/$(call folder,$(s))/main.o $(B)/lib$(call folder,$(s)).a $(B)/libcommon.a))
$(B)/bin/%: ; $(link)
# What a test plays itself, FAKE(type, name, …): see tests/unit/fake.h.
fakes    = $(shell awk -F'[^A-Za-z_0-9]+' '/^FAKE/ {print "-Wl,--wrap=" $$3}' tests/unit/$*.c)
$(B)/unit/%: $(B)/obj/tests/unit/%.o $(ARCHIVES) ; $(link) -lcmocka $(fakes)
$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(ARCHIVES) ; $(link) -fsanitize=fuzzer
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(BENCH_SHARED) $(B)/libemitter.a $(B)/libcommon.a ; $(link)

# All of the library's objects in one, so that its static form shows no other names than its shared form does.
$(B)/lib/meterline.o: $(addprefix $(B)/obj/emitter/library/,library.o library_quota.o) $(B)/libemitter.a $(B)/libcommon.a
	@mkdir -p $(@D) && ld -r $^ -o $@ && objcopy --wildcard --keep-global-symbol='meterline_*' $@
$(B)/lib/libmeterline.a: $(B)/lib/meterline.o ; @rm -f $@ && ar rcs $@ $<
$(B)/lib/libmeterline.so.0: $(B)/lib/meterline.o emitter/library/meterline.map
	@echo "  $@" && $(CC) $(CFLAGS) -shared -Wl,-soname,$(@F),-z,relro,-z,now,-z,defs,--as-needed \
	    -Wl,--version-script=emitter/library/meterline.map $< $(PKG_LIBS) $(LDFLAGS) -o $@

build    = $(MAKE) --no-print-directory -s $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))
run: deps
	@$(build) SAN= FLAVOUR= all
	@$(PYTHON) tests/demo/run.py
test: deps
	@$(build) SAN=1 FLAVOUR= all $(if $(T),$(if $(wildcard tests/unit/$(T).c),build/san/unit/$(T),benches),units benches)
	@tests/run_all build/san $(if $(T),'$(T)')
# make check      lint and test
check: lint test
# make bench      speed, size and lag of the aggregator, speed of sink and webhookd; EVENTS= TENANTS= PARTS= …: tests/bench/settings.py
bench: deps
	@deploy/install_packages gnuplot-nox || echo "no plots without gnuplot"
	@deploy/install_packages wrk
	@$(build) SAN= FLAVOUR= all benches
	@tests/bench/run.py
# make soak       MINUTES=30 of faults and of entries at random, new ones each time; PART= SEED=: tests/soak
soak: deps
	@$(build) SAN= FLAVOUR= all
	@tests/soak $(or $(MINUTES),30)
# make valgrind   unit tests and a short run of each program under valgrind
valgrind: deps
	@$(build) SAN= FLAVOUR= all units
	@tests/run_valgrind build
# make fuzz       libFuzzer, FUZZ_S=60 seconds for each target
fuzz: deps
	@tests/fuzz/run $(or $(FUZZ_S),60)
# make lint       format, clang-tidy, cppcheck; gcc and clang without a warning
lint: ; @tests/lint
# make fmt        format the C sources, and SQL keywords in capitals
fmt:
	@tests/sql_keywords --fix $(shell find deploy $(FOLDERS) -name '*.sql')
	clang-format -i $(shell find $(FOLDERS) tests/unit tests/fuzz tests/bench -name '*.[ch]')
# make freeze-migrations   note their checksums: from then on a change is a new migration
.PHONY: freeze-migrations
freeze-migrations:
	deploy/freeze_migrations
# make docs       docs/metrics.md, docs/logs.md, docs/api.md and deploy/env.example, from the tables in the code
docs:
	@$(build) SAN= FLAVOUR= all build/unit/test_metric_table build/unit/test_log_events build/unit/test_api_reference
	@mkdir -p docs && build/unit/test_metric_table --print >docs/metrics.md
	@build/unit/test_log_events --print >docs/logs.md
	@build/unit/test_api_reference --print >docs/api.md
	@deploy/make_env_example build/bin >deploy/env.example
# Manual pages and completion come from the programs themselves, of the tables of --help. The date of a page is
# that of the commit, so that the same sources make the same page.
COMMITTED = $(call once,COMMITTED,$(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null)))
MANUALS := $(addprefix $(B)/man/,meterctl.1 meterline-emitter.1 meterline-emitter.8 meterline-aggregator.8 meterline-sink.8 meterline-webhookd.8 meterline-notifier.8 meterline-api.8)
COMPLETION := $(B)/completion/meterctl
.PHONY: manuals
manuals: $(MANUALS) $(COMPLETION)
$(foreach n,1 8,$(eval $(B)/man/%.$(n): $(B)/bin/% ; @mkdir -p $$(@D) && SOURCE_DATE_EPOCH=$$(COMMITTED) $$< --print-manual >$$@))
$(B)/man/meterline-emitter.8: $(B)/bin/meterline-emitter ; @mkdir -p $(@D) && SOURCE_DATE_EPOCH=$(COMMITTED) $< --daemon --print-manual >$@
$(COMPLETION): $(B)/bin/meterctl ; @mkdir -p $(@D) && $< --print-completion >$@
# make install    programs, manual pages, completion, units and a catalog to start from, below $(PREFIX)
# make uninstall  delete them again
UNITDIR ?= $(PREFIX)/lib/systemd/system
# where:what
INSTALLED = $(PROGRAMS:%=$(PREFIX)/bin/:%) $(foreach m,$(MANUALS),$(PREFIX)/share/man/man$(subst .,,$(suffix $m))/:$m) \
    $(PREFIX)/share/bash-completion/completions/:$(COMPLETION) $(PREFIX)/share/meterline/:deploy/catalog.json \
    $(foreach c,$(wildcard deploy/catalogs/*.json),$(PREFIX)/share/meterline/catalogs/:$c) \
    $(foreach u,$(wildcard deploy/systemd/*.service deploy/systemd/*.timer deploy/systemd/*.target deploy/systemd/*.d/*),$(dir $(u:deploy/systemd/%=$(UNITDIR)/%)):$u)
what    = $(lastword $(subst :, ,$1))
where   = $(DESTDIR)$(firstword $(subst :, ,$1))$(notdir $(call what,$1))
.PHONY: uninstall
install: all manuals
	@$(foreach f,$(INSTALLED),install -D -m $(if $(filter $(B)/bin/%,$(call what,$f)),755,644) $(call what,$f) $(call where,$f) &&) :
	@sed -i 's,^ExecStart=/usr/bin/,ExecStart=$(PREFIX)/bin/,' $(DESTDIR)$(UNITDIR)/meterline-*.service
uninstall:
	rm -f $(foreach f,$(INSTALLED),$(call where,$f))
	rmdir --ignore-fail-on-non-empty $(DESTDIR)$(PREFIX)/share/meterline/catalogs $(DESTDIR)$(PREFIX)/share/meterline $(patsubst deploy/systemd/%,$(DESTDIR)$(UNITDIR)/%,$(wildcard deploy/systemd/*.d))
# make library    libmeterline, static and shared, in build/pic/lib
# make install-library   the same below $(PREFIX), with meterline.h, its page of the manual and pkg-config's file
.PHONY: library install-library
VERSION = $(shell sed -n 's/.*METERLINE_VERSION "\(.*\)"/\1/p' common/contract.h)
library: ; @$(build) SAN= FLAVOUR=pic CFLAGS='$(CFLAGS) -fPIC -fvisibility=hidden' build/pic/lib/libmeterline.a build/pic/lib/libmeterline.so.0
install-library: library
	@install -d $(addprefix $(DESTDIR)$(PREFIX)/,lib/pkgconfig include share/man/man3)
	@install -m 644 build/pic/lib/libmeterline.a build/pic/lib/libmeterline.so.0 $(DESTDIR)$(PREFIX)/lib/
	@ln -sf libmeterline.so.0 $(DESTDIR)$(PREFIX)/lib/libmeterline.so
	@install -m 644 emitter/library/meterline.h $(DESTDIR)$(PREFIX)/include/
	@install -m 644 emitter/library/meterline.3 $(DESTDIR)$(PREFIX)/share/man/man3/
	@sed 's,@PREFIX@,$(PREFIX),; s,@VERSION@,$(VERSION),; s,@LIBS@,$(PKG_LIBS),' emitter/library/meterline.pc.in \
	    >$(DESTDIR)$(PREFIX)/lib/pkgconfig/meterline.pc
# make deb        a Debian package for the release that this machine runs, in build/deb
# make test-deb   build, install, upgrade and purge it in fresh Debian 12 and 13 systems, under systemd; SUITES=
.PHONY: deb test-deb
deb: ; @deploy/build_deb
test-deb: deps
	@tests/packages/run.py
# make images     meterline/aggregator, … and meterline/all, by docker or podman; BASE=debian:trixie-slim TAG=
.PHONY: images
images: ; @deploy/build_images
# make up         the whole line in containers; without a key of Stripe's with a stand-in for it: deploy/containers
# make down       stop it; WIPE=1 deletes the data too
# make logs       follow all of them, or STAGE=sink
.PHONY: up down logs test-containers
up: images
up down logs: ; @deploy/containers $@
# make test-containers   the same under podman, with containers killed at random; PART=manifests, pods: Kubernetes
test-containers: ; @tests/containers/run.py
# make clean      delete build/
clean: ; rm -rf build
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
