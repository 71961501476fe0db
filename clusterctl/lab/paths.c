/* clusterctl/lab/paths.c - see paths.h. */
#include "clusterctl/lab/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool lab_name_is_valid(const char *name)
{
    size_t size = strlen(name);

    if (size == 0 || size >= LAB_NAME_SIZE || strchr("-_.", name[0]) != NULL) {
        return false;
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == size;
}

int lab_path_join(char *out, size_t out_size, const char *folder, const char *name,
                  struct ray_err *err)
{
    char joined[PATH_MAX];
    int size = snprintf(joined, sizeof joined, "%s/%s", folder, name);

    if (size < 0 || (size_t)size >= sizeof joined || (size_t)size >= out_size) {
        return ray_fail(err, RAY_ETOOBIG, "path %s/%s: longer than %zu bytes", folder, name,
                        out_size - 1);
    }
    memcpy(out, joined, (size_t)size + 1);
    return RAY_OK;
}

/* Cuts the last component of an absolute path; false at "/". */
static bool path_up(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL || path[1] == '\0') {
        return false;
    }
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

/* The nearest folder from `start` upward that holds tools/in-root. */
static bool checkout_find(const char *start, char out[static LAB_PATH_SIZE])
{
    char dir[LAB_PATH_SIZE];
    char probe[LAB_PATH_SIZE];

    (void)snprintf(dir, sizeof dir, "%s", start);
    do {
        if (lab_path_join(probe, sizeof probe, dir, "tools/in-root", NULL) == RAY_OK &&
            access(probe, F_OK) == 0) {
            (void)snprintf(out, LAB_PATH_SIZE, "%s", dir);
            return true;
        }
    } while (path_up(dir));
    return false;
}

static int program_find(struct lab_paths *paths, struct ray_err *err)
{
    ssize_t size = readlink("/proc/self/exe", paths->program, sizeof paths->program - 1);

    if (size < 0) {
        return ray_fail_errno(err, errno, "/proc/self/exe");
    }
    paths->program[size] = '\0';
    memcpy(paths->bin_dir, paths->program, (size_t)size + 1);
    (void)path_up(paths->bin_dir);
    return RAY_OK;
}

int lab_paths_find(struct lab_paths *out, const char *lab_name, struct ray_err *err)
{
    struct lab_paths paths = {0};
    const char *labs_dir = getenv("RAYOS_LAB_DIR");
    char cwd[LAB_PATH_SIZE];
    char lock[LAB_NAME_SIZE + 8];
    int rc;

    if (!lab_name_is_valid(lab_name)) {
        (void)ray_fail(err, RAY_EUSAGE, "lab name '%s': 1 to %d of a-z 0-9 - _ . are allowed",
                       lab_name, LAB_NAME_SIZE - 1);
        return RAY_EUSAGE;
    }
    (void)snprintf(paths.name, sizeof paths.name, "%s", lab_name);
    rc = program_find(&paths, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (getcwd(cwd, sizeof cwd) == NULL) {
        return ray_fail_errno(err, errno, "working directory");
    }
    if (!checkout_find(cwd, paths.checkout) && !checkout_find(paths.bin_dir, paths.checkout)) {
        (void)ray_fail(err, RAY_ENOTFOUND, "no RayOS checkout at or above %s", cwd);
        return ray_next(err, "run this inside the checkout");
    }
    if (labs_dir == NULL) {
        rc = lab_path_join(paths.labs_dir, sizeof paths.labs_dir, paths.checkout, "build/lab", err);
    } else if (labs_dir[0] != '/' || strlen(labs_dir) >= sizeof paths.labs_dir) {
        rc = ray_fail(err, RAY_EUSAGE, "RAYOS_LAB_DIR: an absolute path below %d bytes is needed",
                      LAB_PATH_SIZE);
    } else {
        (void)snprintf(paths.labs_dir, sizeof paths.labs_dir, "%s", labs_dir);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(lock, sizeof lock, ".%s.lock", lab_name);
    rc = lab_path_join(paths.dir, sizeof paths.dir, paths.labs_dir, lab_name, err);
    if (rc == RAY_OK) {
        rc = lab_path_join(paths.lock, sizeof paths.lock, paths.labs_dir, lock, err);
    }
    if (rc == RAY_OK) {
        *out = paths;
    }
    return rc;
}

int lab_socket_path(int dir_fd, const char *name, char out[static LAB_SOCKET_PATH_SIZE],
                    struct ray_err *err)
{
    char folder[32];

    (void)snprintf(folder, sizeof folder, "/proc/self/fd/%d", dir_fd);
    return lab_path_join(out, LAB_SOCKET_PATH_SIZE, folder, name, err);
}
