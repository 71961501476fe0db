#include "node/rayosd_facts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/size.h"
#include "node/facts/facts.h"
#include "node/facts/read.h"

enum { PATH_SIZE = 512 };

/* Of the folder, or of the one where it will be made. 0: it cannot be told. */
static uint64_t space_of(const char *data_dir)
{
    char path[PATH_SIZE];
    struct statvfs space;
    size_t size = 0;
    int length = snprintf(path, sizeof path, "%s", data_dir);
    char *slash = NULL;

    if (length < 0 || (size_t)length >= sizeof path) {
        return 0;
    }
    while (statvfs(path, &space) != 0) {
        slash = strrchr(path, '/');
        if (errno != ENOENT || slash == NULL || path[1] == '\0') {
            return 0;
        }
        slash[slash == path ? 1 : 0] = '\0'; /* at last "/" */
    }
    return ray_mul_size((size_t)space.f_blocks, (size_t)space.f_frsize, &size) ? size : 0;
}

static void leave_out(Rayos__Node__Facts *facts)
{
    facts->n_disks = 0;
    facts->n_network_cards = 0;
    facts->uptime_s = 0;
    facts->memory->available_bytes = 0;
}

int rayosd_facts_read(int root_fd, const char *data_dir, struct ray_buf *out, bool *out_is_fit,
                      struct ray_err *err)
{
    Rayos__Node__Facts *facts = NULL;
    struct ray_arena arena;
    size_t size;
    int rc;

    ray_arena_init(&arena, FACTS_ARENA_SIZE_MAX);
    rc = facts_read(root_fd, &arena, &facts, NULL, err);
    if (rc == RAY_OK) {
        *out_is_fit = facts->clock->is_fit_for_leases;
        leave_out(facts);
        facts->data_bytes = space_of(data_dir);
        size = rayos__node__facts__get_packed_size(facts);
        rc = ray_buf_reserve(out, size) == RAY_OK
                 ? RAY_OK
                 : ray_fail(err, RAY_ETOOBIG, "facts of %zu bytes", size);
        if (rc == RAY_OK) {
            out->size += rayos__node__facts__pack(facts, out->data + out->size);
        }
    }
    ray_arena_fini(&arena);
    return rc;
}
