/* node/init/system/kmodule_scan.h - the modaliases of all devices that are there.
 *
 * Memory: a set of names owns its texts; init/fini.  Threads: one owner.
 * Blocks: reads sysfs (a few hundred files).  Trust: an alias is the kernel's text about a
 * device; length and count are bounded. */
#ifndef RAY_NODE_INIT_SYSTEM_KMODULE_SCAN_H
#define RAY_NODE_INIT_SYSTEM_KMODULE_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { INIT_KMODULE_ALIAS_COUNT_MAX = 8192, INIT_KMODULE_SCAN_DEPTH_MAX = 24 };

/* A set of texts in the order in which they were added. */
struct init_kmodule_names {
    char **items;
    size_t count;
    size_t capacity;
    size_t count_max;
    uint32_t *slots; /* open addressing: index + 1; 0 is empty */
    size_t slot_count;
};

void init_kmodule_names_init(struct init_kmodule_names *names, size_t count_max);
void init_kmodule_names_fini(struct init_kmodule_names *names);
/* RAY_OK also when it is in already; RAY_ENOMEM, RAY_ETOOBIG. */
int init_kmodule_names_add(struct init_kmodule_names *names, const char *name);

/* Adds the content of every file "modalias" below `path` of `root_fd`. Links are not
 * followed. Aliases beyond the limit are left out. RAY_ENOTFOUND without the folder. */
int init_kmodule_scan_aliases(int root_fd, const char *path, struct init_kmodule_names *out,
                              struct ray_err *err);

#endif
