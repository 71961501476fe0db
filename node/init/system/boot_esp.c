#include "node/init/system/boot_esp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"

#define BY_HAND "clusterctl image-release add FOLDER"

static const struct {
    const char *name;
    const char *path;
    off_t size_max;
} files[] = {
#define FILE_ROW(id, file_name, file_path, most)                                                   \
    [INIT_BOOT_ESP_##id] = {.name = (file_name), .path = (file_path), .size_max = (most)},
    INIT_BOOT_ESP_MAP(FILE_ROW)
#undef FILE_ROW
};

const char *init_boot_esp_name(enum init_boot_esp_file file)
{
    return files[file].name;
}

int init_boot_esp_choose(enum init_boot_path path, const struct init_data_found *found,
                         const char **out_device, struct ray_err *err)
{
    if (path != INIT_BOOT_PATH_DISK) {
        (void)ray_fail(err, RAY_ENOTFOUND, "this node was not started from a disk (but: %s)",
                       init_boot_path_word(path));
        (void)ray_next(err, "give the image by hand: " BY_HAND);
        return RAY_ENOTFOUND;
    }
    if (found->esp_count == 0) {
        (void)ray_fail(err, RAY_ENOTFOUND, "no disk has a partition " INIT_ESP_PARTNAME);
        (void)ray_next(err, "plug the disk in that the node was started from, or " BY_HAND);
        return RAY_ENOTFOUND;
    }
    if (found->esp_count > 1) {
        (void)ray_fail(err, RAY_ECONFLICT,
                       "%zu partitions are named " INIT_ESP_PARTNAME
                       ", %s is one: which one the node was started from is not known",
                       found->esp_count, found->esp_device);
        (void)ray_next(err, "take the other disks out, or " BY_HAND);
        return RAY_ECONFLICT;
    }
    *out_device = found->esp_device;
    return RAY_OK;
}

/* ---- mounting ---- */

/* 0 or errno. The mount is *out_fd's alone: it is attached nowhere. */
static int attach(const char *type, const char *source, int *out_fd)
{
    const unsigned flags =
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    int errnum = ray_fault(RAY_FAULT_MOUNT);
    int context;
    int fd;

    if (errnum != 0) {
        return errnum;
    }
    context = fsopen(type, FSOPEN_CLOEXEC);
    if (context < 0) {
        return errno;
    }
    if (fsconfig(context, FSCONFIG_SET_STRING, "source", source, 0) != 0 ||
        fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) != 0 ||
        fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0) {
        errnum = errno;
        (void)close(context); /* nothing is mounted */
        return errnum;
    }
    fd = fsmount(context, FSMOUNT_CLOEXEC, flags);
    errnum = fd < 0 ? errno : 0;
    (void)close(context); /* the mount has its own reference */
    if (errnum == 0) {
        *out_fd = fd;
    }
    return errnum;
}

int init_boot_esp_mount(const char *type, const char *source, int *out_fd, struct ray_err *err)
{
    int errnum = attach(type, source, out_fd);

    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "mount %s read-only", source);
}

/* ---- files ---- */

/* Below dir_fd and nowhere else, whatever links there are; -1: errno. */
static int open_beneath(int dir_fd, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    int errnum = ray_fault(RAY_FAULT_OPEN);

    if (errnum != 0) {
        errno = errnum;
        return -1;
    }
    return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
}

static int check_file(int fd, enum init_boot_esp_file file, struct ray_err *err)
{
    const char *path = files[file].path;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return ray_fail_errno(err, errno, "%s on the ESP", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        return ray_fail(err, RAY_ECONFLICT, "%s on the ESP is %s", path,
                        S_ISREG(st.st_mode) ? "empty" : "no regular file");
    }
    if (st.st_size > files[file].size_max) {
        return ray_fail(err, RAY_ETOOBIG, "%s on the ESP has %jd bytes, at most %jd", path,
                        (intmax_t)st.st_size, (intmax_t)files[file].size_max);
    }
    return RAY_OK;
}

static int open_file(int dir_fd, enum init_boot_esp_file file, int *out_fd, struct ray_err *err)
{
    int fd = open_beneath(dir_fd, files[file].path);
    int rc;

    if (fd < 0) {
        rc = ray_fail_errno(err, errno, "%s on the ESP", files[file].path);
        if (rc == RAY_ENOTFOUND) {
            (void)ray_next(err, "the disk was written by an older RayOS: " BY_HAND);
        }
        return rc;
    }
    rc = check_file(fd, file, err);
    if (rc != RAY_OK) {
        (void)close(fd); /* read only */
        return rc;
    }
    *out_fd = fd;
    return RAY_OK;
}

int init_boot_esp_open_files(int dir_fd, int out_fds[static INIT_BOOT_ESP_FILE_COUNT],
                             struct ray_err *err)
{
    int fds[INIT_BOOT_ESP_FILE_COUNT] = {-1, -1};
    int rc = RAY_OK;

    for (int i = 0; rc == RAY_OK && i < INIT_BOOT_ESP_FILE_COUNT; i++) {
        rc = open_file(dir_fd, (enum init_boot_esp_file)i, &fds[i], err);
    }
    if (rc == RAY_OK) {
        memcpy(out_fds, fds, sizeof fds);
        return RAY_OK;
    }
    for (int i = 0; i < INIT_BOOT_ESP_FILE_COUNT; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]); /* read only */
        }
    }
    return rc;
}

int init_boot_esp_open(int root_fd, const char *root, enum init_boot_path path,
                       char out_device[static INIT_DATA_DEVICE_SIZE_MAX],
                       int out_fds[static INIT_BOOT_ESP_FILE_COUNT], struct ray_err *err)
{
    struct init_data_found found = {0};
    char source[PATH_MAX];
    const char *device = NULL;
    int dir_fd = -1;
    int rc = init_data_scan(root_fd, &found, err);

    rc = rc == RAY_OK ? init_boot_esp_choose(path, &found, &device, err) : rc;
    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(source, sizeof source, "%s/dev/%s", root, device); /* fits: short names */
    rc = init_boot_esp_mount("vfat", source, &dir_fd, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = init_boot_esp_open_files(dir_fd, out_fds, err);
    (void)close(dir_fd); /* the open files keep the mount, without them it goes */
    if (rc == RAY_OK) {
        (void)snprintf(out_device, INIT_DATA_DEVICE_SIZE_MAX, "%s", device);
    }
    return rc;
}
