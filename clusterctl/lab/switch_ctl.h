/* clusterctl/lab/switch_ctl.h - the text commands of the switch, parsed (SWITCH.md lists them).
 *
 * Memory: never allocates; the command is a plain struct.  Threads: any.
 * Blocks: never (pure).  Trust: any bytes up to RAY_SWITCH_CTL_SIZE_MAX. */
#ifndef RAY_LAB_SWITCH_CTL_H
#define RAY_LAB_SWITCH_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "clusterctl/lab/switch_fault.h"

enum {
    RAY_SWITCH_CTL_SIZE_MAX = 4096,
    RAY_SWITCH_NAME_SIZE = 33, /* with NUL */
    RAY_SWITCH_PATH_SIZE = 1024,
    RAY_SWITCH_PORT_COUNT_MAX = 40,
    RAY_SWITCH_DELAY_US_MAX = 60 * 1000 * 1000,
};

#define RAY_SWITCH_RATE_BPS_MIN UINT64_C(1000)
#define RAY_SWITCH_RATE_BPS_MAX UINT64_C(1000000000000)

enum ray_switch_verb {
    RAY_SWITCH_SET,
    RAY_SWITCH_CLEAR,
    RAY_SWITCH_CUT,
    RAY_SWITCH_HEAL,
    RAY_SWITCH_PARTITION,
    RAY_SWITCH_STATS,
    RAY_SWITCH_PCAP,
    RAY_SWITCH_PCAP_OFF,
};

/* Bits of ray_switch_command.given: which fields of `fault` the command sets. */
enum {
    RAY_SWITCH_GIVEN_LOSS = 1 << 0,
    RAY_SWITCH_GIVEN_DUPLICATE = 1 << 1,
    RAY_SWITCH_GIVEN_REORDER = 1 << 2,
    RAY_SWITCH_GIVEN_DELAY = 1 << 3,
    RAY_SWITCH_GIVEN_JITTER = 1 << 4,
    RAY_SWITCH_GIVEN_RATE = 1 << 5,
};

struct ray_switch_command {
    enum ray_switch_verb verb;
    /* Port names, "*" for every port but the host's, "" for none (heal, clear, stats: all;
     * pcap: "all" means every port). */
    char from[RAY_SWITCH_NAME_SIZE];
    char to[RAY_SWITCH_NAME_SIZE];
    bool is_both; /* the way back, too */
    unsigned given;
    struct ray_switch_fault fault;
    struct {
        char name[RAY_SWITCH_NAME_SIZE];
        uint8_t group;
    } members[RAY_SWITCH_PORT_COUNT_MAX]; /* of a partition */
    size_t member_count;
    char path[RAY_SWITCH_PATH_SIZE];
    uint64_t size_max;
};

/* RAY_OK or RAY_EINVAL with what is wrong and how it should be. */
int ray_switch_ctl_parse(const char *text, size_t size, struct ray_switch_command *out,
                         struct ray_err *err);

/* Letters a-z, digits and '-', 1 to 32 of them, and not a word of the commands. */
bool ray_switch_name_is_valid(const char *name);

#endif
