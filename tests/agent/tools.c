/* tools.c - see tools.h */
#include "tests/agent/tools.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/size.h"

#define TOOLS_NAME "RAYOS_TOOLS"
#define TOOLS_FOLDER "/run/tools"

/* Whether one of the lines of `text` is `line`. */
static bool has_line(const char *text, const char *line)
{
    size_t size = strlen(line);

    while (*text != '\0') {
        size_t length = strcspn(text, "\n");

        if (length == size && memcmp(text, line, size) == 0) {
            return true;
        }
        text += length + (text[length] == '\n' ? 1 : 0);
    }
    return false;
}

static bool is_tools(int class_fd, const char *name)
{
    char path[300];
    char text[1024];

    (void)snprintf(path, sizeof path, "%s/serial", name);
    if (ray_file_read_text(class_fd, path, text, sizeof text, NULL) == RAY_OK &&
        strcmp(text, TOOLS_NAME) == 0) {
        return true;
    }
    (void)snprintf(path, sizeof path, "%s/uevent", name);
    return ray_file_read_text(class_fd, path, text, sizeof text, NULL) == RAY_OK &&
           has_line(text, "PARTNAME=" TOOLS_NAME);
}

int tools_find(int class_fd, char *out_name, size_t out_size, struct ray_err *err)
{
    int fd = openat(class_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int rc = RAY_ENOTFOUND;
    struct dirent *entry;

    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return ray_fail_errno(err, errno, "block devices");
    }
    while (rc == RAY_ENOTFOUND && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && strlen(entry->d_name) < out_size &&
            is_tools(fd, entry->d_name)) {
            (void)snprintf(out_name, out_size, "%s", entry->d_name);
            rc = RAY_OK;
        }
    }
    (void)closedir(dir);
    return rc == RAY_OK ? rc : ray_fail(err, rc, "no disk is named " TOOLS_NAME);
}

int tools_mount(int class_fd, struct ray_err *err)
{
    static const char *const types[] = {"erofs", "squashfs", "ext4", "xfs"};
    char name[64];
    char device[80];
    int rc = tools_find(class_fd, name, sizeof name, err);

    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(device, sizeof device, "/dev/%s", name);
    (void)mkdir(TOOLS_FOLDER, 0755); /* mount tells when it is missing */
    for (size_t i = 0; i < RAY_ARRAY_COUNT(types); i++) {
        if (mount(device, TOOLS_FOLDER, types[i], MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) == 0) {
            return RAY_OK;
        }
    }
    return ray_fail_errno(err, errno, "mount %s as erofs, squashfs, ext4 or xfs", device);
}
