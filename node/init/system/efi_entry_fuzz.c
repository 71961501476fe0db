/* efi_entry_fuzz.c - any bytes as a boot entry. */
#include <assert.h>

#include "node/init/system/efi_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct init_efi_entry entry;

    if (init_efi_entry_parse(data, size, &entry, NULL) == RAY_OK) {
        assert(!entry.has_mac || entry.is_network);
    }
    return 0;
}
