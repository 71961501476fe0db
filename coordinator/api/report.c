/* report.c - what this node says of itself goes into the registry when it differs from what is
 * there: its address may be another after a restart. */
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"
#include "net/proto_codec.h"

enum { REPORT_TIMEOUT_MS = 10000 };

/* Entries that are committed and not applied here: more makes it late, fewer well again. */
enum { LATE_COUNT = 10000, LATE_NO_MORE_COUNT = 1000 };

/* Why it is not well; "": it is. */
static const char *message_of(struct coord_member *m)
{
    struct coord_replica_status status;
    uint64_t behind;

    if (member_disk_is_silent(m)) {
        return member_disk_trouble;
    }
    coord_replica_status(m->replica, &status);
    behind =
        status.commit_index > status.applied_index ? status.commit_index - status.applied_index : 0;
    m->is_late = behind > (m->is_late ? LATE_NO_MORE_COUNT : LATE_COUNT);
    if (status.is_full) {
        return "the disk of its log is full: free space below its data folder";
    }
    return m->is_late ? "it applies entries later than they come: its disk or processor is slow"
                      : "";
}

static const char *health_of(const char *message)
{
    return message[0] == '\0' ? "ok" : "degraded";
}

/* Without its disk it does not hear of its own report. */
static bool was_just_said(const struct coord_member *m)
{
    return m->reported_ns != 0 && m->has_reported_silence && member_disk_is_silent(m) &&
           ray_clock_boottime_ns() - m->reported_ns < REPORT_TIMEOUT_MS * RAY_NS_PER_MS;
}

/* As long as it has none, that of before may still be right. */
static const char *address_of(const struct coord_member *m, const struct coord_object *self)
{
    return m->address[0] != '\0' ? m->address : self->node.address;
}

/* As long as it tells none, those of before may still be right. */
static struct coord_bytes facts_of(const struct coord_member *m, const struct coord_object *self)
{
    return m->machine.size == 0
               ? self->node.facts
               : (struct coord_bytes){.data = m->machine.data, .size = (uint32_t)m->machine.size};
}

static bool has_other_facts(const struct coord_member *m, const struct coord_object *self)
{
    struct coord_bytes facts = facts_of(m, self);

    return facts.size != self->node.facts.size ||
           (facts.size > 0 && memcmp(facts.data, self->node.facts.data, facts.size) != 0);
}

static bool is_due(const struct coord_member *m, const struct coord_object *self,
                   const char *message)
{
    return !was_just_said(m) && self != NULL &&
           (self->node.state == COORD_NODE_MEMBER || self->node.state == COORD_NODE_DRAINED) &&
           ray_id_equal(&self->node.incarnation, &m->incarnation) &&
           (strcmp(self->node.address, address_of(m, self)) != 0 ||
            strcmp(self->node.health, health_of(message)) != 0 ||
            strcmp(self->node.message, message) != 0 || has_other_facts(m, self) ||
            self->node.is_fit_for_leases != m->config.is_fit_for_leases);
}

static void on_reported(void *arg, int status, const struct coord_fsm_result *result)
{
    struct coord_member *m = arg;

    (void)status; /* it is looked at again in a second */
    (void)result;
    m->is_reporting = false;
}

void member_report_turn(struct coord_member *m)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeReport report = RAYOS__REGISTRY__NODE_REPORT__INIT;
    const struct coord_object *self;
    const char *message;
    uint8_t *bytes = NULL;
    size_t size = 0;

    if (m->replica == NULL || m->is_reporting) {
        return;
    }
    self = coord_fsm_find(coord_replica_fsm(m->replica), COORD_NODE, &m->id);
    message = message_of(m);
    if (!is_due(m, self, message)) {
        return;
    }
    report.node = ray_proto_id(&m->id);
    report.address = (char *)(uintptr_t)address_of(m, self);
    report.health = (char *)(uintptr_t)health_of(message);
    report.message = (char *)(uintptr_t)message;
    report.facts = ray_proto_bytes(facts_of(m, self).data, facts_of(m, self).size);
    report.is_fit_for_leases = m->config.is_fit_for_leases;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REPORT;
    command.node_report = &report;
    if (member_command_pack(m, &command, &member_self, "what the node says of itself", &bytes,
                            &size, NULL) == RAY_OK) {
        m->has_reported_silence = member_disk_is_silent(m);
        m->reported_ns = ray_clock_boottime_ns();
        m->is_reporting =
            coord_replica_propose(m->replica, bytes, size,
                                  ray_clock_boottime_ns() + REPORT_TIMEOUT_MS * RAY_NS_PER_MS,
                                  on_reported, m, NULL, NULL) == RAY_OK;
    }
    free(bytes);
}
