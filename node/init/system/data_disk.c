/* data_disk.c - finding, checking and mounting. The superblock is looked at before the kernel
 * mounts: a foreign file system or nonsense sizes never reach a driver; checksums and the
 * log are the kernel's to check, and what it refuses is "damaged". Any failure on the disk
 * ends in RAM with the reason, because a node without its data still has to say so. */
#include "node/init/system/data_disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"

#define BLOCK_CLASS "sys/class/block"
#define LAYOUT_FILE "layout"
#define MOUNT_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME)

enum { UEVENT_FILE_SIZE_MAX = 4096, LAYOUT_FILE_SIZE_MAX = 1024, RAYOSD_ID = 900, CORE_ID = 903 };

const char *init_data_reason_word(enum init_data_reason reason)
{
    switch (reason) {
#define REASON_WORD(id, word, explanation)                                                         \
    case INIT_DATA_REASON_##id:                                                                    \
        return word;
        INIT_DATA_REASON_MAP(REASON_WORD)
#undef REASON_WORD
    }
    return "unknown";
}

const char *init_data_reason_explanation(enum init_data_reason reason)
{
    switch (reason) {
#define REASON_TEXT(id, word, explanation)                                                         \
    case INIT_DATA_REASON_##id:                                                                    \
        return explanation;
        INIT_DATA_REASON_MAP(REASON_TEXT)
#undef REASON_TEXT
    }
    return "unknown";
}

void init_data_init(struct init_data *data)
{
    *data = (struct init_data){.fd = -1};
}

void init_data_fini(struct init_data *data)
{
    if (data->fd >= 0) {
        (void)close(data->fd);
        data->fd = -1;
    }
}

/* ---- finding ---- */

/* A device name that may stand behind /dev/ in a path of ours. */
static bool is_device_name(const char *name)
{
    size_t size = strlen(name);

    return size > 0 && size < INIT_DATA_DEVICE_SIZE_MAX && name[0] != '.' &&
           strchr(name, '/') == NULL;
}

/* Counts the partition if it has the name; whether it is the first one. */
static bool count_partition(const struct init_uevent *event, const char *partname, size_t *count,
                            char device[static INIT_DATA_DEVICE_SIZE_MAX])
{
    if (strcmp(event->partname, partname) != 0 || event->devname == NULL ||
        !is_device_name(event->devname)) {
        return false;
    }
    if (*count == 0) {
        (void)snprintf(device, INIT_DATA_DEVICE_SIZE_MAX, "%s", event->devname);
    }
    (*count)++;
    return *count == 1;
}

static void look_at_device(int class_fd, const char *name, struct init_data_found *found)
{
    char path[NAME_MAX + 16];
    char readonly[8];
    uint8_t *text = NULL;
    size_t size = 0;
    struct init_uevent event;

    (void)snprintf(path, sizeof path, "%s/uevent", name);
    if (ray_file_read(class_fd, path, UEVENT_FILE_SIZE_MAX, &text, &size, NULL) != RAY_OK) {
        return; /* it has just gone */
    }
    if (init_uevent_parse_file((char *)text, size, name, &event, NULL) != RAY_OK ||
        event.partname == NULL) {
        free(text);
        return;
    }
    (void)count_partition(&event, INIT_ESP_PARTNAME, &found->esp_count, found->esp_device);
    if (count_partition(&event, INIT_DATA_PARTNAME, &found->count, found->device)) {
        (void)snprintf(path, sizeof path, "%s/ro", name);
        found->is_readonly =
            ray_file_read_text(class_fd, path, readonly, sizeof readonly, NULL) == RAY_OK &&
            strcmp(readonly, "1") == 0;
    }
    free(text);
}

int init_data_scan(int root_fd, struct init_data_found *out, struct ray_err *err)
{
    struct init_data_found found = {0};
    int fd = ray_fault(RAY_FAULT_OPEN) != 0
                 ? -1
                 : openat(root_fd, BLOCK_CLASS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (dir == NULL) {
        int errnum = errno;

        if (fd >= 0) {
            (void)close(fd);
        }
        return ray_fail_errno(err, errnum, "/%s", BLOCK_CLASS);
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            look_at_device(dirfd(dir), entry->d_name, &found);
        }
    }
    (void)closedir(dir);
    *out = found;
    return RAY_OK;
}

/* ---- checking ---- */

static uint64_t load_be(const uint8_t *at, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* Offsets of struct xfs_dsb, "XFS Algorithms & Data Structures", 3rd edition, section 10.1. */
enum {
    SB_BLOCK_SIZE = 4,    /* u32 */
    SB_DATA_BLOCKS = 8,   /* u64 */
    SB_LOG_START = 48,    /* u64; 0: the log is on another device */
    SB_AG_BLOCKS = 84,    /* u32 */
    SB_AG_COUNT = 88,     /* u32 */
    SB_VERSION = 100,     /* u16; low 4 bits: version */
    SB_SECTOR_SIZE = 102, /* u16 */
    SB_BLOCK_LOG = 120,   /* u8 */
    SB_IN_PROGRESS = 126, /* u8; mkfs did not finish */
    XFS_VERSION = 5,
};

enum init_data_reason init_data_check_xfs(const uint8_t *block, size_t size,
                                          uint64_t device_size_bytes, char *out_detail,
                                          size_t detail_size)
{
    uint64_t block_size;
    uint64_t data_blocks;
    uint64_t ag_blocks;
    uint64_t ag_count;
    uint64_t sector_size;
    const char *wrong = NULL;

    out_detail[0] = '\0';
    if (size < INIT_XFS_BLOCK_SIZE || memcmp(block, "XFSB", 4) != 0) {
        (void)snprintf(out_detail, detail_size, "no XFS superblock at its beginning");
        return INIT_DATA_REASON_NOT_XFS;
    }
    block_size = load_be(block + SB_BLOCK_SIZE, 4);
    data_blocks = load_be(block + SB_DATA_BLOCKS, 8);
    ag_blocks = load_be(block + SB_AG_BLOCKS, 4);
    ag_count = load_be(block + SB_AG_COUNT, 4);
    sector_size = load_be(block + SB_SECTOR_SIZE, 2);
    if ((load_be(block + SB_VERSION, 2) & 0xf) != XFS_VERSION) {
        wrong = "version is not 5";
    } else if (block[SB_IN_PROGRESS] != 0) {
        wrong = "its making was not finished";
    } else if (!is_power_of_two(block_size) || block_size < 512 || block_size > 65536 ||
               block[SB_BLOCK_LOG] > 16 || UINT64_C(1) << block[SB_BLOCK_LOG] != block_size) {
        wrong = "block size makes no sense";
    } else if (!is_power_of_two(sector_size) || sector_size < 512 || sector_size > 32768) {
        wrong = "sector size makes no sense";
    } else if (data_blocks == 0 || data_blocks > device_size_bytes / block_size) {
        wrong = "it is larger than its partition";
    } else if (ag_blocks == 0 || ag_count == 0 || (ag_count - 1) * ag_blocks >= data_blocks ||
               ag_count * ag_blocks < data_blocks) {
        wrong = "allocation groups do not cover it";
    } else if (load_be(block + SB_LOG_START, 8) == 0) {
        wrong = "its log is on another device";
    }
    if (wrong != NULL) {
        (void)snprintf(out_detail, detail_size, "XFS superblock: %s", wrong);
        return INIT_DATA_REASON_DAMAGED;
    }
    return INIT_DATA_REASON_NONE;
}

/* Of a block device, or of a plain file (a test's image). */
static int device_size(int fd, uint64_t *out_bytes)
{
    struct stat info;

    if (fstat(fd, &info) != 0) {
        return -1;
    }
    if (S_ISREG(info.st_mode)) {
        *out_bytes = (uint64_t)info.st_size;
        return 0;
    }
    return ioctl(fd, BLKGETSIZE64, out_bytes);
}

static enum init_data_reason check_device(const char *path, char *out_detail, size_t detail_size)
{
    enum init_data_reason reason = INIT_DATA_REASON_DAMAGED;
    uint8_t block[INIT_XFS_BLOCK_SIZE] = {0};
    uint64_t size_bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0 || device_size(fd, &size_bytes) != 0) {
        (void)snprintf(out_detail, detail_size, "%.100s: %s", path, strerror(errno));
    } else {
        n = pread(fd, block, sizeof block, 0);
        if (n < 0) {
            (void)snprintf(out_detail, detail_size, "%.100s: %s", path, strerror(errno));
        } else {
            reason = init_data_check_xfs(block, (size_t)n, size_bytes, out_detail, detail_size);
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return reason;
}

/* ---- layout ---- */

static const struct {
    const char *name;
    mode_t mode;
    uid_t owner;
} layout_table[] = {
    {"identity", 0750, 0}, /* the node's key: PID 1's; rayosd reads it (member.c) */
    {"raft", 0700, RAYOSD_ID},
    {"checkpoint", 0700, RAYOSD_ID}, /* of the member's log */
    {"facts", 0700, RAYOSD_ID},      /* what a member keeps outside of it */
    {"policy", 0750, RAYOSD_ID},     /* last applied policy, for a start without quorum */
    {"vm", 0711, 0},                 /* the launcher makes a folder for each guest's own user */
    {"images", 0755, 0},             /* content-addressed, immutable */
    {"volume", 0711, 0},
    {"log", 0750, 0},
    {"crash", 0750, 0},
    {"crash/cores", 0700, CORE_ID}, /* what the collector of node/core keeps; root reads it */
};

static int read_layout_version(int data_fd, uint64_t *out_version, struct ray_err *err)
{
    uint8_t *text = NULL;
    size_t size = 0;
    yyjson_doc *doc;
    yyjson_val *version;
    int rc = ray_file_read(data_fd, LAYOUT_FILE, LAYOUT_FILE_SIZE_MAX, &text, &size, err);

    if (rc != RAY_OK) {
        return rc;
    }
    doc = yyjson_read((const char *)text, size, 0);
    version = yyjson_obj_get(yyjson_doc_get_root(doc), "version");
    if (yyjson_is_uint(version) && yyjson_get_uint(version) > 0) {
        *out_version = yyjson_get_uint(version);
    } else {
        rc = ray_fail(err, RAY_EMALFORMED, "file %s has no version", LAYOUT_FILE);
    }
    yyjson_doc_free(doc);
    free(text);
    return rc;
}

static int make_folder(int data_fd, size_t index, bool sets_owners, struct ray_err *err)
{
    const char *name = layout_table[index].name;
    int rc = ray_make_dirs(data_fd, name, layout_table[index].mode, err);
    int fd;

    if (rc != RAY_OK) {
        return rc;
    }
    fd = openat(data_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "folder %s", name);
    }
    if (fchmod(fd, layout_table[index].mode) != 0 ||
        (sets_owners && fchown(fd, layout_table[index].owner, layout_table[index].owner) != 0)) {
        rc = ray_fail_errno(err, errno, "mode and owner of folder %s", name);
    }
    (void)close(fd);
    if (rc == RAY_OK) {
        int swept = ray_atomic_sweep(data_fd, name, err);

        rc = swept < 0 ? swept : RAY_OK;
    }
    return rc;
}

int init_data_layout(int data_fd, bool sets_owners, struct ray_err *err)
{
    uint64_t version = 0;
    char text[32];
    int n;
    int rc = read_layout_version(data_fd, &version, err);

    if (rc == RAY_OK && version > INIT_DATA_LAYOUT_VERSION) {
        return ray_fail(err, RAY_ECONFLICT, "layout %llu is newer than %d",
                        (unsigned long long)version, INIT_DATA_LAYOUT_VERSION);
    }
    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        return rc;
    }
    /* The file comes last: without it the folders are made, again if need be. */
    for (size_t i = 0; i < RAY_ARRAY_COUNT(layout_table); i++) {
        rc = make_folder(data_fd, i, sets_owners, err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    if (version == 0) {
        n = snprintf(text, sizeof text, "{\"version\":%d}\n", INIT_DATA_LAYOUT_VERSION);
        rc = ray_atomic_write(data_fd, LAYOUT_FILE, text, (size_t)n, 0644, err);
    }
    if (rc == RAY_OK) {
        int swept = ray_atomic_sweep(data_fd, ".", err);

        rc = swept < 0 ? swept : RAY_OK;
    }
    return rc;
}

/* ---- mounting ---- */

static int open_folder(const char *path, int *out_fd, struct ray_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    *out_fd = fd;
    return RAY_OK;
}

static int mount_at(const char *device, const char *path, const char *type, const char *options)
{
    int errnum = ray_fault(RAY_FAULT_MOUNT);

    if (errnum == 0 && mount(device, path, type, MOUNT_FLAGS, options) != 0) {
        errnum = errno;
    }
    return errnum;
}

static enum init_data_reason reason_of_mount(int errnum)
{
    return errnum == EROFS || errnum == EACCES ? INIT_DATA_REASON_READONLY
                                               : INIT_DATA_REASON_DAMAGED;
}

static enum init_data_reason reason_of_layout(int rc)
{
    if (rc == RAY_ECONFLICT) {
        return INIT_DATA_REASON_NEWER;
    }
    return rc == RAY_ENOSPC ? INIT_DATA_REASON_FULL : INIT_DATA_REASON_LAYOUT;
}

/* Mounts the disk and makes its layout; what went wrong is in data->reason and detail. */
static void use_disk(const char *root, const char *folder, const char *device,
                     struct init_data *data)
{
    char path[PATH_MAX];
    struct ray_err err = {0};
    int errnum;
    int rc;

    (void)snprintf(path, sizeof path, "%s/dev/%s", root, device);
    data->reason = check_device(path, data->detail, sizeof data->detail);
    if (data->reason != INIT_DATA_REASON_NONE) {
        return;
    }
    errnum = mount_at(path, folder, "xfs", NULL);
    if (errnum != 0) {
        data->reason = reason_of_mount(errnum);
        (void)snprintf(data->detail, sizeof data->detail, "mount of %s: %s", device,
                       strerror(errnum));
        return;
    }
    rc = open_folder(folder, &data->fd, &err);
    if (rc == RAY_OK && data->fd >= 0) {
        rc = init_data_layout(data->fd, true, &err);
    }
    if (rc == RAY_OK) {
        data->is_disk = true;
        (void)snprintf(data->device, sizeof data->device, "%s", device);
        return;
    }
    data->reason = reason_of_layout(rc);
    (void)snprintf(data->detail, sizeof data->detail, "%.190s", err.text);
    init_data_fini(data);
    (void)umount2(folder, MNT_DETACH);
}

static int use_ram(const char *folder, bool sets_owners, struct init_data *data,
                   struct ray_err *err)
{
    int errnum = mount_at("rayos-data", folder, "tmpfs", "mode=0755,size=25%");
    int rc;

    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "data folder in RAM");
    }
    rc = open_folder(folder, &data->fd, err);
    if (rc == RAY_OK && data->fd >= 0) {
        rc = init_data_layout(data->fd, sets_owners, err);
    }
    if (rc != RAY_OK) {
        init_data_fini(data);
        (void)umount2(folder, MNT_DETACH);
        return ray_wrap(err, rc, "data folder in RAM");
    }
    return RAY_OK;
}

int init_data_mount(const char *root, const struct init_data_found *found,
                    struct ray_logger *logger, struct init_data *out, struct ray_err *err)
{
    struct init_data data = {.fd = -1};
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof folder, "%s/%s", root, INIT_DATA_FOLDER);
    int rc;

    if (n < 0 || (size_t)n >= sizeof folder) {
        return ray_fail(err, RAY_ETOOBIG, "data folder: path too long");
    }
    rc = ray_make_dirs(AT_FDCWD, folder, 0755, err);
    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "data folder");
    }
    if (found->count == 0) {
        data.reason = INIT_DATA_REASON_ABSENT;
    } else if (found->count > 1) {
        data.reason = INIT_DATA_REASON_SEVERAL;
        (void)snprintf(data.detail, sizeof data.detail, "%zu partitions, %s is one of them",
                       found->count, found->device);
    } else if (found->is_readonly) {
        data.reason = INIT_DATA_REASON_READONLY;
        (void)snprintf(data.detail, sizeof data.detail, "%s cannot be written", found->device);
    } else {
        use_disk(root, folder, found->device, &data);
    }
    if (!data.is_disk) {
        ray_log(logger, data.reason == INIT_DATA_REASON_ABSENT ? RAY_LOG_NOTICE : RAY_LOG_ERROR,
                "data", "kept in RAM, gone at the next boot: %s%s%s",
                init_data_reason_explanation(data.reason), data.detail[0] == '\0' ? "" : ": ",
                data.detail);
        rc = use_ram(folder, root[0] == '\0', &data, err);
    }
    if (rc == RAY_OK) {
        *out = data;
    }
    return rc;
}

int init_data_free(int data_fd, uint64_t *out_free_bytes, uint64_t *out_size_bytes,
                   struct ray_err *err)
{
    struct statvfs info;

    if (fstatvfs(data_fd, &info) != 0) {
        return ray_fail_errno(err, errno, "free space of the data folder");
    }
    *out_free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    *out_size_bytes = (uint64_t)info.f_blocks * info.f_frsize;
    return RAY_OK;
}
