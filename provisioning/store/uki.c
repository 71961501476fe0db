#include "provisioning/store/uki.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

enum {
    AT_HEADER = 0x3C, /* u32 */
    HEADER_SIZE = 24,
    AT_SECTION_COUNT = 6,   /* u16, in the header */
    AT_OPTIONAL_SIZE = 20,  /* u16 */
    SECTION_COUNT_MAX = 96, /* as PE has it */
    SECTION_SIZE = 40,
    NAME_SIZE = 8,
    AT_CONTENT_SIZE = 8, /* u32, in a section: without padding */
    AT_RAW_SIZE = 16,    /* u32: with it */
    AT_RAW_OFFSET = 20,  /* u32 */
};

static uint32_t load(const uint8_t *at, size_t size)
{
    uint32_t value = 0;

    for (size_t i = 0; i < size; i++) {
        value |= (uint32_t)at[i] << (8 * i);
    }
    return value;
}

static int refuse(struct ray_err *err)
{
    return ray_fail(err, RAY_EMALFORMED, "rayos.efi is no unified kernel image");
}

/* The table of sections within `head`. */
static int find_table(const uint8_t *head, size_t head_size, size_t *out_offset, size_t *out_count,
                      struct ray_err *err)
{
    size_t header;
    size_t offset;
    size_t count;

    if (head_size < AT_HEADER + 4 || memcmp(head, "MZ", 2) != 0) {
        return refuse(err);
    }
    header = load(&head[AT_HEADER], 4);
    if (header > head_size || head_size - header < HEADER_SIZE ||
        memcmp(&head[header], "PE\0\0", 4) != 0) {
        return refuse(err);
    }
    count = load(&head[header + AT_SECTION_COUNT], 2);
    offset = header + HEADER_SIZE + load(&head[header + AT_OPTIONAL_SIZE], 2);
    if (count > SECTION_COUNT_MAX || offset > head_size ||
        (head_size - offset) / SECTION_SIZE < count) {
        return refuse(err);
    }
    *out_offset = offset;
    *out_count = count;
    return RAY_OK;
}

static bool has_name(const uint8_t *entry, const char *section)
{
    char name[NAME_SIZE + 1] = {0};

    memcpy(name, entry, NAME_SIZE);
    return strcmp(name, section) == 0;
}

int provision_uki_parse(const uint8_t *head, size_t head_size, uint64_t file_size,
                        const char *section, struct provision_span *out, struct ray_err *err)
{
    const uint8_t *found = NULL;
    struct provision_span span;
    uint64_t raw_size;
    size_t offset = 0;
    size_t count = 0;
    int rc = find_table(head, head_size, &offset, &count, err);

    if (rc != RAY_OK) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *entry = &head[offset + i * SECTION_SIZE];

        if (has_name(entry, section)) {
            if (found != NULL) {
                return ray_fail(err, RAY_EMALFORMED, "rayos.efi has two sections %s", section);
            }
            found = entry;
        }
    }
    if (found == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "rayos.efi has no section %s", section);
    }
    raw_size = load(&found[AT_RAW_SIZE], 4);
    span.offset = load(&found[AT_RAW_OFFSET], 4);
    span.size_bytes = load(&found[AT_CONTENT_SIZE], 4);
    if (span.size_bytes > raw_size) {
        span.size_bytes = raw_size; /* the rest are zeros that the loader makes */
    }
    if (span.offset > file_size || raw_size > file_size - span.offset) {
        return ray_fail(err, RAY_EMALFORMED, "rayos.efi: section %s lies outside", section);
    }
    *out = span;
    return RAY_OK;
}

static int read_head(int fd, uint8_t head[static PROVISION_UKI_HEAD_SIZE], size_t *out_size,
                     struct ray_err *err)
{
    size_t size = 0;

    while (size < PROVISION_UKI_HEAD_SIZE) {
        int errnum = ray_fault(RAY_FAULT_READ);
        ssize_t count = -1;

        if (errnum == 0) {
            count = pread(fd, &head[size], PROVISION_UKI_HEAD_SIZE - size, (off_t)size);
            errnum = count < 0 ? errno : 0;
        }
        if (count == 0) {
            break;
        }
        if (errnum != 0 && errnum != EINTR) {
            return ray_fail_errno(err, errnum, "read rayos.efi");
        }
        size += count > 0 ? (size_t)count : 0;
    }
    *out_size = size;
    return RAY_OK;
}

int provision_uki_find(int fd, enum provision_file file, struct provision_span *out,
                       struct ray_err *err)
{
    uint8_t head[PROVISION_UKI_HEAD_SIZE];
    struct stat st;
    size_t size = 0;
    int rc;

    assert(file == PROVISION_FILE_KERNEL || file == PROVISION_FILE_INITRD);
    if (fstat(fd, &st) != 0) {
        return ray_fail_errno(err, errno, "stat rayos.efi");
    }
    rc = read_head(fd, head, &size, err);
    return rc != RAY_OK ? rc
                        : provision_uki_parse(head, size, (uint64_t)st.st_size,
                                              file == PROVISION_FILE_KERNEL ? ".linux" : ".initrd",
                                              out, err);
}
