#include <assert.h>
#include <string.h>

#include "provisioning/pxe/dhcp_offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct provision_dhcp_offer offer;

    if (provision_dhcp_offer_parse(data, size, &offer, NULL) == RAY_OK) {
        size_t length = strnlen(offer.boot_file, sizeof(offer.boot_file));

        assert(length < sizeof(offer.boot_file));
        for (size_t i = 0; i < length; i++) {
            assert(offer.boot_file[i] >= ' ' && offer.boot_file[i] <= '~');
        }
    }
    return 0;
}
