/* apply_test.c - sessions, retries, logged time, halting, hashes. */
#include "base/test.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "coordinator/fsm/state.h"
#include "coordinator/mutant.h"
#include "net/proto_codec.h"

enum { SESSION = 500, IMAGE = 600, TTL_US = 20000000 };

static int put_in(struct fix *fix, uint64_t sequence, unsigned id, bool is_create)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    struct ray_id object_id = fix_id(id);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &put;
    object.kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    object.id = ray_proto_optional_id(&object_id);
    put.object = &object;
    put.is_create = is_create;
    return fix_apply_in(fix, &command, SESSION, sequence);
}

static void test_cluster_comes_first(void **state)
{
    struct fix fix;

    (void)state;
    fix_open(&fix);
    assert_null(coord_fsm_cluster(fix.fsm));
    assert_int_equal(fix_put_guest(&fix, 1, true), RAY_ECONFLICT);
    assert_int_equal(fix_tick(&fix, 1), RAY_OK);
    fix_close(&fix);
    fix_open_cluster(&fix);
    assert_int_equal(fix_cluster(&fix)->cluster_epoch, 1);
    assert_int_equal(fix_cluster(&fix)->last_raft_id, 1);
    assert_true(fix_cluster(&fix)->is_settled);
    assert_int_equal(fix_find(&fix, COORD_NODE, FIX_NODE_A)->node.role, COORD_NODE_VOTER);
    assert_int_equal(fix_find(&fix, COORD_NODE, FIX_NODE_A)->node.raft_id, 1);
    assert_true(fix_find(&fix, COORD_PRINCIPAL, FIX_ADMIN)->principal.is_admin);
    assert_int_equal(fix_find(&fix, COORD_TOKEN, FIX_TOKEN)->token.uses_left, 5);
    assert_int_equal(fix.outcome.event_count, 4);
    fix_close(&fix);
}

static void test_a_retry_gets_the_stored_result(void **state)
{
    struct fix fix;
    uint64_t revision;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(put_in(&fix, 1, IMAGE, true), RAY_ENOTFOUND); /* no session yet */
    assert_int_equal(fix_session_open(&fix, SESSION, TTL_US), RAY_OK);
    assert_int_equal(put_in(&fix, 1, IMAGE, true), RAY_OK);
    revision = fix.outcome.result.revision;
    assert_int_equal(revision, fix.index);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(put_in(&fix, 1, IMAGE, true), RAY_OK); /* would be "exists" if it ran */
        assert_true(fix.outcome.result.is_retry);
        assert_int_equal(fix.outcome.result.revision, revision);
        assert_int_equal(fix.outcome.event_count, 0);
    }
    assert_int_equal(put_in(&fix, 2, IMAGE, true), RAY_EEXISTS);
    assert_false(fix.outcome.result.is_retry);
    assert_int_equal(put_in(&fix, 2, IMAGE, true), RAY_EEXISTS);
    assert_true(fix.outcome.result.is_retry);
    assert_true(strstr(fix.outcome.result.text, "there already") != NULL);
    fix_close(&fix);
}

/* Whoever gets it takes it for one of ours. */
static void test_a_stored_result_of_no_known_code(void **state)
{
    const struct coord_fsm_result result = {.code = 7, .text = "", .next_step = ""};
    struct ray_id id = fix_id(SESSION);
    struct ray_buf dump;
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_session_open(&fix, SESSION, TTL_US), RAY_OK);
    fix_dump(fix.fsm, &dump);
    coord_fsm_destroy(fix_load(dump.data, dump.size, dump.size));
    ray_buf_fini(&dump);
    assert_int_equal(fsm_session_store(fix.fsm, fsm_session_find(fix.fsm, &id), 1, &result),
                     RAY_OK);
    fix_dump(fix.fsm, &dump);
    assert_null(fix_load(dump.data, dump.size, dump.size));
    ray_buf_fini(&dump);
    fix_close(&fix);
}

static void test_window(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_session_open(&fix, SESSION, TTL_US), RAY_OK);
    /* Any order within the window. */
    for (unsigned i = COORD_FSM_SESSION_WINDOW; i >= 1; i--) {
        assert_int_equal(put_in(&fix, i, IMAGE + i, true), RAY_OK);
    }
    for (unsigned i = 1; i <= COORD_FSM_SESSION_WINDOW; i++) {
        assert_int_equal(put_in(&fix, i, IMAGE + i, true), RAY_OK);
        assert_true(fix.outcome.result.is_retry);
    }
    assert_int_equal(put_in(&fix, 0, IMAGE, true), RAY_EINVAL);
    assert_int_equal(put_in(&fix, COORD_FSM_SESSION_WINDOW + 1, IMAGE + 100, true), RAY_OK);
    assert_int_equal(put_in(&fix, 1, IMAGE + 1, true), RAY_ENOTFOUND); /* fell out */
    assert_int_equal(put_in(&fix, 2, IMAGE + 2, true), RAY_OK);        /* did not */
    assert_true(fix.outcome.result.is_retry);
    /* A jump: what lies between may still come, what was before is forgotten. */
    assert_int_equal(put_in(&fix, 1000, IMAGE + 101, true), RAY_OK);
    assert_int_equal(put_in(&fix, 65, IMAGE + 100, true), RAY_ENOTFOUND);
    assert_int_equal(put_in(&fix, 937, IMAGE + 102, true), RAY_OK);
    assert_int_equal(put_in(&fix, 936, IMAGE + 103, true), RAY_ENOTFOUND);
    assert_null(fix_find(&fix, COORD_IMAGE, IMAGE + 103));
    fix_close(&fix);
}

static void test_a_session_has_one_owner(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__SessionClose close = RAYOS__REGISTRY__SESSION_CLOSE__INIT;
    Rayos__Registry__EventAdd add = RAYOS__REGISTRY__EVENT_ADD__INIT;
    struct ray_id id = fix_id(SESSION);

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_session_open(&fix, SESSION, TTL_US), RAY_OK);
    assert_int_equal(fix_session_open(&fix, SESSION, TTL_US), RAY_OK); /* the same again */
    assert_int_equal(coord_fsm_session_count(fix.fsm), 1);
    fix_command(&command);
    command.header.principal = (char *)"mallory";
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD;
    command.message.event_add = &add;
    add.what = (char *)"x";
    assert_int_equal(fix_apply_in(&fix, &command, SESSION, 1), RAY_EDENIED);
    fix_command(&command);
    command.header.principal = (char *)"mallory";
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_SESSION_CLOSE;
    command.message.session_close = &close;
    close.id = ray_proto_optional_id(&id);
    assert_int_equal(fix_apply(&fix, &command), RAY_EDENIED);
    command.header.principal = (char *)"admin";
    assert_int_equal(fix_apply_in(&fix, &command, SESSION, 1), RAY_EINVAL);
    command.header.session = (ProtobufCBinaryData){0};
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    assert_int_equal(coord_fsm_session_count(fix.fsm), 0);
    assert_int_equal(fix_session_open(&fix, SESSION, 1), RAY_EINVAL);
    fix_close(&fix);
}

/* The clock goes only by ticks, never back, and by no more than a bit at once. */
static void test_logged_clock(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_tick(&fix, 1000), RAY_OK); /* the term's first: only a beginning */
    assert_int_equal(coord_fsm_clock_us(fix.fsm), 0);
    assert_int_equal(fix_tick(&fix, 1500), RAY_OK);
    assert_int_equal(coord_fsm_clock_us(fix.fsm), 500);
    assert_int_equal(fix_tick(&fix, 1200), RAY_OK);
    assert_int_equal(coord_fsm_clock_us(fix.fsm), 500);
    assert_int_equal(fix_tick(&fix, 1600), RAY_OK);
    assert_int_equal(coord_fsm_clock_us(fix.fsm), 600);
    assert_int_equal(fix_tick(&fix, UINT64_MAX), RAY_OK);
    assert_int_equal(coord_fsm_clock_us(fix.fsm), 600 + COORD_FSM_TICK_MAX_US);
    fix.term = 2;
    assert_int_equal(fix_tick(&fix, 7), RAY_OK);
    assert_int_equal(fix_tick(&fix, 9), RAY_OK);
    assert_int_equal(coord_fsm_clock_us(fix.fsm), 602 + COORD_FSM_TICK_MAX_US);
    fix_close(&fix);
}

/* Ticks of one second until the session is gone; how many it took, at most `max`. */
static unsigned seconds_until_expiry(struct fix *fix, uint64_t *now_us, unsigned max)
{
    for (unsigned i = 0; i < max; i++) {
        if (coord_fsm_session_count(fix->fsm) == 0) {
            return i;
        }
        *now_us += 1000000;
        assert_int_equal(fix_tick(fix, *now_us), RAY_OK);
    }
    return max;
}

static void test_sessions_expire_by_ticks(void **state)
{
    struct fix fix;
    uint64_t now_us = 5;

    (void)state;
    fix_open_cluster(&fix);
    assert_false(coord_fsm_can_expire(fix.fsm));
    assert_int_equal(fix_session_open(&fix, SESSION, TTL_US), RAY_OK);
    assert_true(coord_fsm_can_expire(fix.fsm));
    assert_int_equal(fix_tick(&fix, now_us), RAY_OK);
    /* 20 s and one longest tick. */
    assert_int_equal(seconds_until_expiry(&fix, &now_us, 100), 25);
    assert_int_equal(put_in(&fix, 1, IMAGE, true), RAY_ENOTFOUND);

    /* Use begins the time anew. */
    assert_int_equal(fix_session_open(&fix, SESSION, TTL_US), RAY_OK);
    assert_int_equal(seconds_until_expiry(&fix, &now_us, 20), 20);
    assert_int_equal(put_in(&fix, 1, IMAGE, true), RAY_OK);
    assert_int_equal(seconds_until_expiry(&fix, &now_us, 20), 20);
    /* So does another leader, however often, with whatever clock. */
    fix.term = 3;
    now_us = 77;
    assert_int_equal(fix_tick(&fix, now_us), RAY_OK);
    assert_int_equal(seconds_until_expiry(&fix, &now_us, 20), 20);
    assert_int_equal(put_in(&fix, 1, IMAGE, true), RAY_OK);
    assert_true(fix.outcome.result.is_retry);
    assert_int_equal(seconds_until_expiry(&fix, &now_us, 100), 5);
    fix_close(&fix);
}

static void test_tokens_expire(void **state)
{
    struct fix fix;
    uint64_t now_us = 1;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_token_put(&fix, 31, 1, 3000000, false), RAY_OK);
    assert_true(coord_fsm_can_expire(fix.fsm));
    assert_int_equal(fix_tick(&fix, now_us), RAY_OK);
    for (int i = 0; i < 2; i++) {
        now_us += 1000000;
        assert_int_equal(fix_tick(&fix, now_us), RAY_OK);
        assert_non_null(fix_find(&fix, COORD_TOKEN, 31));
    }
    assert_int_equal(fix_tick(&fix, now_us + 1000000), RAY_OK);
    assert_null(fix_find(&fix, COORD_TOKEN, 31));
    assert_true(fix_event(&fix, COORD_TOKEN, 31)->is_deleted);
    assert_non_null(fix_find(&fix, COORD_TOKEN, FIX_TOKEN)); /* has no end */
    assert_false(coord_fsm_can_expire(fix.fsm));
    fix_close(&fix);
}

static int apply_one(struct fix *fix, const struct fix_command *command)
{
    size_t size;
    uint8_t *bytes = fix_pack(command, &size);
    struct ray_err err = {0};
    int checked = coord_fsm_check(bytes, size, &err);
    int rc = fix_apply_bytes(fix, bytes, size);

    assert_int_equal(checked, rc);
    free(bytes);
    return rc;
}

static void make_tick(struct fix_command *command, Rayos__Registry__Tick *tick)
{
    rayos__registry__tick__init(tick);
    fix_command(command);
    command->message.body_case = RAYOS__REGISTRY__COMMAND__BODY_TICK;
    command->message.tick = tick;
}

/* What this version does not know is never skipped. */
static void test_unknown_commands_halt(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__Tick tick;
    ProtobufCMessageUnknownField field = {
        .tag = 99, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1, .data = (uint8_t *)"\x01"};

    (void)state;
    for (int variant = 0; variant < 6; variant++) {
        int wanted = RAY_EUNSUPPORTED;

        fix_open_cluster(&fix);
        make_tick(&command, &tick);
        switch (variant) {
        case 0:
            command.header.version = 2;
            break;
        case 1:
            command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY__NOT_SET;
            break;
        case 2:
            command.message.base.n_unknown_fields = 1;
            command.message.base.unknown_fields = &field;
            break;
        case 3:
            tick.base.n_unknown_fields = 1;
            tick.base.unknown_fields = &field;
            break;
        case 4:
            command.header.base.n_unknown_fields = 1;
            command.header.base.unknown_fields = &field;
            break;
        default:
            command.message.header = NULL;
            wanted = RAY_EMALFORMED;
            break;
        }
        assert_int_equal(apply_one(&fix, &command), wanted);
        assert_true(coord_fsm_is_halted(fix.fsm));
        make_tick(&command, &tick);
        fix.index--;
        assert_int_equal(fix_tick(&fix, 1), wanted);
        fix_close(&fix);
    }
}

/* What a level does not have is refused before it is in any log, and told with the next step. */
static void test_a_level_that_is_not_reached(void **state)
{
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(fsm_level_reached(2, 2, "node-leap", &err), RAY_OK);
    assert_int_equal(fsm_level_reached(2, 1, "node-leap", &err), RAY_OK);
    assert_int_equal(fsm_level_reached(2, 3, "node-leap", &err), RAY_EUNSUPPORTED);
    assert_string_equal(err.text, "node-leap needs feature level 3, the cluster is at 2");
    assert_string_equal(err.next_step,
                        "clusterctl cluster status says which node holds it back: upgrade that");
}

static void test_the_level_rises(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__FeatureRaise raise = RAYOS__REGISTRY__FEATURE_RAISE__INIT;
    uint8_t *bytes;
    size_t size;

    (void)state;
    fix_open_cluster(&fix);
    coord_fsm_set_level(fix.fsm, 3);
    coord_fsm_set_level(fix.twin, 3);
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_FEATURE_RAISE;
    command.message.feature_raise = &raise;
    raise.level = 3;
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    assert_int_equal(coord_fsm_cluster(fix.fsm)->cluster.feature_level, 3);
    raise.level = 2; /* never back */
    assert_int_equal(fix_apply(&fix, &command), RAY_ECONFLICT);
    assert_int_equal(coord_fsm_cluster(fix.fsm)->cluster.feature_level, 3);
    raise.level = 4; /* never skipped */
    bytes = fix_pack(&command, &size);
    assert_int_equal(fix_apply_bytes(&fix, bytes, size), RAY_EUNSUPPORTED);
    assert_true(coord_fsm_is_halted(fix.fsm));
    free(bytes);
    fix_close(&fix);
}

static void test_malformed_halts(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_apply_bytes(&fix, (const uint8_t *)"\xff\xff\xff", 3), RAY_EMALFORMED);
    assert_true(coord_fsm_is_halted(fix.fsm));
    fix_close(&fix);
    fix_open(&fix);
    assert_int_equal(fix_apply_bytes(&fix, NULL, 0), RAY_EMALFORMED);
    fix_close(&fix);
}

static int log_hash(struct fix *fix, uint64_t index, uint8_t hash[COORD_HASH_SIZE], size_t size)
{
    struct fix_command command;
    Rayos__Registry__Hash message = RAYOS__REGISTRY__HASH__INIT;

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_HASH;
    command.message.hash = &message;
    message.index = index;
    message.hash = ray_proto_bytes(hash, size);
    return fix_apply(fix, &command);
}

static void test_hashes_are_compared(void **state)
{
    struct fix fix;
    uint8_t hash[COORD_HASH_SIZE] = {0};
    uint64_t index = 0;

    (void)state;
    fix_open_cluster(&fix);
    assert_false(coord_fsm_last_hash(fix.fsm, &index, hash));
    while (fix.index < COORD_FSM_HASH_INTERVAL + 5) {
        fix.index++;
        assert_int_equal(coord_fsm_advance(fix.fsm, fix.index, 1, NULL), RAY_OK);
        assert_int_equal(coord_fsm_advance(fix.twin, fix.index, 1, NULL), RAY_OK);
    }
    assert_true(coord_fsm_last_hash(fix.fsm, &index, hash));
    assert_int_equal(index, COORD_FSM_HASH_INTERVAL);
    assert_int_equal(log_hash(&fix, index, hash, sizeof hash), RAY_OK);
    assert_int_equal(log_hash(&fix, index, hash, 3), RAY_EINVAL);
    assert_int_equal(log_hash(&fix, 7, hash, sizeof hash), RAY_EINVAL);
    hash[3] ^= 1;
    /* One that we do not have cannot be compared. */
    assert_int_equal(log_hash(&fix, index * 9, hash, sizeof hash), RAY_OK);
    assert_false(coord_fsm_is_halted(fix.fsm));
    assert_int_equal(log_hash(&fix, index, hash, sizeof hash), RAY_ECONFLICT);
    assert_true(coord_fsm_is_halted(fix.fsm));
    fix_close(&fix);
}

/* Whatever is said of a change is in the object's history: the last 32. */
static void test_history(void **state)
{
    struct fix fix;
    struct ray_buf out;
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    Rayos__Registry__Answer *answer;
    struct ray_id id = fix_id(IMAGE);
    uint8_t bytes[64];
    size_t size;

    (void)state;
    fix_open_cluster(&fix);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, IMAGE, "i", 3),
                         RAY_OK);
    }
    query.kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    query.id = ray_proto_optional_id(&id);
    query.with_changes = true;
    size = rayos__registry__query__pack(&query, bytes);
    ray_buf_init(&out, 1 << 20);
    assert_int_equal(coord_fsm_query(fix.fsm, bytes, size, &out, NULL), RAY_OK);
    answer = rayos__registry__answer__unpack(NULL, out.size, out.data);
    assert_non_null(answer);
    assert_int_equal(answer->revision, fix.index);
    assert_int_equal(answer->n_entries, 1);
    assert_int_equal(answer->entries[0]->n_changes, COORD_CHANGES_MAX);
    for (size_t i = 0; i < COORD_CHANGES_MAX; i++) {
        const Rayos__Registry__Change *change = answer->entries[0]->changes[i];

        assert_int_equal(change->revision, fix.index - COORD_CHANGES_MAX + 1 + i);
        assert_string_equal(change->principal, "admin");
        assert_string_equal(change->reason, "test");
        assert_string_equal(change->what, "put");
    }
    rayos__registry__answer__free_unpacked(answer, NULL);
    ray_buf_fini(&out);
    fix_close(&fix);
}

static void test_headers_are_checked(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__Tick tick;
    char text[COORD_FSM_REASON_SIZE_MAX + 2];
    size_t size;
    uint8_t *bytes;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    fix_open_cluster(&fix);
    for (int variant = 0; variant < 4; variant++) {
        make_tick(&command, &tick);
        switch (variant) {
        case 0:
            command.header.principal = text;
            break;
        case 1:
            command.header.reason = text;
            break;
        case 2:
            command.header.session = ray_proto_bytes(text, 3);
            break;
        default:
            command.header.incarnation = ray_proto_bytes(text, 17);
            break;
        }
        bytes = fix_pack(&command, &size);
        assert_int_equal(coord_fsm_check(bytes, size, NULL), RAY_EMALFORMED);
        free(bytes);
        assert_int_equal(fix_apply(&fix, &command), RAY_EINVAL);
        assert_false(coord_fsm_is_halted(fix.fsm));
    }
    fix_close(&fix);
}

static void test_result_as_bytes(void **state)
{
    struct fix fix;
    struct ray_buf out;
    Rayos__Registry__Result *result;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, IMAGE), RAY_ENOTFOUND);
    ray_buf_init(&out, 4096);
    assert_int_equal(coord_fsm_result_pack(&fix.outcome.result, &out, NULL), RAY_OK);
    result = rayos__registry__result__unpack(NULL, out.size, out.data);
    assert_non_null(result);
    assert_int_equal(result->code, RAY_ENOTFOUND);
    assert_true(strstr(result->text, "no image") != NULL);
    assert_int_equal(result->revision, fix.index);
    rayos__registry__result__free_unpacked(result, NULL);
    ray_buf_fini(&out);
    fix_close(&fix);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cluster_comes_first),
        cmocka_unit_test(test_a_retry_gets_the_stored_result),
        cmocka_unit_test(test_a_stored_result_of_no_known_code),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_a_session_has_one_owner),
        cmocka_unit_test(test_logged_clock),
        cmocka_unit_test(test_sessions_expire_by_ticks),
        cmocka_unit_test(test_tokens_expire),
        cmocka_unit_test(test_unknown_commands_halt),
        cmocka_unit_test(test_a_level_that_is_not_reached),
        cmocka_unit_test(test_the_level_rises),
        cmocka_unit_test(test_malformed_halts),
        cmocka_unit_test(test_hashes_are_compared),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_headers_are_checked),
        cmocka_unit_test(test_result_as_bytes),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
