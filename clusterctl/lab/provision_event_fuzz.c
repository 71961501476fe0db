/* provision_event_fuzz.c - a line of rayos-provision, which quotes the network. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "clusterctl/lab/provision_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lab_provision_event event;

    if (lab_provision_event_parse((const char *)data, size, &event, NULL) == RAY_OK) {
        assert(event.name[0] != '\0' && event.kind < LAB_PROVISION_KIND_COUNT);
        assert(memchr(event.detail, '\0', sizeof event.detail) != NULL);
        assert(strchr(event.detail, '\n') == NULL);
    }
    return 0;
}
