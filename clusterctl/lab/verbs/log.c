/* clusterctl/lab/verbs/log.c - `lab log NODE`: the stamped console lines or markers of a
 * machine, from its log file; also of a lab that is down. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clusterctl/lab/machine.h"
#include "clusterctl/lab/verbs/verbs.h"

const struct ray_args_option lab_log_options[] = {
    LAB_NAME_OPTION,
    {.name = "follow", .short_name = 'f', .help = "go on as lines come"},
    {.name = "markers", .short_name = 'm', .help = "the marker port instead of the console"},
    {.name = "qemu", .help = "what QEMU itself said instead"},
    {0},
};

static int copy_rest(int fd, const char *path, struct ray_err *err)
{
    char bytes[16384];
    ssize_t size;

    while ((size = read(fd, bytes, sizeof bytes)) > 0) {
        if (fwrite(bytes, 1, (size_t)size, stdout) != (size_t)size) {
            return ray_fail(err, RAY_EIO, "standard output");
        }
    }
    if (size < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    return fflush(stdout) == 0 ? RAY_OK : ray_fail(err, RAY_EIO, "standard output");
}

/* A log that was rotated goes on in a new file of the same name. */
static int reopen_if_rotated(int *fd, const char *path, struct ray_err *err)
{
    struct stat now;
    struct stat ours;
    int new_fd;

    assert(*fd >= 0);
    if (stat(path, &now) < 0 || fstat(*fd, &ours) < 0 || now.st_ino == ours.st_ino) {
        return RAY_OK;
    }
    new_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (new_fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    (void)close(*fd); /* read only */
    *fd = new_fd;
    return copy_rest(*fd, path, err);
}

static int follow(int *fd, const char *path, const char *folder, struct ray_err *err)
{
    char events[4096];
    int watch = inotify_init1(IN_CLOEXEC);
    int rc = RAY_OK;

    if (watch < 0 || inotify_add_watch(watch, folder, IN_MODIFY | IN_MOVED_FROM | IN_CREATE) < 0) {
        rc = ray_fail_errno(err, errno, "watching %s", folder);
    }
    while (rc == RAY_OK) {
        rc = copy_rest(*fd, path, err);
        rc = rc == RAY_OK ? reopen_if_rotated(fd, path, err) : rc;
        if (rc == RAY_OK && read(watch, events, sizeof events) < 0 && errno != EINTR) {
            rc = ray_fail_errno(err, errno, "watching %s", folder);
        }
    }
    if (watch >= 0) {
        (void)close(watch); /* nothing to lose */
    }
    return rc;
}

int lab_run_log(const struct ray_args *args, void *context)
{
    const char *name = ray_args_flag(args, "markers") ? LAB_MACHINE_MARKER_LOG
                       : ray_args_flag(args, "qemu")  ? LAB_MACHINE_QEMU_LOG
                                                      : LAB_MACHINE_CONSOLE_LOG;
    const char *node = args->positionals[0];
    struct lab_paths paths;
    char machines[LAB_PATH_SIZE];
    char folder[LAB_PATH_SIZE];
    char path[LAB_PATH_SIZE];
    struct ray_err err = {0};
    int fd = -1;
    int rc = lab_paths_find(&paths, ray_args_value(args, "name"), &err);

    (void)context;
    if (rc == RAY_OK && !lab_name_is_valid(node)) {
        rc = ray_fail(&err, RAY_ENOTFOUND, "no node '%s'", node);
    }
    rc = rc == RAY_OK ? lab_path_join(machines, sizeof machines, paths.dir, LAB_DIR_MACHINES, &err)
                      : rc;
    rc = rc == RAY_OK ? lab_path_join(folder, sizeof folder, machines, node, &err) : rc;
    rc = rc == RAY_OK ? lab_path_join(path, sizeof path, folder, name, &err) : rc;
    if (rc == RAY_OK) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        rc = fd < 0 ? ray_fail_errno(&err, errno, "%s", path) : RAY_OK;
    }
    if (rc == RAY_OK && fd >= 0) {
        rc = ray_args_flag(args, "follow") ? follow(&fd, path, folder, &err)
                                           : copy_rest(fd, path, &err);
    }
    if (fd >= 0) {
        (void)close(fd); /* read only */
    }
    return rc == RAY_OK ? 0 : lab_fail(&err);
}
