/* clusterctl/lab/phases.h - how far one machine's boot has come, and how long each phase
 * took. Pure: events with times in, a table out.
 *
 *   power on  firmware  first DHCP discover
 *             dhcp      boot file asked for (TFTP or HTTP)
 *             download  image fetched over HTTP
 *             kernel    RAYOS_BOOT_MARKER:kernel (PID 1 runs)
 *             init      RAYOS_NODE_READY
 *
 * A direct boot has firmware, kernel and init only; its kernel phase begins at the kernel's
 * first console line, or, when the console is quiet, is told afterwards by the node's own
 * clock (lab_phases_kernel_took).
 * Memory: none.  Threads: any.  Blocks: never.  Trust: events may come in any order and any
 * number of times (a guest can print what it likes): phases only move as said here. */
#ifndef RAY_CLUSTERCTL_LAB_PHASES_H
#define RAY_CLUSTERCTL_LAB_PHASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lab_phase {
    LAB_PHASE_OFF, /* not switched on, or off again */
    LAB_PHASE_FIRMWARE,
    LAB_PHASE_DHCP,
    LAB_PHASE_DOWNLOAD,
    LAB_PHASE_KERNEL,
    LAB_PHASE_INIT,
    LAB_PHASE_READY,
    LAB_PHASE_COUNT
};

enum lab_phase_event {
    LAB_EVENT_POWER_ON, /* or a reset: a new boot begins */
    LAB_EVENT_POWER_OFF,
    LAB_EVENT_DHCP_DISCOVER,
    LAB_EVENT_BOOT_FILE, /* TFTP or script request */
    LAB_EVENT_HTTP_START,
    LAB_EVENT_HTTP_DONE,
    LAB_EVENT_KERNEL_TEXT, /* "Linux version" on the console */
    LAB_EVENT_INIT,        /* RAYOS_BOOT_MARKER:kernel */
    LAB_EVENT_READY,       /* RAYOS_NODE_READY */
};

struct lab_phases {
    enum lab_phase phase;
    uint32_t boot_count; /* power-ons and resets so far */
    uint64_t power_on_us;
    bool has_begun[LAB_PHASE_COUNT]; /* in this boot */
    uint64_t begin_us[LAB_PHASE_COUNT];
};

const char *lab_phase_name(enum lab_phase phase); /* "off", "firmware", ... "ready" */

void lab_phases_init(struct lab_phases *phases);
/* true: the phase changed. Times never run backwards: an earlier one counts as the last. */
bool lab_phases_event(struct lab_phases *phases, enum lab_phase_event event, uint64_t now_us);

/* The node says that PID 1 took over `uptime_us` after the kernel began. Sets the begin of
 * the kernel phase where nothing better was seen. */
void lab_phases_kernel_took(struct lab_phases *phases, uint64_t uptime_us);

/* Length of a phase that is over; false when it did not happen in this boot or goes on. */
bool lab_phases_length(const struct lab_phases *phases, enum lab_phase phase,
                       uint64_t *out_length_us);
/* From power-on to ready; false before that. */
bool lab_phases_total(const struct lab_phases *phases, uint64_t *out_total_us);

#endif
