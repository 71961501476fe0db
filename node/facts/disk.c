/* disk.c - /sys/block: what has a device behind it is a disk (loop, ram and dm have none).
 *
 * How a disk is attached shows in the path of its device, from the disk towards the
 * machine: a USB disk is a SCSI disk whose path also names usb. */
#include "node/facts/disk.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "node/facts/mounts.h"

enum { SECTOR_SIZE = 512, LINK_SIZE = 1024 };

static const char data_label[] = "RAYOS_DATA";

static uint64_t sectors_to_bytes(uint64_t sectors)
{
    return sectors <= UINT64_MAX / SECTOR_SIZE ? sectors * SECTOR_SIZE : 0;
}

static char *transport_of(const struct facts_source *source, const char *name)
{
    static const struct {
        const char *part;
        const char *transport;
    } kinds[] = {
        {"/usb", "usb"}, {"/virtio", "virtio"}, {"/nvme", "nvme"},
        {"/mmc", "mmc"}, {"/ata", "ata"},       {"/host", "scsi"},
    };
    char path[LINK_SIZE];

    if (!facts_link(source, path, sizeof path, "sys/block/%s", name)) {
        return (char *)"";
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(kinds); i++) {
        if (strstr(path, kinds[i].part) != NULL) {
            return (char *)kinds[i].transport;
        }
    }
    return (char *)"";
}

/* PARTNAME of a partition's uevent. */
static char *label_of(struct facts_source *source, const char *disk, const char *partition)
{
    static const char key[] = "PARTNAME=";
    char path[FACTS_NAME_SIZE_MAX * 2 + 32];
    char text[1024];
    const char *line = text;

    (void)snprintf(path, sizeof path, "sys/block/%s/%s/uevent", disk, partition);
    (void)facts_head(source, path, text, sizeof text);
    while (line != NULL && *line != '\0') {
        if (strncmp(line, key, sizeof key - 1) == 0) {
            line += sizeof key - 1;
            return facts_copy(source, line, strcspn(line, "\n"));
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return (char *)"";
}

/* Why `name` (a disk, or a partition as "vda/vda1") is in use; NULL: it is not. */
static char *use_of(struct facts_source *source, const struct facts_mounts *mounts,
                    const char *path, const char *name)
{
    const char *point = facts_mounts_find(mounts, facts_text(source, "sys/block/%s/dev", path));
    char **holders = NULL;
    char text[FACTS_TEXT_SIZE_MAX];
    int size;

    if (point != NULL) {
        size = snprintf(text, sizeof text, "%s is mounted at %s", name, point);
    } else if (facts_mounts_is_swap(mounts, name)) {
        size = snprintf(text, sizeof text, "%s is swap", name);
    } else if (facts_list(source, &holders, "sys/block/%s/holders", path) > 0) {
        size = snprintf(text, sizeof text, "%s is part of %s", name, holders[0]);
    } else {
        return NULL;
    }
    size = size < (int)sizeof text ? size : (int)sizeof text - 1;
    return facts_copy(source, text, size > 0 ? (size_t)size : 0);
}

static Rayos__Node__Partition *read_partition(struct facts_source *source, const char *disk,
                                              const char *name)
{
    Rayos__Node__Partition *partition = facts_alloc(source, sizeof *partition);

    if (partition != NULL) {
        rayos__node__partition__init(partition);
        partition->name = facts_copy(source, name, strlen(name));
        partition->label = label_of(source, disk, name);
        partition->size_bytes =
            sectors_to_bytes(facts_number(source, "sys/block/%s/%s/size", disk, name));
    }
    return partition;
}

static void read_partitions(struct facts_source *source, const struct facts_mounts *mounts,
                            const char *name, Rayos__Node__Disk *disk)
{
    char **entries = NULL;
    size_t count = facts_list(source, &entries, "sys/block/%s", name);
    bool holds_data = false;

    disk->partitions = facts_alloc(source, FACTS_PARTITION_COUNT_MAX * sizeof *disk->partitions);
    if (disk->partitions == NULL) {
        return;
    }
    for (size_t i = 0; i < count && disk->n_partitions < FACTS_PARTITION_COUNT_MAX; i++) {
        char path[FACTS_NAME_SIZE_MAX * 2];
        Rayos__Node__Partition *partition;
        char *use;

        if (!facts_exists(source, "sys/block/%s/%s/partition", name, entries[i])) {
            continue;
        }
        partition = read_partition(source, name, entries[i]);
        if (partition == NULL) {
            return;
        }
        disk->partitions[disk->n_partitions++] = partition;
        holds_data = holds_data || strcmp(partition->label, data_label) == 0;
        (void)snprintf(path, sizeof path, "%s/%s", name, entries[i]);
        use = disk->in_use[0] == '\0' ? use_of(source, mounts, path, entries[i]) : NULL;
        if (use != NULL) {
            disk->in_use = use;
        }
    }
    if (holds_data && disk->in_use[0] == '\0') {
        disk->in_use = (char *)"holds RAYOS_DATA";
    }
}

static void read_disk(struct facts_source *source, const struct facts_mounts *mounts,
                      const char *name, Rayos__Node__Disk *disk)
{
    char *use = use_of(source, mounts, name, name);

    disk->name = facts_copy(source, name, strlen(name));
    disk->model = facts_text(source, "sys/block/%s/device/model", name);
    disk->serial = facts_text(source, "sys/block/%s/device/serial", name);
    if (disk->serial[0] == '\0') {
        disk->serial = facts_text(source, "sys/block/%s/serial", name); /* virtio */
    }
    disk->transport = transport_of(source, name);
    disk->size_bytes = sectors_to_bytes(facts_number(source, "sys/block/%s/size", name));
    disk->is_rotational = facts_number(source, "sys/block/%s/queue/rotational", name) != 0;
    disk->is_removable = facts_number(source, "sys/block/%s/removable", name) != 0;
    disk->is_readonly = facts_number(source, "sys/block/%s/ro", name) != 0;
    if (use != NULL) {
        disk->in_use = use;
    }
    read_partitions(source, mounts, name, disk);
}

void facts_disks_read(struct facts_source *source, Rayos__Node__Facts *out)
{
    struct facts_mounts mounts;
    char **names = NULL;
    size_t count = facts_list(source, &names, "sys/block");

    facts_mounts_read(source, &mounts);
    out->disks = facts_alloc(source, FACTS_DISK_COUNT_MAX * sizeof *out->disks);
    if (out->disks == NULL || mounts.swaps == NULL) {
        return;
    }
    for (size_t i = 0; i < count && out->n_disks < FACTS_DISK_COUNT_MAX; i++) {
        Rayos__Node__Disk *disk;

        if (!facts_exists(source, "sys/block/%s/device", names[i])) {
            continue;
        }
        disk = facts_alloc(source, sizeof *disk);
        if (disk == NULL) {
            return;
        }
        rayos__node__disk__init(disk);
        read_disk(source, &mounts, names[i], disk);
        out->disks[out->n_disks++] = disk;
    }
}
