/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of services by their ports, from /etc/services. The file is read directly, before the
 * process gives up its privileges: getservbyport(3) may ask the network (nsswitch.conf).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SERVICES_FILE "/etc/services"
#define SERVICE_NAME 32 /* room for a name; lines with a longer one are left out */

struct services;

/*
 * Returns NULL, with errno set, if the file cannot be read, if it is no regular file of at most 1 MiB
 * (EFBIG), or when out of memory.
 */
struct services *services_open(const char *path);

/*
 * Reads lines as in services(5), at most 65 536 of them. Malformed lines are left out; if a port has
 * several names, the first one counts. Returns NULL, with errno set, if it cannot be read or when out
 * of memory: a table with a part of the names would hide the loss.
 */
struct services *services_read(FILE *file);
void services_close(struct services *s);

/* Returns the name of a port of TCP or UDP; NULL if it has none, or s is NULL. */
const char *services_name(const struct services *s, uint16_t port, bool is_udp);

/* Returns the port of the TCP service of this name; 0 if there is none, or s is NULL. */
uint16_t services_port(const struct services *s, const char *name);
