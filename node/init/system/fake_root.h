/* node/init/system/fake_root.h - for tests: a root folder of their own, and namespaces of
 * their own.
 *
 * Memory: the struct is the test's; setup and teardown fit cmocka.  Threads: the test's.
 * Blocks: the disk.  Trust: tests only. */
#ifndef RAY_NODE_INIT_SYSTEM_FAKE_ROOT_H
#define RAY_NODE_INIT_SYSTEM_FAKE_ROOT_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/test.h"

struct fake_root {
    char path[64];
    int fd;
};

static inline int fake_root_setup(void **state)
{
    struct fake_root *root = calloc(1, sizeof *root);

    assert_non_null(root);
    (void)snprintf(root->path, sizeof root->path, "/tmp/fake_root.XXXXXX");
    assert_non_null(mkdtemp(root->path));
    root->fd = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(root->fd >= 0);
    *state = root;
    return 0;
}

static inline int fake_root_teardown(void **state)
{
    struct fake_root *root = *state;
    char command[128];

    (void)close(root->fd);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root->path);
    assert_int_equal(system(command), 0);
    free(root);
    return 0;
}

static inline void fake_put_bytes(const struct fake_root *root, const char *path, const void *data,
                                  size_t size)
{
    const char *slash = strrchr(path, '/');
    char folder[256];
    int fd;

    if (slash != NULL) {
        (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        assert_int_equal(ray_make_dirs(root->fd, folder, 0755, NULL), RAY_OK);
    }
    fd = openat(root->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    (void)close(fd);
}

static inline void fake_put(const struct fake_root *root, const char *path, const char *text)
{
    fake_put_bytes(root, path, text, strlen(text));
}

/* The whole file as text; fails the test when there is none. */
static inline const char *fake_get(const struct fake_root *root, const char *path,
                                   char out[static 4096])
{
    int fd = openat(root->fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t size;

    assert_true(fd >= 0);
    size = read(fd, out, 4095);
    assert_true(size >= 0);
    out[size] = '\0';
    (void)close(fd);
    return out;
}

static inline bool fake_has(const struct fake_root *root, const char *path)
{
    struct stat st;

    return fstatat(root->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Runs `body` in a child with new namespaces (CLONE_NEWNS, CLONE_NEWNET, ...), in which it
 * is root. `body` returns 0 when all is well. The test is skipped where the machine allows
 * no user namespaces. */
static inline void fake_in_namespaces(int flags, int (*body)(void *arg), void *arg)
{
    enum { NOT_ALLOWED = 77 };
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        char map[64];
        int fd;
        uid_t uid = geteuid();
        gid_t gid = getegid();

        if (unshare(CLONE_NEWUSER | flags) != 0) {
            _exit(NOT_ALLOWED);
        }
        fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            (void)!write(fd, "deny", 4);
            (void)close(fd);
        }
        (void)snprintf(map, sizeof map, "0 %u 1\n", uid);
        fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, map, strlen(map)) < 0) {
            _exit(NOT_ALLOWED);
        }
        (void)close(fd);
        (void)snprintf(map, sizeof map, "0 %u 1\n", gid);
        fd = open("/proc/self/gid_map", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, map, strlen(map)) < 0) {
            _exit(NOT_ALLOWED);
        }
        (void)close(fd);
        _exit(body(arg));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_ALLOWED) {
        print_message("skipped: no user namespaces here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* In the child of fake_in_namespaces, where cmocka's assertions would jump out of main. */
#define FAKE_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

#endif
