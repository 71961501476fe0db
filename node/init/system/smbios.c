/* A type 11 structure is: type, length, handle (2), string count, then NUL-terminated
 * strings up to an empty one. The count is a claim of the firmware; the walk goes by the
 * bytes and stops at whichever ends first. */
#include "node/init/system/smbios.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"

enum { HEADER_SIZE = 5, STRINGS_TYPE = 11, ENTRY_COUNT_MAX = 16 };

#define TEXT_PREFIX "io.systemd.credential:"
#define BINARY_PREFIX "io.systemd.credential.binary:"
#define OUR_NAMES "rayos."

void init_credentials_init(struct init_credentials *credentials)
{
    *credentials = (struct init_credentials){0};
}

void init_credentials_fini(struct init_credentials *credentials)
{
    if (credentials->region != NULL) {
        sodium_memzero(credentials->region, INIT_CREDENTIAL_REGION_SIZE);
        (void)munmap(credentials->region, INIT_CREDENTIAL_REGION_SIZE);
    }
    *credentials = (struct init_credentials){0};
}

const struct init_credential *init_credentials_find(const struct init_credentials *credentials,
                                                    const char *name)
{
    for (size_t i = 0; i < credentials->count; i++) {
        if (strcmp(credentials->entries[i].name, name) == 0) {
            return &credentials->entries[i];
        }
    }
    return NULL;
}

void init_credentials_forget(struct init_credentials *credentials, const char *name)
{
    for (size_t i = 0; i < credentials->count; i++) {
        struct init_credential *entry = &credentials->entries[i];

        if (strcmp(entry->name, name) == 0) {
            sodium_memzero(entry->data, entry->size);
            *entry = credentials->entries[--credentials->count];
            return; /* there is one of each name */
        }
    }
}

int init_credentials_text(const struct init_credentials *credentials, const char *name, char *out,
                          size_t out_size, struct ray_err *err)
{
    const struct init_credential *found = init_credentials_find(credentials, name);

    assert(out_size > 0);
    if (found == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "no credential %s", name);
    }
    if (found->size >= out_size) {
        return ray_fail(err, RAY_EINVAL, "credential %s has %zu bytes, at most %zu", name,
                        found->size, out_size - 1);
    }
    for (size_t i = 0; i < found->size; i++) {
        if (found->data[i] < 0x20 || found->data[i] > 0x7e) {
            return ray_fail(err, RAY_EINVAL, "credential %s is not printable text", name);
        }
    }
    memcpy(out, found->data, found->size);
    out[found->size] = '\0';
    return RAY_OK;
}

static int make_region(struct init_credentials *credentials, struct ray_err *err)
{
    void *region = MAP_FAILED;
    int errnum = ray_fault(RAY_FAULT_ALLOC);

    if (errnum == 0) {
        region = mmap(NULL, INIT_CREDENTIAL_REGION_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        errnum = region == MAP_FAILED ? errno : 0;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "memory for credentials");
    }
    /* All three only add protection; a node has no swap, so none is needed to go on. */
    (void)mlock(region, INIT_CREDENTIAL_REGION_SIZE);
    (void)madvise(region, INIT_CREDENTIAL_REGION_SIZE, MADV_DONTDUMP);
    (void)madvise(region, INIT_CREDENTIAL_REGION_SIZE, MADV_WIPEONFORK);
    credentials->region = region;
    return RAY_OK;
}

static bool is_our_name(const char *name, size_t size)
{
    const size_t prefix_size = sizeof OUR_NAMES - 1;

    if (size <= prefix_size || size >= INIT_CREDENTIAL_NAME_SIZE_MAX ||
        memcmp(name, OUR_NAMES, prefix_size) != 0) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = name[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '-' &&
            c != '_') {
            return false;
        }
    }
    return true;
}

/* One string. RAY_ENOTFOUND: none of ours; RAY_EMALFORMED, RAY_ETOOBIG: skipped, too. */
static int add_string(struct init_credentials *credentials, const char *text, size_t size,
                      struct ray_err *err)
{
    const size_t text_prefix = sizeof TEXT_PREFIX - 1;
    const size_t binary_prefix = sizeof BINARY_PREFIX - 1;
    bool is_binary = size > binary_prefix && memcmp(text, BINARY_PREFIX, binary_prefix) == 0;
    struct init_credential *entry;
    size_t name_size;
    size_t space_size;
    size_t value_size;
    const char *equals;

    if (!is_binary && (size <= text_prefix || memcmp(text, TEXT_PREFIX, text_prefix) != 0)) {
        return RAY_ENOTFOUND;
    }
    text += is_binary ? binary_prefix : text_prefix;
    size -= is_binary ? binary_prefix : text_prefix;
    equals = memchr(text, '=', size);
    if (equals == NULL) {
        return RAY_EMALFORMED;
    }
    name_size = (size_t)(equals - text);
    value_size = size - name_size - 1;
    if (!is_our_name(text, name_size)) {
        return RAY_ENOTFOUND;
    }
    if (credentials->count == INIT_CREDENTIAL_COUNT_MAX) {
        return RAY_ETOOBIG;
    }
    if (credentials->region == NULL && make_region(credentials, err) != RAY_OK) {
        return RAY_ENOMEM;
    }
    entry = &credentials->entries[credentials->count];
    memcpy(entry->name, text, name_size);
    entry->name[name_size] = '\0';
    if (init_credentials_find(credentials, entry->name) != NULL) {
        return RAY_EEXISTS;
    }
    space_size = INIT_CREDENTIAL_REGION_SIZE - credentials->region_used_size;
    if (space_size > INIT_CREDENTIAL_SIZE_MAX) {
        space_size = INIT_CREDENTIAL_SIZE_MAX;
    }
    entry->data = credentials->region + credentials->region_used_size;
    if (is_binary) {
        const char *end = NULL;

        if (space_size == 0 ||
            sodium_base642bin(entry->data, space_size - 1, equals + 1, value_size, "\n",
                              &value_size, &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
            end != text + size) {
            return RAY_EMALFORMED;
        }
    } else {
        if (value_size >= space_size) {
            return RAY_ETOOBIG;
        }
        memcpy(entry->data, equals + 1, value_size);
    }
    entry->data[value_size] = '\0';
    entry->size = value_size;
    credentials->region_used_size += value_size + 1;
    credentials->count++;
    return RAY_OK;
}

int init_smbios_parse(const uint8_t *raw, size_t size, struct init_credentials *credentials,
                      size_t *out_skipped_count, struct ray_err *err)
{
    size_t skipped_count = 0;
    size_t offset;

    if (size < HEADER_SIZE || raw[0] != STRINGS_TYPE || raw[1] < HEADER_SIZE || raw[1] > size) {
        return ray_fail(err, RAY_EMALFORMED, "SMBIOS strings: header of %zu bytes", size);
    }
    offset = raw[1];
    for (size_t i = 0; i < raw[4] && offset < size; i++) {
        const uint8_t *end = memchr(raw + offset, 0, size - offset);
        size_t text_size;
        int rc;

        if (end == NULL) {
            return ray_fail(err, RAY_EMALFORMED, "SMBIOS strings: string %zu has no end", i + 1);
        }
        text_size = (size_t)(end - (raw + offset));
        if (text_size == 0) {
            break; /* the end of the structure */
        }
        rc = add_string(credentials, (const char *)raw + offset, text_size, err);
        if (rc == RAY_ENOMEM) {
            return rc;
        }
        if (rc != RAY_OK) {
            skipped_count++;
        }
        offset += text_size + 1;
    }
    if (out_skipped_count != NULL) {
        *out_skipped_count = skipped_count;
    }
    return RAY_OK;
}

static int load_entry(int root_fd, size_t index, struct init_credentials *credentials,
                      size_t *skipped_count, struct ray_err *err)
{
    uint8_t *raw = NULL;
    size_t size = 0;
    size_t here_count = 0;
    char path[64];
    int rc;

    (void)snprintf(path, sizeof path, "sys/firmware/dmi/entries/11-%zu/raw", index);
    rc = ray_file_read(root_fd, path, INIT_SMBIOS_TABLE_SIZE_MAX, &raw, &size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = init_smbios_parse(raw, size, credentials, &here_count, err);
    if (rc == RAY_OK) {
        *skipped_count += here_count;
    }
    sodium_memzero(raw, size);
    free(raw);
    return rc;
}

int init_smbios_load(int root_fd, struct init_credentials *credentials, size_t *out_skipped_count,
                     struct ray_err *err)
{
    size_t skipped_count = 0;
    int rc = RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < ENTRY_COUNT_MAX; i++) {
        rc = load_entry(root_fd, i, credentials, &skipped_count, err);
    }
    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        return rc;
    }
    if (err != NULL) {
        *err = (struct ray_err){0}; /* the entry after the last one is not an error */
    }
    if (out_skipped_count != NULL) {
        *out_skipped_count = skipped_count;
    }
    return RAY_OK;
}
