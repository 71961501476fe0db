/* A manifest.json: what is accepted can stand in a boot script. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "provisioning/pxe/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct provision_machine machine = {.is_served = true};
    struct provision_manifest manifest;
    struct ray_buf script;

    if (provision_manifest_parse(data, size, &manifest, NULL) == RAY_OK) {
        const struct provision_script_image image = {.version = manifest.version,
                                                     .sha256 = manifest.sha256,
                                                     .command_line = manifest.command_line};
        ray_buf_init(&script, PROVISION_SCRIPT_SIZE_MAX);
        if (provision_script_machine(&script, 1, 80, &machine, &image, NULL) != RAY_OK ||
            strpbrk(manifest.command_line, "\n$&|{}\"") != NULL || manifest.size_bytes == 0) {
            abort();
        }
        ray_buf_fini(&script);
    }
    return 0;
}
