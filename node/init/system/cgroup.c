/* cgroup2 allows processes only in leaves once controllers are enabled for children, so
 * PID 1 goes into a leaf of its own first, then controllers are switched on from the top. */
#include "node/init/system/cgroup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"

enum { GROUP_NAME_SIZE_MAX = 128 };

static const char *const controllers[] = {"cpu", "memory", "pids", "io"};

void init_cgroup_init(struct init_cgroup *cgroup)
{
    *cgroup = (struct init_cgroup){.fd = -1};
}

void init_cgroup_fini(struct init_cgroup *cgroup)
{
    if (cgroup->fd >= 0) {
        (void)close(cgroup->fd); /* nothing was written through it */
    }
    cgroup->fd = -1;
}

/* One plain path component, so that no name leads out of its parent. */
static bool is_group_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) < GROUP_NAME_SIZE_MAX;
}

/* The descriptor, or a negative code. */
static int open_folder(int dir_fd, const char *name, struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_OPEN);
    int fd = -1;

    if (errnum == 0) {
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        errnum = fd < 0 ? errno : 0;
    }
    return errnum == 0 ? fd : ray_fail_errno(err, errnum, "control group %s", name);
}

static int make_folder(int dir_fd, const char *name, struct ray_err *err)
{
    if (mkdirat(dir_fd, name, 0755) != 0 && errno != EEXIST) {
        return ray_fail_errno(err, errno, "control group %s", name);
    }
    return open_folder(dir_fd, name, err);
}

/* Each controller in a write of its own: one that is missing does not cost the others. */
static void enable_controllers(int group_fd, const char *name, struct ray_logger *logger)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(controllers); i++) {
        struct ray_err err = {0};
        char word[16];

        (void)snprintf(word, sizeof word, "+%s", controllers[i]);
        if (ray_file_write_existing(group_fd, "cgroup.subtree_control", word, &err) != RAY_OK) {
            ray_log(logger, RAY_LOG_WARN, "cgroup", "controller=%s group=%s not enabled: %s",
                    controllers[i], name, err.text);
        }
    }
}

int init_cgroup_setup(struct init_cgroup *cgroup, const char *path, struct ray_logger *logger,
                      struct ray_err *err)
{
    static const char *const branches[] = {INIT_CGROUP_SERVICES, INIT_CGROUP_GUESTS};
    int root_fd;
    int fd;
    int rc;

    assert(cgroup->fd < 0);
    root_fd = open_folder(AT_FDCWD, path, err);
    if (root_fd < 0) {
        return root_fd;
    }
    fd = make_folder(root_fd, INIT_CGROUP_INIT, err);
    rc = fd;
    if (fd >= 0) {
        rc = ray_file_write_existing(fd, "cgroup.procs", "0", err);
        (void)close(fd);
    }
    if (rc == RAY_OK) {
        enable_controllers(root_fd, "/", logger);
    }
    for (size_t i = 0; rc == RAY_OK && i < RAY_ARRAY_COUNT(branches); i++) {
        fd = make_folder(root_fd, branches[i], err);
        if (fd < 0) {
            rc = fd;
        } else {
            enable_controllers(fd, branches[i], logger);
            (void)close(fd);
        }
    }
    if (rc != RAY_OK) {
        (void)close(root_fd);
        return rc;
    }
    cgroup->fd = root_fd;
    return RAY_OK;
}

/* A file that is not there belongs to a controller that is missing. */
static int write_limit(int fd, const char *file, uint64_t value, struct ray_err *err)
{
    char text[24];

    if (value == 0 || faccessat(fd, file, F_OK, 0) != 0) {
        return RAY_OK;
    }
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return ray_file_write_existing(fd, file, text, err);
}

static int write_limits(int fd, const struct init_cgroup_limits *limits, struct ray_err *err)
{
    const struct {
        const char *file;
        uint64_t value;
    } values[] = {
        {"memory.max", limits->memory_max_bytes},
        {"memory.high", limits->memory_high_bytes},
        {"memory.low", limits->memory_low_bytes},
        {"memory.oom.group", limits->kills_whole_group ? 1 : 0},
        {"pids.max", limits->pids_max},
        {"cpu.weight", limits->cpu_weight},
    };
    int rc = RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < RAY_ARRAY_COUNT(values); i++) {
        rc = write_limit(fd, values[i].file, values[i].value, err);
    }
    return rc;
}

int init_cgroup_make(struct init_cgroup *cgroup, const char *parent, const char *name,
                     const struct init_cgroup_limits *limits, int *out_fd, struct ray_err *err)
{
    int parent_fd;
    int fd;
    int rc;

    if (cgroup->fd < 0) {
        return ray_fail(err, RAY_EUNAVAILABLE, "control groups are not set up");
    }
    if (!is_group_name(parent) || !is_group_name(name)) {
        return ray_fail(err, RAY_EINVAL, "control group name '%s/%s'", parent, name);
    }
    parent_fd = open_folder(cgroup->fd, parent, err);
    if (parent_fd < 0) {
        return parent_fd;
    }
    fd = make_folder(parent_fd, name, err);
    (void)close(parent_fd);
    if (fd < 0) {
        return ray_wrap(err, fd, "group %s/%s", parent, name);
    }
    rc = write_limits(fd, limits, err);
    if (rc != RAY_OK) {
        (void)close(fd);
        return ray_wrap(err, rc, "group %s/%s", parent, name);
    }
    *out_fd = fd;
    return RAY_OK;
}

int init_cgroup_protect(struct init_cgroup *cgroup, const char *group, uint64_t memory_low_bytes,
                        struct ray_err *err)
{
    int fd;
    int rc;

    if (cgroup->fd < 0) {
        return ray_fail(err, RAY_EUNAVAILABLE, "control groups are not set up");
    }
    if (!is_group_name(group)) {
        return ray_fail(err, RAY_EINVAL, "control group name '%s'", group);
    }
    fd = open_folder(cgroup->fd, group, err);
    if (fd < 0) {
        return fd;
    }
    rc = write_limit(fd, "memory.low", memory_low_bytes, err);
    (void)close(fd);
    return rc == RAY_OK ? rc : ray_wrap(err, rc, "group %s", group);
}

int init_cgroup_kill(int group_fd, struct ray_err *err)
{
    return ray_file_write_existing(group_fd, "cgroup.kill", "1", err);
}

int init_cgroup_is_populated(int group_fd, bool *out_is_populated, struct ray_err *err)
{
    char text[256];
    int rc = ray_file_read_text(group_fd, "cgroup.events", text, sizeof text, err);

    if (rc != RAY_OK) {
        return rc;
    }
    *out_is_populated = strstr(text, "populated 1") != NULL;
    return RAY_OK;
}

int init_cgroup_memory_bytes(int group_fd, uint64_t *out_bytes, struct ray_err *err)
{
    char text[32];
    int rc = ray_file_read_text(group_fd, "memory.current", text, sizeof text, err);

    if (rc == RAY_ENOTFOUND) {
        return ray_fail(err, RAY_EUNSUPPORTED, "no memory controller");
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (ray_parse_u64(text, 0, UINT64_MAX, out_bytes) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "memory.current holds no number");
    }
    return RAY_OK;
}

int init_cgroup_remove(struct init_cgroup *cgroup, const char *parent, const char *name,
                       struct ray_err *err)
{
    char path[2 * GROUP_NAME_SIZE_MAX];

    if (cgroup->fd < 0) {
        return ray_fail(err, RAY_EUNAVAILABLE, "control groups are not set up");
    }
    if (!is_group_name(parent) || !is_group_name(name)) {
        return ray_fail(err, RAY_EINVAL, "control group name '%s/%s'", parent, name);
    }
    (void)snprintf(path, sizeof path, "%s/%s", parent, name);
    if (unlinkat(cgroup->fd, path, AT_REMOVEDIR) != 0) {
        return ray_fail_errno(err, errno, "removing group %s", path);
    }
    return RAY_OK;
}
