/* status.c - cluster.status and node.list: what the registry here shows, and how old that is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"
#include "net/link_peer.h"

/* A page's lines leave room for the rest of a message. */
enum { NODES_SIZE_MAX = RAY_RPC_BODY_SIZE_MAX - 4096, LINE_HEAD_SIZE = 8 };

struct status_ask {
    struct member_ask ask;
    char after[COORD_NAME_SIZE];
};

/* ---- nodes ---- */

/* One line of the list; the texts are here or in the registry. */
struct node_line {
    Rayos__Cluster__NodeStatus status;
    char id[RAY_ID_TEXT_SIZE];
    char words[RAY_WORDS_TEXT_SIZE];
};

struct node_page {
    const struct coord_object **all;
    size_t count; /* of all */
    struct node_line *lines;
    Rayos__Cluster__NodeStatus **pointers;
    size_t line_count;
};

static int compare_names(const void *a, const void *b)
{
    const struct coord_object *const *left = a;
    const struct coord_object *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

static const char *role_name(enum coord_node_role role)
{
    switch (role) {
    case COORD_NODE_VOTER:
        return "voter";
    case COORD_NODE_STANDBY:
        return "standby";
    default:
        return "observer";
    }
}

static const char *node_state_name(enum coord_node_state state)
{
    static const char *const names[] = {[COORD_NODE_UNCLAIMED] = "unclaimed",
                                        [COORD_NODE_PENDING] = "pending",
                                        [COORD_NODE_MEMBER] = "member",
                                        [COORD_NODE_DRAINED] = "drained",
                                        [COORD_NODE_REMOVED] = "removed"};

    return names[state];
}

/* What its damage leaves it able to do comes before what it is to do. */
static const char *state_of(const struct coord_node *node)
{
    bool is_member = node->state == COORD_NODE_MEMBER || node->state == COORD_NODE_DRAINED;

    return is_member && node->is_quarantined ? "quarantined" : node_state_name(node->state);
}

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant; /* protobuf-c reads only */
}

static bool is_out_of_order(const struct coord_member *m)
{
    struct coord_replica_status status;

    coord_replica_status(m->replica, &status);
    return status.role == COORD_REPLICA_QUARANTINED || status.role == COORD_REPLICA_FAILED ||
           status.role == COORD_REPLICA_REMOVED;
}

static void show_node(struct coord_member *m, const struct coord_object *node,
                      const struct ray_id *leader, struct node_line *out)
{
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];

    rayos__cluster__node_status__init(&out->status);
    out->status.name = text(node->name);
    out->status.role = text(role_name(coord_replica_role_of(m->replica, node)));
    out->status.state = text(state_of(&node->node));
    out->status.health = text(node->node.health);
    out->status.message = text(node->node.message);
    out->status.address = text(node->node.address);
    out->status.id = text(ray_id_format(&node->id, out->id));
    out->status.raft_id = node->node.raft_id;
    out->status.is_leader = ray_id_equal(&node->id, leader);
    out->status.trouble = text(ray_link_trouble(m->link, &node->id));
    ray_key_fingerprint(node->node.identity_key, fingerprint);
    out->status.fingerprint = ray_words_format(fingerprint, out->words);
    out->status.domain = text(node->node.domain);
    out->status.is_up = coord_replica_hears(m->replica, node);
    out->status.is_ephemeral = node->node.is_ephemeral;
    out->status.wanted_name = text(node->node.wanted_name);
    if (ray_id_equal(&node->id, &m->id) && is_out_of_order(m)) {
        out->status.health = text("failed"); /* it cannot report that itself */
        out->status.message = m->trouble.text;
        if (strcmp(member_state_name(m), "failed") != 0) { /* that is its health */
            out->status.state = text(member_state_name(m));
        }
    }
}

static size_t collect_nodes(struct coord_fsm *fsm, const struct coord_object **all, size_t max)
{
    const struct coord_object *node = coord_fsm_next(fsm, COORD_NODE, NULL);
    size_t count = 0;

    while (node != NULL && count < max) {
        struct ray_id id = node->id;

        all[count++] = node;
        node = coord_fsm_next(fsm, COORD_NODE, &id);
    }
    qsort(all, count, sizeof(*all), compare_names);
    return count;
}

static void page_fini(struct node_page *page)
{
    free(page->all);
    free(page->lines);
    free(page->pointers);
}

/* Those with names above `after`. */
static int page_init(struct node_page *page, struct coord_member *m, const char *after,
                     const struct ray_id *leader, struct ray_err *err)
{
    struct coord_fsm *fsm = coord_replica_fsm(m->replica);
    size_t max = coord_fsm_count(fsm, COORD_NODE);
    size_t size = 0;
    size_t i = 0;

    *page = (struct node_page){.all = calloc(max + 1, sizeof(*page->all)),
                               .lines = calloc(MEMBER_NODES_PAGE, sizeof(*page->lines)),
                               .pointers = calloc(MEMBER_NODES_PAGE, sizeof(*page->pointers))};
    if (page->all == NULL || page->lines == NULL || page->pointers == NULL) {
        page_fini(page);
        (void)ray_fail(err, RAY_ENOMEM, "a list of nodes");
        return RAY_ENOMEM;
    }
    page->count = collect_nodes(fsm, page->all, max);
    while (i < page->count && strcmp(page->all[i]->name, after) <= 0) {
        i++;
    }
    for (; i < page->count && page->line_count < MEMBER_NODES_PAGE; i++) {
        struct node_line *line = &page->lines[page->line_count];

        show_node(m, page->all[i], leader, line);
        size += rayos__cluster__node_status__get_packed_size(&line->status) + LINE_HEAD_SIZE;
        if (size > NODES_SIZE_MAX) {
            break; /* the next page's first */
        }
        page->pointers[page->line_count++] = &line->status;
    }
    return RAY_OK;
}

/* ---- node.list ---- */

static void on_nodes_shown(struct member_ask *ask, bool is_linearizable)
{
    const struct status_ask *status_ask = (const struct status_ask *)ask;
    struct coord_member *m = ask->member;
    struct coord_fsm *fsm = coord_replica_fsm(m->replica);
    Rayos__Cluster__Nodes nodes = RAYOS__CLUSTER__NODES__INIT;
    struct coord_replica_status status;
    struct node_page page;
    struct ray_err err = {0};

    coord_replica_status(m->replica, &status);
    if (page_init(&page, m, status_ask->after, &status.leader, &err) != RAY_OK) {
        member_ask_fail(ask, &err);
        return;
    }
    nodes.nodes = page.pointers;
    nodes.n_nodes = page.line_count;
    nodes.revision = coord_fsm_index(fsm);
    nodes.age_ms = is_linearizable ? 0 : member_age_ms(m);
    nodes.node_count = page.count;
    member_ask_reply(ask, &nodes.base);
    page_fini(&page);
}

void member_node_list(struct coord_member *m, const struct member_caller *caller,
                      struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__NodesRequest *request = (const Rayos__Cluster__NodesRequest *)input;
    struct status_ask *status_ask = member_ask_new(m, caller, call, sizeof *status_ask);

    if (status_ask != NULL) {
        (void)snprintf(status_ask->after, sizeof status_ask->after, "%s", request->after_name);
        status_ask->ask.on_shown = on_nodes_shown;
        member_ask_show(&status_ask->ask, request->is_linearizable);
    }
}

/* ---- cluster.status ---- */

const char *member_role_name(enum coord_replica_role role)
{
    static const char *const names[] = {
        [COORD_REPLICA_FOLLOWER] = "follower",       [COORD_REPLICA_CANDIDATE] = "candidate",
        [COORD_REPLICA_LEADER] = "leader",           [COORD_REPLICA_WAITING] = "waiting",
        [COORD_REPLICA_QUARANTINED] = "quarantined", [COORD_REPLICA_REMOVED] = "removed",
        [COORD_REPLICA_FAILED] = "failed",
    };

    return names[role];
}

/* Texts of one answer that lie nowhere else. */
struct status_texts {
    char leader[RAY_ID_TEXT_SIZE];
    char cluster[RAY_ID_TEXT_SIZE];
    char node[RAY_ID_TEXT_SIZE];
    char words[RAY_WORDS_TEXT_SIZE];
    char level[MEMBER_FEATURE_TEXT_SIZE];
};

static void show_replica(struct coord_member *m, struct status_texts *texts, bool is_linearizable,
                         Rayos__Cluster__Status *out)
{
    struct coord_fsm *fsm = coord_replica_fsm(m->replica);
    const struct coord_object *cluster = coord_fsm_cluster(fsm);
    const struct coord_object *leader;
    struct coord_replica_status status;

    coord_replica_status(m->replica, &status);
    leader = coord_fsm_find(fsm, COORD_NODE, &status.leader);
    if (leader != NULL) {
        out->leader = text(leader->name);
    } else if (!ray_id_is_none(&status.leader)) {
        out->leader = text(ray_id_format(&status.leader, texts->leader));
    }
    out->quorate = status.is_quorate && cluster != NULL;
    out->term = status.term;
    out->revision = status.applied_index;
    out->commit_index = status.commit_index;
    out->last_index = status.last_index;
    out->id = text(ray_id_format(&status.cluster_id, texts->cluster));
    out->fingerprint = text(member_fingerprint_words(&status.cluster_id, texts->words));
    out->age_ms = is_linearizable ? 0 : member_age_ms(m);
    if (cluster != NULL) {
        out->name = text(cluster->name);
        out->cluster_epoch = cluster->cluster.cluster_epoch;
        out->timing = text(cluster->cluster.timing.profile);
    }
}

void member_status_sign(struct coord_member *m, char id[static RAY_ID_TEXT_SIZE],
                        Rayos__Cluster__Status *status)
{
    struct coord_replica_status replica_status;

    status->node = m->name;
    status->node_id = text(ray_id_format(&m->id, id));
    status->node_state = text(member_state_name(m));
    status->node_message = member_disk_is_silent(m) ? text(member_disk_trouble) : m->trouble.text;
    status->node_role = text("");
    if (m->replica != NULL) {
        coord_replica_status(m->replica, &replica_status);
        status->node_role =
            text(replica_status.role == COORD_REPLICA_WAITING && replica_status.is_partial
                     ? "observer"
                     : member_role_name(replica_status.role));
    }
}

struct voters {
    char texts[COORD_SERVERS_MAX][COORD_NAME_SIZE];
    char *pointers[COORD_SERVERS_MAX];
    size_t count;
};

static void show_voters(struct coord_member *m, const struct coord_replica_status *status,
                        struct voters *out)
{
    struct coord_fsm *fsm = coord_replica_fsm(m->replica);

    for (size_t i = 0; i < status->config.count; i++) {
        const struct coord_server *server = &status->config.servers[i];
        const struct coord_object *node = coord_fsm_find_raft_id(fsm, server->id);
        char *text_out = out->texts[out->count];

        if (server->role != COORD_VOTER) {
            continue;
        }
        if (node != NULL) {
            (void)snprintf(text_out, COORD_NAME_SIZE, "%s", node->name);
        } else {
            (void)snprintf(text_out, COORD_NAME_SIZE, "%llu", (unsigned long long)server->id);
        }
        out->pointers[out->count++] = text_out;
    }
}

static void show_level(struct coord_member *m, char text_out[static MEMBER_FEATURE_TEXT_SIZE],
                       Rayos__Cluster__Status *out)
{
    struct coord_replica_feature feature;

    if (member_feature_wait(m, &feature, text_out)) {
        out->feature_level = feature.level;
        out->common_level = feature.common_level;
        out->level_waits_for = text_out;
    }
}

static void answer_status(struct member_ask *ask, bool is_linearizable)
{
    struct coord_member *m = ask->member;
    Rayos__Cluster__Status status = RAYOS__CLUSTER__STATUS__INIT;
    struct status_texts texts;
    struct node_page page = {0};
    struct ray_err err = {0};
    struct coord_replica_status replica_status = {0};
    struct voters voters = {.count = 0};

    member_status_sign(m, texts.node, &status);
    if (m->replica != NULL) {
        show_replica(m, &texts, is_linearizable, &status);
        coord_replica_status(m->replica, &replica_status);
        if (page_init(&page, m, "", &replica_status.leader, &err) != RAY_OK) {
            member_ask_fail(ask, &err);
            return;
        }
        status.nodes = page.pointers;
        status.n_nodes = page.line_count;
        status.node_count = page.count;
        show_voters(m, &replica_status, &voters);
        status.last_term = replica_status.last_term;
        status.voters = voters.pointers;
        status.n_voters = voters.count;
        show_level(m, texts.level, &status);
    }
    member_ask_reply(ask, &status.base);
    page_fini(&page);
}

void member_status_here(struct member_ask *ask)
{
    answer_status(ask, false);
}

void member_cluster_status(struct coord_member *m, const struct member_caller *caller,
                           struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__StatusRequest *request = (const Rayos__Cluster__StatusRequest *)input;
    struct member_ask *ask = member_ask_new(m, caller, call, sizeof *ask);

    if (ask == NULL) {
        return;
    }
    if ((m->replica == NULL || member_is_removed(m)) && !request->is_linearizable) {
        answer_status(ask, false);
        return;
    }
    ask->on_shown = answer_status;
    member_ask_show(ask, request->is_linearizable);
}
