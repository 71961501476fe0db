/* provisioning/machines/record_json.h - the files of the machine table. Private; the format is
 * in docs/reference/machines.md.
 *
 * Memory: format allocates *out_data for the caller (free).  Threads: any.  Blocks: never.
 * Trust: files are ours, but parse takes any bytes: what it accepts is as valid as what the
 * table would have made, so a hostile file can at worst lie. */
#ifndef RAY_PROVISIONING_MACHINES_RECORD_JSON_H
#define RAY_PROVISIONING_MACHINES_RECORD_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "provisioning/machines/record.h"
#include "provisioning/machines/table.h"

enum {
    PROVISION_RECORD_FORMAT_VERSION = 1,
    PROVISION_RECORD_FILE_SIZE_MAX = 128 << 10,
    PROVISION_GROUPS_FILE_SIZE_MAX = 256 << 10,
};

int provision_record_format(const struct provision_record *record, uint8_t **out_data,
                            size_t *out_size, struct ray_err *err);
/* RAY_EMALFORMED and RAY_ETOOBIG: no record; RAY_EUNSUPPORTED: of a newer version. Unknown
 * fields and kinds of events are left out. */
int provision_record_parse(const void *json, size_t size, struct provision_record *out,
                           struct ray_err *err);

int provision_groups_format(const struct provision_group *groups, size_t count, uint8_t **out_data,
                            size_t *out_size, struct ray_err *err);
/* `out` has room for PROVISION_TABLE_GROUP_COUNT_MAX; sorted by name. */
int provision_groups_parse(const void *json, size_t size, struct provision_group *out,
                           size_t *out_count, struct ray_err *err);

#endif
