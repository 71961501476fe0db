/* A file of the machine table, a record or the groups: what is accepted is written the same way
 * again, and whatever it says, only allowed arguments come out of a decision. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "provisioning/machines/assign.h"
#include "provisioning/machines/record_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_decision(const struct provision_record *record)
{
    struct provision_candidate images[2] = {{.is_usable = true}, {.is_usable = true, .good_us = 1}};
    struct provision_decision decision;

    memset(images[0].image.id, '0', PROVISION_SHA256_TEXT_SIZE - 1);
    memset(images[1].image.id, '1', PROVISION_SHA256_TEXT_SIZE - 1);
    provision_decide(record, NULL, images, 2, &decision);
    if (provision_arguments_check(decision.arguments, NULL) != RAY_OK ||
        (decision.action == PROVISION_ACTION_BOOT) != (decision.image != NULL)) {
        abort();
    }
}

static void check_record(const uint8_t *data, size_t size)
{
    struct provision_record record;
    struct provision_record back;
    uint8_t *json = NULL;
    uint8_t *again = NULL;
    size_t json_size = 0;
    size_t again_size = 0;

    if (provision_record_parse(data, size, &record, NULL) != RAY_OK) {
        return;
    }
    check_decision(&record);
    if (provision_record_format(&record, &json, &json_size, NULL) != RAY_OK ||
        provision_record_parse(json, json_size, &back, NULL) != RAY_OK ||
        provision_record_format(&back, &again, &again_size, NULL) != RAY_OK ||
        json_size != again_size || memcmp(json, again, json_size) != 0) {
        abort();
    }
    free(json);
    free(again);
}

static void check_groups(const uint8_t *data, size_t size)
{
    static struct provision_group groups[PROVISION_TABLE_GROUP_COUNT_MAX];
    uint8_t *json = NULL;
    size_t json_size = 0;
    size_t count = 0;
    size_t again = 0;

    if (provision_groups_parse(data, size, groups, &count, NULL) != RAY_OK) {
        return;
    }
    if (provision_groups_format(groups, count, &json, &json_size, NULL) != RAY_OK ||
        provision_groups_parse(json, json_size, groups, &again, NULL) != RAY_OK || again != count) {
        abort();
    }
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_record(data, size);
    check_groups(data, size);
    return 0;
}
