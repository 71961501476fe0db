#include "node/init/system/core_pattern.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/size.h"

/* The kernel's limit is 127 bytes; all but the mode are numbers, so that no word of a process
 * (its comm may hold spaces) becomes an argument: %P pid and %I thread in the first pid
 * namespace, %u %g user and group, %s signal, %t time, %d dump mode. */
#define PATTERN "|/" INIT_CORES_PROGRAM " %s %%P %%I %%u %%g %%s %%t %%d"

static const char *const words[] = {
    [INIT_CORES_INFO] = "info",
    [INIT_CORES_FULL] = "full",
    [INIT_CORES_OFF] = "off",
};

const char *init_cores_word(enum init_cores cores)
{
    assert((size_t)cores < RAY_ARRAY_COUNT(words));
    return words[cores];
}

int init_cores_parse(const char *text, enum init_cores *out)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (enum init_cores)i;
            return RAY_OK;
        }
    }
    return RAY_EINVAL;
}

int init_cores_setup(int root_fd, enum init_cores cores, struct ray_err *err)
{
    char pattern[128];
    int size;
    int rc;

    if (cores == INIT_CORES_OFF) {
        return ray_fail(err, RAY_ENOTFOUND, "rayos.cores=off");
    }
    if (faccessat(root_fd, INIT_CORES_PROGRAM, X_OK, 0) != 0) {
        return ray_fail_errno(err, errno, "/" INIT_CORES_PROGRAM);
    }
    size = snprintf(pattern, sizeof pattern, PATTERN, words[cores]);
    assert(size > 0 && (size_t)size < sizeof pattern);
    /* At most two collectors at a time, the kernel logs and drops what is beyond; and not 0, with
     * which the kernel would not keep /proc/PID until the collector has read it. */
    rc = ray_file_write_existing(root_fd, "proc/sys/kernel/core_pipe_limit", "2", err);
    rc = rc == RAY_OK
             ? ray_file_write_existing(root_fd, "proc/sys/kernel/core_pattern", pattern, err)
             : rc;
    /* The smallest mappings first (stacks, data): what a truncated core should hold. Kernels before
     * 6.12 lack it. */
    (void)ray_file_write_existing(root_fd, "proc/sys/kernel/core_sort_vma", "1", NULL);
    /* Last, because it is safe only with a collector: also a process that changed its user is
     * reported; %d tells, and its memory is not kept. PR_SET_DUMPABLE 0 still means nothing. */
    return rc == RAY_OK ? ray_file_write_existing(root_fd, "proc/sys/fs/suid_dumpable", "2", err)
                        : rc;
}
