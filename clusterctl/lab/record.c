/* clusterctl/lab/record.c - see record.h. */
#include "clusterctl/lab/record.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/clock.h"

#define RECORD_FILE "supervisor.json"

enum { RECORD_SIZE_MAX = 4096, STAT_SIZE_MAX = 4096, START_TIME_FIELD = 22 };

static int open_lock(const struct lab_paths *paths)
{
    return open(paths->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

int lab_lock_take(const struct lab_paths *paths, int *out_fd, struct ray_err *err)
{
    int rc = ray_make_dirs(AT_FDCWD, paths->labs_dir, 0755, err);
    int fd;

    if (rc != RAY_OK) {
        return rc;
    }
    fd = open_lock(paths);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", paths->lock);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        rc = errno == EWOULDBLOCK
                 ? ray_fail(err, RAY_EEXISTS, "a lab named '%s' is there already", paths->name)
                 : ray_fail_errno(err, errno, "%s", paths->lock);
        (void)close(fd);
        if (rc == RAY_EEXISTS) {
            (void)ray_next(err, "clusterctl lab down --name %s, or another --name", paths->name);
        }
        return rc;
    }
    *out_fd = fd;
    return RAY_OK;
}

bool lab_lock_is_held(const struct lab_paths *paths)
{
    int fd = open(paths->lock, O_RDWR | O_CLOEXEC);
    bool is_held;

    if (fd < 0) {
        return false;
    }
    is_held = flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    (void)close(fd); /* gives a lock taken just now back */
    return is_held;
}

int lab_parse_start_ticks(const char *stat_text, uint64_t *out_ticks)
{
    /* The second field is the command name in parentheses, and may hold any of them. */
    const char *at = strrchr(stat_text, ')');
    char *end;
    unsigned long long ticks;

    for (int field = 2; at != NULL && field < START_TIME_FIELD; field++) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    if (at == NULL) {
        return RAY_EMALFORMED;
    }
    errno = 0;
    ticks = strtoull(at, &end, 10);
    if (end == at || *end != ' ' || errno != 0) {
        return RAY_EMALFORMED;
    }
    *out_ticks = ticks;
    return RAY_OK;
}

int lab_process_start_ticks(pid_t pid, uint64_t *out_ticks, struct ray_err *err)
{
    char path[32];
    char text[STAT_SIZE_MAX];
    int rc;

    if (pid == 0) {
        (void)snprintf(path, sizeof path, "/proc/self/stat");
    } else {
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    }
    rc = ray_file_read_text(AT_FDCWD, path, text, sizeof text, err);
    if (rc == RAY_OK && lab_parse_start_ticks(text, out_ticks) != RAY_OK) {
        rc = ray_fail(err, RAY_EMALFORMED, "%s: no start time", path);
    }
    return rc;
}

static int record_path(const struct lab_paths *paths, char out[static LAB_PATH_SIZE],
                       struct ray_err *err)
{
    return lab_path_join(out, LAB_PATH_SIZE, paths->dir, RECORD_FILE, err);
}

int lab_record_write(const struct lab_paths *paths, pid_t pid, uint64_t start_ticks,
                     struct ray_err *err)
{
    char path[LAB_PATH_SIZE];
    char text[96];
    int size;
    int rc = record_path(paths, path, err);

    if (rc != RAY_OK) {
        return rc;
    }
    size = snprintf(text, sizeof text, "{\"pid\": %d, \"start_ticks\": %llu}\n", (int)pid,
                    (unsigned long long)start_ticks);
    return ray_atomic_write(AT_FDCWD, path, text, (size_t)size, 0644, err);
}

static int record_read(const struct lab_paths *paths, pid_t *out_pid, uint64_t *out_ticks,
                       struct ray_err *err)
{
    char path[LAB_PATH_SIZE];
    char text[RECORD_SIZE_MAX];
    yyjson_doc *doc;
    yyjson_val *pid;
    yyjson_val *ticks;
    int rc = record_path(paths, path, err);

    if (rc == RAY_OK) {
        rc = ray_file_read_text(AT_FDCWD, path, text, sizeof text, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    doc = yyjson_read(text, strlen(text), 0);
    pid = yyjson_obj_get(yyjson_doc_get_root(doc), "pid");
    ticks = yyjson_obj_get(yyjson_doc_get_root(doc), "start_ticks");
    if (yyjson_is_uint(pid) && yyjson_get_uint(pid) > 1 && yyjson_get_uint(pid) < INT32_MAX &&
        yyjson_is_uint(ticks)) {
        *out_pid = (pid_t)yyjson_get_uint(pid);
        *out_ticks = yyjson_get_uint(ticks);
    } else {
        rc = ray_fail(err, RAY_EMALFORMED, "%s: not a record of a supervisor", path);
    }
    yyjson_doc_free(doc);
    return rc;
}

int lab_record_open(const struct lab_paths *paths, pid_t *out_pid, int *out_pidfd,
                    struct ray_err *err)
{
    uint64_t recorded_ticks;
    uint64_t ticks;
    pid_t pid;
    int pidfd;
    int rc = record_read(paths, &pid, &recorded_ticks, err);

    if (rc != RAY_OK) {
        return rc;
    }
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        return ray_fail(err, RAY_ENOTFOUND, "process %d has ended", (int)pid);
    }
    /* The pidfd is open, so the pid cannot be recycled between this look and its use. */
    if (lab_process_start_ticks(pid, &ticks, NULL) != RAY_OK || ticks != recorded_ticks) {
        (void)close(pidfd);
        return ray_fail(err, RAY_ENOTFOUND, "process %d has ended, its number is another's now",
                        (int)pid);
    }
    *out_pid = pid;
    *out_pidfd = pidfd;
    return RAY_OK;
}

int lab_pidfd_wait(int pidfd, uint64_t timeout_ms, struct ray_err *err)
{
    uint64_t end_ns = ray_clock_monotonic_ns() + timeout_ms * RAY_NS_PER_MS;
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

    for (;;) {
        uint64_t now_ns = ray_clock_monotonic_ns();
        uint64_t left_ms = now_ns < end_ns ? (end_ns - now_ns) / RAY_NS_PER_MS + 1 : 0;
        int count = poll(&poll_fd, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);

        if (count > 0) {
            return RAY_OK;
        }
        if (count < 0 && errno != EINTR) {
            return ray_fail_errno(err, errno, "waiting for a process");
        }
        if (left_ms == 0) {
            return ray_fail(err, RAY_ETIMEOUT, "the process has not ended within %llu ms",
                            (unsigned long long)timeout_ms);
        }
    }
}

int lab_pidfd_kill(int pidfd, struct ray_err *err)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH) {
        return ray_fail_errno(err, errno, "killing the supervisor");
    }
    return RAY_OK;
}
