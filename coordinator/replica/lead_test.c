/* lead_test.c - what a leader does slowly, and what it must not be slow with. The followers are
 * made of frames. */
#include "base/clock.h"
#include "base/test.h"
#include "coordinator/core/config.h"
#include "coordinator/core/message.h"
#include "coordinator/lease/grant_codec.h"
#include "coordinator/replica/impl.h"
#include "coordinator/replica/replica_fixture.h"

enum { COMMAND_SIZE_MAX = 4096 };

/* ---- commands ---- */

struct node_parts {
    Rayos__Registry__Object object;
    Rayos__Registry__Node node;
    struct ray_id id;
    uint8_t key[COORD_KEY_SIZE];
    uint8_t signature[COORD_SIGNATURE_SIZE];
    char name[16];
};

static ProtobufCBinaryData bytes_of(void *bytes, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = bytes};
}

static void describe(struct node_parts *parts, unsigned node)
{
    rayos__registry__object__init(&parts->object);
    rayos__registry__node__init(&parts->node);
    parts->id = replica_fix_id(node);
    memset(parts->key, (int)node + 1, sizeof parts->key);
    memset(parts->signature, (int)node + 2, sizeof parts->signature);
    (void)snprintf(parts->name, sizeof parts->name, "node-%u", node);
    parts->object.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    parts->object.id = bytes_of(parts->id.bytes, RAY_ID_SIZE);
    parts->object.name = parts->name;
    parts->object.body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
    parts->object.node = &parts->node;
    parts->node.identity_key = bytes_of(parts->key, sizeof parts->key);
    parts->node.link_key = bytes_of(parts->key, sizeof parts->key);
    parts->node.link_key_signature = bytes_of(parts->signature, sizeof parts->signature);
    parts->node.address = (char *)"a:1";
    parts->node.is_fit_for_leases = true;
}

static void on_done(void *arg, int status, const struct coord_fsm_result *result)
{
    assert_int_equal(status, RAY_OK);
    if (result->code != RAY_OK) {
        fail_msg("%s", result->text);
    }
    (*(int *)arg)++;
}

static void propose(struct replica_fix *fix, Rayos__Registry__Command *command)
{
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    uint8_t bytes[COMMAND_SIZE_MAX];
    size_t size;
    int count = 0;

    header.version = COORD_FSM_COMMAND_VERSION;
    header.principal = (char *)"test";
    header.reason = (char *)"test";
    header.incarnation = bytes_of(fix->replica->meta.now.incarnation.bytes, RAY_ID_SIZE);
    command->header = &header;
    size = rayos__registry__command__get_packed_size(command);
    assert_true(size <= sizeof bytes);
    (void)rayos__registry__command__pack(command, bytes);
    assert_int_equal(
        coord_replica_propose(fix->replica, bytes, size, UINT64_MAX, on_done, &count, NULL, NULL),
        RAY_OK);
    replica_fix_run(fix, 0);
    assert_int_equal(count, 1);
    command->header = NULL;
}

static uint8_t token_hash[COORD_KEY_SIZE] = "a token of the test";

static void create_cluster(struct replica_fix *fix)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ClusterCreate create = RAYOS__REGISTRY__CLUSTER_CREATE__INIT;
    Rayos__Registry__Object admin = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Principal principal = RAYOS__REGISTRY__PRINCIPAL__INIT;
    Rayos__Registry__Object token = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Token body = RAYOS__REGISTRY__TOKEN__INIT;
    Rayos__Registry__Object *tokens[] = {&token};
    Rayos__Registry__Timing timing = RAYOS__REGISTRY__TIMING__INIT;
    struct ray_id cluster_id = replica_fix_id(1000);
    struct ray_id admin_id = replica_fix_id(1001);
    struct node_parts node;
    uint8_t key[COORD_KEY_SIZE] = {1};

    describe(&node, 0);
    timing.profile = (char *)"lan";
    timing.heartbeat_ms = 40;
    timing.election_ms = 200;
    timing.grant_ms = 3000;
    timing.renew_ms = 500;
    timing.margin_ms = 500;
    timing.drift_ppm = 10000;
    principal.key = bytes_of(key, sizeof key);
    principal.is_admin = true;
    admin.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    admin.id = bytes_of(admin_id.bytes, RAY_ID_SIZE);
    admin.name = (char *)"admin";
    admin.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    admin.principal = &principal;
    token.kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
    token.id = bytes_of(token_hash, RAY_ID_SIZE);
    token.body_case = RAYOS__REGISTRY__OBJECT__BODY_TOKEN;
    token.token = &body;
    body.hash = bytes_of(token_hash, sizeof token_hash);
    body.uses_left = 2;
    create.id = bytes_of(cluster_id.bytes, RAY_ID_SIZE);
    create.name = (char *)"test";
    create.timing = &timing;
    create.node = &node.object;
    create.boot_counter = 1;
    create.admin = &admin;
    create.tokens = tokens;
    create.n_tokens = 1;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_CREATE;
    command.cluster_create = &create;
    propose(fix, &command);
}

static void join(struct replica_fix *fix, unsigned number)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeJoin body = RAYOS__REGISTRY__NODE_JOIN__INIT;
    struct ray_id incarnation = replica_fix_id(number + 500);
    struct node_parts node;

    describe(&node, number);
    body.token_hash = bytes_of(token_hash, sizeof token_hash);
    body.node = &node.object;
    body.incarnation = bytes_of(incarnation.bytes, RAY_ID_SIZE);
    body.boot_counter = 1;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_JOIN;
    command.node_join = &body;
    propose(fix, &command);
}

/* ---- followers: node n is number n + 1 ---- */

/* It has stored all that the leader has. */
static void has_all(struct replica_fix *fix, unsigned node)
{
    struct coord_replica_status status;
    struct coord_message message = {.type = COORD_APPEND_RESULT};
    struct coord_frame frame = {.from = node + 1, .to = 1, .messages = &message, .count = 1};
    uint8_t bytes[512];
    size_t size;

    coord_replica_status(fix->replica, &status);
    message.term = status.term;
    message.append_result.last_index = status.last_index;
    assert_int_equal(coord_frame_encode(&frame, bytes, sizeof bytes, &size, NULL), RAY_OK);
    replica_fix_bytes(fix, node, RAY_LINK_RAFT, bytes, size);
    replica_fix_run(fix, 0);
}

static size_t voters(struct replica_fix *fix)
{
    struct coord_replica_status status;

    coord_replica_status(fix->replica, &status);
    return coord_config_voter_count(&status.config);
}

/* Half a second at a time, as heartbeats are answered. */
static void pass_half_a_second(struct replica_fix *fix)
{
    for (int i = 0; i < 10; i++) {
        replica_fix_run(fix, 50);
        has_all(fix, 1);
        has_all(fix, 2);
    }
}

static void test_no_pause_with_two_voters(void **state)
{
    struct replica_fix fix;
    uint64_t before_ns = 0;

    (void)state;
    replica_fix_open(&fix, true);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    create_cluster(&fix);
    for (unsigned node = 1; node <= 2; node++) {
        join(&fix, node);
        replica_fix_up(&fix, node);
        replica_fix_hello(&fix, node, node + 1, 1);
    }
    /* The second voter comes when a second has passed somewhere in here. */
    for (int i = 0; i < 400 && voters(&fix) == 1; i++) {
        before_ns = fix.now_ns;
        replica_fix_run(&fix, 10);
        if (voters(&fix) == 1) {
            has_all(&fix, 1);
            has_all(&fix, 2);
        }
    }
    assert_int_equal(voters(&fix), 2);
    has_all(&fix, 1); /* committed */
    has_all(&fix, 2); /* stored by whom the next change promotes: that comes at once */
    assert_int_equal(voters(&fix), 3);
    assert_true(fix.now_ns - before_ns <= 20 * RAY_NS_PER_MS);
    has_all(&fix, 1);
    has_all(&fix, 2);
    pass_half_a_second(&fix);
    assert_int_equal(voters(&fix), 3);
    assert_int_equal(fix.role, COORD_REPLICA_LEADER);
    replica_fix_close(&fix);
}

/* ---- renewals ---- */

struct answered {
    int count;
    int code;
};

static void on_packet(void *arg, const struct ray_id *peer, const Rayos__Member__Packet *packet)
{
    struct answered *answered = arg;

    (void)peer;
    for (size_t i = 0; i < packet->n_renewed; i++) {
        answered->count++;
        answered->code = packet->renewed[i]->code;
    }
}

/* What the leader says to a renewal that `peer` brings for `node`. */
static int renew(struct replica_fix *fix, unsigned peer, unsigned node, bool is_relayed)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Renew item = RAYOS__MEMBER__RENEW__INIT;
    Rayos__Member__Renew *items[] = {&item};
    struct coord_lease_renew renewal = {.node = replica_fix_id(node),
                                        .incarnation = replica_fix_id(node + 500),
                                        .cluster_epoch = 1,
                                        .t_send_ns = 1};
    struct answered answered = {.count = 0};
    struct ray_arena arena;
    const uint8_t *bytes;
    size_t size;

    ray_arena_init(&arena, COORD_LEASE_ARENA_SIZE_MAX);
    assert_int_equal(coord_lease_renew_encode(&renewal, &arena, &bytes, &size, NULL), RAY_OK);
    item.number = 1;
    item.renew = bytes_of((uint8_t *)bytes, size);
    item.is_relayed = is_relayed;
    packet.n_renewals = 1;
    packet.renewals = items;
    fix->on_packet = on_packet;
    fix->on_packet_arg = &answered;
    replica_fix_packet(fix, peer, &packet);
    replica_fix_run(fix, 0);
    fix->on_packet = NULL;
    ray_arena_fini(&arena);
    assert_int_equal(answered.count, 1);
    return answered.code;
}

static void test_who_may_renew_for_whom(void **state)
{
    struct replica_fix fix;

    (void)state;
    replica_fix_open(&fix, true);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    create_cluster(&fix);
    for (unsigned node = 1; node <= 2; node++) {
        join(&fix, node);
        replica_fix_up(&fix, node);
        replica_fix_hello(&fix, node, node + 1, 1);
    }
    assert_int_equal(renew(&fix, 1, 1, false), RAY_OK);
    assert_int_equal(renew(&fix, 1, 2, false), RAY_EDENIED); /* not its own */
    assert_int_equal(renew(&fix, 1, 2, true), RAY_EDENIED);  /* by nobody's leave */
    replica_fix_run(&fix, 1500);
    assert_non_null(coord_config_find(coord_core_configuration(fix.replica->core), 2));
    replica_fix_hello(&fix, 1, 2, 1);
    assert_int_equal(renew(&fix, 1, 2, true), RAY_OK); /* as a standby it passes on */
    replica_fix_close(&fix);
}

/* A command of node 1 with a renewal. */
static void propose_carrying(struct replica_fix *fix, struct answered *answered)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Propose item = RAYOS__MEMBER__PROPOSE__INIT;
    Rayos__Member__Propose *items[] = {&item};
    struct coord_lease_renew renewal = {.node = replica_fix_id(1),
                                        .incarnation = replica_fix_id(501),
                                        .cluster_epoch = 1,
                                        .t_send_ns = 7};
    uint8_t command[512];
    struct ray_arena arena;
    const uint8_t *bytes;
    size_t size;

    ray_arena_init(&arena, COORD_LEASE_ARENA_SIZE_MAX);
    assert_int_equal(coord_lease_renew_encode(&renewal, &arena, &bytes, &size, NULL), RAY_OK);
    item.number = 1;
    item.command = bytes_of(command, replica_fix_command(command));
    item.renew = bytes_of((uint8_t *)bytes, size);
    item.renew_number = 2;
    packet.n_proposals = 1;
    packet.proposals = items;
    *answered = (struct answered){.count = 0};
    fix->on_packet = on_packet;
    fix->on_packet_arg = answered;
    replica_fix_packet(fix, 1, &packet);
    replica_fix_run(fix, 0);
    ray_arena_fini(&arena);
}

/* It waits for the entry, and for nothing else: no probe is begun for it. */
static void test_a_renewal_goes_with_its_command(void **state)
{
    struct replica_fix fix;
    struct answered answered;
    uint64_t probe;

    (void)state;
    replica_fix_open(&fix, true);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    create_cluster(&fix);
    for (unsigned node = 1; node <= 2; node++) {
        join(&fix, node);
        replica_fix_up(&fix, node);
        replica_fix_hello(&fix, node, node + 1, 1);
    }
    for (int i = 0; i < 400 && voters(&fix) < 3; i++) {
        replica_fix_run(&fix, 10);
        has_all(&fix, 1);
        has_all(&fix, 2);
    }
    pass_half_a_second(&fix);
    assert_int_equal(voters(&fix), 3);
    probe = fix.replica->probes.begun_number;
    propose_carrying(&fix, &answered);
    assert_int_equal(answered.count, 0); /* appended, not committed */
    has_all(&fix, 1);
    assert_int_equal(answered.count, 1);
    assert_int_equal(answered.code, RAY_OK);
    assert_int_equal(fix.replica->probes.begun_number, probe);
    replica_fix_close(&fix);
}

static void test_whom_a_later_epoch_is_believed(void **state)
{
    struct replica_fix fix;
    struct ray_id observer = replica_fix_id(1);
    struct ray_id stranger = replica_fix_id(9);
    struct coord_replica_status status;

    (void)state;
    replica_fix_open(&fix, true);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    create_cluster(&fix);
    join(&fix, 1);
    coord_replica_later_epoch(fix.replica, &observer, 5); /* it has no log yet */
    coord_replica_later_epoch(fix.replica, &stranger, 5);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_LEADER);

    replica_fix_up(&fix, 1);
    replica_fix_hello(&fix, 1, 2, 1);
    replica_fix_run(&fix, 1500); /* added, and its role written down */
    replica_fix_run(&fix, 1500);
    coord_replica_later_epoch(fix.replica, &observer, 1); /* that is now */
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_LEADER);
    coord_replica_later_epoch(fix.replica, &observer, 5);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    coord_replica_status(fix.replica, &status);
    assert_int_equal(status.cluster_epoch, 5);
    replica_fix_stop(&fix);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED); /* on the disk, too */
    replica_fix_close(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_pause_with_two_voters),
                                       cmocka_unit_test(test_who_may_renew_for_whom),
                                       cmocka_unit_test(test_a_renewal_goes_with_its_command),
                                       cmocka_unit_test(test_whom_a_later_epoch_is_believed)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
