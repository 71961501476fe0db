/* provisioning/machines/filter.h - which machines a list shows.
 *
 * Memory: texts are borrowed.  Threads: any.  Blocks: never.
 * Trust: the filter is an operator's; records hold foreign texts. */
#ifndef RAY_PROVISIONING_MACHINES_FILTER_H
#define RAY_PROVISIONING_MACHINES_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "provisioning/machines/record.h"

/* Zeroed, it matches every machine. */
struct provision_filter {
    const char *group;      /* exactly; "" machines without group; NULL any */
    const char *text;       /* within MAC, a name, serial, UUID, vendor, product, words or
                             * fingerprint, whatever the case; NULL any */
    uint32_t outcomes;      /* bits 1 << PROVISION_OUTCOME_*; 0 any */
    const char *arch;       /* exactly; NULL any */
    uint64_t seen_since_us; /* last seen at this wall clock or later; 0 any */
    bool only_known;        /* an operator has named, grouped or assigned it */
    bool only_unknown;
};

bool provision_filter_match(const struct provision_filter *filter,
                            const struct provision_record *record);

#endif
