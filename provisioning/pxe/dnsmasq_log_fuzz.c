/* Lines of dnsmasq's log, through the parser, the tracker and the JSON writer: whatever comes,
 * an event is one line of printable ASCII. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "provisioning/pxe/tracker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(struct provision_tracker *tracker, const char *line, size_t size)
{
    const struct provision_arch *arch;
    struct provision_dnsmasq_line parsed;
    struct provision_event event;
    char json[PROVISION_EVENT_LINE_SIZE];

    provision_dnsmasq_line_parse(line, size, &parsed);
    if (!provision_tracker_take(tracker, &parsed, &event, &arch)) {
        return;
    }
    size = provision_event_format(&event, json);
    for (size_t i = 0; i + 1 < size; i++) {
        if (json[i] < ' ' || json[i] > '~') {
            abort();
        }
    }
    if (json[size - 1] != '\n' || json[size] != '\0') {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct provision_tracker *tracker = calloc(1, sizeof(*tracker));
    const char *at = (const char *)data;

    if (tracker == NULL) {
        return 0;
    }
    while (size > 0) {
        const char *end = memchr(at, '\n', size);
        size_t line_size = end != NULL ? (size_t)(end - at) : size;

        check_line(tracker, at, line_size);
        line_size += end != NULL;
        at += line_size;
        size -= line_size;
    }
    free(tracker);
    return 0;
}
