/* A hello from anybody: what is accepted fits into a record, and the record stays one that can be
 * written and read back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "provisioning/machines/hello.h"
#include "provisioning/machines/record_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct provision_time now = {.real_us = 1, .mono_us = 1};
    struct provision_record record;
    struct provision_record back;
    struct provision_hello hello;
    uint8_t *json = NULL;
    size_t json_size = 0;

    if (provision_hello_parse(data, size, &hello, NULL) != RAY_OK) {
        return 0;
    }
    provision_record_init(&record, &hello.mac, &now);
    (void)provision_record_hello(&record, &hello, &now);
    if (provision_record_format(&record, &json, &json_size, NULL) != RAY_OK ||
        provision_record_parse(json, json_size, &back, NULL) != RAY_OK ||
        strcmp(back.node_name, hello.name) != 0 ||
        strcmp(back.fingerprint, hello.fingerprint) != 0) {
        abort();
    }
    free(json);
    return 0;
}
