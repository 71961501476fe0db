/* clusterctl/lab/provision_event.h - one line of rayos-provision's standard output: a JSON
 * object that tells what a machine asked for.
 *
 * Memory: none.  Threads: any.  Blocks: never.
 * Trust: the program is ours, but texts in the line come from the network: every field is
 * checked and cut. */
#ifndef RAY_CLUSTERCTL_LAB_PROVISION_EVENT_H
#define RAY_CLUSTERCTL_LAB_PROVISION_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum lab_provision_kind {
    LAB_PROVISION_LISTENING,
    LAB_PROVISION_DHCP_DISCOVER,
    LAB_PROVISION_DHCP_OFFER,
    LAB_PROVISION_DHCP_ACK,
    LAB_PROVISION_TFTP,
    LAB_PROVISION_SCRIPT,
    LAB_PROVISION_HTTP_START,
    LAB_PROVISION_HTTP_DONE,
    LAB_PROVISION_REFUSED,
    LAB_PROVISION_ERROR,
    LAB_PROVISION_OTHER, /* a newer program may tell more */
    LAB_PROVISION_KIND_COUNT
};

struct lab_provision_event {
    enum lab_provision_kind kind;
    uint64_t t_us; /* CLOCK_MONOTONIC */
    uint64_t size_bytes;
    char name[24]; /* of the event, as it was written */
    char mac[18];  /* lower case; empty: unknown */
    char ip[46];   /* empty: unknown */
    char detail[128];
};

/* RAY_EMALFORMED: not an event. */
int lab_provision_event_parse(const char *line, size_t size, struct lab_provision_event *out,
                              struct ray_err *err);

/* Whether the machine has its whole image now: on a BIOS that is two files, the kernel first. */
bool lab_provision_event_ends_download(const struct lab_provision_event *event);

#endif
