/* place_text.c - the words of an explanation. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "coordinator/place/place.h"

const char *coord_place_barrier_name(enum coord_place_barrier barrier)
{
    static const char *const names[COORD_PLACE_BARRIER_COUNT] = {
        "standing", "architecture", "cpu-level", "cpu",     "memory", "disk",
        "policy",   "apart",        "together",  "volumes", "domain", "labels",
    };

    assert((unsigned)barrier < COORD_PLACE_BARRIER_COUNT);
    return names[barrier];
}

const char *coord_place_term_name(enum coord_place_term term)
{
    static const char *const names[COORD_PLACE_TERM_COUNT] = {
        "cpu", "memory", "disk", "balance", "volumes", "together", "apart", "home", "risk",
    };

    assert((unsigned)term < COORD_PLACE_TERM_COUNT);
    return names[term];
}

const char *coord_place_standing_text(enum coord_place_standing standing)
{
    static const char *const texts[COORD_PLACE_STANDING_COUNT] = {
        "takes guests",
        "waits for approval",
        "is drained",
        "is removed",
        "says that it has failed",
        "is not heard of",
        "has no clock that grants can rest on",
        "has no KVM",
        "is in quarantine",
        "has not said yet what it has",
        "is assumed to be away",
    };

    assert((unsigned)standing < COORD_PLACE_STANDING_COUNT);
    return texts[standing];
}

static void say_lacking(const struct coord_place_change *change,
                        char out[static COORD_PLACE_TEXT_SIZE])
{
    if (change->barrier == COORD_PLACE_BARRIER_CPU) {
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE, "needs %" PRIu64 ".%03" PRIu64 " more free CPUs",
                       change->lacking / 1000, change->lacking % 1000);
        return;
    }
    (void)snprintf(out, COORD_PLACE_TEXT_SIZE, "needs %" PRIu64 " MiB more free %s",
                   change->lacking, coord_place_barrier_name(change->barrier));
}

const char *coord_place_change_text(const struct coord_place_change *change,
                                    const struct coord_place_cluster *cluster, uint32_t node,
                                    char out[static COORD_PLACE_TEXT_SIZE])
{
    const char *are = change->count == 1 ? "guest is" : "guests are";

    switch (change->barrier) {
    case COORD_PLACE_BARRIER_STANDING:
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE, "%s",
                       coord_place_standing_text(cluster->nodes[node].standing));
        break;
    case COORD_PLACE_BARRIER_ARCHITECTURE:
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE, "has another architecture");
        break;
    case COORD_PLACE_BARRIER_CPU_LEVEL:
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE,
                       "has CPU level %" PRIu16 ", level %" PRIu64 " is needed",
                       cluster->nodes[node].cpu_level, change->lacking);
        break;
    case COORD_PLACE_BARRIER_CPU:
    case COORD_PLACE_BARRIER_MEMORY:
    case COORD_PLACE_BARRIER_DISK:
        say_lacking(change, out);
        break;
    case COORD_PLACE_BARRIER_POLICY:
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE, "denied by rule %" PRIu32 " of the policy",
                       change->rule);
        break;
    case COORD_PLACE_BARRIER_APART:
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE,
                       "%" PRIu32 " %s there that it must be apart from", change->count, are);
        break;
    case COORD_PLACE_BARRIER_TOGETHER:
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE,
                       "%" PRIu32 " %s elsewhere that it must be together with", change->count,
                       are);
        break;
    case COORD_PLACE_BARRIER_VOLUMES:
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE,
                       "%" PRIu32 " of its volumes cannot leave another node", change->count);
        break;
    case COORD_PLACE_BARRIER_DOMAIN:
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE, "is not in the failure domain that it stays in");
        break;
    case COORD_PLACE_BARRIER_LABELS:
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE, "lacks %" PRIu32 " of the labels that it needs",
                       change->count);
        break;
    case COORD_PLACE_BARRIER_COUNT:
        assert(false);
        break;
    }
    return out;
}
