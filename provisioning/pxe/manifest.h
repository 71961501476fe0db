/* provisioning/pxe/manifest.h - what an image folder's manifest.json says of rayos.efi.
 *
 * Memory: the struct is the caller's.  Threads: any.  Blocks: never.
 * Trust: the file is the operator's, but a half-copied or foreign one must only be an error. */
#ifndef RAY_PROVISIONING_PXE_MANIFEST_H
#define RAY_PROVISIONING_PXE_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "provisioning/pxe/script.h"

#define PROVISION_MANIFEST_FILE "manifest.json"
#define PROVISION_IMAGE_FILE "rayos.efi"

enum {
    PROVISION_MANIFEST_SIZE_MAX = 4 << 20,
    PROVISION_VERSION_SIZE = 96,
    PROVISION_COMMAND_LINE_SIZE = 2048,
};

struct provision_manifest {
    char version[PROVISION_VERSION_SIZE];
    char command_line[PROVISION_COMMAND_LINE_SIZE];
    char sha256[PROVISION_SHA256_TEXT_SIZE]; /* lower case */
    uint64_t size_bytes;
};

/* RAY_EMALFORMED names what is missing or wrong. */
int provision_manifest_parse(const void *json, size_t size, struct provision_manifest *out,
                             struct ray_err *err);

#endif
