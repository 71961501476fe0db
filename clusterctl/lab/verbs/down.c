/* clusterctl/lab/verbs/down.c - `lab down`: asks the supervisor, and when it does not answer
 * kills it; the kernel then ends everything else of the lab, because the supervisor is PID 1 of
 * the lab's pid namespace. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "clusterctl/lab/record.h"
#include "clusterctl/lab/report.h"
#include "clusterctl/lab/tidy.h"
#include "clusterctl/lab/verbs/takedown.h"
#include "clusterctl/lab/verbs/verbs.h"
#include "net/proto/lab.pb-c.h"
#include "net/rpc.h"

enum {
    ANSWER_TIMEOUT_MS = 5000,
    ORDERED_TIMEOUT_MS = 20000,
    KILL_TIMEOUT_MS = 15000,
    LOCK_TIMEOUT_MS = 15000,
    POLL_MS = 10
};

const struct ray_args_option lab_down_options[] = {
    LAB_NAME_OPTION,
    {.name = "all", .help = "all labs of this checkout"},
    {0},
};

/* Whether the supervisor answers at all: one that hangs is found out soon. */
static int ask_status(const char *socket_path, struct ray_err *err)
{
    Rayos__Lab__StatusRequest request = RAYOS__LAB__STATUS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    int rc = ray_rpc_call_unix(socket_path, "lab.status", &request.base,
                               &rayos__lab__status__descriptor, ANSWER_TIMEOUT_MS, &body, err);

    if (rc == RAY_OK) {
        protobuf_c_message_free_unpacked(body, NULL);
    }
    return rc;
}

/* lab.down; RAY_OK when the supervisor has stopped everything. */
static int ask(const struct lab_paths *paths, const char *reason, struct ray_err *err)
{
    Rayos__Lab__DownRequest request = RAYOS__LAB__DOWN_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    char socket_path[LAB_SOCKET_PATH_SIZE];
    int dir_fd = open(paths->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc = dir_fd < 0 ? ray_fail_errno(err, errno, "%s", paths->dir)
                        : lab_socket_path(dir_fd, LAB_FILE_CONTROL, socket_path, err);

    request.reason = (char *)(uintptr_t)reason;
    rc = rc == RAY_OK ? ask_status(socket_path, err) : rc;
    if (rc == RAY_OK) {
        rc = ray_rpc_call_unix(socket_path, "lab.down", &request.base,
                               &rayos__lab__done__descriptor, ORDERED_TIMEOUT_MS, &body, err);
    }
    if (rc == RAY_OK) {
        protobuf_c_message_free_unpacked(body, NULL);
    }
    if (dir_fd >= 0) {
        (void)close(dir_fd); /* O_PATH: nothing to lose */
    }
    return rc;
}

/* Kills the recorded supervisor and waits until the whole namespace is gone. */
static int kill_supervisor(const struct lab_paths *paths, struct ray_err *err)
{
    pid_t pid;
    int pidfd;
    int rc = lab_record_open(paths, &pid, &pidfd, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = lab_pidfd_kill(pidfd, err);
    rc = rc == RAY_OK ? lab_pidfd_wait(pidfd, KILL_TIMEOUT_MS, err) : rc;
    (void)close(pidfd); /* nothing to lose */
    return rc;
}

/* The lock is free some moments after the last process of the lab has ended. There is no
 * descriptor to wait on, so it is tried again and again. */
static int wait_for_lock(const struct lab_paths *paths, int *out_fd, struct ray_err *err)
{
    uint64_t end_ns = ray_clock_monotonic_ns() + LOCK_TIMEOUT_MS * RAY_NS_PER_MS;
    int rc;

    while ((rc = lab_lock_take(paths, out_fd, err)) == RAY_EEXISTS &&
           ray_clock_monotonic_ns() < end_ns) {
        (void)poll(NULL, 0, POLL_MS);
    }
    if (rc == RAY_EEXISTS) {
        (void)ray_fail(err, RAY_ETIMEOUT, "lab '%s' has not ended within %d s", paths->name,
                       LOCK_TIMEOUT_MS / 1000);
        return RAY_ETIMEOUT;
    }
    return rc;
}

int lab_take_down(const struct lab_paths *paths, const char *reason, enum lab_end *out_end,
                  struct ray_err *err)
{
    char report[LAB_PATH_SIZE];
    enum lab_end end = LAB_END_ORDERED;
    int lock_fd = -1;
    int rc = lab_path_join(report, sizeof report, paths->dir, LAB_FILE_REPORT, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (access(paths->dir, F_OK) < 0) {
        *out_end = LAB_END_NOT_THERE;
        return RAY_OK;
    }
    if (!lab_lock_is_held(paths)) {
        end = access(report, F_OK) == 0 ? LAB_END_NOT_THERE : LAB_END_TIDIED;
    } else if (ask(paths, reason, NULL) != RAY_OK) {
        end = LAB_END_KILLED;
        rc = kill_supervisor(paths, err);
        rc = rc == RAY_ENOTFOUND ? RAY_OK : rc; /* ended meanwhile; the lock tells */
    }
    rc = rc == RAY_OK ? wait_for_lock(paths, &lock_fd, err) : rc;
    if (rc == RAY_OK) {
        rc = lab_report_write_crash(paths, err);
        rc = rc == RAY_OK ? lab_tidy(AT_FDCWD, paths->dir, err) : rc;
        (void)close(lock_fd); /* gives the lock back */
    }
    if (rc == RAY_OK) {
        *out_end = end;
    }
    return rc;
}

static void print_end(const struct lab_paths *paths, enum lab_end end)
{
    switch (end) {
    case LAB_END_NOT_THERE:
        (void)printf("lab: '%s' is not running\n", paths->name);
        break;
    case LAB_END_ORDERED:
        (void)printf("lab: '%s' is down; report and logs: %s\n", paths->name, paths->dir);
        break;
    case LAB_END_KILLED:
        (void)printf("lab: '%s' did not answer and was killed; logs: %s\n", paths->name,
                     paths->dir);
        break;
    case LAB_END_TIDIED:
        (void)printf("lab: '%s' had died and is tidied up; logs: %s\n", paths->name, paths->dir);
        break;
    }
}

static int down_one(const char *name, struct ray_err *err)
{
    struct lab_paths paths;
    enum lab_end end = LAB_END_NOT_THERE;
    int rc = lab_paths_find(&paths, name, err);

    rc = rc == RAY_OK ? lab_take_down(&paths, "clusterctl lab down", &end, err) : rc;
    if (rc == RAY_OK) {
        print_end(&paths, end);
    }
    return rc;
}

static int down_all(struct ray_err *err)
{
    struct lab_paths paths;
    struct dirent *entry;
    DIR *dir;
    size_t count = 0;
    int first_rc = lab_paths_find(&paths, "default", err);

    if (first_rc != RAY_OK) {
        return first_rc;
    }
    dir = opendir(paths.labs_dir);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct lab_paths one;
        enum lab_end end = LAB_END_NOT_THERE;
        int rc;

        if (!lab_name_is_valid(entry->d_name) || entry->d_type == DT_REG ||
            lab_paths_find(&one, entry->d_name, NULL) != RAY_OK) {
            continue;
        }
        rc =
            lab_take_down(&one, "clusterctl lab down --all", &end, first_rc == RAY_OK ? err : NULL);
        if (rc == RAY_OK && end != LAB_END_NOT_THERE) {
            print_end(&one, end);
            count++;
        }
        first_rc = first_rc == RAY_OK ? rc : first_rc;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    if (first_rc == RAY_OK) {
        (void)printf("lab: %zu labs taken down\n", count);
    }
    return first_rc;
}

int lab_run_down(const struct ray_args *args, void *context)
{
    struct ray_err err = {0};
    int rc =
        ray_args_flag(args, "all") ? down_all(&err) : down_one(ray_args_value(args, "name"), &err);

    (void)context;
    return rc == RAY_OK ? 0 : lab_fail(&err);
}
