/* clusterctl/lab/tidy.c - see tidy.h. */
#include "clusterctl/lab/tidy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "clusterctl/lab/paths.h"

enum { DEPTH_MAX = 16 };

static bool ends_with(const char *name, const char *ending)
{
    size_t size = strlen(name);
    size_t ending_size = strlen(ending);

    return size > ending_size && strcmp(name + size - ending_size, ending) == 0;
}

bool lab_tidy_keeps(const char *name)
{
    static const char *const endings[] = {".log", ".log.1", ".jsonl", ".jsonl.1", ".pcap"};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(endings); i++) {
        if (ends_with(name, endings[i])) {
            return true;
        }
    }
    return strcmp(name, LAB_FILE_REPORT) == 0;
}

static bool keeps_nothing(const char *name)
{
    (void)name;
    return false;
}

static int sweep(int dir_fd, const char *path, bool (*keeps)(const char *name), int depth,
                 struct ray_err *err);

/* One entry of the folder `fd`. */
static int sweep_entry(int fd, const char *name, bool (*keeps)(const char *name), int depth,
                       struct ray_err *err)
{
    int rc = RAY_OK;

    if (unlinkat(fd, name, 0) == 0) {
        return RAY_OK;
    }
    if (errno != EISDIR && errno != EPERM) {
        return ray_fail_errno(err, errno, "%s", name);
    }
    rc = sweep(fd, name, keeps, depth + 1, err);
    if (rc == RAY_OK && unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY) {
        rc = ray_fail_errno(err, errno, "%s", name);
    }
    return rc;
}

static int sweep(int dir_fd, const char *path, bool (*keeps)(const char *name), int depth,
                 struct ray_err *err)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int first_rc = RAY_OK;
    struct dirent *entry;

    if (dir == NULL) {
        int rc = ray_fail_errno(err, errno, "folder %s", path);

        if (fd >= 0) {
            (void)close(fd);
        }
        return rc;
    }
    if (depth > DEPTH_MAX) {
        (void)closedir(dir);
        return ray_fail(err, RAY_ETOOBIG, "folder %s: deeper than %d", path, DEPTH_MAX);
    }
    while ((entry = readdir(dir)) != NULL) {
        int rc;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            keeps(entry->d_name)) {
            continue;
        }
        rc = sweep_entry(fd, entry->d_name, keeps, depth, first_rc == RAY_OK ? err : NULL);
        first_rc = first_rc == RAY_OK ? rc : first_rc;
    }
    (void)closedir(dir);
    return first_rc;
}

int lab_tidy(int dir_fd, const char *path, struct ray_err *err)
{
    return sweep(dir_fd, path, lab_tidy_keeps, 0, err);
}

int lab_wipe(int dir_fd, const char *path, struct ray_err *err)
{
    return sweep(dir_fd, path, keeps_nothing, 0, err);
}
