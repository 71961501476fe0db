/* provisioning/store/manifest.h - what a release's manifest.json says of the files that boot a
 * machine.
 *
 * Memory: the struct is the caller's.  Threads: any.  Blocks: never.
 * Trust: the file is the operator's, but a half-copied or foreign one must only be an error;
 * what is accepted can stand in a boot script and in a path. */
#ifndef RAY_PROVISIONING_STORE_MANIFEST_H
#define RAY_PROVISIONING_STORE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PROVISION_MANIFEST_FILE "manifest.json"

enum {
    PROVISION_MANIFEST_SIZE_MAX = 4 << 20,
    PROVISION_FILE_SIZE_MAX = 512 << 20, /* of one boot file */
    PROVISION_VERSION_SIZE = 96,
    PROVISION_COMMAND_LINE_SIZE = 2048,
    PROVISION_SHA256_TEXT_SIZE = 65,
};

/* X(id, name, is_required). A release without kernel and initrd boots UEFI machines only. */
#define PROVISION_FILE_MAP(X)                                                                      \
    X(UKI, "rayos.efi", true)                                                                      \
    X(KERNEL, "vmlinuz", false)                                                                    \
    X(INITRD, "initrd", false)

enum provision_file {
#define PROVISION_FILE_ENUM(id, name, is_required) PROVISION_FILE_##id,
    PROVISION_FILE_MAP(PROVISION_FILE_ENUM)
#undef PROVISION_FILE_ENUM
        PROVISION_FILE_COUNT
};

struct provision_manifest_file {
    char sha256[PROVISION_SHA256_TEXT_SIZE]; /* lower case; "" when the release lacks it */
    uint64_t size_bytes;                     /* 0 when the release lacks it */
};

struct provision_manifest {
    char version[PROVISION_VERSION_SIZE];           /* letters, digits and ._+- */
    char command_line[PROVISION_COMMAND_LINE_SIZE]; /* provision_is_command_line */
    uint64_t built_s;                               /* SOURCE_DATE_EPOCH; 0: not said */
    struct provision_manifest_file files[PROVISION_FILE_COUNT];
};

/* RAY_EMALFORMED names what is missing or wrong; RAY_ETOOBIG: a boot file beyond its limit.
 * Kernel and initrd come both or not at all. */
int provision_manifest_parse(const void *json, size_t size, struct provision_manifest *out,
                             struct ray_err *err);

/* "rayos.efi" */
const char *provision_file_name(enum provision_file file);
/* false: no boot file has this name, *out is untouched. */
bool provision_file_find(const char *name, enum provision_file *out);

/* 64 hexadecimal digits, lower case. NULL is none. */
bool provision_is_sha256(const char *text);

/* Whether a kernel command line can stand in a script: words of letters, digits and
 * ,._:=/@+- with single spaces, nothing that iPXE would expand or take for an operator. */
bool provision_is_command_line(const char *text);

#endif
