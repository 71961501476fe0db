/* provisioning/pxe/event.h - what happened to a machine, as one JSON object a line.
 *
 * Memory: format appends to the caller's buffer.  Threads: any.  Blocks: never (an event for
 * which standard output has no room is dropped and counted).
 * Trust: texts come from the network; JSON escaping makes them harmless. */
#ifndef RAY_PROVISIONING_PXE_EVENT_H
#define RAY_PROVISIONING_PXE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "provisioning/pxe/address.h"

/* X(id, word) */
#define PROVISION_EVENT_MAP(X)                                                                     \
    X(LISTENING, "listening")                                                                      \
    X(DHCP_DISCOVER, "dhcp-discover")                                                              \
    X(DHCP_OFFER, "dhcp-offer")                                                                    \
    X(DHCP_ACK, "dhcp-ack")                                                                        \
    X(TFTP, "tftp")                                                                                \
    X(SCRIPT, "script")                                                                            \
    X(HTTP_START, "http-start")                                                                    \
    X(HTTP_DONE, "http-done")                                                                      \
    X(HELLO, "hello")                                                                              \
    X(REFUSED, "refused")                                                                          \
    X(IGNORED, "ignored")                                                                          \
    X(ERROR, "error")

enum provision_event_kind {
#define PROVISION_EVENT_ENUM(id, word) PROVISION_EVENT_##id,
    PROVISION_EVENT_MAP(PROVISION_EVENT_ENUM)
#undef PROVISION_EVENT_ENUM
        PROVISION_EVENT_KIND_COUNT
};

enum { PROVISION_EVENT_DETAIL_SIZE = 256, PROVISION_EVENT_LINE_SIZE = 2048 };

struct provision_event {
    enum provision_event_kind kind;
    uint64_t t_us;                     /* CLOCK_MONOTONIC */
    char mac[PROVISION_MAC_TEXT_SIZE]; /* ""; unknown */
    char ip[PROVISION_PEER_TEXT_SIZE]; /* same */
    char detail[PROVISION_EVENT_DETAIL_SIZE];
    bool has_size;
    uint64_t size_bytes;
};

const char *provision_event_word(enum provision_event_kind kind);
/* The line with its newline; returns its size. */
size_t provision_event_format(const struct provision_event *event,
                              char out[static PROVISION_EVENT_LINE_SIZE]);

#endif
