#include "provisioning/pxe/event.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const words[] = {
#define WORD(id, word) [PROVISION_EVENT_##id] = (word),
    PROVISION_EVENT_MAP(WORD)
#undef WORD
};

const char *provision_event_word(enum provision_event_kind kind)
{
    return words[kind];
}

/* ,"key":"text" with JSON's escapes; bytes beyond ASCII become U+FFFD, so that the line is
 * valid UTF-8 whatever a machine sent. Returns the new size. */
static size_t put_text(char *out, size_t size, const char *key, const char *text)
{
    size += (size_t)snprintf(out + size, PROVISION_EVENT_LINE_SIZE - size, ",\"%s\":\"", key);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;

        assert(size + 8 < PROVISION_EVENT_LINE_SIZE);
        if (byte > 0x7f) {
            size += (size_t)snprintf(out + size, 8, "\\ufffd");
        } else if (byte < ' ' || byte == 0x7f) {
            size += (size_t)snprintf(out + size, 8, "\\u%04x", byte);
        } else {
            if (byte == '"' || byte == '\\') {
                out[size++] = '\\';
            }
            out[size++] = (char)byte;
        }
    }
    out[size++] = '"';
    return size;
}

size_t provision_event_format(const struct provision_event *event,
                              char out[static PROVISION_EVENT_LINE_SIZE])
{
    size_t size =
        (size_t)snprintf(out, PROVISION_EVENT_LINE_SIZE, "{\"t_us\":%" PRIu64 ",\"event\":\"%s\"",
                         event->t_us, provision_event_word(event->kind));

    /* Each byte of a text takes at most six. */
    static_assert(
        6 * (PROVISION_EVENT_DETAIL_SIZE + PROVISION_MAC_TEXT_SIZE + PROVISION_PEER_TEXT_SIZE) +
                112 <
            PROVISION_EVENT_LINE_SIZE,
        "a line holds every event");
    if (event->mac[0] != '\0') {
        size = put_text(out, size, "mac", event->mac);
    }
    if (event->ip[0] != '\0') {
        size = put_text(out, size, "ip", event->ip);
    }
    size = put_text(out, size, "detail", event->detail);
    if (event->has_size) {
        size += (size_t)snprintf(out + size, PROVISION_EVENT_LINE_SIZE - size,
                                 ",\"bytes\":%" PRIu64, event->size_bytes);
    }
    memcpy(out + size, "}\n", 3);
    return size + 2;
}
