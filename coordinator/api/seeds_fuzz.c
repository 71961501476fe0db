/* Any text as a list of seeds. */
#include <assert.h>
#include <string.h>

#include "coordinator/api/seeds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct member_seeds seeds = {0};

    (void)member_seeds_parse(&seeds, (const char *)bytes, size, NULL);
    assert(seeds.count <= MEMBER_SEEDS_MAX);
    for (size_t i = 0; i < seeds.count; i++) {
        assert(memchr(seeds.at[i], '\0', sizeof seeds.at[i]) != NULL && seeds.at[i][0] != '\0');
    }
    return 0;
}
