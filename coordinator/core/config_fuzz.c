/* coordinator/core/config_fuzz.c - configurations from logs and snapshots: what decodes has
 * exactly one form. */
#include <stdlib.h>
#include <string.h>

#include "coordinator/core/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_config config;

    if (coord_config_decode(data, size, &config, NULL) == RAY_OK &&
        (coord_config_encode(&config, bytes) != size || memcmp(bytes, data, size) != 0)) {
        abort();
    }
    return 0;
}
