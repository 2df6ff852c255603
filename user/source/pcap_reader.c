// SPDX-License-Identifier: GPL-2.0
#include "source/pcap_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pcap/dlt.h>
#include <pcap/pcap.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/format.h"
#include "source/linktype.h"

#define BUFFER_BYTES (256 << 10)
#define MAX_FILE_SNAPLEN 262144 /* bytes; libpcap's maximum */

struct source {
	const char *name;
	int file; /* kept open: after the start, the system call filter forbids opening files */
	pcap_t *pcap; /* NULL while closed */
	gzFile zipped; /* stream below pcap, which closes it; NULL if the file is not compressed */
	uint64_t size; /* file size; 0 if it is not a regular file */
	uint64_t done; /* bytes read before it was closed */
	int link;
	bool again; /* the file can be rewound */
	bool ended;
	const struct bpf_program *filter; /* NULL selects all packets */
	struct bpf_program own_filter;
	struct pcap_pkthdr *header; /* header of the next packet */
	const u_char *bytes;
	uint64_t time;
};

struct filter {
	int link;
	struct bpf_program program;
	char error[PCAP_ERRBUF_SIZE]; /* "" if the program is valid */
};

struct pcap_reader {
	struct source *sources;
	size_t count;
	const char *words; /* text of the filter, or NULL */
	/* the filter's first word is the name of a file: the user may have meant a capture */
	bool begins_with_file;
	/* by link type; NULL if filters are compiled once a file's link type is known */
	struct filter *filters;
	struct source *current; /* the source of the packet last returned */
	uint64_t until; /* time of the earliest next packet of all other sources */
	const char *link;
	char cut[4 * PCAP_ERRBUF_SIZE];
	size_t cut_length;
	unsigned int cuts;
};

static void print_error(const struct source *s, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "probe: cannot read %s: ", format_name(s->name));
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

/* ---- one file ---- */

static ssize_t zipped_read(void *cookie, char *buffer, size_t size)
{
	int n = gzread(cookie, buffer, size > INT_MAX ? INT_MAX : size);

	if (n < 0)
		errno = EIO;
	return n;
}

static int zipped_close(void *cookie)
{
	return gzclose_r(cookie) == Z_OK ? 0 : EOF;
}

/*
 * Returns a command that converts a compressed format which is not supported; NULL for other
 * formats.
 */
static const char *other_format(const uint8_t *magic, ssize_t n)
{
	static const struct {
		uint8_t magic[4];
		const char *advice;
	} others[] = {
		{ { 0x28, 0xb5, 0x2f, 0xfd },
		  "compressed by zstd: zstd -dc FILE | probe --read -" },
		{ { 0xfd, '7', 'z', 'X' }, "compressed by xz: xz -dc FILE | probe --read -" },
		{ { 'B', 'Z', 'h', '9' }, "compressed by bzip2: bzip2 -dc FILE | probe --read -" },
		{ { 0x04, 0x22, 0x4d, 0x18 }, "compressed by lz4: lz4 -dc FILE | probe --read -" },
	};
	size_t i;

	for (i = 0; n >= 4 && i < sizeof(others) / sizeof(others[0]); i++)
		if (!memcmp(magic, others[i].magic, 4))
			return others[i].advice;
	return NULL;
}

/*
 * Opens a stream for libpcap. A pipe cannot be checked for gzip's magic number first, so it is
 * always read through zlib, which passes on data that is not compressed.
 */
static FILE *open_stream(struct source *s)
{
	static const cookie_io_functions_t unzip = { .read = zipped_read, .close = zipped_close };
	const char *other = NULL;
	uint8_t magic[4];
	struct stat st;
	ssize_t n = 0;
	FILE *f = NULL;
	int fd;

	fd = fcntl(s->file, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || fstat(fd, &st)) {
		print_error(s, "%s", strerror(errno));
		goto fail;
	}
	if (S_ISDIR(st.st_mode)) {
		print_error(s, "it is a directory");
		goto fail;
	}
	s->zipped = NULL;
	s->size = S_ISREG(st.st_mode) ? st.st_size : 0;
	s->again = S_ISREG(st.st_mode) && strcmp(s->name, "-");
	if (s->again)
		lseek(fd, 0, SEEK_SET);
	if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) < st.st_size) {
		n = pread(fd, magic, sizeof(magic), lseek(fd, 0, SEEK_CUR));
		other = other_format(magic, n);
	} else if (S_ISREG(st.st_mode)) {
		print_error(s, "it is empty");
		goto fail;
	}
	if (other) {
		print_error(s, "%s", other);
		goto fail;
	}
	if (!S_ISREG(st.st_mode) || (n >= 2 && magic[0] == 0x1f && magic[1] == 0x8b)) {
		s->zipped = gzdopen(fd, "rb");
		if (s->zipped) {
			gzbuffer(s->zipped, BUFFER_BYTES);
			fd = -1;
			f = fopencookie(s->zipped, "rb", unzip);
			if (!f)
				gzclose_r(s->zipped);
		}
	} else {
		f = fdopen(fd, "rb");
	}
	if (!f) {
		print_error(s, "out of memory");
		goto fail;
	}
	setvbuf(f, NULL, _IOFBF, BUFFER_BYTES);
	return f;
fail:
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void print_bad_filter(const struct pcap_reader *r, const char *error)
{
	fprintf(stderr, "probe: filter \"%s\": %s\n", format_name(r->words), error);
	if (r->begins_with_file)
		fprintf(stderr, "probe: if %.*s is a capture, it needs its own --read\n",
			(int)strcspn(r->words, " "), r->words);
}

/*
 * Sets the filter of a file. A filter for DLT_NULL depends on the file's byte order, so it is
 * compiled for that file.
 */
static bool set_filter(const struct pcap_reader *r, struct source *s)
{
	const struct filter *f = r->filters;

	if (!r->words)
		return true;
	if (!f || (s->link == DLT_NULL && pcap_is_swapped(s->pcap))) {
		s->filter = &s->own_filter;
		if (!pcap_compile(s->pcap, &s->own_filter, r->words, 1, PCAP_NETMASK_UNKNOWN))
			return true;
		print_bad_filter(r, pcap_geterr(s->pcap));
		return false;
	}
	while (f->link != s->link)
		f++;
	s->filter = &f->program;
	if (f->error[0])
		print_bad_filter(r, f->error);
	return !f->error[0];
}

static void close_source(struct source *s)
{
	pcap_freecode(&s->own_filter);
	if (s->pcap)
		pcap_close(s->pcap);
	s->pcap = NULL;
	s->zipped = NULL;
}

static bool open_source(const struct pcap_reader *r, struct source *s)
{
	char error[PCAP_ERRBUF_SIZE];
	const char *name;
	FILE *f;

	f = open_stream(s);
	if (!f)
		return false;
	s->pcap = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, error);
	if (!s->pcap) {
		if (strstr(error, "unknown file format"))
			print_error(s, "it is not a capture, neither pcap nor pcapng");
		else if (strstr(error, "only got 0"))
			print_error(s, "it is empty");
		else
			print_error(s, "%s", error);
		fclose(f);
		return false;
	}
	s->link = pcap_datalink(s->pcap);
	name = pcap_datalink_val_to_name(s->link);
	if (!linktype_is_known(s->link)) {
		print_error(s, "packets of its link type, %d (%s), are not understood", s->link,
			    name ? name : "which has no name");
		close_source(s);
		return false;
	}
	if (!set_filter(r, s)) {
		close_source(s);
		return false;
	}
	return true;
}

static uint64_t position(const struct source *s)
{
	z_off_t zipped;
	off_t plain;

	if (!s->pcap)
		return s->done;
	if (s->zipped) {
		zipped = gzoffset(s->zipped);
		return zipped > 0 ? zipped : 0;
	}
	plain = ftello(pcap_file(s->pcap));
	return plain > 0 ? plain : 0;
}

/* Stores the first message, and counts the others. */
static void add_cut(struct pcap_reader *r, const struct source *s, const char *what,
		    const char *why)
{
	static const char others[] = " (and %u more file%s)";
	size_t room = sizeof(r->cut) - sizeof(others) - 10;

	if (!r->cuts++)
		r->cut_length =
			snprintf(r->cut, room, "%s %s: %s", format_name(s->name), what, why);
	else
		sprintf(r->cut + (r->cut_length < room ? r->cut_length : room - 1), others,
			r->cuts - 1, plural(r->cuts - 1));
}

static void note_cut(struct pcap_reader *r, const struct source *s)
{
	const char *why = pcap_geterr(s->pcap), *advice = "";
	char words[2 * PCAP_ERRBUF_SIZE];
	int error = Z_OK;

	if (s->zipped) {
		gzerror(s->zipped, &error);
		if (error == Z_BUF_ERROR)
			why = "the gzip file ends in the middle";
		else if (error != Z_OK)
			why = "the gzip file is damaged";
	}
	/* libpcap rejects a pcapng file with interfaces of several link types */
	if (strstr(why, "of the first interface"))
		advice =
			"; one interface alone: tshark -r FILE -Y 'frame.interface_id == 0' -F pcap "
			"-w ONE";
	snprintf(words, sizeof(words), "%s%s", why, advice);
	add_cut(r, s, "is damaged or cut off here", words);
}

/* Reads the source's next packet. */
static void advance(struct pcap_reader *r, struct source *s)
{
	int status = pcap_next_ex(s->pcap, &s->header, &s->bytes);

	if (status == 1) {
		/* seconds are unsigned in the file, but signed in libpcap's structure */
		s->time = s->header->ts.tv_sec * 1000000000ULL + (uint32_t)s->header->ts.tv_usec;
		return;
	}
	if (status == PCAP_ERROR)
		note_cut(r, s);
	s->ended = true;
	s->done = s->size;
	close_source(s);
}

/* ---- all files ---- */

/* Raises the limit of open files: all captures are open at the same time. */
static void raise_file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/*
 * Returns true if the filter may contain names of hosts, ports or protocols. A false positive only
 * costs time, so the list of keywords need not be complete.
 */
static bool has_names(const char *words)
{
	static const char *const known[] = { "and",   "or",  "not", "host", "net",  "port",
					     "src",   "dst", "tcp", "udp",  "icmp", "icmp6",
					     "ip",    "ip6", "arp", "vlan", "less", "greater",
					     "ether", "len", "mpls" };
	size_t length, i;

	for (; *words; words += length + !!words[length]) {
		length = strcspn(words, " \t\n()!&|[]=<>+*");
		if (strspn(words, "0123456789./-") >= length || memchr(words, ':', length))
			continue; /* a number or an address */
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strlen(known[i]) == length && !memcmp(known[i], words, length))
				break;
		if (i == sizeof(known) / sizeof(known[0]))
			return true;
	}
	return false;
}

/*
 * Compiles a filter that contains names. Resolving names takes files and DNS, which the system call
 * filter forbids later. So the filter is compiled beforehand for every link type that a capture may
 * have.
 */
static bool compile_filters(struct pcap_reader *r)
{
	pcap_t *p;
	size_t i;

	r->filters = calloc(LINKTYPES_KNOWN, sizeof(*r->filters));
	for (i = 0; r->filters && i < LINKTYPES_KNOWN; i++) {
		struct filter *f = &r->filters[i];

		f->link = linktypes_known[i];
		p = pcap_open_dead(f->link, MAX_FILE_SNAPLEN);
		if (!p)
			snprintf(f->error, sizeof(f->error), "out of memory");
		else if (pcap_compile(p, &f->program, r->words, 1, PCAP_NETMASK_UNKNOWN))
			snprintf(f->error, sizeof(f->error), "%s", pcap_geterr(p));
		if (p)
			pcap_close(p);
		/*
		 * an unknown name fails for every link type, and each lookup may take a long time
		 */
		if (!i && strstr(f->error, "unknown")) {
			print_bad_filter(r, f->error);
			return false;
		}
	}
	return r->filters;
}

struct pcap_reader *pcap_reader_open(const char *const *files, size_t count, const char *filter)
{
	struct pcap_reader *r = calloc(1, sizeof(*r));
	char first[PATH_MAX];
	size_t i;

	if (!r || !(r->sources = calloc(count, sizeof(*r->sources)))) {
		fprintf(stderr, "probe: out of memory\n");
		free(r);
		return NULL;
	}
	raise_file_limit();
	r->words = filter;
	if (filter) {
		snprintf(first, sizeof(first), "%.*s", (int)strcspn(filter, " "), filter);
		r->begins_with_file = !access(first, F_OK);
	}
	for (i = 0; i < count; i++) {
		struct source *s = &r->sources[r->count++];

		s->name = files[i];
		s->file = strcmp(s->name, "-") ? open(s->name, O_RDONLY | O_CLOEXEC)
					       : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
		if (s->file < 0) {
			print_error(s, "%s", strerror(errno));
			pcap_reader_close(r);
			return NULL;
		}
	}
	if (filter && has_names(filter) && !compile_filters(r)) {
		pcap_reader_close(r);
		return NULL;
	}
	return r;
}

bool pcap_reader_begin(struct pcap_reader *r)
{
	struct source *s;

	for (s = r->sources; s < r->sources + r->count; s++) {
		if (!open_source(r, s))
			return false;
		if (s == r->sources)
			r->link = pcap_datalink_val_to_name(s->link);
		advance(r, s);
		if (r->count > 1 && !s->ended && s->again)
			close_source(s);
	}
	return true;
}

void pcap_reader_close(struct pcap_reader *r)
{
	size_t i;

	for (i = 0; i < r->count; i++) {
		close_source(&r->sources[i]);
		if (r->sources[i].file >= 0)
			close(r->sources[i].file);
	}
	for (i = 0; r->filters && i < LINKTYPES_KNOWN; i++)
		pcap_freecode(&r->filters[i].program);
	free(r->filters);
	free(r->sources);
	free(r);
}

/* Returns the source with the earliest packet. It stays the earliest until r->until. */
static struct source *earliest(struct pcap_reader *r)
{
	struct source *s, *first = NULL;

	r->until = UINT64_MAX;
	for (s = r->sources; s < r->sources + r->count; s++) {
		if (s->ended)
			continue;
		if (!first || s->time < first->time) {
			if (first)
				r->until = first->time;
			first = s;
		} else if (s->time < r->until) {
			r->until = s->time;
		}
	}
	return first;
}

bool pcap_reader_next(struct pcap_reader *r, struct pcap_packet *p)
{
	struct source *s = r->current;

	if (s)
		advance(r, s);
	for (;;) {
		if (s && !s->ended && s->time < r->until)
			break;
		s = earliest(r);
		r->current = s;
		if (!s)
			return false;
		if (s->pcap)
			break;
		/* the file was closed after its first packet had been read */
		if (open_source(r, s)) {
			advance(r, s);
		} else {
			s->ended = true;
			add_cut(r, s, "could not be read to its end", "it cannot be read again");
		}
	}
	p->bytes = s->bytes;
	p->length = s->header->caplen;
	p->wire_length = s->header->len > p->length ? s->header->len : p->length;
	p->time = s->time;
	p->link = s->link;
	p->wanted = !s->filter || pcap_offline_filter(s->filter, s->header, s->bytes);
	return true;
}

const char *pcap_reader_cut(const struct pcap_reader *r)
{
	return r->cuts ? r->cut : NULL;
}

const char *pcap_reader_linktype(const struct pcap_reader *r)
{
	return r->link;
}

void pcap_reader_progress(const struct pcap_reader *r, uint64_t *done, uint64_t *total)
{
	bool known = true;
	size_t i;

	*done = 0;
	*total = 0;
	for (i = 0; i < r->count; i++) {
		*done += position(&r->sources[i]);
		*total += r->sources[i].size;
		known = known && r->sources[i].size;
	}
	if (!known)
		*total = 0;
}
