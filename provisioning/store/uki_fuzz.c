/* A UKI's headers: what is found lies within the file. */
#include <stdint.h>
#include <stdlib.h>

#include "provisioning/store/uki.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const sections[] = {".linux", ".initrd"};
    struct provision_span span;
    size_t head_size = size < PROVISION_UKI_HEAD_SIZE ? size : PROVISION_UKI_HEAD_SIZE;

    for (size_t i = 0; i < 2; i++) {
        if (provision_uki_parse(data, head_size, size, sections[i], &span, NULL) == RAY_OK &&
            (span.offset > size || span.size_bytes > size - span.offset)) {
            abort();
        }
    }
    return 0;
}
