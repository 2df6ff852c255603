# SPDX-License-Identifier: GPL-2.0
# make              ./probe
# make install      PREFIX, DESTDIR; make uninstall removes the same files
# make deb          build/probe_VERSION_ARCH.deb
# make check        tests that need no root
# make test         the core tests, as root (tests/run); installs what they need
# make test-kernels the tests under other kernels, with objects of other compilers
# make bench        measures the cost, as root; installs what that needs
# make fuzz         searches for inputs that break it; FUZZ_SECONDS=600 for each target
# make V=1          shows the commands

CC ?= gcc
CLANG ?= clang
BPFTOOL ?= bpftool
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local

export PATH := $(PATH):/usr/sbin:/sbin # the path of bpftool, which a user's PATH lacks

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || \
	sed -n 's/^probe .\([0-9.]*\).*/\1/p;q' scripts/debian/changelog)

CFLAGS ?= -O2 -g
# Hardening, since root runs the program on hostile traffic: the flags that this compiler supports
# here.
supported = $(shell $(CC) -Werror $(1) -x c -c -o /dev/null /dev/null 2>/dev/null && echo $(1))
HARDENING := -fPIE -fstack-protector-strong $(call supported,-fstack-clash-protection) $(call supported,-fcf-protection) \
	$(call supported,-mbranch-protection=standard)
# A record is copied some times, in 600 bytes: memcpy() is faster than the "rep movs" of gcc on x86.
COPIES := $(call supported,-mstringop-strategy=libcall)
FORTIFY = $(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDENED_LINK := -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
# Reproducible builds: no path of the build machine in the output.
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
show = @printf '  %-7s %s\n' $(1) $(2);
endif

probe: $(OBJECTS)
	$(call show,LINK,$@)$(CC) $(CFLAGS) $(HARDENING) $(HARDENED_LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

build/%.o: user/%.c | build
	$(Q)mkdir -p $(@D)
	$(call show,CC,$@)$(CC) $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) $(HARDENING) $(COPIES) $(FORTIFY) $(SAME_PATHS) -MMD -MP -c -o $@ $<

# Sources that include the BPF object's skeleton.
LOADER := $(addprefix user/source/,bpf_load.c drain.c event_loop.c flow_table.c live.c watch_ifaces.c)

build/session.o build/source/bpf_load.o build/options_parse.o build/report/json.o build/report/pcapng.o build/doctor/doctor.o: CPPFLAGS += -DPROBE_VERSION='"$(VERSION)"'
$(LOADER:user/%.c=build/%.o): build/probe.skel.h
build/report/html.o: build/page_source.h

build/probe.bpf.o: bpf/probe.bpf.c $(wildcard bpf/*.h) vmlinux/vmlinux.h | build
	$(call show,BPF,$@)$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

build/probe.skel.h: build/probe.bpf.o
	$(call show,SKEL,$@)$(BPFTOOL) gen skeleton $< name probe_bpf > $@.tmp && mv $@.tmp $@

# The page of --html; its scripts are in the order of their dependencies.
PAGE := user/report/page/page.html user/report/page/page.css $(addprefix user/report/page/,facts.js draw.js wait.js hosts.js shares.js spread.js ledger.js page.js)

build/page_source.h: scripts/page-source $(PAGE) | build
	$(call show,PAGE,$@)scripts/page-source $(PAGE) > $@.tmp && mv $@.tmp $@

build:
	$(Q)mkdir -p $@

include $(wildcard tests/Makefile) # test programs and checks of the sources; not in the Debian source package

bench:
	scripts/bench

# Installation paths. systemd reads only units below /.
SBINDIR := $(PREFIX)/sbin
MANDIR := $(PREFIX)/share/man
DOCDIR := $(PREFIX)/share/doc/probe
COMPLETIONDIR := $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
TMPFILESDIR := $(PREFIX)/lib/tmpfiles.d
INSTALLED := $(SBINDIR)/probe $(MANDIR)/man8/probe.8 $(MANDIR)/man5/probe-json.5 $(COMPLETIONDIR)/probe $(DOCDIR)/report.schema.json \
	$(UNITDIR)/probe@.service $(TMPFILESDIR)/probe.conf

install: probe
	install -D -m 0755 probe $(DESTDIR)$(SBINDIR)/probe
	install -D -m 0644 user/man/probe.8 $(DESTDIR)$(MANDIR)/man8/probe.8
	install -D -m 0644 user/man/probe-json.5 $(DESTDIR)$(MANDIR)/man5/probe-json.5
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

.PHONY: bench deb install uninstall clean
.DELETE_ON_ERROR:
-include $(OBJECTS:.o=.d)
