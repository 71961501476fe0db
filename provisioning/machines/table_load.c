/* table_load.c - the folder at start. One bad file costs one record, never the service: what
 * cannot be read is kept under another name for people to look at. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "provisioning/machines/record_json.h"
#include "provisioning/machines/table_internal.h"

enum { ENTRY_COUNT_MAX = 65536 };

const char *table_file_name(const struct provision_mac *mac, char out[static TABLE_FILE_NAME_SIZE])
{
    const uint8_t *b = mac->bytes;

    (void)snprintf(out, TABLE_FILE_NAME_SIZE, "%02x-%02x-%02x-%02x-%02x-%02x.json", b[0], b[1],
                   b[2], b[3], b[4], b[5]);
    return out;
}

/* Whether an error says that the file is bad, not that we lack something. */
static bool is_damage(int rc)
{
    return rc == RAY_EMALFORMED || rc == RAY_ETOOBIG || rc == RAY_EUNSUPPORTED || rc == RAY_EIO;
}

static void set_aside(struct provision_table *table, const char *name, const char *why)
{
    char damaged[TABLE_FILE_NAME_SIZE + sizeof(".damaged")];
    struct ray_err err = {0};

    (void)snprintf(damaged, sizeof(damaged), "%s.damaged", name);
    table->stats.damaged_file_count++;
    if (ray_fault(RAY_FAULT_RENAME) != 0 ||
        renameat(table->dir_fd, name, table->dir_fd, damaged) != 0) {
        (void)ray_fail_errno(&err, errno, "%s is damaged (%s), but rename", name, why);
        table_problem(table, "%s", err.text);
        return;
    }
    table_problem(table, "%s is damaged (%s): kept as %s", name, why, damaged);
}

/* RAY_ENOTFOUND also for what is no regular file: a pipe of that name must not stop the start. */
static int read_file(struct provision_table *table, const char *name, size_t size_max,
                     uint8_t **out_data, size_t *out_size, struct ray_err *err)
{
    struct stat st;

    if (fstatat(table->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return ray_fail_errno(err, errno, "stat %s", name);
    }
    if (!S_ISREG(st.st_mode)) {
        table_problem(table, "%s is no regular file: left alone", name);
        return ray_fail(err, RAY_ENOTFOUND, "%s is no regular file", name);
    }
    return ray_file_read(table->dir_fd, name, size_max, out_data, out_size, err);
}

static int add_record(struct provision_table *table, struct table_slot *slot, const char *name,
                      struct ray_err *err)
{
    char expected[TABLE_FILE_NAME_SIZE];
    bool is_found;
    size_t position;

    if (strcmp(table_file_name(&slot->record.mac, expected), name) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "it is the record of another machine");
    }
    if (table->slot_count == PROVISION_TABLE_MACHINE_COUNT_MAX) {
        table_problem(table, "%s is left alone: there are %d machines already", name,
                      PROVISION_TABLE_MACHINE_COUNT_MAX);
        free(slot);
        return RAY_OK;
    }
    slot->may_have_file = true;
    position = table_position(table, &slot->record.mac, &is_found);
    assert(!is_found); /* one name, one MAC */
    table_insert(table, slot, position);
    for (size_t i = 0; i < slot->record.image_count; i++) {
        const struct provision_record_image *image = &slot->record.images[i];

        if (image->good_us != 0) {
            table_note_good(table, image->id, image->good_us);
        }
    }
    if (slot->record.last_try.is_open) {
        table_watch_tries(table);
    }
    return RAY_OK;
}

static int load_record(struct provision_table *table, const char *name, struct ray_err *err)
{
    struct table_slot *slot;
    uint8_t *data = NULL;
    size_t size = 0;
    int rc = read_file(table, name, PROVISION_RECORD_FILE_SIZE_MAX, &data, &size, err);

    if (rc != RAY_OK) {
        return rc;
    }
    slot = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*slot));
    if (slot == NULL) {
        free(data);
        return ray_fail(err, RAY_ENOMEM, "no memory for a machine");
    }
    rc = provision_record_parse(data, size, &slot->record, err);
    free(data);
    if (rc == RAY_OK) {
        rc = add_record(table, slot, name, err);
    }
    if (rc != RAY_OK) {
        free(slot);
    }
    return rc;
}

static int load_groups(struct provision_table *table, struct ray_err *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    int rc = read_file(table, TABLE_GROUPS_FILE, PROVISION_GROUPS_FILE_SIZE_MAX, &data, &size, err);

    if (rc == RAY_OK) {
        rc = provision_groups_parse(data, size, table->groups, &table->group_count, err);
    }
    free(data);
    return rc;
}

/* Ours are "52-54-00-77-00-15.json" and "groups.json". */
static int load_file(struct provision_table *table, const char *name, struct ray_err *err)
{
    bool is_groups = strcmp(name, TABLE_GROUPS_FILE) == 0;
    struct ray_err why = {0};
    int rc;

    if (!is_groups && (strlen(name) != TABLE_FILE_NAME_SIZE - 1 ||
                       strcmp(name + PROVISION_MAC_TEXT_SIZE - 1, ".json") != 0)) {
        return RAY_OK;
    }
    rc = is_groups ? load_groups(table, &why) : load_record(table, name, &why);
    if (rc == RAY_OK || rc == RAY_ENOTFOUND) {
        return RAY_OK;
    }
    if (is_damage(rc)) {
        set_aside(table, name, why.text);
        return RAY_OK;
    }
    if (err != NULL) {
        *err = why;
    }
    return rc;
}

static int compare_last_seen(const void *a, const void *b)
{
    const struct table_slot *const *first = a;
    const struct table_slot *const *second = b;
    uint64_t x = (*first)->record.last_seen_us;
    uint64_t y = (*second)->record.last_seen_us;

    return (x > y) - (x < y);
}

/* The list of those that may give way, in the order in which they were last heard of. */
static int list_unknown(struct provision_table *table, struct ray_err *err)
{
    struct table_slot **order;

    if (table->slot_count == 0) {
        return RAY_OK;
    }
    order = ray_fault(RAY_FAULT_ALLOC) != 0
                ? NULL
                : calloc(table->slot_count, sizeof(struct table_slot *));
    if (order == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to sort the machines");
    }
    memcpy(order, table->slots, table->slot_count * sizeof(struct table_slot *));
    qsort(order, table->slot_count, sizeof(struct table_slot *), compare_last_seen);
    for (size_t i = 0; i < table->slot_count; i++) {
        table_place(table, order[i]);
    }
    free(order);
    return RAY_OK;
}

static int load_all(struct provision_table *table, DIR *dir, struct ray_err *err)
{
    struct dirent *entry;
    size_t count = 0;

    for (;;) {
        int rc;

        errno = ray_fault(RAY_FAULT_READ);
        entry = errno != 0 ? NULL : readdir(dir);
        if (entry == NULL) {
            return errno == 0 ? RAY_OK : ray_fail_errno(err, errno, "read the folder");
        }
        if (++count > ENTRY_COUNT_MAX) {
            return ray_fail(err, RAY_ETOOBIG, "more than %d files in the folder", ENTRY_COUNT_MAX);
        }
        rc = load_file(table, entry->d_name, err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
}

int table_load(struct provision_table *table, struct ray_err *err)
{
    int rc = ray_atomic_sweep(table->dir_fd, ".", err);
    DIR *dir;
    int fd;

    if (rc < 0) {
        return rc;
    }
    fd = ray_fault(RAY_FAULT_OPEN) != 0
             ? -1
             : openat(table->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "open the folder");
    }
    dir = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        rc = ray_fail_errno(err, errno, "open the folder");
        (void)close(fd);
        return rc;
    }
    rc = load_all(table, dir, err);
    (void)closedir(dir);
    return rc == RAY_OK ? list_unknown(table, err) : rc;
}
