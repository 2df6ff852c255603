// SPDX-License-Identifier: GPL-2.0
/* Names of services: only those of whole lines, whatever the file contains. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "expect.h"
#include "host/services.h"

static const char text[] = "# comment\n"
			   "ldaps\t\t636/tcp\t\t\t# LDAP over SSL\n"
			   "http 80/tcp www\n"
			   "web 80/tcp\n"
			   "domain 53/udp\r\n"
			   "domain 53/tcp\n"
			   "low 0/tcp\n"
			   "high 65536/tcp\n"
			   "huge 99999999999999999999/tcp\n"
			   "sign -1/tcp\n"
			   "plus +7/tcp\n"
			   "hex 0x10/tcp\n"
			   "sctp-only 9/sctp\n"
			   "no-protocol 10\n"
			   "no-port\n"
			   "/tcp 11\n"
			   "es\x1b[2Jc 12/tcp\n"
			   "brackets) 13/tcp\n"
			   "a-name-of-more-than-thirty-one-bytes 14/tcp\n"
			   "a-name-of-thirty-one-bytes-only 15/tcp\n"
			   "last 65535/tcp";

static struct services *read_text(const char *bytes, size_t size)
{
	FILE *file = fmemopen((void *)bytes, size, "r");
	struct services *s = services_read(file);

	fclose(file);
	return s;
}

static bool is(const struct services *s, uint16_t port, bool is_udp, const char *name)
{
	const char *found = services_name(s, port, is_udp);

	return found ? name && !strcmp(found, name) : !name;
}

static void test_lines(void)
{
	struct services *s = read_text(text, strlen(text));
	int port;

	EXPECT(is(s, 636, false, "ldaps") && is(s, 65535, false, "last"),
	       "the numbers stay without a name");
	EXPECT(is(s, 80, false, "http"),
	       "a port is called by an odd name instead of the usual one");
	EXPECT(is(s, 53, true, "domain") && is(s, 53, false, "domain"), "DNS has no name");
	EXPECT(is(s, 80, true, NULL), "a port of UDP has the name of TCP");
	EXPECT(is(s, 15, false, "a-name-of-thirty-one-bytes-only"), "a long name is lost");
	for (port = 0; port < 15; port++)
		EXPECT(is(s, port, false, NULL), "a bad line gives a port a name");
	services_close(s);
}

static void test_bytes(void)
{
	static char bytes[4096], many[20 * 70000];
	struct services *s;
	size_t i, n = 0;

	srand(1);
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = rand();
	s = read_text(bytes, sizeof(bytes));
	EXPECT(s != NULL, "a damaged file stops the run");
	services_close(s);
	for (i = 1; i < 70000; i++)
		n += sprintf(many + n, "s%zu %zu/udp\n", i, i % 65535 + 1);
	s = read_text(many, n);
	EXPECT(is(s, 2, true, "s1") && is(s, 65535, true, "s65534"), "a large file is not read");
	services_close(s);
	EXPECT(is(NULL, 80, false, NULL), "a host without the file crashes the run");
	services_close(NULL);
}

/* A path that is no small file, such as a pipe that nobody writes, must not stop the start. */
static void test_files(void)
{
	char path[] = "/tmp/probe-services-XXXXXX";
	int fd = mkstemp(path);
	struct services *s;

	EXPECT(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "no file to test");
	s = services_open(path);
	EXPECT(is(s, 636, false, "ldaps"), "the file is not read");
	services_close(s);
	EXPECT(!ftruncate(fd, (1 << 20) + 1) && !services_open(path), "memory is not bounded");
	close(fd);
	unlink(path);
	EXPECT(!services_open(path), "a missing file is read");
	EXPECT(!mkfifo(path, 0600) && !services_open(path), "a pipe stops the start");
	unlink(path);
	EXPECT(!services_open("/"), "a folder is read");
}

int main(void)
{
	test_lines();
	test_bytes();
	test_files();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
