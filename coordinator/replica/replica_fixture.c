/* replica_fixture.c - see replica_fixture.h. */
#include "coordinator/replica/replica_fixture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/proto_codec.h"

enum { SEGMENT_SIZE = 64 << 10, ROUNDS_MAX = 64, SERVER_ID = 7 };

static uint64_t env_now(void *arg)
{
    return ((struct replica_fix *)arg)->now_ns;
}

static uint64_t env_realtime(void *arg)
{
    return ((struct replica_fix *)arg)->now_ns / RAY_NS_PER_US;
}

static void env_random(void *arg, void *out, size_t size)
{
    struct replica_fix *fix = arg;
    uint8_t *to = out;

    for (size_t i = 0; i < size; i++) {
        fix->random = fix->random * UINT64_C(6364136223846793005) + 1442695040888963407;
        to[i] = (uint8_t)(fix->random >> 56);
    }
}

static void env_timer(void *arg, uint64_t at_ns)
{
    ((struct replica_fix *)arg)->timer_ns = at_ns;
}

static void env_log(void *arg, enum ray_log_level level, const char *module, const char *text)
{
    (void)arg;
    (void)level;
    (void)module;
    (void)text;
}

/* ---- the link ---- */

static struct replica_fix *fix_of(struct ray_link *link)
{
    return (struct replica_fix *)link;
}

static int link_send(struct ray_link *link, const struct ray_id *peer,
                     enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct replica_fix *fix = fix_of(link);

    assert(bytes != NULL && size <= RAY_LINK_MESSAGE_SIZE_MAX);
    fix->sent_count++;
    if (channel == RAY_LINK_MEMBER && fix->on_packet != NULL) {
        Rayos__Member__Packet *packet = rayos__member__packet__unpack(NULL, size, bytes);

        assert(packet != NULL);
        fix->on_packet(fix->on_packet_arg, peer, packet);
        rayos__member__packet__free_unpacked(packet, NULL);
    }
    return RAY_OK;
}

static void link_flush(struct ray_link *link)
{
    (void)link;
}

static int link_add(struct ray_link *link, const struct ray_id *peer, const char *address,
                    struct ray_err *err)
{
    (void)link;
    (void)peer;
    (void)address;
    (void)err;
    return RAY_OK;
}

static void link_remove(struct ray_link *link, const struct ray_id *peer)
{
    (void)link;
    (void)peer;
}

static const struct ray_link_ops link_ops = {
    .send = link_send, .flush = link_flush, .add_peer = link_add, .remove_peer = link_remove};

/* ---- life ---- */

struct ray_id replica_fix_id(unsigned number)
{
    struct ray_id id = {{'n'}};

    memcpy(id.bytes + 1, &number, sizeof number);
    return id;
}

struct ray_id replica_fix_boot(unsigned number)
{
    return replica_fix_id(number + 500);
}

static void on_commit(void *arg)
{
    ((struct replica_fix *)arg)->is_commit_begun = true;
}

struct coord_replica_world replica_fix_world(struct replica_fix *fix)
{
    return (struct coord_replica_world){.env = &fix->env,
                                        .disk = &fix->disk->disk,
                                        .checkpoint = fix->checkpoint,
                                        .link = &fix->link};
}

static void on_born(void *arg, int status)
{
    *(int *)arg = status;
}

static void open_checkpoint(struct replica_fix *fix)
{
    int rc = coord_checkpoint_mem_create(&fix->checkpoint, fix->records, on_commit, fix, NULL);

    assert(rc == RAY_OK);
    (void)rc;
}

void replica_fix_open(struct replica_fix *fix, bool is_founder)
{
    struct coord_replica_birth birth = {.cluster_id = replica_fix_id(1000),
                                        .node_id = replica_fix_id(0),
                                        .server_id = is_founder ? 1 : SERVER_ID,
                                        .cluster_epoch = 1,
                                        .segment_size = SEGMENT_SIZE,
                                        .is_founder = is_founder};
    struct coord_replica_world world;
    int status = RAY_EAGAIN;
    int rc;

    *fix = (struct replica_fix){.now_ns = 1000 * (uint64_t)RAY_NS_PER_S, .random = 1};
    fix->env = (struct coord_env){.now_ns = env_now,
                                  .realtime_us = env_realtime,
                                  .random = env_random,
                                  .set_timer = env_timer,
                                  .log = env_log,
                                  .arg = fix};
    fix->link.ops = &link_ops;
    fix->disk = coord_fake_disk_create();
    rc = coord_mem_store_create(&fix->records, NULL);
    assert(rc == RAY_OK);
    open_checkpoint(fix);
    world = replica_fix_world(fix);
    rc = coord_replica_format(&world, &birth, on_born, &status, NULL);
    assert(rc == RAY_OK);
    coord_fake_disk_run(fix->disk);
    assert(status == RAY_OK);
    (void)rc;
}

static void on_role(void *arg, enum coord_replica_role role)
{
    ((struct replica_fix *)arg)->role = role;
}

static void on_trouble(void *arg, const struct ray_err *what)
{
    struct replica_fix *fix = arg;

    (void)snprintf(fix->trouble, sizeof fix->trouble, "%s", what->text);
}

int replica_fix_create(struct replica_fix *fix, struct ray_err *err)
{
    struct coord_replica_config config = {
        .segment_size = SEGMENT_SIZE, .snapshot_entries = 50, .feature_level = fix->feature_level};
    struct coord_replica_user user = {.on_role = on_role, .on_trouble = on_trouble, .arg = fix};
    struct coord_replica_world world;

    if (fix->checkpoint == NULL) {
        open_checkpoint(fix);
    }
    world = replica_fix_world(fix);
    env_random(fix, config.incarnation.bytes, RAY_ID_SIZE);
    fix->role = COORD_REPLICA_FOLLOWER;
    return coord_replica_create(&fix->replica, &world, &config, &user, err);
}

void replica_fix_start(struct replica_fix *fix, bool is_founder)
{
    int rc;

    replica_fix_open(fix, is_founder);
    rc = replica_fix_create(fix, NULL);
    assert(rc == RAY_OK);
    (void)rc;
    replica_fix_run(fix, 0);
}

int replica_fix_recover(struct replica_fix *fix, const struct ray_id *survivors, size_t count,
                        int *out_status, struct ray_err *err)
{
    struct coord_replica_recovery recovery = {.survivors = survivors,
                                              .survivor_count = count,
                                              .principal = "test",
                                              .reason = "the others are lost"};
    struct coord_replica_world world;

    if (fix->checkpoint == NULL) {
        open_checkpoint(fix);
    }
    world = replica_fix_world(fix);
    *out_status = RAY_EAGAIN;
    return coord_replica_recover(&world, &recovery, on_born, out_status, err);
}

void replica_fix_stop(struct replica_fix *fix)
{
    if (fix->checkpoint != NULL) {
        fix->checkpoint->ops->destroy(fix->checkpoint);
        fix->checkpoint = NULL;
    }
    fix->is_commit_begun = false;
    coord_replica_destroy(fix->replica);
    fix->replica = NULL;
    coord_fake_disk_run(fix->disk);
}

void replica_fix_close(struct replica_fix *fix)
{
    replica_fix_stop(fix);
    coord_mem_store_destroy(fix->records);
    coord_fake_disk_destroy(fix->disk);
}

static void run_now(struct replica_fix *fix)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        coord_fake_disk_run(fix->disk);
        if (fix->is_commit_begun) {
            fix->is_commit_begun = false;
            coord_mem_store_end(fix->records, RAY_OK);
        }
        coord_replica_on_timer(fix->replica);
        coord_replica_turn(fix->replica);
        if (fix->timer_ns > fix->now_ns && !fix->is_commit_begun && i > 8) {
            return;
        }
    }
}

void replica_fix_run(struct replica_fix *fix, uint64_t ms)
{
    uint64_t end_ns = fix->now_ns + ms * RAY_NS_PER_MS;

    run_now(fix);
    while (fix->timer_ns <= end_ns) {
        fix->now_ns = fix->timer_ns > fix->now_ns ? fix->timer_ns : fix->now_ns + RAY_NS_PER_MS;
        run_now(fix);
    }
    fix->now_ns = end_ns > fix->now_ns ? end_ns : fix->now_ns;
    run_now(fix);
}

/* ---- peers ---- */

void replica_fix_up(struct replica_fix *fix, unsigned peer)
{
    struct ray_id id = replica_fix_id(peer);

    assert(peer < REPLICA_FIX_PEERS);
    fix->epochs[peer] = ++fix->link_epoch;
    fix->link.user.on_up(fix->link.user.arg, &id, fix->epochs[peer]);
}

void replica_fix_down(struct replica_fix *fix, unsigned peer)
{
    struct ray_id id = replica_fix_id(peer);

    assert(peer < REPLICA_FIX_PEERS);
    fix->link.user.on_down(fix->link.user.arg, &id, fix->epochs[peer]);
}

void replica_fix_bytes(struct replica_fix *fix, unsigned peer, enum ray_link_channel channel,
                       const uint8_t *bytes, size_t size)
{
    struct ray_id id = replica_fix_id(peer);

    assert(peer < REPLICA_FIX_PEERS);
    fix->link.user.on_message(fix->link.user.arg, &id, fix->epochs[peer], channel, bytes, size);
}

void replica_fix_packet(struct replica_fix *fix, unsigned peer, Rayos__Member__Packet *packet)
{
    size_t size = rayos__member__packet__get_packed_size(packet);
    uint8_t *bytes = malloc(size + 1);

    assert(bytes != NULL);
    (void)rayos__member__packet__pack(packet, bytes);
    replica_fix_bytes(fix, peer, RAY_LINK_MEMBER, bytes, size);
    free(bytes);
}

void replica_fix_greet(struct replica_fix *fix, unsigned peer, Rayos__Member__Hello *hello)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    struct ray_id incarnation = replica_fix_boot(peer);

    hello->incarnation = ray_proto_id(&incarnation);
    hello->boot_counter = 1;
    packet.hello = hello;
    replica_fix_packet(fix, peer, &packet);
}

void replica_fix_hello(struct replica_fix *fix, unsigned peer, uint64_t server_id,
                       uint64_t cluster_epoch)
{
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;

    hello.server_id = server_id;
    hello.cluster_epoch = cluster_epoch;
    hello.has_space = true;
    replica_fix_greet(fix, peer, &hello);
}

void replica_fix_frame(struct replica_fix *fix, unsigned peer, uint64_t from,
                       struct coord_message *message)
{
    struct coord_replica_status status;
    struct coord_frame frame = {.from = from, .messages = message, .count = 1};
    uint8_t *bytes = malloc(COORD_FRAME_SIZE_MAX);
    size_t size = 0;
    int rc;

    assert(bytes != NULL);
    coord_replica_status(fix->replica, &status);
    message->from = from;
    frame.to = message->to = status.server_id;
    rc = coord_frame_encode(&frame, bytes, COORD_FRAME_SIZE_MAX, &size, NULL);
    assert(rc == RAY_OK);
    (void)rc;
    replica_fix_bytes(fix, peer, RAY_LINK_RAFT, bytes, size);
    free(bytes);
}

/* ---- commands ---- */

size_t replica_fix_pack(Rayos__Registry__Command *command, const char *principal,
                        const struct ray_id *incarnation,
                        uint8_t out[static REPLICA_FIX_COMMAND_SIZE_MAX])
{
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    size_t size;

    header.version = COORD_FSM_COMMAND_VERSION;
    header.principal = (char *)(uintptr_t)principal;
    header.reason = (char *)"test";
    if (incarnation != NULL) {
        header.incarnation = ray_proto_id(incarnation);
    }
    command->header = &header;
    assert(rayos__registry__command__get_packed_size(command) <= REPLICA_FIX_COMMAND_SIZE_MAX);
    size = rayos__registry__command__pack(command, out);
    command->header = NULL;
    return size;
}

size_t replica_fix_command(uint8_t out[static 512])
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectDelete body = RAYOS__REGISTRY__OBJECT_DELETE__INIT;
    struct ray_id id = replica_fix_id(1);
    uint8_t bytes[REPLICA_FIX_COMMAND_SIZE_MAX];
    size_t size;

    body.kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    body.id = ray_proto_id(&id);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_DELETE;
    command.object_delete = &body;
    size = replica_fix_pack(&command, "test", NULL, bytes);
    assert(size <= 512);
    memcpy(out, bytes, size);
    return size;
}

static void on_proposed(void *arg, int status, const struct coord_fsm_result *result)
{
    if (status == RAY_OK && result->code != RAY_OK) {
        (void)fprintf(stderr, "refused: %s\n", result->text);
    }
    assert(status == RAY_OK && result->code == RAY_OK);
    *(bool *)arg = true;
}

void replica_fix_propose(struct replica_fix *fix, Rayos__Registry__Command *command)
{
    uint8_t bytes[REPLICA_FIX_COMMAND_SIZE_MAX];
    struct coord_replica_status status;
    bool is_done = false;
    size_t size;
    int rc;

    coord_replica_status(fix->replica, &status);
    size = replica_fix_pack(command, "test", &status.incarnation, bytes);
    rc = coord_replica_propose(fix->replica, bytes, size, UINT64_MAX, on_proposed, &is_done, NULL,
                               NULL);
    assert(rc == RAY_OK);
    (void)rc;
    replica_fix_run(fix, 0);
    assert(is_done);
}

void replica_fix_timing(Rayos__Registry__Timing *out)
{
    out->profile = (char *)"lan";
    out->heartbeat_ms = 40;
    out->election_ms = 200;
    out->grant_ms = 3000;
    out->renew_ms = 500;
    out->margin_ms = 500;
    out->drift_ppm = 10000;
}

void replica_fix_describe(struct replica_fix_node *out, unsigned number)
{
    rayos__registry__object__init(&out->object);
    rayos__registry__node__init(&out->node);
    out->id = replica_fix_id(number);
    memset(out->key, (int)number + 20, sizeof out->key);
    memset(out->signature, (int)number + 21, sizeof out->signature);
    (void)snprintf(out->name, sizeof out->name, "node-%u", number);
    out->object.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    out->object.id = ray_proto_id(&out->id);
    out->object.name = out->name;
    out->object.body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
    out->object.node = &out->node;
    out->node.identity_key = ray_proto_bytes(out->key, sizeof out->key);
    out->node.link_key = ray_proto_bytes(out->key, sizeof out->key);
    out->node.link_key_signature = ray_proto_bytes(out->signature, sizeof out->signature);
    out->node.address = (char *)"a:1";
    out->node.is_fit_for_leases = true;
}

void replica_fix_found(struct replica_fix *fix)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ClusterCreate create = RAYOS__REGISTRY__CLUSTER_CREATE__INIT;
    Rayos__Registry__Timing timing = RAYOS__REGISTRY__TIMING__INIT;
    Rayos__Registry__Object admin = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Principal principal = RAYOS__REGISTRY__PRINCIPAL__INIT;
    struct replica_fix_node self;
    struct coord_replica_status status;
    struct ray_id cluster = replica_fix_id(1000);
    struct ray_id admin_id = replica_fix_id(2000);
    uint8_t key[COORD_KEY_SIZE] = {9};

    coord_replica_status(fix->replica, &status);
    replica_fix_timing(&timing);
    replica_fix_describe(&self, 0);
    principal.key = ray_proto_bytes(key, sizeof key);
    principal.is_admin = true;
    admin.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    admin.id = ray_proto_id(&admin_id);
    admin.name = (char *)"admin";
    admin.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    admin.principal = &principal;
    create.id = ray_proto_id(&cluster);
    create.name = (char *)"test";
    create.timing = &timing;
    create.node = &self.object;
    create.boot_counter = status.boot_counter;
    create.admin = &admin;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_CREATE;
    command.cluster_create = &create;
    replica_fix_propose(fix, &command);
    assert(coord_fsm_cluster(coord_replica_fsm(fix->replica)) != NULL);
}

void replica_fix_let_in(struct replica_fix *fix, unsigned number, bool is_ephemeral,
                        replica_fix_proposer propose)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeJoin join = RAYOS__REGISTRY__NODE_JOIN__INIT;
    Rayos__Registry__NodeApprove approve = RAYOS__REGISTRY__NODE_APPROVE__INIT;
    struct ray_id incarnation = replica_fix_boot(number);
    struct replica_fix_node node;

    replica_fix_describe(&node, number);
    join.node = &node.object;
    join.incarnation = ray_proto_id(&incarnation);
    join.boot_counter = 1;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_JOIN;
    command.node_join = &join;
    propose(fix, &command);
    approve.node = ray_proto_id(&node.id);
    approve.is_ephemeral = is_ephemeral;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_APPROVE;
    command.node_approve = &approve;
    propose(fix, &command);
}

void replica_fix_join(struct replica_fix *fix, unsigned number, bool is_ephemeral)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeAdmit admit = RAYOS__REGISTRY__NODE_ADMIT__INIT;
    struct ray_id id = replica_fix_id(number), incarnation = replica_fix_boot(number);

    replica_fix_let_in(fix, number, is_ephemeral, replica_fix_propose);
    admit.node = ray_proto_id(&id);
    admit.incarnation = ray_proto_id(&incarnation);
    admit.boot_counter = 1;
    admit.cluster_epoch = 1;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ADMIT;
    command.node_admit = &admit;
    replica_fix_propose(fix, &command);
}
