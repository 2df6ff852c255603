# SPDX-License-Identifier: GPL-2.0
# make            ./probe
# make install    PREFIX, DESTDIR; make uninstall takes away just that
# make deb        build/probe_VERSION_ARCH.deb
# make bench      measures what the probe costs, as root; installs what that needs
# make test       everything in tests/, as root, some 40 minutes on 2 cores; installs what that needs
# make test-kernels   a part of it: the probe under other kernels, with objects of other compilers
# make fuzz       looks for inputs that break it; FUZZ_SECONDS=600 for each target
# make V=1        shows the commands

CC ?= gcc
CLANG ?= clang
BPFTOOL ?= bpftool
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local

export PATH := $(PATH):/usr/sbin:/sbin # where bpftool is, and a user does not look

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1)

CFLAGS ?= -O2 -g
# What root runs beside a hostile wire. Only what this compiler knows for this machine.
supported = $(shell $(CC) -Werror $(1) -x c -c -o /dev/null /dev/null 2>/dev/null && echo $(1))
HARDENING := -fPIE -fstack-protector-strong $(call supported,-fstack-clash-protection) $(call supported,-fcf-protection) \
	$(call supported,-mbranch-protection=standard)
FORTIFY = $(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDENED_LINK := -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
# The same bytes wherever it is built: no path of the build machine.
SAME_PATHS := -ffile-prefix-map=$(CURDIR)=.
WARNINGS := -Wall -Wextra -Werror
CPPFLAGS += -D_GNU_SOURCE -Ibpf -Iuser -Ibuild
STANDARD := -std=gnu11
LIBS := -lbpf -lelf -lz -lpcap -lmnl -lnetfilter_conntrack -lseccomp -lcap-ng -lm

BPF_CFLAGS := -target bpf -mcpu=v3 -g -O2 $(WARNINGS) -Wno-unused-parameter -Ivmlinux -Ibpf $(SAME_PATHS)

SOURCES := $(wildcard user/*.c user/*/*.c)
HEADERS := $(wildcard bpf/*.h user/*.h user/*/*.h)
OBJECTS := $(SOURCES:user/%.c=build/%.o)

ifndef V
Q := @
say = @printf '  %-7s %s\n' $(1) $(2);
endif

probe: $(OBJECTS)
	$(call say,LINK,$@)$(CC) $(CFLAGS) $(HARDENING) $(HARDENED_LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

build/%.o: user/%.c | build
	$(Q)mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) $(HARDENING) $(FORTIFY) $(SAME_PATHS) -MMD -MP -c -o $@ $<

# Those that include the BPF object's skeleton.
LOADER := $(addprefix user/source/,bpf_load.c drain.c event_loop.c flow_table.c live.c watch_ifaces.c)

build/session.o build/source/bpf_load.o build/options.o build/report/json.o build/report/pcapng.o: CPPFLAGS += -DPROBE_VERSION='"$(VERSION)"'
$(LOADER:user/%.c=build/%.o): build/probe.skel.h
build/report/html.o: build/page_source.h

build/probe.bpf.o: bpf/probe.bpf.c $(wildcard bpf/*.h) vmlinux/vmlinux.h | build
	$(call say,BPF,$@)$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

build/probe.skel.h: build/probe.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name probe_bpf > $@.tmp && mv $@.tmp $@

# The page of --html; its scripts in the order in which they build on each other.
PAGE := user/report/page/page.html user/report/page/page.css $(addprefix user/report/page/,facts.js draw.js wait.js hosts.js spread.js page.js)

build/page_source.h: scripts/page-source $(PAGE) | build
	$(call say,PAGE,$@)scripts/page-source $(PAGE) > $@.tmp && mv $@.tmp $@

build:
	$(Q)mkdir -p $@

# The same without the filter of system calls, for valgrind, whose own ones it would refuse.
build/unfiltered/seccomp_filter.o: user/seccomp_filter.c user/seccomp_filter.h
	$(Q)mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -DNO_SECCOMP -c -o $@ $<

build/unfiltered/probe: build/unfiltered/seccomp_filter.o $(filter-out build/seccomp_filter.o,$(OBJECTS))
	$(call say,LINK,$@)$(CC) $(CFLAGS) $(HARDENED_LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

# ---- tests ----

MODEL := $(wildcard user/model/*.c)
DIAGNOSIS := $(wildcard user/diagnose/*.c user/lib/*.c) user/session.c
TAPE := tests/tape.c tests/scenarios.c tests/tape.h
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -g -O1

build/test-track: tests/unit/track.c tests/exact.h $(TAPE) user/source/offline.c user/connection.c $(HEADERS) | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(SANITIZE) -o $@ $(filter %.c,$^) -lm

build/test-hash: tests/unit/hash.c $(wildcard bpf/*.h) | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -o $@ $<

build/test-model: tests/unit/model.c $(MODEL) $(DIAGNOSIS) user/connection.c $(HEADERS) | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(SANITIZE) -o $@ $(filter %.c,$^) -lm

build/test-screen: tests/unit/screen.c user/report/terminal.c user/report/glyphs.c user/report/ratelimit.c user/lib/format.c user/connection.c $(HEADERS) | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(SANITIZE) -o $@ $(filter %.c,$^)

build/test-vantage: tests/unit/vantage.c user/model/join.c $(HEADERS) | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(SANITIZE) -o $@ $(filter %.c,$^)

build/test-evidence: tests/unit/evidence.c build/report/evidence.o build/source/linktype.o build/connection.o
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -o $@ $^

build/test-sandbox: tests/unit/sandbox.c build/seccomp_filter.o
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -o $@ $^ -lseccomp

# Includes the source: what is bounded is not for anybody else to see.
build/test-conntrack: tests/unit/conntrack.c user/host/conntrack.c user/host/netlink.c user/connection.c $(HEADERS) tests/expect.h | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(SANITIZE) -o $@ tests/unit/conntrack.c user/host/netlink.c user/connection.c -lmnl -lnetfilter_conntrack

build/test-race: tests/bpf/race.c $(TAPE) build/source/flow_table.o build/source/offline.o build/connection.o build/probe.skel.h
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(CFLAGS) -pthread -o $@ $(filter %.c %.o,$^) $(LIBS)

build/test-diagnose: tests/unit/diagnose.c $(MODEL) $(DIAGNOSIS) user/connection.c $(HEADERS) | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(SANITIZE) -o $@ $(filter %.c,$^) -lm

build/test-prog-run: tests/bpf/prog_run.c tests/bpf/both.c tests/bpf/both.h $(TAPE) build/source/flow_table.o build/source/offline.o build/connection.o build/probe.skel.h
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(CFLAGS) -o $@ $(filter %.c %.o,$^) $(LIBS)

build/test-mutants: tests/bpf/mutants.c tests/bpf/both.c tests/bpf/both.h tests/exact.h tests/invariants.h $(TAPE) user/source/flow_table.c user/source/offline.c user/connection.c build/probe.skel.h
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(SANITIZE) -o $@ $(filter %.c,$^) $(LIBS)

build/test-gateway: tests/lab/gateway.c user/host/route.c user/host/netlink.c user/connection.c user/lib/address.c user/lib/format.c $(HEADERS) | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(SANITIZE) -o $@ $(filter %.c,$^) -lmnl

tests: build/test-gateway build/unfiltered/probe

# The whole tool with sanitizers, see tests/memory.
build/sanitized/%.o: user/%.c build/probe.skel.h build/page_source.h
	$(Q)mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -DPROBE_VERSION='"$(VERSION)"' $(SANITIZE) -MMD -MP -c -o $@ $<

build/sanitized/probe: $(OBJECTS:build/%=build/sanitized/%)
	$(call say,LINK,$@)$(CC) $(SANITIZE) -o $@ $^ $(LIBS)

# Somebody else's program on a hook.
tests: build/foreign
build/foreign: tests/lab/foreign.c | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -o $@ $< -lbpf

# Coverage-guided fuzzing, for as long as FUZZ_SECONDS says, of each target: make fuzz. What it finds
# is kept in build/fuzz/; what was a defect belongs into tests/fuzz/regressions/.
FUZZ_SECONDS ?= 600
FUZZ := -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -g -O1
FUZZ_SOURCES := user/source/offline.c user/connection.c $(MODEL) $(DIAGNOSIS)

build/fuzz-packets: tests/fuzz/packets.c tests/fuzz/input.h tests/exact.h tests/invariants.h $(FUZZ_SOURCES) $(HEADERS) | build
	$(call say,FUZZ,$@)$(CLANG) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(FUZZ) -o $@ $(filter %.c,$^) -lm

# What only an interface needs, and the libraries for it.
LIVE := $(addprefix user/,main.c pipeline.c options.c privileges.c seccomp_filter.c source/attach.c source/clsact.c source/hook_watchdog.c \
	host/netdev.c host/netns.c host/ipsec.c host/route.c host/facts.c host/conntrack.c host/netlink.c) $(LOADER)

build/fuzz-files: tests/fuzz/files.c $(filter-out $(LIVE),$(SOURCES)) $(HEADERS) build/page_source.h | build
	$(call say,FUZZ,$@)$(CLANG) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(FUZZ) -o $@ $(filter %.c,$^) -lpcap -lz -lm

build/fuzz-seeds: tests/fuzz/seeds.c tests/fuzz/input.h $(TAPE) user/connection.c | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(CFLAGS) -o $@ $(filter %.c,$^) -lz

build/fuzz/seeds: build/fuzz-seeds
	$(Q)mkdir -p build/fuzz && $< $@ && touch $@

# A target's own words to stderr are not wanted: close_fd_mask.
fuzz: build/fuzz-packets build/fuzz-files build/fuzz/seeds
	$(Q)mkdir -p build/fuzz/packets build/fuzz/files
	cd build/fuzz && ../fuzz-packets -max_total_time=$(FUZZ_SECONDS) -max_len=8192 packets seeds/packets
	cd build/fuzz && ../fuzz-files -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -close_fd_mask=2 files seeds/files

TRIAL := tests/trial/population.c tests/trial/host.c tests/trial/wire.c
TRIAL_HEADERS := $(wildcard tests/trial/*.h) $(HEADERS)

build/test-population: tests/trial/check.c $(TRIAL) user/connection.c user/lib/format.c $(TRIAL_HEADERS) | build
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests $(SANITIZE) -o $@ $(filter %.c,$^) -lm

# The diagnosis on synthetic populations: make trial for the long run, tests/run has a short one.
DIAGNOSIS_OBJECTS := $(patsubst user/%.c,build/%.o,user/connection.c $(MODEL) $(DIAGNOSIS))

build/trial: tests/trial/trial.c $(TRIAL) $(DIAGNOSIS_OBJECTS) $(TRIAL_HEADERS)
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -o $@ $(filter %.c %.o,$^) -lm

TRIAL_HIGH ?= 3000
trial: build/trial
	build/trial --until-high $(TRIAL_HIGH)
	build/trial --impostors --populations 200

# Memory over a run of days: build/endless feeds 50 million records, tests/run fewer of them.
build/endless: tests/trial/endless.c tests/trial/wire.c $(DIAGNOSIS_OBJECTS) $(TRIAL_HEADERS)
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -o $@ $(filter %.c %.o,$^) -lm

# The tool and its BPF tests with the object of another compiler, clang-16 say: build/clang-16/probe. The
# rest of the program is the same. See tests/kernels/run.
build/clang-%/probe.bpf.o: bpf/probe.bpf.c $(wildcard bpf/*.h) vmlinux/vmlinux.h
	$(Q)mkdir -p $(@D)
	$(call say,BPF,$@)clang-$* $(BPF_CFLAGS) -c -o $@ $<

build/clang-%/probe.skel.h: build/clang-%/probe.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name probe_bpf > $@.tmp && mv $@.tmp $@

build/clang-%/probe: build/clang-%/probe.skel.h $(OBJECTS)
	$(call say,LINK,$@)$(CC) $(STANDARD) $(WARNINGS) -I$(@D) $(CPPFLAGS) -DPROBE_VERSION='"$(VERSION)"' $(CFLAGS) $(LDFLAGS) -o $@ $(LOADER) $(filter-out $(LOADER:user/%.c=build/%.o) %.h,$^) $(LIBS)

build/clang-%/test-prog-run: tests/bpf/prog_run.c tests/bpf/both.c user/source/flow_table.c build/clang-%/probe.skel.h $(TAPE) build/source/offline.o build/connection.o
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) -I$(@D) $(CPPFLAGS) -Itests $(CFLAGS) -o $@ $(filter %.c %.o,$^) $(LIBS)

build/clang-%/verify: tests/kernels/verify.c user/source/flow_table.c build/clang-%/probe.skel.h $(wildcard bpf/*.h)
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) -I$(@D) $(CPPFLAGS) $(CFLAGS) -o $@ $(filter %.c,$^) $(LIBS)

.SECONDARY: # what only patterns name is kept as well

tests: build/test-track build/test-hash build/test-model build/test-diagnose build/test-vantage build/test-evidence build/test-conntrack build/test-sandbox build/test-screen build/test-prog-run build/test-mutants build/test-race build/fuzz-packets build/fuzz-files build/fuzz/seeds build/test-population build/trial build/endless

# ---- the benchmark: what the probe costs, see scripts/bench ----

build/drive.bpf.o: tests/bench/drive.bpf.c tests/bench/drive.h $(wildcard bpf/*.h) vmlinux/vmlinux.h | build
	$(call say,BPF,$@)$(CLANG) $(BPF_CFLAGS) -Itests/bench -c -o $@ $<

build/drive.skel.h: build/drive.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name drive_bpf > $@.tmp && mv $@.tmp $@

build/bench-%: tests/bench/%.c tests/tape.c tests/tape.h tests/bench/drive.h build/drive.skel.h build/probe.skel.h
	$(call say,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests -Itests/bench $(CFLAGS) -o $@ $(filter %.c %.o,$^) $(LIBS)

build/bench-hold: $(filter-out build/main.o,$(OBJECTS)) # it attaches as the probe does

build/bench-cost: build/source/flow_table.o

bench-tools: build/bench-cost build/bench-hold build/bench-rate build/bench-traffic

bench:
	scripts/bench

# The other compiler's opinion of the same sources.
check-clang: build/page_source.h build/probe.skel.h build/drive.skel.h
	$(call say,CHECK,clang)$(CLANG) $(STANDARD) $(WARNINGS) $(CPPFLAGS) -Itests -Itests/bench -fsyntax-only $(SOURCES) tests/*.c $(filter-out %.bpf.c,$(wildcard tests/*/*.c))

check-format:
	$(call say,CHECK,format)clang-format --dry-run -Werror bpf/*.[ch] user/*.[ch] user/*/*.[ch] tests/*.[ch] tests/*/*.[ch] scripts/*.c

# What loops and options macros expand to, cppcheck must see.
CPPCHECK_MACROS := $(wildcard /usr/include/*/sys/queue.h) /usr/include/uthash.h /usr/include/bpf/libbpf_common.h

# Paths explored by two compilers. What leaks is for the sanitizers and valgrind to say: gcc's 12 takes
# what is kept in a structure of the caller's for lost.
OPAQUE := -include tests/opaque_hash.h
CHECKED := $(SOURCES:user/%.c=build/checked/%)

build/checked/%.gcc: user/%.c tests/opaque_hash.h $(HEADERS) build/probe.skel.h build/page_source.h
	$(Q)mkdir -p $(@D)
	$(call say,CHECK,$@)gcc $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(OPAQUE) -DPROBE_VERSION='""' -O2 -fanalyzer -Wno-analyzer-malloc-leak -c -o $@ $<

build/checked/%.tidy: user/%.c .clang-tidy tests/opaque_hash.h $(HEADERS) build/probe.skel.h build/page_source.h
	$(Q)mkdir -p $(@D)
	$(call say,CHECK,$@)clang-tidy --quiet $< -- $(STANDARD) $(CPPFLAGS) $(OPAQUE) -DPROBE_VERSION='""' 2> $@.tmp || { cat $@.tmp >&2; exit 1; } && mv $@.tmp $@

check-static: $(CHECKED:=.gcc) $(CHECKED:=.tidy)
	$(call say,CHECK,static)cppcheck --quiet --enable=warning,performance,portability --std=c11 --inline-suppr --error-exitcode=1 \
		-D_GNU_SOURCE -DPROBE_VERSION='"$(VERSION)"' -Ibpf -Iuser $(addprefix --include=,$(CPPCHECK_MACROS)) $(SOURCES)

check-scripts:
	$(call say,CHECK,scripts)shellcheck $$(grep -lE -d skip '^#!/bin/(ba)?sh' scripts/* scripts/debian/* tests/run tests/package tests/kernels/* .ci/run) user/data/probe.bash

test:
	tests/run

test-kernels:
	tests/kernels/run

# Where things go. A unit that is installed elsewhere than below / is not seen by systemd.
SBINDIR := $(PREFIX)/sbin
MANDIR := $(PREFIX)/share/man/man8
DOCDIR := $(PREFIX)/share/doc/probe
COMPLETIONDIR := $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
TMPFILESDIR := $(PREFIX)/lib/tmpfiles.d
INSTALLED := $(SBINDIR)/probe $(MANDIR)/probe.8 $(COMPLETIONDIR)/probe $(DOCDIR)/report.schema.json \
	$(UNITDIR)/probe@.service $(TMPFILESDIR)/probe.conf

install: probe
	install -D -m 0755 probe $(DESTDIR)$(SBINDIR)/probe
	install -D -m 0644 user/man/probe.8 $(DESTDIR)$(MANDIR)/probe.8
	install -D -m 0644 user/data/probe.bash $(DESTDIR)$(COMPLETIONDIR)/probe
	install -D -m 0644 user/data/report.schema.json $(DESTDIR)$(DOCDIR)/report.schema.json
	install -D -m 0644 user/data/probe.tmpfiles $(DESTDIR)$(TMPFILESDIR)/probe.conf
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|@SBINDIR@|$(SBINDIR)|' user/data/probe@.service > $(DESTDIR)$(UNITDIR)/probe@.service
	chmod 0644 $(DESTDIR)$(UNITDIR)/probe@.service

uninstall:
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	-rmdir $(DESTDIR)$(DOCDIR) 2>/dev/null

deb:
	scripts/deb $(VERSION)

clean:
	rm -rf build probe

.PHONY: bench bench-tools deb install uninstall clean fuzz test test-kernels tests trial check-clang check-format check-scripts check-static
.DELETE_ON_ERROR:
-include $(OBJECTS:.o=.d) $(OBJECTS:build/%.o=build/sanitized/%.d)
