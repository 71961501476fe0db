/* pulse.c - whether this member lives: its loop turns, and its disk answers.
 *
 * Once a second the writing thread of the disk is asked. Unanswered seconds are counted in turns
 * of this timer, not read from a clock: a process that was stopped or a machine that slept says
 * nothing about its disk. */
#include "coordinator/api/impl.h"
#include "coordinator/store/disk_file.h"

enum { SILENT_MAX = 3 };

static void on_answer(void *arg, int status)
{
    struct coord_member *m = arg;

    m->is_probing = false;
    if (status != RAY_ECANCELED && member_disk_is_silent(m)) {
        ray_log(m->config.logger, RAY_LOG_NOTICE, "member", "the disk answers again");
    }
    m->silent_count = 0;
}

void member_pulse_turn(struct coord_member *m)
{
    if (!m->is_probing) {
        m->is_probing = true;
        coord_disk_file_probe(m->disk, on_answer, m);
        return;
    }
    m->silent_count++;
    if (m->silent_count == SILENT_MAX) {
        ray_log(m->config.logger, RAY_LOG_ERROR, "member", "%s", member_disk_trouble);
    }
}

const char member_disk_trouble[] = "the disk does not answer";

bool member_disk_is_silent(const struct coord_member *m)
{
    return m->silent_count >= SILENT_MAX;
}

bool coord_member_take_pulse(struct coord_member *m)
{
    bool has_turned = m->turn_count != m->told_turn_count;

    m->told_turn_count = m->turn_count;
    return has_turned && !member_disk_is_silent(m);
}
