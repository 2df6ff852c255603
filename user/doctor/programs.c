// SPDX-License-Identifier: GPL-2.0
#include "doctor/programs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_MAPS 64
#define MAX_FUNCTIONS 1024

static const char *redirect_type(uint32_t type)
{
	switch (type) {
	case BPF_MAP_TYPE_DEVMAP:
	case BPF_MAP_TYPE_DEVMAP_HASH:
		return "devmap, to other interfaces";
	case BPF_MAP_TYPE_CPUMAP:
		return "cpumap, to other CPUs";
	case BPF_MAP_TYPE_XSKMAP:
		return "xskmap, to a process (AF_XDP)";
	default:
		return NULL;
	}
}

static const char *redirect_of_map(uint32_t id)
{
	struct bpf_map_info info = {};
	uint32_t length = sizeof(info);
	const char *redirect = NULL;
	int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0)
		return NULL;
	if (!bpf_obj_get_info_by_fd(fd, &info, &length))
		redirect = redirect_type(info.type);
	close(fd);
	return redirect;
}

static void find_redirect(struct program *p, int fd)
{
	uint32_t maps[MAX_MAPS], length, i;
	struct bpf_prog_info info = { .nr_map_ids = MAX_MAPS, .map_ids = (uintptr_t)maps };

	length = sizeof(info);
	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return;
	for (i = 0; i < info.nr_map_ids && i < MAX_MAPS && !p->redirect; i++)
		p->redirect = redirect_of_map(maps[i]);
}

/* Returns the BTF type of the program's first function, which is the program itself; or 0. */
static uint32_t main_function(int fd, const struct bpf_prog_info *of)
{
	struct bpf_func_info *functions;
	struct bpf_prog_info info = { .nr_func_info = of->nr_func_info,
				      .func_info_rec_size = sizeof(*functions) };
	uint32_t length = sizeof(info), type = 0;

	if (!of->nr_func_info || of->nr_func_info > MAX_FUNCTIONS)
		return 0;
	functions = calloc(of->nr_func_info, sizeof(*functions));
	info.func_info = (uintptr_t)functions;
	if (functions && !bpf_obj_get_info_by_fd(fd, &info, &length) && info.nr_func_info)
		type = functions[0].type_id;
	free(functions);
	return type;
}

static void read_btf_name(struct program *p, int fd, const struct bpf_prog_info *info)
{
	uint32_t function = info->btf_id ? main_function(fd, info) : 0;
	struct btf *btf = function ? btf__load_from_kernel_by_id(info->btf_id) : NULL;
	const struct btf_type *type = btf ? btf__type_by_id(btf, function) : NULL;
	const char *name = type ? btf__name_by_offset(btf, type->name_off) : NULL;

	if (name && *name)
		snprintf(p->name, sizeof(p->name), "%s", name);
	btf__free(btf);
}

void program_read(struct program *p, uint32_t id)
{
	struct bpf_prog_info info = {};
	uint32_t length = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	*p = (struct program){};
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &length)) {
		p->is_readable = true;
		snprintf(p->name, sizeof(p->name), "%.*s", (int)sizeof(info.name), info.name);
		read_btf_name(p, fd, &info);
		find_redirect(p, fd);
	}
	close(fd);
}
