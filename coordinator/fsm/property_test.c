/* property_test.c - any sequence of commands: twins agree (the fixture sees to it), a dump shows
 * one moment however the state goes on, what was loaded goes on like what was dumped, and a
 * checkpoint of changed records is the whole state. */
#include "base/test.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "coordinator/mutant.h"
#include "coordinator/policy/policy_fixture.h"
#include "net/proto_codec.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

enum { STEPS = 1500, SEEDS = 16, SESSION = 500, RECORDS_MAX = 8192 };

struct random {
    uint64_t state;
};

static unsigned pick(struct random *random, unsigned count)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return (unsigned)(random->state >> 33) % count;
}

static unsigned pick_node(struct random *random)
{
    return FIX_NODE_A + pick(random, 4);
}

static unsigned pick_guest(struct random *random)
{
    return 200 + pick(random, 12);
}

static unsigned pick_volume(struct random *random)
{
    return 300 + pick(random, 12);
}

static void put_in_session(struct fix *fix, struct random *random)
{
    struct fix_command command;
    Rayos__Registry__ObjectLabel label = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label set = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *sets[] = {&set};
    struct ray_id id = fix_id(pick_guest(random));
    char key[8];
    char *removed[] = {key};

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.message.object_label = &label;
    label.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    label.id = ray_proto_optional_id(&id);
    (void)snprintf(key, sizeof key, "k%u", pick(random, 6));
    if (pick(random, 3) > 0) {
        label.set = sets;
        label.n_set = 1;
        set.key = key;
        set.value = ray_proto_bytes("abcdefgh", pick(random, 8));
    } else {
        label.remove = removed;
        label.n_remove = 1;
    }
    (void)fix_apply_in(fix, &command, SESSION + pick(random, 3), 1 + pick(random, 300));
}

static void change_guest(struct fix *fix, struct random *random)
{
    unsigned guest = pick_guest(random);
    unsigned node = pick_node(random);
    enum ray_epoch_origin entry = (enum ray_epoch_origin)pick(random, RAY_EPOCH_ORIGIN_COUNT);
    unsigned proposer = fix_incarnation(pick_node(random));

    switch (pick(random, 6)) {
    case 0:
        (void)fix_put_guest(fix, guest, pick(random, 4) > 0);
        break;
    case 1:
        (void)fix_restart(fix, guest, node);
        break;
    case 2:
        (void)fix_migrate(fix, 400 + pick(random, 200), guest, node);
        break;
    case 3:
        if (pick(random, 4) == 0) {
            (void)fix_delete(fix, RAYOS__REGISTRY__KIND__KIND_GUEST, guest);
        }
        break;
    default:
        (void)fix_outcome(fix, entry, guest, proposer, pick(random, 3) > 0 ? node : 0,
                          fix_incarnation(node), NULL);
        break;
    }
}

static void change_volume(struct fix *fix, struct random *random)
{
    unsigned volume = pick_volume(random);

    switch (pick(random, 4)) {
    case 0:
        (void)fix_put_volume(fix, volume);
        break;
    case 1:
        (void)fix_attach(fix, volume, pick_guest(random));
        break;
    case 2:
        (void)fix_detach(fix, volume);
        break;
    default:
        (void)fix_delete(fix, RAYOS__REGISTRY__KIND__KIND_VOLUME, volume);
        break;
    }
}

/* Under somebody's name, with a disk or without one, by a token that may say whose place that is.
 */
static void join_in_a_place(struct fix *fix, struct random *random)
{
    unsigned token = 30 + pick(random, 3);
    char name[16];
    struct fix_joiner joiner = {.name = name,
                                .node = pick_node(random),
                                .token = token,
                                .boot_counter = 1 + pick(random, 2),
                                .is_ephemeral = pick(random, 2) == 0};

    (void)snprintf(name, sizeof name, "node-%u", pick_node(random));
    joiner.incarnation = fix_incarnation(joiner.node) + pick(random, 2) * 50;
    (void)fix_token_put_for(fix, token, name, pick(random, 2) * pick_node(random));
    (void)fix_join_like(fix, &joiner);
}

static void change_cluster(struct fix *fix, struct random *random)
{
    unsigned node = pick_node(random);
    unsigned survivors[] = {FIX_NODE_A};

    switch (pick(random, 8)) {
    case 0:
        fix->term += pick(random, 2);
        (void)fix_tick(fix, pick(random, 100) * UINT64_C(1000000));
        break;
    case 1:
        (void)fix_token_put(fix, 30 + pick(random, 3), 1 + pick(random, 3),
                            pick(random, 2) * UINT64_C(7000000), false);
        break;
    case 2:
        if (pick(random, 2) == 0) {
            join_in_a_place(fix, random);
            break;
        }
        (void)fix_join(fix, node, 30 + pick(random, 3), fix_incarnation(node), 1);
        break;
    case 3:
        (void)fix_admit(fix, node, fix_incarnation(node) + pick(random, 2) * 50, pick(random, 4),
                        fix_cluster(fix)->cluster_epoch);
        break;
    case 4:
        (void)fix_session_open(fix, SESSION + pick(random, 3),
                               UINT64_C(10000000) + pick(random, 50));
        break;
    case 5:
        (void)fix_timing(fix, 1000 + pick(random, 1000));
        break;
    case 6:
        if (pick(random, 20) == 0) {
            (void)fix_recover(fix, fix_cluster(fix)->cluster_epoch, survivors, 1);
        }
        break;
    default:
        (void)fix_confirm_off(fix, node);
        break;
    }
}

static const char *pick_name(struct random *random)
{
    static const char *const names[] = {"admin", "bob", "eve", "nobody"};

    return names[pick(random, COUNT_OF(names))];
}

static void set_policy(struct fix *fix, struct random *random)
{
    static const struct policy_fix_rule rules[] = {
        {.name = "ask", .effect = RAYOS__POLICY__EFFECT__EFFECT_ASK, .who = "principal:bob"},
        {.name = "deny", .effect = RAYOS__POLICY__EFFECT__EFFECT_DENY, .who = "principal:eve"},
        {.name = "all", .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW},
    };
    size_t first = pick(random, COUNT_OF(rules));
    size_t size;
    uint8_t *bytes = policy_fix_pack(rules + first, COUNT_OF(rules) - first, &size);

    (void)fix_policy_set(fix, bytes, size, 0, pick(random, 2) * UINT64_C(7000000));
    free(bytes);
}

static void change_policy(struct fix *fix, struct random *random)
{
    uint64_t version = coord_fsm_policy_version(fix->fsm);
    const struct coord_object *operation = coord_fsm_next(fix->fsm, COORD_OPERATION, NULL);

    switch (pick(random, 12)) {
    case 0:
        set_policy(fix, random);
        break;
    case 1:
        (void)fix_policy_confirm(fix, version - pick(random, 2));
        break;
    case 2:
        (void)fix_policy_revert(fix, version - pick(random, 4));
        break;
    case 3:
        (void)fix_principal(fix, 40 + pick(random, 2), pick_name(random),
                            (Rayos__Registry__PrincipalRole)pick(random, 4));
        break;
    case 4:
    case 5:
        while (operation != NULL && pick(random, 3) > 0) {
            operation = coord_fsm_next(fix->fsm, COORD_OPERATION, &operation->id);
        }
        (void)fix_decide(fix, pick_name(random),
                         operation != NULL ? operation->created_revision : 1, pick(random, 3) > 0);
        break;
    default:
        (void)fix_label_as(fix, pick_name(random), pick_guest(random), "v");
        break;
    }
}

static void step(struct fix *fix, struct random *random)
{
    switch (pick(random, 9)) {
    case 8:
        change_policy(fix, random);
        break;
    case 0:
    case 1:
    case 2:
        change_guest(fix, random);
        break;
    case 3:
        change_volume(fix, random);
        break;
    case 4:
        change_cluster(fix, random);
        break;
    case 5:
        (void)fix_put_plain(fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, 600 + pick(random, 50), "",
                            pick(random, 100));
        break;
    case 6:
        if (pick(random, 4) == 0) {
            (void)fix_delete(fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, 600 + pick(random, 50));
        }
        break;
    default:
        put_in_session(fix, random);
        break;
    }
}

/* A checkpoint in memory: sorted records. */
struct checkpoint {
    struct coord_fsm_record records[RECORDS_MAX];
    size_t count;
};

static size_t find_record(const struct checkpoint *checkpoint, const uint8_t *key)
{
    size_t i = 0;

    while (i < checkpoint->count &&
           memcmp(checkpoint->records[i].key, key, COORD_FSM_RECORD_KEY_SIZE) < 0) {
        i++;
    }
    return i;
}

static void clear(struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->count; i++) {
        free((void *)checkpoint->records[i].value);
    }
    checkpoint->count = 0;
}

/* Records are packed by hand: protobuf-c reads them, and packs the same bytes again. */
static void must_be_protobuf(const struct coord_fsm_record *record)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &rayos__registry__stored_machine__descriptor,
        &rayos__registry__stored_object__descriptor,
        &rayos__registry__stored_session__descriptor,
    };
    ProtobufCMessage *message =
        protobuf_c_message_unpack(types[record->key[0]], NULL, record->value_size, record->value);
    uint8_t *bytes = malloc(record->value_size + 1);

    assert_non_null(message);
    assert_non_null(bytes);
    assert_int_equal(protobuf_c_message_get_packed_size(message), record->value_size);
    (void)protobuf_c_message_pack(message, bytes);
    assert_memory_equal(bytes, record->value, record->value_size);
    free(bytes);
    protobuf_c_message_free_unpacked(message, NULL);
}

static int keep(void *arg, const struct coord_fsm_record *record, struct ray_err *err)
{
    struct checkpoint *checkpoint = arg;
    size_t i = find_record(checkpoint, record->key);
    struct coord_fsm_record *slot = &checkpoint->records[i];
    bool is_there =
        i < checkpoint->count && memcmp(slot->key, record->key, COORD_FSM_RECORD_KEY_SIZE) == 0;

    (void)err;
    if (is_there) {
        free((void *)slot->value);
    }
    if (record->value == NULL) {
        if (is_there) {
            memmove(slot, slot + 1, (checkpoint->count - i - 1) * sizeof *slot);
            checkpoint->count--;
        }
        return RAY_OK;
    }
    must_be_protobuf(record);
    if (!is_there) {
        assert_true(checkpoint->count < RECORDS_MAX);
        memmove(slot + 1, slot, (checkpoint->count - i) * sizeof *slot);
        checkpoint->count++;
    }
    *slot = *record;
    slot->value = ray_test_copy(record->value, record->value_size);
    return RAY_OK;
}

static void take_checkpoint(struct coord_fsm *fsm, struct checkpoint *checkpoint)
{
    if (coord_fsm_dirty_is_all(fsm)) {
        clear(checkpoint);
    }
    assert_int_equal(coord_fsm_dirty(fsm, keep, checkpoint, NULL), RAY_OK);
    coord_fsm_dirty_clear(fsm);
    assert_int_equal(coord_fsm_dirty_count(fsm), 1);
}

static void must_be_same(const struct coord_fsm *a, const struct coord_fsm *b)
{
    uint8_t a_hash[COORD_HASH_SIZE];
    uint8_t b_hash[COORD_HASH_SIZE];

    coord_fsm_hash(a, a_hash);
    coord_fsm_hash(b, b_hash);
    assert_memory_equal(a_hash, b_hash, sizeof a_hash);
    assert_int_equal(coord_fsm_index(a), coord_fsm_index(b));
}

static struct coord_fsm *load_checkpoint(const struct checkpoint *checkpoint)
{
    struct coord_fsm_load *load;
    struct coord_fsm *fsm = NULL;
    struct ray_err err = {0};

    assert_int_equal(coord_fsm_load_begin(&load, NULL), RAY_OK);
    for (size_t i = 0; i < checkpoint->count; i++) {
        if (coord_fsm_load_record(load, &checkpoint->records[i], &err) != RAY_OK) {
            fail_msg("record %zu: %s", i, err.text);
        }
    }
    if (coord_fsm_load_end(load, true, &fsm, &err) != RAY_OK) {
        fail_msg("%s", err.text);
    }
    assert_false(coord_fsm_dirty_is_all(fsm));
    return fsm;
}

static void test_checkpoints(void **state)
{
    struct checkpoint *checkpoint = calloc(1, sizeof *checkpoint);

    (void)state;
    assert_non_null(checkpoint);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fix fix;
        struct random random = {seed * UINT64_C(0x9e3779b97f4a7c15)};

        fix_open_cluster(&fix);
        take_checkpoint(fix.fsm, checkpoint);
        for (unsigned i = 0; i < STEPS; i++) {
            step(&fix, &random);
            if (pick(&random, 100) == 0) {
                struct coord_fsm *loaded;

                take_checkpoint(fix.fsm, checkpoint);
                loaded = load_checkpoint(checkpoint);
                must_be_same(fix.fsm, loaded);
                coord_fsm_destroy(fix.twin); /* from here on the loaded one must keep up */
                fix.twin = loaded;
            }
        }
        clear(checkpoint);
        fix_close(&fix);
    }
    free(checkpoint);
}

/* One dump while the state goes on; it must be what the state was at its begin. */
static void dump_while_running(struct fix *fix, struct random *random)
{
    struct ray_buf whole;
    struct ray_buf piecemeal;
    struct coord_fsm *loaded;
    bool is_done = false;

    fix_dump(fix->twin, &whole);
    loaded = fix_load(whole.data, whole.size, 1 + pick(random, 5000));
    assert_non_null(loaded);
    must_be_same(loaded, fix->fsm);
    ray_buf_init(&piecemeal, (size_t)64 << 20);
    assert_int_equal(coord_fsm_dump_begin(fix->fsm, NULL), RAY_OK);
    assert_int_equal(coord_fsm_dump_begin(fix->fsm, NULL), RAY_EAGAIN);
    assert_int_equal(coord_fsm_dump_index(fix->fsm), fix->index);
    coord_fsm_destroy(fix->twin);
    fix->twin = loaded;
    while (!is_done) {
        for (unsigned i = pick(random, 6); i > 0; i--) {
            step(fix, random);
        }
        assert_int_equal(
            coord_fsm_dump_next(fix->fsm, &piecemeal, pick(random, 2000), &is_done, NULL), RAY_OK);
    }
    coord_fsm_dump_end(fix->fsm);
    assert_int_equal(coord_fsm_dump_index(fix->fsm), 0);
    assert_int_equal(whole.size, piecemeal.size);
    assert_memory_equal(whole.data, piecemeal.data, whole.size);
    ray_buf_fini(&whole);
    ray_buf_fini(&piecemeal);
}

static void test_dumps(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fix fix;
        struct random random = {seed * UINT64_C(0xd1342543de82ef95)};

        fix_open_cluster(&fix);
        for (unsigned i = 0; i < 10; i++) {
            for (unsigned j = 0; j < STEPS / 10; j++) {
                step(&fix, &random);
            }
            dump_while_running(&fix, &random);
        }
        /* One that is given up, and a state that ends during one. */
        assert_int_equal(coord_fsm_dump_begin(fix.fsm, NULL), RAY_OK);
        step(&fix, &random);
        coord_fsm_dump_end(fix.fsm);
        assert_int_equal(coord_fsm_dump_begin(fix.fsm, NULL), RAY_OK);
        step(&fix, &random);
        fix_close(&fix);
    }
}

/* Every bit of a dump counts: whichever is changed, the dump is refused. */
static void test_damaged_dumps(void **state)
{
    struct fix fix;
    struct ray_buf dump;
    struct random random = {77};

    (void)state;
    fix_open_cluster(&fix);
    for (unsigned i = 0; i < 60; i++) {
        step(&fix, &random);
    }
    fix_dump(fix.fsm, &dump);
    for (size_t i = 0; i < dump.size; i++) {
        uint8_t bit = (uint8_t)(1u << pick(&random, 8));

        dump.data[i] ^= bit;
        assert_null(fix_load(dump.data, dump.size, dump.size));
        dump.data[i] ^= bit;
    }
    ray_buf_fini(&dump);
    fix_close(&fix);
}

/* What loading says at the record that was changed. */
static int load_changed(const struct checkpoint *checkpoint, size_t at,
                        const Rayos__Registry__StoredObject *stored)
{
    struct coord_fsm_record record = checkpoint->records[at];
    struct coord_fsm_load *load;
    uint8_t bytes[4096];
    int rc;

    record.value_size = rayos__registry__stored_object__get_packed_size(stored);
    assert_true(record.value_size <= sizeof bytes);
    (void)rayos__registry__stored_object__pack(stored, bytes);
    record.value = bytes;
    assert_int_equal(coord_fsm_load_begin(&load, NULL), RAY_OK);
    for (size_t i = 0; i < at; i++) {
        assert_int_equal(coord_fsm_load_record(load, &checkpoint->records[i], NULL), RAY_OK);
    }
    rc = coord_fsm_load_record(load, &record, NULL);
    coord_fsm_load_cancel(load);
    return rc;
}

/* A field that this version does not know is not damage, wherever it is: nothing is thrown away
 * because of it. */
static void test_newer_fields(void **state)
{
    static struct checkpoint checkpoint;
    static uint8_t one[] = {1};
    ProtobufCMessageUnknownField field = {15, PROTOBUF_C_WIRE_TYPE_VARINT, sizeof one, one};
    Rayos__Registry__StoredObject *stored;
    ProtobufCMessage *places[4];
    struct fix fix;
    size_t at = 0;

    (void)state;
    fix_open_cluster(&fix);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fix_put_guest(&fix, 200, i == 0), RAY_OK);
    }
    take_checkpoint(fix.fsm, &checkpoint);
    while (checkpoint.records[at].key[1] != COORD_GUEST) {
        assert_true(++at < checkpoint.count);
    }
    stored = rayos__registry__stored_object__unpack(NULL, checkpoint.records[at].value_size,
                                                    checkpoint.records[at].value);
    assert_non_null(stored);
    assert_int_equal(stored->n_changes, 3);
    assert_int_equal(load_changed(&checkpoint, at, stored), RAY_OK);
    places[0] = &stored->base;
    places[1] = &stored->object->base;
    places[2] = &stored->changes[0]->base;
    places[3] = &stored->changes[2]->base;
    for (size_t i = 0; i < 4; i++) {
        places[i]->unknown_fields = &field;
        places[i]->n_unknown_fields = 1;
        assert_int_equal(load_changed(&checkpoint, at, stored), RAY_EUNSUPPORTED);
        places[i]->unknown_fields = NULL;
        places[i]->n_unknown_fields = 0;
    }
    rayos__registry__stored_object__free_unpacked(stored, NULL);
    clear(&checkpoint);
    fix_close(&fix);
}

static void test_cut_dumps(void **state)
{
    struct fix fix;
    struct ray_buf dump;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_put_guest(&fix, 200, true), RAY_OK);
    fix_dump(fix.fsm, &dump);
    for (size_t size = 0; size < dump.size; size++) {
        uint8_t *exact = ray_test_copy(dump.data, size);

        assert_null(fix_load(exact, size, size + 1));
        free(exact);
    }
    ray_buf_fini(&dump);
    fix_close(&fix);
}

/* Memory ends at any place: apply halts, nothing leaks, and a replica begins anew. */
static void test_out_of_memory(void **state)
{
    (void)state;
    for (unsigned n = 1;; n += 1 + n / 8) {
        struct fix fix;
        struct random random = {n};
        unsigned i = 0;
        bool has_fired;

        fix_open_cluster(&fix);
        fix.has_no_twin = true;
        ray_test_fault_arm("alloc", n);
        while (i < 400 && !coord_fsm_is_halted(fix.fsm)) {
            if (i == 200) {
                (void)coord_fsm_dump_begin(fix.fsm, NULL);
            }
            step(&fix, &random);
            i++;
        }
        has_fired = ray_test_fault_disarm();
        fix_close(&fix);
        if (!has_fired) {
            break;
        }
    }
}

static void test_load_out_of_memory(void **state)
{
    struct fix fix;
    struct ray_buf dump;
    struct random random = {3};

    (void)state;
    fix_open_cluster(&fix);
    for (unsigned i = 0; i < 200; i++) {
        step(&fix, &random);
    }
    fix_dump(fix.fsm, &dump);
    for (unsigned n = 1;; n += 1 + n / 16) {
        struct coord_fsm *loaded;
        bool has_fired;

        ray_test_fault_arm("alloc", n);
        loaded = fix_load(dump.data, dump.size, 1000);
        has_fired = ray_test_fault_disarm();
        if (!has_fired) {
            assert_non_null(loaded);
            must_be_same(loaded, fix.fsm);
        }
        coord_fsm_destroy(loaded);
        if (!has_fired) {
            break;
        }
    }
    ray_buf_fini(&dump);
    fix_close(&fix);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoints),        cmocka_unit_test(test_dumps),
        cmocka_unit_test(test_damaged_dumps),      cmocka_unit_test(test_cut_dumps),
        cmocka_unit_test(test_newer_fields),       cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_load_out_of_memory),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
