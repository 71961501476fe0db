/* A manifest.json: what is accepted can stand in a boot script and a path. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "provisioning/store/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct provision_manifest manifest;

    if (provision_manifest_parse(data, size, &manifest, NULL) != RAY_OK) {
        return 0;
    }
    if (strpbrk(manifest.command_line, "\n$&|{}\"") != NULL || manifest.version[0] == '\0' ||
        strpbrk(manifest.version, "/ \n$") != NULL) {
        abort();
    }
    for (int i = 0; i < PROVISION_FILE_COUNT; i++) {
        const struct provision_manifest_file *file = &manifest.files[i];

        if (file->size_bytes > PROVISION_FILE_SIZE_MAX ||
            (file->size_bytes != 0) != provision_is_sha256(file->sha256)) {
            abort();
        }
    }
    if (manifest.files[PROVISION_FILE_UKI].size_bytes == 0) {
        abort();
    }
    return 0;
}
