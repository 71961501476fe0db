/* Any text as a credential. */
#include <assert.h>
#include <string.h>

#include "coordinator/api/credential.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct coord_credential credential = {.kind = COORD_CREDENTIAL_NONE};
    struct ray_err err = {0};

    if (coord_credential_parse((const char *)bytes, size, &credential, &err) == RAY_OK) {
        assert((credential.kind == COORD_CREDENTIAL_JOIN) == (credential.token != NULL));
        assert(credential.kind != COORD_CREDENTIAL_CREATE ||
               (memchr(credential.name, '\0', sizeof credential.name) != NULL &&
                credential.name[0] != '\0' && credential.admin[0] != '\0'));
    }
    coord_credential_fini(&credential);
    return 0;
}
