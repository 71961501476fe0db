#include "provisioning/machines/filter.h"

#include <string.h>
#include <strings.h>

#include "base/size.h"

static bool has_text(const struct provision_record *record, const char *text)
{
    char mac[PROVISION_MAC_TEXT_SIZE];
    const char *const places[] = {
        provision_mac_format(&record->mac, mac),
        record->name,
        record->node_name,
        record->facts.serial,
        record->facts.uuid,
        record->facts.vendor,
        record->facts.product,
        record->words,
        record->fingerprint,
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(places); i++) {
        if (strcasestr(places[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

bool provision_filter_match(const struct provision_filter *filter,
                            const struct provision_record *record)
{
    bool is_known = provision_record_is_known(record);

    return (filter->group == NULL || strcmp(filter->group, record->group) == 0) &&
           (filter->arch == NULL || strcmp(filter->arch, record->facts.arch) == 0) &&
           (filter->outcomes == 0 || (filter->outcomes & UINT32_C(1) << record->outcome) != 0) &&
           record->last_seen_us >= filter->seen_since_us && (!filter->only_known || is_known) &&
           (!filter->only_unknown || !is_known) &&
           (filter->text == NULL || has_text(record, filter->text));
}
