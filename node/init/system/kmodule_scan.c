#include "node/init/system/kmodule_scan.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"

enum { ALIAS_SIZE_MAX = 4096, FIRST_CAPACITY = 64 };

void init_kmodule_names_init(struct init_kmodule_names *names, size_t count_max)
{
    *names = (struct init_kmodule_names){.count_max = count_max};
}

void init_kmodule_names_fini(struct init_kmodule_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->items[i]);
    }
    free(names->items);
    free(names->slots);
    init_kmodule_names_init(names, names->count_max);
}

/* FNV-1a: the texts are the kernel's, and the set is small. */
static size_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    }
    return (size_t)(hash >> 16);
}

/* The slot that holds `name`, or the empty one where it belongs. */
static size_t find_slot(const struct init_kmodule_names *names, const char *name)
{
    size_t slot = hash_text(name) & (names->slot_count - 1);

    while (names->slots[slot] != 0 && strcmp(names->items[names->slots[slot] - 1], name) != 0) {
        slot = (slot + 1) & (names->slot_count - 1);
    }
    return slot;
}

/* Twice as large; the table of slots is at most half full. */
static int grow(struct init_kmodule_names *names)
{
    size_t capacity = names->capacity == 0 ? FIRST_CAPACITY : names->capacity * 2;
    uint32_t *slots;
    char **items;

    if (ray_fault(RAY_FAULT_ALLOC) != 0) {
        return RAY_ENOMEM;
    }
    items = realloc(names->items, capacity * sizeof *items);
    if (items == NULL) {
        return RAY_ENOMEM;
    }
    names->items = items;
    slots = calloc(capacity * 2, sizeof *slots);
    if (slots == NULL) {
        return RAY_ENOMEM;
    }
    free(names->slots);
    names->slots = slots;
    names->slot_count = capacity * 2;
    names->capacity = capacity;
    for (size_t i = 0; i < names->count; i++) {
        names->slots[find_slot(names, names->items[i])] = (uint32_t)i + 1;
    }
    return RAY_OK;
}

int init_kmodule_names_add(struct init_kmodule_names *names, const char *name)
{
    size_t slot;
    char *copy;

    if (names->slot_count > 0 && names->slots[find_slot(names, name)] != 0) {
        return RAY_OK;
    }
    if (names->count == names->count_max) {
        return RAY_ETOOBIG;
    }
    if (names->count == names->capacity) {
        int rc = grow(names);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    copy = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : strdup(name);
    if (copy == NULL) {
        return RAY_ENOMEM;
    }
    slot = find_slot(names, name);
    names->slots[slot] = (uint32_t)names->count + 1;
    names->items[names->count++] = copy;
    return RAY_OK;
}

/* The folders from the top down to where the walk is. */
struct walk {
    DIR *dirs[INIT_KMODULE_SCAN_DEPTH_MAX];
    size_t depth;
};

/* A folder that vanished or cannot be entered is passed by: devices come and go. Only the
 * lack of memory or descriptors is an error. */
static int enter(struct walk *walk, int parent_fd, const char *name, struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_OPEN);
    int fd = -1;
    DIR *dir;

    if (walk->depth == INIT_KMODULE_SCAN_DEPTH_MAX) {
        return RAY_OK;
    }
    if (errnum == 0) {
        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        errnum = fd < 0 ? errno : 0;
    }
    if (errnum == ENOENT || errnum == EACCES || errnum == ENODEV) {
        return RAY_OK;
    }
    if (errnum != 0 || fd < 0) {
        return ray_fail_errno(err, errnum, "folder %s", name);
    }
    dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd);
        return ray_fail(err, RAY_ENOMEM, "folder %s", name);
    }
    walk->dirs[walk->depth++] = dir;
    return RAY_OK;
}

static int take_alias(int dir_fd, struct init_kmodule_names *out, struct ray_err *err)
{
    char text[ALIAS_SIZE_MAX];
    int rc = ray_file_read_text(dir_fd, "modalias", text, sizeof text, err);

    if (rc == RAY_ENOMEM) {
        return rc;
    }
    if (rc != RAY_OK || text[0] == '\0') {
        return RAY_OK; /* the device went away, or has none */
    }
    rc = init_kmodule_names_add(out, text);
    return rc == RAY_ENOMEM ? ray_fail(err, rc, "list of aliases") : RAY_OK;
}

int init_kmodule_scan_aliases(int root_fd, const char *path, struct init_kmodule_names *out,
                              struct ray_err *err)
{
    struct walk walk = {.depth = 0};
    int rc = enter(&walk, root_fd, path, err);

    if (rc == RAY_OK && walk.depth == 0) {
        return ray_fail(err, RAY_ENOTFOUND, "no folder /%s", path);
    }
    while (rc == RAY_OK && walk.depth > 0) {
        DIR *dir = walk.dirs[walk.depth - 1];
        struct dirent *entry = readdir(dir);
        int dir_fd = dirfd(dir);

        if (entry == NULL) {
            (void)closedir(dir);
            walk.depth--;
        } else if (dir_fd < 0) {
            continue; /* cannot be: each was opened from a descriptor */
        } else if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            rc = enter(&walk, dir_fd, entry->d_name, err);
        } else if (entry->d_type == DT_REG && strcmp(entry->d_name, "modalias") == 0) {
            rc = take_alias(dir_fd, out, err);
        }
    }
    while (walk.depth > 0) {
        (void)closedir(walk.dirs[--walk.depth]);
    }
    return rc;
}
