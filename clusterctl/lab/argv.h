/* clusterctl/lab/argv.h - a NULL-terminated argument list that is built piece by piece.
 *
 * Memory: one arena, freed by fini; a failed push is remembered and reported once by
 * lab_argv_check, so that builders need no check per line.
 * Threads: one.  Blocks: never.  Trust: texts are passed on as they are. */
#ifndef RAY_CLUSTERCTL_LAB_ARGV_H
#define RAY_CLUSTERCTL_LAB_ARGV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

enum { LAB_ARGV_COUNT_MAX = 160, LAB_ARGV_SIZE_MAX = 128 << 10 };

struct lab_argv {
    const char *items[LAB_ARGV_COUNT_MAX + 1];
    size_t count;
    bool has_failed;
    struct ray_arena arena;
};

void lab_argv_init(struct lab_argv *argv);
void lab_argv_fini(struct lab_argv *argv);
void lab_argv_push(struct lab_argv *argv, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* "--flag" and its value. */
void lab_argv_pair(struct lab_argv *argv, const char *flag, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* RAY_ENOMEM when any push failed, RAY_ETOOBIG when there were too many. */
int lab_argv_check(const struct lab_argv *argv, struct ray_err *err);

#endif
