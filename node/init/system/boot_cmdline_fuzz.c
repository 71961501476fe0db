/* boot_cmdline_fuzz.c - any bytes as a kernel command line. */
#include <assert.h>
#include <string.h>

#include "node/init/system/boot_facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct init_cmdline cmdline;

    if (init_cmdline_parse((const char *)data, size, &cmdline, NULL) == RAY_OK) {
        assert(cmdline.count <= INIT_CMDLINE_WORD_COUNT_MAX);
        for (size_t i = 0; i < cmdline.count; i++) {
            assert(cmdline.words[i].key[0] != '\0' || cmdline.words[i].value != NULL);
            assert(init_cmdline_value(&cmdline, cmdline.words[i].key) != NULL);
        }
        (void)init_cmdline_flag(&cmdline, "quiet", false);
    }
    return 0;
}
