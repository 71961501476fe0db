/* smbios_fuzz.c - any bytes as an SMBIOS type 11 structure. */
#include <assert.h>
#include <string.h>

#include "node/init/system/smbios.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct init_credentials credentials;
    size_t skipped_count = 0;

    init_credentials_init(&credentials);
    if (init_smbios_parse(data, size, &credentials, &skipped_count, NULL) == RAY_OK) {
        assert(credentials.count <= INIT_CREDENTIAL_COUNT_MAX);
        assert(credentials.count + skipped_count <= UINT8_MAX);
        for (size_t i = 0; i < credentials.count; i++) {
            const struct init_credential *entry = &credentials.entries[i];

            assert(strncmp(entry->name, "rayos.", 6) == 0);
            assert(entry->data[entry->size] == 0);
            assert(init_credentials_find(&credentials, entry->name) == entry);
        }
    }
    init_credentials_fini(&credentials);
    return 0;
}
