/* member.c - life of a member: what is on the disk, what it is told, its turns, its leaving. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/claim.h"
#include "coordinator/api/join.h"
#include "coordinator/api/member_api.h"
#include "coordinator/api/roster.h"
#include "coordinator/core/config.h"
#include "net/link_uv.h"
#include "net/rpc_link.h"

/* ---- what the replica tells ---- */

/* The log's end is vouched for before the process goes (member_turn); the timer goes on, in case
 * the disk does not. */
static void leave_now(struct coord_member *m)
{
    m->is_sealing = m->on_left != NULL;
}

static int fail_removed(const struct coord_member *m, struct ray_err *err)
{
    (void)ray_fail(err, RAY_EDENIED, "the cluster has removed this node");
    (void)ray_next(err, "move %s away, and let it join again with a new token", m->data_dir);
    return RAY_EDENIED;
}

/* For whoever stands at its console. */
static void say_removed(const struct coord_member *m)
{
    struct ray_err err = {0};

    (void)fail_removed(m, &err);
    ray_log(m->config.logger, RAY_LOG_ERROR, "member", "%s; next: %s", err.text, err.next_step);
}

static void on_role(void *arg, enum coord_replica_role role)
{
    struct coord_member *m = arg;

    m->has_node_news = true;
    m->is_standing_still = role == COORD_REPLICA_WAITING || role == COORD_REPLICA_QUARANTINED ||
                           role == COORD_REPLICA_REMOVED;
    ray_log(m->config.logger, RAY_LOG_NOTICE, "member", "role=%s", member_role_name(role));
    if (role != COORD_REPLICA_LEADER) {
        leave_now(m);
    }
    if (role == COORD_REPLICA_REMOVED) {
        say_removed(m);
    }
    if (role == COORD_REPLICA_FAILED && m->config.on_failed != NULL) {
        m->config.on_failed(m->config.arg);
    }
}

static void on_leader(void *arg, const struct ray_id *leader)
{
    struct coord_member *m = arg;
    char text[RAY_ID_TEXT_SIZE];

    m->has_node_news = true; /* a snapshot may have been installed, too */
    m->has_principal_news = true;
    m->has_policy_news = true;
    ray_log(m->config.logger, RAY_LOG_INFO, "member", "leader=%s",
            ray_id_is_none(leader) ? "none" : ray_id_format(leader, text));
}

static void on_applied(void *arg, const struct coord_entry *entry,
                       const struct coord_fsm_outcome *outcome)
{
    struct coord_member *m = arg;

    (void)entry;
    for (size_t i = 0; outcome != NULL && i < outcome->event_count; i++) {
        enum coord_kind kind = outcome->events[i].kind;

        m->has_node_news = m->has_node_news || kind == COORD_NODE || kind == COORD_CLUSTER;
        m->has_event_news = m->has_event_news || kind == COORD_EVENT;
        m->has_principal_news = m->has_principal_news || kind == COORD_PRINCIPAL;
        m->has_policy_news = m->has_policy_news || kind == COORD_POLICY;
    }
}

static void on_trouble(void *arg, const struct ray_err *what)
{
    struct coord_member *m = arg;

    m->trouble = *what; /* the replica has logged it */
}

/* ---- the replica ---- */

int member_pin(struct coord_member *m, const struct ray_id *cluster_id, struct ray_err *err)
{
    struct ray_buf pinned;
    int rc;

    ray_buf_init(&pinned, COORD_FACTS_VALUE_SIZE_MAX);
    rc = m->facts->ops->get(m->facts, MEMBER_FACT_CLUSTER, &pinned, err);
    if (rc == RAY_ENOTFOUND) {
        rc = cluster_id == NULL ? RAY_OK
                                : m->facts->ops->put(m->facts, MEMBER_FACT_CLUSTER,
                                                     cluster_id->bytes, RAY_ID_SIZE, err);
    } else if (rc == RAY_OK && (cluster_id == NULL || pinned.size != RAY_ID_SIZE ||
                                memcmp(pinned.data, cluster_id->bytes, RAY_ID_SIZE) != 0)) {
        rc = ray_fail(err, RAY_ECONFLICT, "this node was a member of another cluster");
        (void)ray_next(err, "wipe its data folder, if that cluster is to be forgotten");
    }
    ray_buf_fini(&pinned);
    return rc;
}

/* That links are made under: a member's own, which its disk knows before its registry does. */
static uint64_t epoch_of(const struct coord_member *m)
{
    const struct coord_object *cluster = coord_fsm_cluster(coord_replica_fsm(m->replica));
    struct coord_replica_status status;

    coord_replica_status(m->replica, &status);
    if (cluster != NULL && cluster->cluster.cluster_epoch > status.cluster_epoch) {
        return cluster->cluster.cluster_epoch;
    }
    return status.cluster_epoch;
}

int member_open_replica(struct coord_member *m, struct ray_err *err)
{
    const struct coord_replica_config config = {.incarnation = m->incarnation};
    const struct coord_replica_user user = {.on_role = on_role,
                                            .on_leader = on_leader,
                                            .on_applied = on_applied,
                                            .on_trouble = on_trouble,
                                            .knows_member = member_roster_names,
                                            .arg = m};
    struct coord_replica_status status;
    int rc;

    assert(m->replica == NULL);
    rc = coord_replica_create(&m->replica, &m->world, &config, &user, err);
    if (rc != RAY_OK) {
        return rc;
    }
    coord_replica_status(m->replica, &status);
    m->state = MEMBER_MEMBER;
    m->has_node_news = true;
    rc = member_pin(m, &status.cluster_id, err);
    if (rc == RAY_OK && !ray_id_equal(&status.node_id, &m->id)) {
        rc = ray_fail(err, RAY_ECONFLICT, "identity and membership are of different nodes");
    }
    if (rc != RAY_OK) {
        return rc;
    }
    m->cluster_epoch = epoch_of(m);
    ray_link_set_cluster(m->link, &status.cluster_id, m->cluster_epoch);
    member_roster_turn(m);
    return member_watch_init(m, coord_replica_ring(m->replica), err);
}

const char *member_state_name(const struct coord_member *m)
{
    static const char *const roles[] = {
        [COORD_REPLICA_FOLLOWER] = "member",         [COORD_REPLICA_CANDIDATE] = "member",
        [COORD_REPLICA_LEADER] = "member",           [COORD_REPLICA_WAITING] = "member",
        [COORD_REPLICA_QUARANTINED] = "quarantined", [COORD_REPLICA_REMOVED] = "removed",
        [COORD_REPLICA_FAILED] = "failed",
    };

    if (m->creation != NULL) {
        return "creating";
    }
    if (m->replica != NULL) {
        return roles[coord_replica_role(m->replica)];
    }
    if (m->state == MEMBER_RECOVERING) {
        return "recovering";
    }
    return m->state == MEMBER_JOINING ? "joining" : "unclaimed";
}

bool member_is_removed(const struct coord_member *m)
{
    return m->replica != NULL && coord_replica_role(m->replica) == COORD_REPLICA_REMOVED;
}

int member_require_replica(struct coord_member *m, struct ray_err *err)
{
    if (member_is_removed(m)) {
        return fail_removed(m, err);
    }
    if (m->replica != NULL) {
        return RAY_OK;
    }
    if (m->state == MEMBER_JOINING) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "this node is joining a cluster%s%s",
                       m->trouble.text[0] != '\0' ? ": " : "", m->trouble.text);
        (void)ray_next(err, "wait, or ask another member");
        return RAY_EUNAVAILABLE;
    }
    if (m->state == MEMBER_RECOVERING) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "this member is being recovered");
        (void)ray_next(err, "wait");
        return RAY_EUNAVAILABLE;
    }
    (void)ray_fail(err, RAY_EUNAVAILABLE, "this node is in no cluster yet");
    (void)ray_next(err, "clusterctl cluster create NAME, or start it with a token");
    return RAY_EUNAVAILABLE;
}

int member_require_stream(struct coord_member *m, struct ray_err *err)
{
    int rc = member_require_replica(m, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (coord_replica_role(m->replica) == COORD_REPLICA_QUARANTINED) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "this member is quarantined: nothing moves here");
        (void)ray_next(err, "ask another member");
        return RAY_EUNAVAILABLE;
    }
    return RAY_OK;
}

int member_require_cluster(struct coord_member *m, struct ray_err *err)
{
    int rc = member_require_replica(m, err);

    if (rc == RAY_OK && coord_fsm_cluster(coord_replica_fsm(m->replica)) == NULL) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "this member has not heard of the registry yet");
        (void)ray_next(err, "wait, or ask another member");
        return RAY_EUNAVAILABLE;
    }
    return rc;
}

uint64_t member_age_ms(const struct coord_member *m)
{
    struct coord_replica_status status;
    uint64_t now_ns = ray_clock_boottime_ns();

    coord_replica_status(m->replica, &status);
    if (status.heard_ns == 0) {
        return UINT64_MAX;
    }
    return now_ns <= status.heard_ns ? 0 : (now_ns - status.heard_ns) / RAY_NS_PER_MS;
}

void member_fail(struct coord_member *m, const struct ray_err *why)
{
    m->state = MEMBER_FAILED;
    m->trouble = *why;
    ray_log(m->config.logger, RAY_LOG_ERROR, "member", "%s", why->text);
    if (m->config.on_failed != NULL) {
        m->config.on_failed(m->config.arg);
    }
}

/* ---- turns ---- */

static void look_for_quorum(struct coord_member *m)
{
    struct coord_replica_status status;
    size_t count;

    coord_replica_status(m->replica, &status);
    count = !status.is_quorate || coord_fsm_cluster(coord_replica_fsm(m->replica)) == NULL ? 0
            : status.is_partial ? coord_fsm_voter_count(coord_replica_fsm(m->replica))
                                : coord_config_voter_count(&status.config);
    if (count != m->told_voter_count && count != 0 && m->config.on_quorate != NULL) {
        m->config.on_quorate(m->config.arg, count);
    }
    if (count == 0 && m->told_voter_count != 0) {
        ray_log(m->config.logger, RAY_LOG_WARN, "member", "no quorum is heard");
    }
    m->told_voter_count = count;
}

/* What links have to know of the registry. */
static void tell_links(struct coord_member *m)
{
    uint64_t epoch;

    if (!m->has_node_news) {
        return;
    }
    m->has_node_news = false;
    member_roster_turn(m);
    epoch = epoch_of(m);
    if (epoch != m->cluster_epoch) {
        struct coord_replica_status status;

        coord_replica_status(m->replica, &status);
        m->cluster_epoch = epoch;
        ray_link_set_cluster(m->link, &status.cluster_id, epoch);
    }
    ray_link_recheck(m->link);
}

/* Its own state moves no more: whoever hears news of it asks again, here or elsewhere, and goes on
 * where he was. An observer lets a member answer (relay.c). */
static void end_streams(struct coord_member *m)
{
    struct ray_err err = {0};

    if (!m->is_standing_still) {
        return;
    }
    m->is_standing_still = false; /* those that come now are another matter */
    (void)ray_fail(&err, RAY_EUNAVAILABLE, "this node holds no part of the log any more");
    (void)ray_next(&err, "ask again, after the last revision or number that came");
    member_watch_end(m, &err);
    member_events_end(m, &err);
}

void member_turn(struct coord_member *m)
{
    if (m->replica == NULL) {
        m->turn_count++;
        return;
    }
    coord_replica_turn(m->replica);
    if (m->is_sealing && coord_replica_seal(m->replica)) {
        m->is_sealing = false;
        ray_timer_start(&m->leave_timer, 0, 0);
    }
    tell_links(m);
    if (m->has_principal_news || m->has_policy_news) {
        m->has_principal_news = false;
        m->has_policy_news = false;
        member_operators_recheck(m);
    }
    member_follow_turn(m);
    end_streams(m);
    member_watch_turn(m);
    member_events_turn(m);
    look_for_quorum(m);
    m->turn_count++;
}

/* ---- beginning and end ---- */

static void on_report_timer(void *arg)
{
    struct coord_member *m = arg;

    m->has_node_news = true;
    member_policy_file_turn(m);
    member_denials_turn(m);
    member_pulse_turn(m);
    member_create_resume(m);
    member_claim_turn(m);
    member_report_turn(m);
    member_recovery_turn(m);
}

static void on_leave_timer(void *arg)
{
    struct coord_member *m = arg;
    void (*done)(void *) = m->on_left;

    m->is_sealing = false;
    m->on_left = NULL;
    done(m->on_left_arg);
}

static int copy(char *out, size_t size, const char *text, const char *what, struct ray_err *err)
{
    int length = snprintf(out, size, "%s", text == NULL ? "" : text);

    if (length < 0 || (size_t)length >= size) {
        return ray_fail(err, RAY_EUSAGE, "%s is longer than %zu characters", what, size - 1);
    }
    return RAY_OK;
}

static int set_up(struct coord_member *m, const struct coord_member_config *config,
                  struct ray_err *err)
{
    int rc = copy(m->data_dir, sizeof m->data_dir, config->data_dir, "the data folder", err);

    m->config = *config;
    m->config.data_dir = m->data_dir;
    m->config.run_dir = m->run_dir;
    LIST_INIT(&m->asks);
    LIST_INIT(&m->events);
    ray_arena_init(&m->arena, MEMBER_ARENA_SIZE_MAX);
    ray_buf_init(&m->machine, COORD_FACTS_SIZE_MAX);
    if (rc == RAY_OK && ray_buf_append(&m->machine, config->facts, config->facts_size) != RAY_OK) {
        rc = ray_fail(err, RAY_ETOOBIG, "facts of %zu bytes, at most %d", config->facts_size,
                      COORD_FACTS_SIZE_MAX);
    }
    if (rc == RAY_OK) {
        rc = copy(m->run_dir, sizeof m->run_dir, config->run_dir, "the run folder", err);
    }
    if (rc == RAY_OK) {
        rc = copy(m->domain, sizeof m->domain, config->domain, "the failure domain", err);
    }
    if (rc == RAY_OK) {
        rc = copy(m->address, sizeof m->address,
                  config->advertise != NULL ? config->advertise : config->listen, "the address",
                  err);
    }
    return rc;
}

/* Port 0 in what others are told becomes the one that the kernel gave. */
static int complete_address(struct coord_member *m, struct ray_err *err)
{
    char *colon = strrchr(m->address, ':');
    char host[COORD_ADDRESS_SIZE];
    int size;

    if (colon == NULL || strcmp(colon, ":0") != 0) {
        return RAY_OK;
    }
    *colon = '\0';
    memcpy(host, m->address, sizeof host);
    size = snprintf(m->address, sizeof m->address, "%s:%u", host, ray_link_port(m->link));
    if (size < 0 || (size_t)size >= sizeof m->address) {
        return ray_fail(err, RAY_EUSAGE, "the address is too long");
    }
    return RAY_OK;
}

static void on_later_epoch(void *arg, const struct ray_id *peer, uint64_t cluster_epoch)
{
    struct coord_member *m = arg;

    if (m->replica != NULL) {
        coord_replica_later_epoch(m->replica, peer, cluster_epoch);
    }
}

static bool on_removed(void *arg, const struct ray_id *peer, const struct ray_link_removal *said)
{
    struct coord_member *m = arg;
    const struct coord_replica_removal removal = {.last_number = said->last_number,
                                                  .cluster_epoch = said->cluster_epoch};

    return m->replica != NULL && coord_replica_told_removed(m->replica, peer, &removal);
}

static int open_link(struct coord_member *m, struct ray_err *err)
{
    struct ray_link_config config = {.listen = m->config.listen,
                                     .key = m->key,
                                     .self = m->id,
                                     .known = member_roster_known,
                                     .on_later_epoch = on_later_epoch,
                                     .removed = member_roster_removed,
                                     .on_removed = on_removed,
                                     .guests = {.on_hello = member_guest_hello,
                                                .on_proven = member_guest_proven,
                                                .on_lost = member_guest_lost,
                                                .on_guest = member_guest},
                                     .arg = m};
    int rc = ray_link_uv_create(&m->link, m->config.loop, &config, err);

    if (rc == RAY_OK) {
        rc = ray_rpc_link_create(&m->rpc, m->config.loop, m->link, member_link_methods(), m, err);
    }
    if (rc == RAY_OK) {
        rc = member_relays_init(m, err);
    }
    return rc == RAY_OK ? complete_address(m, err) : rc;
}

/* A membership is there; its cluster may not be: the process ended while it was made. A member has
 * no other use for a credential. */
static void keep_creating(struct coord_member *m)
{
    struct ray_err err = {0};

    if (m->config.credential == NULL || coord_fsm_cluster(coord_replica_fsm(m->replica)) != NULL) {
        return;
    }
    if (coord_credential_load(m->config.credential, &m->credential, &err) != RAY_OK) {
        ray_log(m->config.logger, RAY_LOG_NOTICE, "member", "the credential is not used: %s",
                err.text);
    } else if (m->credential.kind != COORD_CREDENTIAL_CREATE) {
        coord_credential_fini(&m->credential);
    }
}

/* A credential that is of no use leaves the node unclaimed: a person can still reach it. */
static int give_up_credential(struct coord_member *m, int rc, struct ray_err *err)
{
    if (rc != RAY_EMALFORMED && rc != RAY_ETOOBIG && rc != RAY_EINVAL) {
        return rc;
    }
    ray_log(m->config.logger, RAY_LOG_ERROR, "member", "the credential is not used: %s", err->text);
    member_join_fini(m);
    coord_credential_fini(&m->credential);
    m->state = MEMBER_UNCLAIMED;
    m->trouble = *err;
    *err = (struct ray_err){0};
    return RAY_OK;
}

static int obey_credential(struct coord_member *m, struct ray_err *err)
{
    int rc = coord_credential_load(m->config.credential, &m->credential, err);

    if (rc == RAY_OK && m->credential.kind == COORD_CREDENTIAL_CREATE) {
        member_create_by_credential(m);
    } else if (rc == RAY_OK && m->credential.kind == COORD_CREDENTIAL_JOIN) {
        rc = member_join_begin(m, err);
    }
    return rc == RAY_OK ? RAY_OK : give_up_credential(m, rc, err);
}

/* A membership on the disk, or what the credential says. */
static int begin(struct coord_member *m, struct ray_err *err)
{
    struct ray_err why = {0};
    int rc;

    m->world = (struct coord_replica_world){.env = &m->env,
                                            .disk = m->disk,
                                            .checkpoint = m->checkpoint,
                                            .link = ray_rpc_link_rest(m->rpc)};
    rc = member_recovery_begin(m, &why);
    if (rc == RAY_ENOTFOUND) {
        rc = member_open_replica(m, &why);
    }
    if (rc == RAY_OK && m->replica == NULL) {
        return RAY_OK; /* it is being recovered */
    }
    if (rc == RAY_OK) {
        keep_creating(m);
        return RAY_OK;
    }
    if (rc != RAY_ENOTFOUND) {
        *err = why;
        if (rc == RAY_EMALFORMED) {
            (void)ray_next(err,
                           "move %s away, join it again under another name with a new token "
                           "(docs/how-to/lost-membership.md)",
                           m->data_dir);
        }
        return rc;
    }
    return m->config.credential == NULL ? RAY_OK : obey_credential(m, err);
}

static int open_all(struct coord_member *m, struct ray_err *err)
{
    int rc = member_world_open(m, err);

    if (rc == RAY_OK) {
        rc = member_identity_open(m, err);
    }
    if (rc == RAY_OK) {
        rc = member_roster_load(m, err);
    }
    if (rc == RAY_OK) {
        rc = member_guests_init(m, err);
    }
    if (rc == RAY_OK) {
        rc = open_link(m, err);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&m->report_timer, m->config.loop, on_report_timer, m, err);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&m->leave_timer, m->config.loop, on_leave_timer, m, err);
    }
    if (rc == RAY_OK) {
        ray_timer_start(&m->report_timer, MEMBER_REPORT_MS, MEMBER_REPORT_MS);
        rc = begin(m, err);
    }
    return rc;
}

int coord_member_create(struct coord_member **out_member, const struct coord_member_config *config,
                        struct ray_err *err)
{
    struct coord_member *m = calloc(1, sizeof *m);
    int rc;

    assert(out_member != NULL && config->loop != NULL && config->listen != NULL);
    if (m == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a member");
    }
    rc = set_up(m, config, err);
    if (rc == RAY_OK) {
        rc = open_all(m, err);
    }
    if (rc != RAY_OK) {
        coord_member_destroy(m);
        return rc;
    }
    *out_member = m;
    return RAY_OK;
}

void coord_member_destroy(struct coord_member *m)
{
    if (m == NULL) {
        return;
    }
    m->on_left = NULL;
    member_guests_fini(m);
    member_follow_fini(m);
    member_asks_end(m);
    coord_place_cache_destroy(m->place);
    member_relays_fini(m);
    member_join_fini(m);
    member_watch_fini(m);
    if (m->checkpoint != NULL) { /* a commit under way reads the replica's memory */
        m->checkpoint->ops->destroy(m->checkpoint);
        m->checkpoint = NULL;
    }
    coord_replica_destroy(m->replica);
    m->replica = NULL;
    ray_rpc_link_destroy(m->rpc);
    if (m->link != NULL) {
        m->link->ops->destroy(m->link);
    }
    member_claim_fini(m);
    member_world_close(m);
    member_join_fini(m); /* what the disk still held */
    coord_credential_fini(&m->credential);
    ray_timer_fini(&m->report_timer);
    ray_timer_fini(&m->leave_timer);
    ray_key_destroy(m->key);
    ray_buf_fini(&m->machine);
    ray_arena_fini(&m->arena);
    free(m);
}

void coord_member_leave(struct coord_member *m, void (*done)(void *arg), void *arg)
{
    struct ray_err err = {0};

    if (m->on_left != NULL) {
        return;
    }
    m->on_left = done;
    m->on_left_arg = arg;
    ray_timer_start(&m->leave_timer, m->replica != NULL ? COORD_MEMBER_LEAVE_MS : 0, 0);
    if (m->replica != NULL && coord_replica_transfer(m->replica, &err) != RAY_OK) {
        leave_now(m);
    }
}

const char *coord_member_name(const struct coord_member *m)
{
    return m->name;
}

const char *coord_member_address(const struct coord_member *m)
{
    return m->address;
}

int coord_member_set_address(struct coord_member *m, const char *address, struct ray_err *err)
{
    if (strlen(address) >= sizeof m->address) {
        return ray_fail(err, RAY_EUSAGE, "the address is longer than %zu characters",
                        sizeof m->address - 1);
    }
    (void)snprintf(m->address, sizeof m->address, "%s", address);
    return RAY_OK; /* whoever needs it looks once a second: report.c, join.c */
}

void coord_member_standing(const struct coord_member *m,
                           char out[static COORD_MEMBER_STANDING_SIZE])
{
    const char *name = member_state_name(m);
    bool is_member = strcmp(name, "member") == 0;
    char why[COORD_MEMBER_STANDING_SIZE - 32]; /* a peer may have said it */

    (void)ray_escape(why, sizeof why, m->trouble.text, strlen(m->trouble.text));
    if (member_claim_code(m)[0] != '\0') {
        /* The words first: they may not be cut. */
        (void)snprintf(out, COORD_MEMBER_STANDING_SIZE, "%s, claim it by: %s%s%.150s", name,
                       member_claim_code(m), why[0] != '\0' ? "; " : "", why);
    } else if (is_member && m->told_voter_count > 0) {
        (void)snprintf(out, COORD_MEMBER_STANDING_SIZE, "quorate, %zu %s", m->told_voter_count,
                       m->told_voter_count == 1 ? "voter" : "voters");
    } else {
        (void)snprintf(out, COORD_MEMBER_STANDING_SIZE, "%s%s%s",
                       is_member ? "no quorum is heard" : name, why[0] != '\0' ? ": " : "", why);
    }
}
