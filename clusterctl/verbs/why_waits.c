#include "clusterctl/verbs/why_waits.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/id.h"
#include "base/size.h"
#include "clusterctl/verbs/registry_kind.h"

static const char *name_of(const Rayos__Registry__Object *object, char out[static WHY_TEXT_SIZE])
{
    (void)ray_escape(out, WHY_TEXT_SIZE, object->name, strlen(object->name));
    return out;
}

static struct why_wait *add(struct why_waits *waits, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The last one is written over when there are too many. */
static struct why_wait *add(struct why_waits *waits, const char *fmt, ...)
{
    struct why_wait *wait = &waits->list[waits->count];
    va_list ap;

    waits->count += waits->count + 1 < WHY_WAITS_MAX;
    wait->next_step[0] = '\0';
    va_start(ap, fmt);
    (void)vsnprintf(wait->what, sizeof wait->what, fmt, ap);
    va_end(ap);
    return wait;
}

/* The name comes behind the command. */
static void next(struct why_wait *wait, const char *command, const char *name)
{
    (void)snprintf(wait->next_step, sizeof wait->next_step, "%s%s", command, name);
}

/* ---- by kind ---- */

static void find_of_node(const Rayos__Registry__Object *object, struct why_waits *out)
{
    const Rayos__Registry__Node *node = object->node;
    char name[WHY_TEXT_SIZE];
    char said[WHY_TEXT_SIZE];

    if (node->state == RAYOS__REGISTRY__NODE_STATE__NODE_PENDING) {
        next(add(out, "an admin's approval"), "clusterctl node approve ", name_of(object, name));
    }
    if (node->state == RAYOS__REGISTRY__NODE_STATE__NODE_REMOVED) {
        (void)add(out, "its guests to have moved; then it is gone");
    }
    if (node->is_quarantined) {
        (void)ray_escape(said, sizeof said, node->message, strlen(node->message));
        (void)add(out, "being filled anew by the other members: %.160s", said);
    }
    if (node->state == RAYOS__REGISTRY__NODE_STATE__NODE_MEMBER && node->incarnation.len == 0) {
        (void)add(out, "the node to begin: it has never taken part yet");
    }
}

static void find_of_guest(const Rayos__Registry__Object *object, struct why_waits *out)
{
    const Rayos__Registry__Guest *guest = object->guest;

    if (object->is_gone) {
        (void)add(out, "its run to have ended; then it is gone");
    } else if (guest->wanted == RAYOS__REGISTRY__WANTED__WANTED_RUNNING && guest->home == NULL) {
        (void)add(out, "a node to run on");
    } else if (guest->wanted == RAYOS__REGISTRY__WANTED__WANTED_RUNNING &&
               guest->state != RAYOS__REGISTRY__GUEST_STATE__GUEST_RUNNING) {
        (void)add(out, "its home to say that it runs");
    } else if (guest->wanted == RAYOS__REGISTRY__WANTED__WANTED_STOPPED && guest->has_run) {
        (void)add(out, "its home to say that it has stopped");
    }
    if (guest->migration.len > 0) {
        (void)add(out, "the end of its migration");
    }
}

static size_t count_voters(const Rayos__Cluster__Status *status)
{
    size_t count = 0;

    for (size_t i = 0; i < status->n_nodes; i++) {
        count += strcmp(status->nodes[i]->role, "voter") == 0;
    }
    return count;
}

static void find_of_cluster(const Rayos__Registry__Cluster *cluster,
                            const Rayos__Cluster__Status *status, struct why_waits *out)
{
    size_t voters = count_voters(status);

    if (cluster->n_unknown_nodes > 0) {
        next(add(out, "%zu nodes that are unknown since the recovery to be back, or off",
                 cluster->n_unknown_nodes),
             "clusterctl node list, for those that are not there", "");
    }
    if (!cluster->is_settled && cluster->timing_revision > 0) {
        (void)add(out, "the change of timing at revision %llu to settle; until then no other",
                  (unsigned long long)cluster->timing_revision);
    }
    /* A page of nodes is all of most clusters, but not of each. */
    if (status->n_nodes == status->node_count && cluster->wanted_voters > voters) {
        next(add(out, "nodes that can vote: %u voters are wanted, %zu are there",
                 cluster->wanted_voters, voters),
             "clusterctl token create, for another node; or clusterctl cluster voters N", "");
    }
}

void why_waits_find(const Rayos__Registry__Object *object, const Rayos__Cluster__Status *status,
                    struct why_waits *out)
{
    char name[WHY_TEXT_SIZE];

    out->count = 0;
    if (!status->quorate) {
        next(add(out, "a quorum: until then nothing of it changes"), "clusterctl cluster status",
             "");
    }
    switch (object->body_case) {
    case RAYOS__REGISTRY__OBJECT__BODY_NODE:
        find_of_node(object, out);
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_GUEST:
        find_of_guest(object, out);
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_CLUSTER:
        find_of_cluster(object->cluster, status, out);
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_VOLUME:
        if (object->volume->is_detaching) {
            (void)add(out, "the guest's run to end, then it is detached");
        }
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_OPERATION:
        if (strcmp(object->operation->state, "needs-approval") == 0) {
            next(add(out, "somebody's approval"), "clusterctl op approve ", name_of(object, name));
        }
        break;
    default:
        break;
    }
}

/* Whether "guest.start guest:web-1" is about that object. */
static bool is_about(const Rayos__Registry__Operation *operation, const char *about)
{
    const char *space = strrchr(operation->action, ' ');

    return strcmp(operation->state, "needs-approval") == 0 && space != NULL &&
           strcmp(space + 1, about) == 0;
}

void why_waits_add_operations(const Rayos__Registry__Object *object,
                              const Rayos__Registry__Answer *operations, struct why_waits *out)
{
    char about[WHY_TEXT_SIZE];
    char action[WHY_TEXT_SIZE / 2];
    char asker[WHY_TEXT_SIZE / 4];
    char id_text[RAY_ID_TEXT_SIZE];
    char name[WHY_TEXT_SIZE];
    struct ray_id id;

    (void)snprintf(about, sizeof about, "%s:%s", registry_kind_name(object->kind), object->name);
    for (size_t i = 0; i < operations->n_entries; i++) {
        const Rayos__Registry__Object *other = operations->entries[i]->object;

        if (other == NULL || other->body_case != RAYOS__REGISTRY__OBJECT__BODY_OPERATION ||
            !is_about(other->operation, about) ||
            ray_id_from_bytes(other->id.data, other->id.len, &id, NULL) != RAY_OK) {
            continue;
        }
        (void)ray_escape(action, sizeof action, other->operation->action,
                         strlen(other->operation->action));
        (void)ray_escape(asker, sizeof asker, other->operation->asker,
                         strlen(other->operation->asker));
        next(add(out, "approval of %s, which %s asked for", action, asker),
             "clusterctl op approve ",
             other->name[0] != '\0' ? name_of(other, name) : ray_id_format(&id, id_text));
    }
}

/* ---- state ---- */

static const char *word(const char *const *words, size_t count, int value)
{
    return value >= 0 && (size_t)value < count ? words[value] : "?";
}

static void state_of_node(const Rayos__Registry__Node *node, char *out)
{
    static const char *const states[] = {"unclaimed", "pending", "member", "drained", "removed"};
    static const char *const roles[] = {"observer", "standby", "voter"};
    char said[WHY_TEXT_SIZE / 2];

    (void)ray_escape(said, sizeof said, node->message, strlen(node->message));
    (void)snprintf(out, WHY_TEXT_SIZE, "%s, %s, %.32s%s%s",
                   word(states, RAY_ARRAY_COUNT(states), (int)node->state),
                   word(roles, RAY_ARRAY_COUNT(roles), (int)node->role),
                   node->is_quarantined      ? "quarantined"
                   : node->health[0] == '\0' ? "has not said how it is"
                                             : node->health,
                   said[0] == '\0' ? "" : ": ", said);
}

static void state_of_guest(const Rayos__Registry__Guest *guest, char *out)
{
    static const char *const wanted[] = {"stopped", "running"};
    static const char *const states[] = {"unknown", "stopped", "starting",
                                         "running", "frozen",  "failed"};
    char said[WHY_TEXT_SIZE / 2];

    (void)ray_escape(said, sizeof said, guest->message, strlen(guest->message));
    (void)snprintf(out, WHY_TEXT_SIZE, "wanted %s, seen %s%s%s",
                   word(wanted, RAY_ARRAY_COUNT(wanted), (int)guest->wanted),
                   word(states, RAY_ARRAY_COUNT(states), (int)guest->state),
                   said[0] == '\0' ? "" : ": ", said);
}

void why_state(const Rayos__Registry__Object *object, char out[static WHY_TEXT_SIZE])
{
    out[0] = '\0';
    switch (object->body_case) {
    case RAYOS__REGISTRY__OBJECT__BODY_NODE:
        state_of_node(object->node, out);
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_GUEST:
        state_of_guest(object->guest, out);
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_CLUSTER:
        (void)snprintf(out, WHY_TEXT_SIZE, "epoch %llu, feature level %u, %u voters wanted",
                       (unsigned long long)object->cluster->cluster_epoch,
                       object->cluster->feature_level, object->cluster->wanted_voters);
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_OPERATION:
        (void)ray_escape(out, WHY_TEXT_SIZE, object->operation->state,
                         strlen(object->operation->state));
        break;
    default:
        break;
    }
}
