/* A disk is in use when it or one of its partitions is mounted, swapped to, or held by another
 * block device. What shows in none of these places (Btrfs mounts by a number of its own) is
 * found by the exclusive open that follows. */
#include "provisioning/disk/block.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/size.h"

enum {
    FILE_SIZE_MAX = 1 << 20,
    PART_COUNT_MAX = 256,
    PARENT_COUNT_MAX = 12,
    VPD_HEADER_SIZE = 4,
};

/* The disk and its partitions. */
struct part {
    char name[32];
    char number[16]; /* "8:17" */
};

struct disk {
    char path[PATH_MAX]; /* in sysfs, without links */
    struct part parts[PART_COUNT_MAX];
    size_t part_count;
};

/* false: there is no such file, or it does not fit. */
static bool read_text(const char *dir, const char *name, char *out, size_t out_size)
{
    char path[PATH_MAX + 64];
    int length = snprintf(path, sizeof(path), "%s/%s", dir, name);

    return length > 0 && (size_t)length < sizeof(path) &&
           ray_file_read_text(AT_FDCWD, path, out, out_size, NULL) == RAY_OK;
}

static bool exists(const char *dir, const char *name)
{
    char path[PATH_MAX + 64];
    int length = snprintf(path, sizeof(path), "%s/%s", dir, name);

    return length > 0 && (size_t)length < sizeof(path) && access(path, F_OK) == 0;
}

/* Without white space at both ends; printable. */
static void copy_trimmed(const char *text, size_t size, char out[static PROVISION_DISK_TEXT_SIZE])
{
    while (size > 0 && isspace((unsigned char)text[0]) != 0) {
        text++;
        size--;
    }
    while (size > 0 && (isspace((unsigned char)text[size - 1]) != 0 || text[size - 1] == '\0')) {
        size--;
    }
    (void)ray_escape(out, PROVISION_DISK_TEXT_SIZE, text, size);
}

static bool copy_fact(const char *dir, const char *name, char out[static PROVISION_DISK_TEXT_SIZE])
{
    char text[PROVISION_DISK_TEXT_SIZE];

    if (!read_text(dir, name, text, sizeof(text))) {
        return false;
    }
    copy_trimmed(text, strlen(text), out);
    return out[0] != '\0';
}

/* --- serial number --- */

/* SCSI's page 80h: four bytes of header, then the number. */
static bool copy_vpd(const char *dir, char out[static PROVISION_DISK_TEXT_SIZE])
{
    char path[PATH_MAX + 64];
    uint8_t *bytes = NULL;
    size_t size = 0;
    int length = snprintf(path, sizeof(path), "%s/device/vpd_pg80", dir);

    if (length < 0 || (size_t)length >= sizeof(path) ||
        ray_file_read(AT_FDCWD, path, 4096, &bytes, &size, NULL) != RAY_OK) {
        return false;
    }
    if (size > VPD_HEADER_SIZE) {
        copy_trimmed((const char *)&bytes[VPD_HEADER_SIZE], size - VPD_HEADER_SIZE, out);
    }
    free(bytes);
    return out[0] != '\0';
}

/* A USB disk's number is with the USB device, some folders above the disk. */
static bool copy_usb(const char *dir, char out[static PROVISION_DISK_TEXT_SIZE])
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s", dir);
    for (int i = 0; i < PARENT_COUNT_MAX; i++) {
        char *slash = strrchr(path, '/');

        if (slash == NULL || slash == path) {
            return false;
        }
        *slash = '\0';
        if (exists(path, "idVendor")) {
            return copy_fact(path, "serial", out);
        }
    }
    return false;
}

static void read_identity(const char *dir, struct block_facts *out)
{
    if (!copy_fact(dir, "serial", out->serial) && !copy_fact(dir, "device/serial", out->serial) &&
        !copy_vpd(dir, out->serial) && !copy_usb(dir, out->serial) &&
        !copy_fact(dir, "wwid", out->serial) && !copy_fact(dir, "device/wwid", out->serial)) {
        out->serial[0] = '\0';
    }
    if (!copy_fact(dir, "device/model", out->model) && !copy_fact(dir, "device/name", out->model)) {
        out->model[0] = '\0';
    }
}

/* In sysfs a sector has 512 bytes, whatever the disk says. */
static uint64_t read_size(const char *dir)
{
    char text[32];
    uint64_t sectors;

    if (!read_text(dir, "size", text, sizeof(text))) {
        return 0;
    }
    text[strcspn(text, "\n")] = '\0';
    return ray_parse_u64(text, 0, UINT64_MAX / 512, &sectors) == RAY_OK ? sectors * 512 : 0;
}

/* --- in use --- */

static void add_part(struct disk *disk, const char *dir, const char *name)
{
    struct part *part = &disk->parts[disk->part_count];

    if (disk->part_count < PART_COUNT_MAX &&
        read_text(dir, "dev", part->number, sizeof(part->number))) {
        (void)snprintf(part->name, sizeof(part->name), "%.*s", (int)sizeof(part->name) - 1, name);
        disk->part_count++;
    }
}

static void find_parts(struct disk *disk, const char *name)
{
    const struct dirent *entry;
    char path[PATH_MAX + NAME_MAX + 2];
    DIR *dir;

    add_part(disk, disk->path, name);
    dir = opendir(disk->path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof(path), "%s/%s", disk->path, entry->d_name);
        if (entry->d_name[0] != '.' && exists(path, "partition")) {
            add_part(disk, path, entry->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir); /* read only */
    }
}

static bool find_holder(const struct disk *disk, const struct part *part,
                        char out[static PROVISION_DISK_WHY_SIZE])
{
    char path[PATH_MAX + 64];
    const struct dirent *entry;
    bool is_disk = part == &disk->parts[0];
    bool is_held = false;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s%s%s/holders", disk->path, is_disk ? "" : "/",
                   is_disk ? "" : part->name);
    dir = opendir(path);
    while (dir != NULL && !is_held && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(out, PROVISION_DISK_WHY_SIZE, "%s is part of %.64s", part->name,
                           entry->d_name);
            is_held = true;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir); /* read only */
    }
    return is_held;
}

static const struct part *part_by_number(const struct disk *disk, const char *number)
{
    for (size_t i = 0; i < disk->part_count; i++) {
        if (strcmp(disk->parts[i].number, number) == 0) {
            return &disk->parts[i];
        }
    }
    return NULL;
}

/* A line of mountinfo: id, parent, major:minor, root, mount point, ... */
static bool is_mount_of(const struct disk *disk, char *line,
                        char out[static PROVISION_DISK_WHY_SIZE])
{
    const struct part *part = NULL;
    char *save = NULL;
    char *word = strtok_r(line, " ", &save);

    for (int i = 0; word != NULL && i < 5; i++) {
        if (i == 2) {
            part = part_by_number(disk, word);
        }
        if (i == 4 && part != NULL) {
            char where[PROVISION_DISK_TEXT_SIZE];

            (void)ray_escape(where, sizeof(where), word, strlen(word));
            (void)snprintf(out, PROVISION_DISK_WHY_SIZE, "%s is mounted on %s", part->name, where);
            return true;
        }
        word = strtok_r(NULL, " ", &save);
    }
    return false;
}

/* A line of swaps: /dev/NAME ... */
static bool is_swap_of(const struct disk *disk, char *line,
                       char out[static PROVISION_DISK_WHY_SIZE])
{
    char *save = NULL;
    const char *word = strtok_r(line, " \t", &save);

    for (size_t i = 0; word != NULL && i < disk->part_count; i++) {
        if (strncmp(word, "/dev/", 5) == 0 && strcmp(&word[5], disk->parts[i].name) == 0) {
            (void)snprintf(out, PROVISION_DISK_WHY_SIZE, "%s is swap space in use",
                           disk->parts[i].name);
            return true;
        }
    }
    return false;
}

static bool find_line(const struct disk *disk, const char *proc_dir, const char *name,
                      bool (*is_it)(const struct disk *disk, char *line,
                                    char out[static PROVISION_DISK_WHY_SIZE]),
                      char out[static PROVISION_DISK_WHY_SIZE])
{
    char path[PATH_MAX];
    uint8_t *text = NULL;
    size_t size = 0;
    bool is_found = false;
    char *save = NULL;

    (void)snprintf(path, sizeof(path), "%s/%s", proc_dir, name);
    if (ray_file_read(AT_FDCWD, path, FILE_SIZE_MAX, &text, &size, NULL) != RAY_OK) {
        return false; /* the exclusive open has the last word */
    }
    for (char *line = strtok_r((char *)text, "\n", &save); line != NULL && !is_found;
         line = strtok_r(NULL, "\n", &save)) {
        is_found = is_it(disk, line, out);
    }
    free(text);
    return is_found;
}

static void find_use(const struct disk *disk, const char *proc_dir,
                     char out[static PROVISION_DISK_WHY_SIZE])
{
    for (size_t i = 0; i < disk->part_count; i++) {
        if (find_holder(disk, &disk->parts[i], out)) {
            return;
        }
    }
    if (!find_line(disk, proc_dir, "self/mountinfo", is_mount_of, out)) {
        (void)find_line(disk, proc_dir, "swaps", is_swap_of, out);
    }
}

int block_read(const char *sys_dir, const char *proc_dir, dev_t device, struct block_facts *out,
               struct ray_err *err)
{
    struct block_facts facts = {0};
    struct disk *disk;
    char path[PATH_MAX];
    const char *name;
    char text[16];

    (void)snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sys_dir, major(device), minor(device));
    disk = calloc(1, sizeof(*disk));
    if (disk == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to look at a disk");
    }
    if (realpath(path, disk->path) == NULL) {
        free(disk);
        return ray_fail(err, RAY_ENOTFOUND, "%s says nothing of block device %u:%u", sys_dir,
                        major(device), minor(device));
    }
    name = strrchr(disk->path, '/') + 1; /* realpath's result begins with one */
    (void)snprintf(facts.name, sizeof(facts.name), "%s", name);
    facts.is_partition = exists(disk->path, "partition");
    facts.is_read_only = read_text(disk->path, "ro", text, sizeof(text)) && text[0] == '1';
    facts.size_bytes = read_size(disk->path);
    read_identity(disk->path, &facts);
    find_parts(disk, name);
    find_use(disk, proc_dir, facts.in_use);
    free(disk);
    *out = facts;
    return RAY_OK;
}

const char *block_word(const struct block_facts *facts, char out[static PROVISION_DISK_TEXT_SIZE])
{
    if (facts->serial[0] != '\0') {
        (void)snprintf(out, PROVISION_DISK_TEXT_SIZE, "%s", facts->serial);
    } else {
        (void)snprintf(out, PROVISION_DISK_TEXT_SIZE, "%" PRIu64, facts->size_bytes);
    }
    return out;
}
