#include "node/init/system/psi.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/size.h"

enum { PSI_TEXT_SIZE_MAX = 256 };

/* "<line> avg10=12.34 ...": 12. */
static bool find_percent(const char *text, const char *line, unsigned *out_percent)
{
    const char *at = strstr(text, line);
    unsigned long percent;
    char *end;

    if (at == NULL) {
        return false;
    }
    at += strlen(line);
    if (*at < '0' || *at > '9') {
        return false;
    }
    percent = strtoul(at, &end, 10);
    if (*end != '.' || percent > 100) {
        return false;
    }
    *out_percent = (unsigned)percent;
    return true;
}

int init_psi_parse(const char *text, struct init_psi *out, struct ray_err *err)
{
    struct init_psi psi = {0};

    if (!find_percent(text, "some avg10=", &psi.some_percent)) {
        return ray_fail(err, RAY_EMALFORMED, "not a pressure file");
    }
    /* Kernels before 5.13 have no such line for processors. */
    if (strstr(text, "full ") != NULL && !find_percent(text, "full avg10=", &psi.full_percent)) {
        return ray_fail(err, RAY_EMALFORMED, "not a pressure file");
    }
    *out = psi;
    return RAY_OK;
}

int init_psi_read(int dir_fd, const char *name, struct init_psi *out, struct ray_err *err)
{
    char text[PSI_TEXT_SIZE_MAX];
    int rc = ray_file_read_text(dir_fd, name, text, sizeof text, err);

    return rc == RAY_OK ? init_psi_parse(text, out, err) : rc;
}

/* ---- who suffers ---- */

static bool is_worse(const struct init_psi_group *a, const struct init_psi_group *b)
{
    if (a->pressure.full_percent != b->pressure.full_percent) {
        return a->pressure.full_percent > b->pressure.full_percent;
    }
    if (a->pressure.some_percent != b->pressure.some_percent) {
        return a->pressure.some_percent > b->pressure.some_percent;
    }
    return a->memory_bytes > b->memory_bytes;
}

/* Keeps `out` sorted; the least bad falls off its end. */
static size_t insert(struct init_psi_group *out, size_t count, size_t max,
                     const struct init_psi_group *group)
{
    size_t at = count;

    while (at > 0 && is_worse(group, &out[at - 1])) {
        at--;
    }
    if (at >= max) {
        return count;
    }
    count = count < max ? count + 1 : max;
    memmove(&out[at + 1], &out[at], (count - at - 1) * sizeof out[0]);
    out[at] = *group;
    return count;
}

/* False: it has no such file (a plain file of the parent, a group that just went). */
static bool read_group(int parent_fd, const char *name, const char *resource,
                       struct init_psi_group *out)
{
    char file[32];
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int rc;

    if (fd < 0) {
        return false;
    }
    *out = (struct init_psi_group){.name = ""};
    (void)ray_escape(out->name, sizeof out->name, name, strlen(name));
    (void)snprintf(file, sizeof file, "%s.pressure", resource);
    rc = init_psi_read(fd, file, &out->pressure, NULL);
    (void)init_cgroup_memory_bytes(fd, &out->memory_bytes, NULL); /* or 0 */
    (void)close(fd);
    return rc == RAY_OK;
}

static size_t look_below(int parent_fd, const char *resource, struct init_psi_group *out,
                         size_t count, size_t max)
{
    size_t seen_count = 0;
    const struct dirent *entry;
    DIR *folder = fdopendir(parent_fd); /* takes it over */

    if (folder == NULL) {
        (void)close(parent_fd);
        return count;
    }
    while (seen_count < INIT_PSI_GROUP_COUNT_MAX && (entry = readdir(folder)) != NULL) {
        struct init_psi_group group;

        if (entry->d_type != DT_DIR || entry->d_name[0] == '.') {
            continue;
        }
        seen_count++;
        if (read_group(parent_fd, entry->d_name, resource, &group)) {
            count = insert(out, count, max, &group);
        }
    }
    (void)closedir(folder);
    return count;
}

size_t init_psi_top(const struct init_cgroup *cgroup, const char *resource,
                    struct init_psi_group *out, size_t max)
{
    static const char *const branches[] = {INIT_CGROUP_SERVICES, INIT_CGROUP_GUESTS};
    size_t count = 0;

    assert(out != NULL && max > 0);
    for (size_t i = 0; cgroup->fd >= 0 && i < RAY_ARRAY_COUNT(branches); i++) {
        int fd = openat(cgroup->fd, branches[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) {
            count = look_below(fd, resource, out, count, max);
        }
    }
    return count;
}
