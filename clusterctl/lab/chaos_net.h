/* clusterctl/lab/chaos_net.h - network faults as people write them ("loss node1 node2 5%"),
 * turned into the switch's command, and back into words for status. Pure.
 *
 * Memory: texts go into the caller's arrays.  Threads: any.  Blocks: never.
 * Trust: words are the user's: names and numbers are checked here or by the switch. */
#ifndef RAY_CLUSTERCTL_LAB_CHAOS_NET_H
#define RAY_CLUSTERCTL_LAB_CHAOS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { LAB_CHAOS_TEXT_SIZE = 256 };

struct lab_chaos_net {
    const char *action;
    const char *const *targets;
    size_t target_count;
    const char *value;  /* "" when there is none */
    const char *jitter; /* "" when there is none */
    bool is_one_way;
};

/* Whether `action` is a fault of the network. */
bool lab_chaos_net_is(const char *action);
/* out_command: what to send to the switch. RAY_EUSAGE says how the action is written. */
int lab_chaos_net_command(const struct lab_chaos_net *chaos,
                          char out_command[static LAB_CHAOS_TEXT_SIZE], struct ray_err *err);

/* "5", "5%", "0.1%" -> parts per million. RAY_EUSAGE. */
int lab_parse_percent(const char *text, uint32_t *out_ppm, struct ray_err *err);
/* "20", "20ms", "1.5s", "300us" -> microseconds; a bare number is milliseconds. */
int lab_parse_delay(const char *text, uint64_t *out_us, struct ray_err *err);
/* "10M", "10mbit", "512k" -> bits per second, powers of 1000; "0" or "none": no limit. */
int lab_parse_rate(const char *text, uint64_t *out_bps, struct ray_err *err);

struct lab_link_fault {
    bool is_cut;
    uint32_t loss_ppm;
    uint32_t duplicate_ppm;
    uint32_t reorder_ppm;
    uint64_t delay_us;
    uint64_t jitter_us;
    uint64_t rate_bps;
};

/* "cut", or "loss 5 %, delay 20 ms"; "" when nothing is set. */
void lab_link_fault_text(const struct lab_link_fault *fault, char *out, size_t out_size);

#endif
