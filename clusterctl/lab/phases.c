/* clusterctl/lab/phases.c - see phases.h.
 *
 * Invariant: phases that have begun do so in their order, so the length of one is the begin
 * of the next one that happened minus its own. */
#include "clusterctl/lab/phases.h"

#include <assert.h>

static const char *const phase_names[LAB_PHASE_COUNT] = {
    [LAB_PHASE_OFF] = "off",           [LAB_PHASE_FIRMWARE] = "firmware", [LAB_PHASE_DHCP] = "dhcp",
    [LAB_PHASE_DOWNLOAD] = "download", [LAB_PHASE_KERNEL] = "kernel",     [LAB_PHASE_INIT] = "init",
    [LAB_PHASE_READY] = "ready",
};

const char *lab_phase_name(enum lab_phase phase)
{
    assert((unsigned int)phase < LAB_PHASE_COUNT);
    return phase_names[phase];
}

void lab_phases_init(struct lab_phases *phases)
{
    *phases = (struct lab_phases){.phase = LAB_PHASE_OFF};
}

/* The latest begin of this boot. */
static uint64_t last_begin_us(const struct lab_phases *phases)
{
    uint64_t last_us = phases->power_on_us;

    for (int i = 0; i < LAB_PHASE_COUNT; i++) {
        if (phases->has_begun[i] && phases->begin_us[i] > last_us) {
            last_us = phases->begin_us[i];
        }
    }
    return last_us;
}

static bool enter(struct lab_phases *phases, enum lab_phase phase, uint64_t now_us)
{
    uint64_t last_us = last_begin_us(phases);

    phases->phase = phase;
    phases->has_begun[phase] = true;
    phases->begin_us[phase] = now_us > last_us ? now_us : last_us;
    return true;
}

static bool begin_boot(struct lab_phases *phases, uint64_t now_us)
{
    *phases = (struct lab_phases){
        .boot_count = phases->boot_count + 1,
        .power_on_us = now_us,
    };
    return enter(phases, LAB_PHASE_FIRMWARE, now_us);
}

/* A download that starts again before the kernel gave a sign: the phase goes on. */
static bool resume_download(struct lab_phases *phases)
{
    phases->has_begun[LAB_PHASE_KERNEL] = false;
    phases->phase = LAB_PHASE_DOWNLOAD;
    return true;
}

bool lab_phases_event(struct lab_phases *phases, enum lab_phase_event event, uint64_t now_us)
{
    enum lab_phase phase = phases->phase;

    if (event == LAB_EVENT_POWER_ON) {
        return begin_boot(phases, now_us);
    }
    if (phase == LAB_PHASE_OFF) {
        return false;
    }
    switch (event) {
    case LAB_EVENT_POWER_OFF:
        phases->phase = LAB_PHASE_OFF;
        return true;
    case LAB_EVENT_DHCP_DISCOVER:
        return phase == LAB_PHASE_FIRMWARE && enter(phases, LAB_PHASE_DHCP, now_us);
    case LAB_EVENT_BOOT_FILE:
        return (phase == LAB_PHASE_FIRMWARE || phase == LAB_PHASE_DHCP) &&
               enter(phases, LAB_PHASE_DOWNLOAD, now_us);
    case LAB_EVENT_HTTP_START:
        if (phase == LAB_PHASE_KERNEL && phases->has_begun[LAB_PHASE_DOWNLOAD]) {
            return resume_download(phases);
        }
        return phase < LAB_PHASE_DOWNLOAD && enter(phases, LAB_PHASE_DOWNLOAD, now_us);
    case LAB_EVENT_HTTP_DONE:
    case LAB_EVENT_KERNEL_TEXT:
        return phase < LAB_PHASE_KERNEL && enter(phases, LAB_PHASE_KERNEL, now_us);
    case LAB_EVENT_INIT:
        return phase < LAB_PHASE_INIT && enter(phases, LAB_PHASE_INIT, now_us);
    case LAB_EVENT_READY:
        return phase < LAB_PHASE_READY && enter(phases, LAB_PHASE_READY, now_us);
    case LAB_EVENT_POWER_ON:
        break;
    }
    return false;
}

void lab_phases_kernel_took(struct lab_phases *phases, uint64_t uptime_us)
{
    uint64_t begin_us;
    uint64_t earliest_us = phases->power_on_us;

    if (!phases->has_begun[LAB_PHASE_INIT] || phases->has_begun[LAB_PHASE_KERNEL]) {
        return;
    }
    for (int i = LAB_PHASE_FIRMWARE; i < LAB_PHASE_KERNEL; i++) {
        if (phases->has_begun[i] && phases->begin_us[i] > earliest_us) {
            earliest_us = phases->begin_us[i];
        }
    }
    begin_us = phases->begin_us[LAB_PHASE_INIT];
    begin_us = uptime_us < begin_us ? begin_us - uptime_us : 0;
    phases->has_begun[LAB_PHASE_KERNEL] = true;
    phases->begin_us[LAB_PHASE_KERNEL] = begin_us > earliest_us ? begin_us : earliest_us;
}

bool lab_phases_length(const struct lab_phases *phases, enum lab_phase phase,
                       uint64_t *out_length_us)
{
    assert((unsigned int)phase < LAB_PHASE_COUNT);
    if (!phases->has_begun[phase]) {
        return false;
    }
    for (int next = (int)phase + 1; next < LAB_PHASE_COUNT; next++) {
        if (phases->has_begun[next]) {
            *out_length_us = phases->begin_us[next] - phases->begin_us[phase];
            return true;
        }
    }
    return false;
}

bool lab_phases_total(const struct lab_phases *phases, uint64_t *out_total_us)
{
    if (!phases->has_begun[LAB_PHASE_READY]) {
        return false;
    }
    *out_total_us = phases->begin_us[LAB_PHASE_READY] - phases->power_on_us;
    return true;
}
