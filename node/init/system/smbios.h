/* node/init/system/smbios.h - hints and credentials that a hypervisor gives by SMBIOS type 11
 * strings ("io.systemd.credential:rayos.name=...", "io.systemd.credential.binary:...").
 *
 * Memory: values live in one locked mapping of the table, left out of core dumps and wiped
 * in forked children and by fini.
 * Threads: one owner.  Blocks: never.
 * Trust: whoever makes the machine chooses the bytes: sizes and counts are bounded, unknown
 * strings are ignored. Values are secrets: they are never logged nor quoted in errors. */
#ifndef RAY_NODE_INIT_SYSTEM_SMBIOS_H
#define RAY_NODE_INIT_SYSTEM_SMBIOS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    INIT_SMBIOS_TABLE_SIZE_MAX = 64 * 1024,
    INIT_CREDENTIAL_COUNT_MAX = 32,
    INIT_CREDENTIAL_NAME_SIZE_MAX = 64, /* with NUL */
    INIT_CREDENTIAL_SIZE_MAX = 16 * 1024,
    INIT_CREDENTIAL_REGION_SIZE = 128 * 1024,
};

struct init_credential {
    char name[INIT_CREDENTIAL_NAME_SIZE_MAX]; /* "rayos.name" */
    uint8_t *data; /* into the table's mapping; NUL behind the last byte */
    size_t size;
};

struct init_credentials {
    struct init_credential entries[INIT_CREDENTIAL_COUNT_MAX];
    size_t count;
    uint8_t *region; /* NULL until the first value */
    size_t region_used_size;
};

void init_credentials_init(struct init_credentials *credentials);
void init_credentials_fini(struct init_credentials *credentials);
/* NULL: not given. */
const struct init_credential *init_credentials_find(const struct init_credentials *credentials,
                                                    const char *name);
/* Wipes its value; then it was not given. */
void init_credentials_forget(struct init_credentials *credentials, const char *name);
/* The value when it is printable ASCII text that fits with NUL; RAY_ENOTFOUND, RAY_EINVAL. */
int init_credentials_text(const struct init_credentials *credentials, const char *name, char *out,
                          size_t out_size, struct ray_err *err);

/* Adds what one raw type 11 structure holds: 4 header bytes, the count, then the strings.
 * A name given twice keeps its first value. Strings that are no credentials of ours, or
 * are malformed, are skipped (*out_skipped_count, may be NULL). */
int init_smbios_parse(const uint8_t *raw, size_t size, struct init_credentials *credentials,
                      size_t *out_skipped_count, struct ray_err *err);

/* All of sys/firmware/dmi/entries/11-*. RAY_OK with none when the machine has no SMBIOS. */
int init_smbios_load(int root_fd, struct init_credentials *credentials, size_t *out_skipped_count,
                     struct ray_err *err);

#endif
