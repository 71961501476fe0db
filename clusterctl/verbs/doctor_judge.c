#include "clusterctl/verbs/doctor_judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/size.h"

enum { TEXT_SIZE = 128, AGE_MS_MAX = 10000 };

const char *doctor_state_name(enum doctor_state state)
{
    static const char *const names[] = {"ok", "note", "degraded", "failed"};

    return names[state];
}

void doctor_add(struct doctor_report *report, const char *name, enum doctor_state state,
                const char *message, const char *next_step)
{
    struct doctor_check *check = &report->list[report->count];

    report->state = state > report->state ? state : report->state;
    if (report->count == DOCTOR_CHECKS_MAX) {
        report->left_out++;
        return;
    }
    (void)ray_escape(check->name, sizeof check->name, name, strlen(name));
    (void)ray_escape(check->message, sizeof check->message, message, strlen(message));
    (void)ray_escape(check->next_step, sizeof check->next_step, next_step, strlen(next_step));
    check->state = state;
    report->count++;
}

static void addf(struct doctor_report *report, const char *name, enum doctor_state state,
                 const char *next_step, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void addf(struct doctor_report *report, const char *name, enum doctor_state state,
                 const char *next_step, const char *fmt, ...)
{
    char message[DOCTOR_TEXT_SIZE];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    doctor_add(report, name, state, message, next_step);
}

/* ---- the cluster ---- */

static size_t count_voters(const Rayos__Cluster__Nodes *nodes, bool only_up)
{
    size_t count = 0;

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        const Rayos__Cluster__NodeStatus *node = nodes->nodes[i];

        count += strcmp(node->role, "voter") == 0 && (node->is_up || !only_up);
    }
    return count;
}

static void judge_quorum(const struct doctor_input *input, struct doctor_report *out)
{
    const Rayos__Cluster__Status *status = input->status;
    size_t voters = count_voters(input->nodes, false);

    if (!status->quorate) {
        addf(out, "quorum", DOCTOR_FAILED,
             "start the voters that are away; if a majority is lost for good: cluster recover",
             "no quorum: nothing can be changed; of %zu voters %s hears %zu", voters, status->node,
             count_voters(input->nodes, true));
    } else if (status->age_ms > AGE_MS_MAX) {
        addf(out, "quorum", DOCTOR_DEGRADED, "clusterctl cluster status, at another member",
             "%s has not heard its leader for %llu s", status->node,
             (unsigned long long)(status->age_ms / 1000));
    } else {
        addf(out, "quorum", DOCTOR_OK, "", "%s leads, %zu voters", status->leader, voters);
    }
}

static void judge_cluster(const struct doctor_input *input, struct doctor_report *out)
{
    size_t voters = count_voters(input->nodes, false);
    const Rayos__Registry__Cluster *cluster = NULL;

    if (input->cluster != NULL && input->cluster->n_entries == 1 &&
        input->cluster->entries[0]->object != NULL &&
        input->cluster->entries[0]->object->body_case == RAYOS__REGISTRY__OBJECT__BODY_CLUSTER) {
        cluster = input->cluster->entries[0]->object->cluster;
    }
    if (cluster == NULL) {
        return;
    }
    if (cluster->wanted_voters > voters) {
        addf(out, "voters", DOCTOR_DEGRADED,
             "clusterctl token create, for another node; or clusterctl cluster voters N",
             "%u voters are wanted, %zu are there", cluster->wanted_voters, voters);
    } else if (voters == 1 && input->nodes->node_count > 1) {
        addf(out, "voters", DOCTOR_NOTE, "clusterctl cluster voters 3",
             "one voter of %llu nodes: without it nothing can be changed",
             (unsigned long long)input->nodes->node_count);
    }
    if (cluster->n_unknown_nodes > 0) {
        addf(out, "recovery", DOCTOR_DEGRADED, "start them, or confirm that they are off",
             "%zu nodes are unknown since the recovery", cluster->n_unknown_nodes);
    }
}

/* Voters fail together with their domain; one without a name is its own. */
static void judge_domains(const struct doctor_input *input, struct doctor_report *out)
{
    size_t voters = count_voters(input->nodes, false);

    for (size_t i = 0; i < input->nodes->n_nodes; i++) {
        const Rayos__Cluster__NodeStatus *one = input->nodes->nodes[i];
        bool is_first = true;
        size_t count = 0;

        for (size_t j = 0; j < input->nodes->n_nodes; j++) {
            const Rayos__Cluster__NodeStatus *other = input->nodes->nodes[j];
            bool is_there = strcmp(other->role, "voter") == 0 && one->domain[0] != '\0' &&
                            strcmp(one->domain, other->domain) == 0;

            is_first = is_first && (j >= i || !is_there);
            count += is_there;
        }
        if (is_first && count > 1 && count > (voters - 1) / 2) {
            addf(out, "domains", DOCTOR_NOTE,
                 "clusterctl node set NAME --domain DOMAIN, as they stand; and nodes elsewhere",
                 "%zu of %zu voters are in the failure domain %s: without it there is no quorum",
                 count, voters, one->domain);
        }
    }
}

/* Who takes the place of a voter that is lost; of two nodes one is always a standby. */
static void judge_standbys(const struct doctor_input *input, struct doctor_report *out)
{
    size_t voters = count_voters(input->nodes, false);
    size_t standbys = 0;

    for (size_t i = 0; i < input->nodes->n_nodes; i++) {
        standbys += strcmp(input->nodes->nodes[i]->role, "standby") == 0;
    }
    if (voters > 1 && standbys == 0) {
        addf(out, "standbys", DOCTOR_NOTE, "clusterctl token create, for one node more",
             "none: a voter that is lost is not replaced");
    }
}

static void judge_level(const struct doctor_input *input, struct doctor_report *out)
{
    if (input->status->level_waits_for[0] != '\0') {
        addf(out, "feature level", DOCTOR_NOTE, "boot it with the image of the others",
             "%u, held back: %s", input->status->feature_level, input->status->level_waits_for);
    }
}

/* ---- policy ---- */

static void judge_policy(const struct doctor_input *input, struct doctor_report *out)
{
    const Rayos__Registry__PolicyVersion *newest = NULL;
    char next_step[DOCTOR_TEXT_SIZE];

    for (size_t i = 0; i < input->policies->n_entries; i++) {
        const Rayos__Registry__Object *object = input->policies->entries[i]->object;

        if (object != NULL && object->body_case == RAYOS__REGISTRY__OBJECT__BODY_POLICY &&
            (newest == NULL || object->policy->version > newest->version)) {
            newest = object->policy;
        }
    }
    if (newest != NULL && newest->confirm_by_us != 0) {
        (void)snprintf(next_step, sizeof next_step,
                       "clusterctl policy confirm %llu, if it is right",
                       (unsigned long long)newest->version);
        addf(out, "policy", DOCTOR_DEGRADED, next_step,
             "version %llu is not confirmed: version %llu comes back by itself",
             (unsigned long long)newest->version, (unsigned long long)newest->restores);
    }
}

/* ---- nodes ---- */

static void judge_node(const Rayos__Cluster__NodeStatus *node, struct doctor_report *out)
{
    char name[DOCTOR_NAME_SIZE];
    char next_step[DOCTOR_TEXT_SIZE];

    (void)snprintf(name, sizeof name, "node %s", node->name);
    if (strcmp(node->state, "pending") == 0) {
        (void)snprintf(next_step, sizeof next_step, "clusterctl node approve %s", node->name);
        doctor_add(out, name, DOCTOR_NOTE, "it waits for an admin's approval", next_step);
        return;
    }
    if (strcmp(node->state, "removed") == 0) {
        doctor_add(out, name, DOCTOR_NOTE, "it is removed, its guests have still to move", "");
        return;
    }
    if (strcmp(node->state, "drained") == 0) {
        (void)snprintf(next_step, sizeof next_step, "clusterctl node undrain %s, if it is done",
                       node->name);
        doctor_add(out, name, DOCTOR_NOTE, "it is drained", next_step);
    }
    (void)snprintf(next_step, sizeof next_step, "clusterctl why node %s", node->name);
    if (!node->is_up) {
        addf(out, name, DOCTOR_FAILED, "look at its console and its network cable", "%s%s%s",
             "it is not heard", node->trouble[0] == '\0' ? "" : ": ", node->trouble);
    } else if (strcmp(node->state, "quarantined") == 0) {
        addf(out, name, DOCTOR_DEGRADED, next_step, "its log or state was damaged: %s",
             node->message);
    } else if (strcmp(node->health, "ok") != 0 && node->health[0] != '\0') {
        addf(out, name, strcmp(node->health, "failed") == 0 ? DOCTOR_FAILED : DOCTOR_DEGRADED,
             next_step, "it is %s: %s", node->health, node->message);
    }
}

static void judge_nodes(const struct doctor_input *input, struct doctor_report *out)
{
    size_t before = out->count;

    for (size_t i = 0; i < input->nodes->n_nodes; i++) {
        judge_node(input->nodes->nodes[i], out);
    }
    if (out->count == before) {
        addf(out, "nodes", DOCTOR_OK, "", "%llu, all heard and well",
             (unsigned long long)input->nodes->node_count);
    }
}

/* Names joined by commas, as many as fit. */
struct names {
    char text[TEXT_SIZE];
    size_t count;
};

static void add_name(struct names *names, const char *name)
{
    size_t used = strlen(names->text);

    (void)snprintf(names->text + used, sizeof names->text - used, "%s%s",
                   names->count == 0 ? "" : ", ", name);
    names->count++;
}

static void judge_clocks(const struct doctor_input *input, struct doctor_report *out)
{
    struct names unfit = {.count = 0};

    for (size_t i = 0; i < input->node_objects->n_entries; i++) {
        const Rayos__Registry__Object *object = input->node_objects->entries[i]->object;

        if (object != NULL && object->body_case == RAYOS__REGISTRY__OBJECT__BODY_NODE &&
            !object->node->is_fit_for_leases) {
            add_name(&unfit, object->name);
        }
    }
    if (unfit.count > 0) {
        addf(out, "clocks", DOCTOR_DEGRADED,
             "look at the kernel's clock source on them (clusterctl node facts)",
             "the clock source of %s is not fit for leases: no guest may run there", unfit.text);
    } else {
        doctor_add(out, "clocks", DOCTOR_OK, "all clock sources are fit for leases", "");
    }
}

static const char *version_of(const Rayos__Registry__Object *object, Rayos__Node__Facts **out_facts)
{
    *out_facts = NULL;
    if (object == NULL || object->body_case != RAYOS__REGISTRY__OBJECT__BODY_NODE ||
        object->node->facts.len == 0) {
        return "";
    }
    *out_facts =
        rayos__node__facts__unpack(NULL, object->node->facts.len, object->node->facts.data);
    return *out_facts == NULL ? "" : (*out_facts)->image_version;
}

static void judge_versions(const struct doctor_input *input, struct doctor_report *out)
{
    char first[TEXT_SIZE] = "";
    struct names others = {.count = 0};

    for (size_t i = 0; i < input->node_objects->n_entries; i++) {
        const Rayos__Registry__Object *object = input->node_objects->entries[i]->object;
        Rayos__Node__Facts *facts;
        const char *version = version_of(object, &facts);

        if (version[0] != '\0' && first[0] == '\0') {
            (void)snprintf(first, sizeof first, "%s", version);
        } else if (version[0] != '\0' && strcmp(first, version) != 0) {
            add_name(&others, object->name);
        }
        if (facts != NULL) {
            rayos__node__facts__free_unpacked(facts, NULL);
        }
    }
    if (others.count > 0) {
        addf(out, "versions", DOCTOR_DEGRADED, "boot them with the same image",
             "not all nodes run %s: others are %s", first, others.text);
    }
}

/* ---- tokens, and the node itself ---- */

static void judge_tokens(const struct doctor_input *input, struct doctor_report *out)
{
    for (size_t i = 0; i < input->tokens->n_tokens; i++) {
        const Rayos__Cluster__TokenStatus *token = input->tokens->tokens[i];
        char name[DOCTOR_NAME_SIZE];
        char next_step[DOCTOR_TEXT_SIZE];

        (void)snprintf(name, sizeof name, "token %s", token->id);
        (void)snprintf(next_step, sizeof next_step,
                       "clusterctl token remove %s, if nobody needs it", token->id);
        if (token->expires_in_s == 0) {
            addf(out, name, DOCTOR_NOTE, next_step, "it never expires, and lets %u nodes in",
                 token->uses_left);
        } else if (token->expires_in_s < DOCTOR_TOKEN_SOON_S) {
            addf(out, name, DOCTOR_NOTE, "clusterctl token create, if nodes have still to join",
                 "it expires in %llu s, until then it lets %u nodes in",
                 (unsigned long long)token->expires_in_s, token->uses_left);
        }
    }
}

static void judge_health(const struct doctor_input *input, struct doctor_report *out)
{
    for (size_t i = 0; i < input->health->n_checks; i++) {
        const Rayos__Node__Check *check = input->health->checks[i];
        char name[DOCTOR_NAME_SIZE];

        (void)snprintf(name, sizeof name, "here: %s", check->name);
        doctor_add(out, name,
                   strcmp(check->state, "ok") == 0       ? DOCTOR_OK
                   : strcmp(check->state, "failed") == 0 ? DOCTOR_FAILED
                                                         : DOCTOR_DEGRADED,
                   check->message, check->next_step);
    }
}

void doctor_judge(const struct doctor_input *input, struct doctor_report *out)
{
    judge_quorum(input, out);
    judge_cluster(input, out);
    judge_domains(input, out);
    judge_standbys(input, out);
    judge_level(input, out);
    judge_nodes(input, out);
    if (input->policies != NULL) {
        judge_policy(input, out);
    }
    if (input->node_objects != NULL) {
        judge_clocks(input, out);
        judge_versions(input, out);
    }
    if (input->tokens != NULL) {
        judge_tokens(input, out);
    }
    if (input->health != NULL) {
        judge_health(input, out);
    }
}
