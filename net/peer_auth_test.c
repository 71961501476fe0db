/* peer_auth_test.c - two drivers back to back, with somebody in between. */
#include "base/size.h"
#include "base/test.h"
#include "net/peer_auth.h"

enum { RECORDS_MAX = 4 };

/* All that one test needs; the fields are what the guard believes in. */
struct world {
    struct ray_key *opener_key;
    struct ray_key *answerer_key;
    struct ray_hello hello;
    struct ray_peer_terms opener_terms;
    struct ray_peer_terms answerer_terms;
    int hello_code;  /* what on_hello answers */
    int proven_code; /* what on_proven answers */
    unsigned hello_count;
    unsigned proven_count;
    struct ray_peer proven;
    struct ray_peer_auth *opener;
    struct ray_peer_auth *answerer;
    int opener_rc;
    int answerer_rc;
    struct ray_err opener_err;
    struct ray_err answerer_err;
    /* whoever sits in between */
    unsigned record_count;            /* records seen, both directions */
    unsigned tamper_record;           /* its number, from 1; 0: none */
    size_t tamper_at;                 /* byte of the record whose bit is flipped */
    size_t record_sizes[RECORDS_MAX]; /* what was seen */
};

static const enum ray_peer_kind all_kinds[] = {RAY_PEER_MEMBER, RAY_PEER_JOIN, RAY_PEER_CLAIM,
                                               RAY_PEER_OPERATOR, RAY_PEER_FORMER};

static int on_hello(void *arg, const struct ray_hello *hello, struct ray_peer_terms *out_terms,
                    struct ray_err *err)
{
    struct world *world = arg;

    world->hello_count++;
    assert_int_equal(hello->version, RAY_PEER_AUTH_VERSION);
    if (world->hello_code != RAY_OK) {
        return ray_fail(err, world->hello_code, "no such member\nhere");
    }
    *out_terms = world->answerer_terms;
    return RAY_OK;
}

static int on_proven(void *arg, const struct ray_peer *peer, struct ray_err *err)
{
    struct world *world = arg;

    world->proven_count++;
    world->proven = *peer;
    return world->proven_code == RAY_OK ? RAY_OK
                                        : ray_fail(err, world->proven_code, "token is used up");
}

static void fill_id(struct ray_id *id, uint8_t value)
{
    memset(id->bytes, value, RAY_ID_SIZE);
}

static struct ray_hello make_hello(enum ray_peer_kind kind)
{
    struct ray_hello hello = {.kind = kind};

    if (kind == RAY_PEER_MEMBER || kind == RAY_PEER_OPERATOR || kind == RAY_PEER_FORMER) {
        fill_id(&hello.cluster, 1);
    }
    if (kind == RAY_PEER_MEMBER || kind == RAY_PEER_JOIN || kind == RAY_PEER_FORMER) {
        fill_id(&hello.from, 2);
    }
    if (kind == RAY_PEER_MEMBER || kind == RAY_PEER_FORMER) {
        fill_id(&hello.to, 3);
    }
    if (kind == RAY_PEER_MEMBER) {
        hello.cluster_epoch = 9;
    }
    if (kind == RAY_PEER_JOIN) {
        fill_id(&hello.token, 4);
    }
    return hello;
}

static void world_init(struct world *world, enum ray_peer_kind kind)
{
    *world = (struct world){.hello = make_hello(kind)};
    assert_int_equal(ray_key_generate(&world->opener_key, NULL), RAY_OK);
    assert_int_equal(ray_key_generate(&world->answerer_key, NULL), RAY_OK);
    memcpy(world->opener_terms.peer_static, ray_key_static(world->answerer_key), RAY_KEY_SIZE);
    memcpy(world->opener_terms.peer_identity, ray_key_identity(world->answerer_key), RAY_KEY_SIZE);
    world->opener_terms.has_peer_identity = true;
    memcpy(world->answerer_terms.peer_static, ray_key_static(world->opener_key), RAY_KEY_SIZE);
    memcpy(world->answerer_terms.peer_identity, ray_key_identity(world->opener_key), RAY_KEY_SIZE);
    memset(world->opener_terms.psk, 5, RAY_PEER_AUTH_PSK_SIZE);
    memset(world->answerer_terms.psk, 5, RAY_PEER_AUTH_PSK_SIZE);
}

static void world_start(struct world *world)
{
    struct ray_peer_auth_guard guard = {.on_hello = on_hello, .on_proven = on_proven, .arg = world};

    assert_int_equal(ray_peer_auth_open(&world->opener, world->opener_key, &world->hello,
                                        &world->opener_terms, "from opener", 11, NULL),
                     RAY_OK);
    assert_int_equal(ray_peer_auth_answer(&world->answerer, world->answerer_key, &guard,
                                          "from answerer", 13, NULL),
                     RAY_OK);
}

static void world_fini(struct world *world)
{
    ray_peer_auth_destroy(world->opener);
    ray_peer_auth_destroy(world->answerer);
    ray_key_destroy(world->opener_key);
    ray_key_destroy(world->answerer_key);
}

/* Feeds a record in pieces of one byte and 1000, so that both ways of arriving are tested. */
static int feed(struct ray_peer_auth *to, const uint8_t *bytes, size_t size, struct ray_err *err)
{
    size_t at = 0;

    while (at < size) {
        size_t part = at < 5 || size - at < 5 ? 1 : size - at - 3;
        uint8_t *exact = ray_test_copy(bytes + at, part);
        size_t used = 0;
        int rc = ray_peer_auth_receive(to, 1, exact, part, &used, err);

        free(exact);
        if (rc != RAY_OK) {
            return rc;
        }
        if (used == 0) {
            return RAY_OK; /* over, or not wanted now */
        }
        at += used;
    }
    return RAY_OK;
}

/* Moves what `from` has to say; false when that is nothing. */
static bool move(struct world *world, struct ray_peer_auth *from, struct ray_peer_auth *to,
                 int *to_rc, struct ray_err *to_err)
{
    uint8_t record[RAY_PEER_AUTH_RECORD_SIZE_MAX];
    size_t size = 0;
    const uint8_t *bytes = ray_peer_auth_output(from, &size);

    if (bytes == NULL) {
        return false;
    }
    memcpy(record, bytes, size);
    ray_peer_auth_sent(from, size);
    assert_true(world->record_count < RECORDS_MAX);
    world->record_sizes[world->record_count++] = size;
    if (world->record_count == world->tamper_record) {
        record[world->tamper_at] ^= (uint8_t)(1U << (world->tamper_at % 8));
    }
    if (*to_rc == RAY_OK) {
        *to_rc = feed(to, record, size, to_err);
    }
    return true;
}

static void run(struct world *world)
{
    world_start(world);
    while (move(world, world->opener, world->answerer, &world->answerer_rc, &world->answerer_err) ||
           move(world, world->answerer, world->opener, &world->opener_rc, &world->opener_err)) {
    }
}

static bool both_done(const struct world *world)
{
    return ray_peer_auth_is_done(world->opener) && ray_peer_auth_is_done(world->answerer);
}

static void check_seals(struct ray_seal *a, struct ray_seal *b)
{
    uint8_t record[64] = {0, 0, 0, 0, 'd', 'a', 't', 'a'};
    const uint8_t *plain = NULL;
    size_t plain_size = 0;

    assert_int_equal(ray_seal_encrypt(a, 1, record, 4), RAY_OK);
    assert_int_equal(ray_seal_decrypt(b, record, 4 + RAY_SEAL_OVERHEAD_SIZE, &plain, &plain_size),
                     RAY_OK);
    assert_int_equal(plain_size, 4);
    assert_memory_equal(plain, "data", 4);
}

static void test_all_kinds(void **state)
{
    (void)state;
    for (size_t k = 0; k < RAY_ARRAY_COUNT(all_kinds); k++) {
        struct world world;
        struct ray_peer peers[2];
        struct ray_seal *seals[2] = {NULL, NULL};

        world_init(&world, all_kinds[k]);
        run(&world);
        assert_int_equal(world.opener_rc, RAY_OK);
        assert_int_equal(world.answerer_rc, RAY_OK);
        assert_true(both_done(&world));
        assert_int_equal(ray_peer_auth_wanted_size(world.opener), 0);
        assert_int_equal(world.hello_count, 1);
        assert_int_equal(world.proven_count, 1);
        ray_peer_auth_take(world.opener, &peers[0], &seals[0]);
        ray_peer_auth_take(world.answerer, &peers[1], &seals[1]);
        assert_memory_equal(peers[0].identity, ray_key_identity(world.answerer_key), RAY_KEY_SIZE);
        assert_memory_equal(peers[1].identity, ray_key_identity(world.opener_key), RAY_KEY_SIZE);
        assert_memory_equal(peers[0].static_key, ray_key_static(world.answerer_key), RAY_KEY_SIZE);
        assert_memory_equal(peers[1].static_key, ray_key_static(world.opener_key), RAY_KEY_SIZE);
        assert_memory_equal(peers[0].hash, peers[1].hash, RAY_NOISE_HASH_SIZE);
        assert_int_equal(peers[0].payload_size, 13);
        assert_memory_equal(peers[0].payload, "from answerer", 13);
        assert_int_equal(peers[1].payload_size, 11);
        assert_memory_equal(peers[1].payload, "from opener", 11);
        assert_int_equal(peers[1].hello.kind, all_kinds[k]);
        assert_true(ray_id_equal(&peers[1].hello.from, &world.hello.from));
        check_seals(seals[0], seals[1]);
        check_seals(seals[1], seals[0]);
        ray_seal_destroy(seals[0]);
        ray_seal_destroy(seals[1]);
        world_fini(&world);
    }
}

/* Each byte of each record of each kind: never do both ends believe to be done, and nobody who
 * saw the change believes it. */
static void test_every_byte_flipped(void **state)
{
    (void)state;
    for (size_t k = 0; k < RAY_ARRAY_COUNT(all_kinds); k++) {
        unsigned record_count = all_kinds[k] == RAY_PEER_MEMBER ? 3 : 4;

        for (unsigned record = 1; record <= record_count; record++) {
            size_t size = 1;

            for (size_t at = 0; at < size; at++) {
                struct world world;
                bool to_answerer = record % 2 == 1;

                world_init(&world, all_kinds[k]);
                world.tamper_record = record;
                world.tamper_at = at;
                run(&world);
                size = world.record_sizes[record - 1];
                assert_false(both_done(&world));
                assert_false(ray_peer_auth_is_done(to_answerer ? world.answerer : world.opener));
                if (record == 1 || (record == 3 && to_answerer)) {
                    assert_int_equal(world.proven_count, 0);
                }
                world_fini(&world);
            }
        }
    }
}

/* What the answerer says to this peer alone is as well guarded as what it says to all. */
static void test_every_byte_of_a_payload_for_one(void **state)
{
    struct ray_peer peer;
    struct ray_seal *seal = NULL;

    (void)state;
    for (unsigned record = 0; record <= 3; record++) {
        size_t size = 1;

        for (size_t at = 0; at < size; at++) {
            struct world world;

            world_init(&world, RAY_PEER_MEMBER);
            world.answerer_terms.has_payload = true;
            world.answerer_terms.payload_size = 5;
            memcpy(world.answerer_terms.payload, "yours", 5);
            world.tamper_record = record;
            world.tamper_at = at;
            run(&world);
            size = record == 0 ? 1 : world.record_sizes[record - 1];
            assert_true(both_done(&world) == (record == 0));
            if (ray_peer_auth_is_done(world.opener)) { /* it can have seen no other */
                ray_peer_auth_take(world.opener, &peer, &seal);
                assert_int_equal(peer.payload_size, 5);
                assert_memory_equal(peer.payload, "yours", 5);
                ray_seal_destroy(seal);
            }
            if (record == 1 || record == 3) {
                assert_int_equal(world.proven_count, 0);
            }
            world_fini(&world);
        }
    }
}

/* The second message of another handshake, with the same keys: nothing is believed of it. */
static void test_replayed_answer(void **state)
{
    struct world first, second;
    uint8_t record[RAY_PEER_AUTH_RECORD_SIZE_MAX];
    const uint8_t *bytes;
    size_t size = 0;
    size_t sent_size = 0;

    (void)state;
    world_init(&first, RAY_PEER_MEMBER);
    world_start(&first);
    assert_true(move(&first, first.opener, first.answerer, &first.answerer_rc, NULL));
    bytes = ray_peer_auth_output(first.answerer, &size);
    assert_non_null(bytes);
    memcpy(record, bytes, size);

    world_init(&second, RAY_PEER_MEMBER);
    ray_key_destroy(second.opener_key);
    second.opener_key = first.opener_key;
    second.opener_terms = first.opener_terms;
    world_start(&second);
    assert_non_null(ray_peer_auth_output(second.opener, &sent_size));
    ray_peer_auth_sent(second.opener, sent_size);
    assert_int_not_equal(feed(second.opener, record, size, NULL), RAY_OK);
    assert_false(ray_peer_auth_is_done(second.opener));
    second.opener_key = NULL;
    world_fini(&second);
    world_fini(&first);
}

/* ---- wrong keys ---- */

static void test_unknown_and_revoked(void **state)
{
    (void)state;
    for (size_t k = 0; k < RAY_ARRAY_COUNT(all_kinds); k++) {
        struct world world;

        world_init(&world, all_kinds[k]);
        world.hello_code = RAY_EDENIED;
        run(&world);
        assert_int_equal(world.answerer_rc, RAY_EDENIED);
        assert_int_equal(world.opener_rc, RAY_EDENIED);
        assert_int_equal(world.proven_count, 0);
        /* Said in clear: a hint, escaped. */
        assert_non_null(strstr(world.opener_err.text, "unproven"));
        assert_non_null(strstr(world.opener_err.text, "no such member"));
        assert_null(strchr(world.opener_err.text, '\n'));
        world_fini(&world);
    }
}

static void test_refused_after_the_proof(void **state)
{
    (void)state;
    for (size_t k = 0; k < RAY_ARRAY_COUNT(all_kinds); k++) {
        struct world world;

        world_init(&world, all_kinds[k]);
        world.proven_code = RAY_ENOTFOUND;
        run(&world);
        assert_int_equal(world.proven_count, 1);
        assert_int_equal(world.answerer_rc, RAY_ENOTFOUND);
        assert_false(ray_peer_auth_is_done(world.answerer));
        if (all_kinds[k] != RAY_PEER_MEMBER) {
            assert_int_equal(world.opener_rc, RAY_ENOTFOUND);
            assert_string_equal(world.opener_err.text, "the peer refuses: token is used up");
            assert_false(ray_peer_auth_is_done(world.opener));
        }
        world_fini(&world);
    }
}

static void test_keys_of_others(void **state)
{
    struct ray_key *stranger = NULL;
    struct world world;

    (void)state;
    assert_int_equal(ray_key_generate(&stranger, NULL), RAY_OK);
    /* A member that is not who it says: another static key than the registry has. */
    world_init(&world, RAY_PEER_MEMBER);
    memcpy(world.answerer_terms.peer_static, ray_key_static(stranger), RAY_KEY_SIZE);
    run(&world);
    assert_int_equal(world.answerer_rc, RAY_EDENIED);
    assert_int_equal(world.proven_count, 0);
    world_fini(&world);

    /* Somebody else answers at a member's address. */
    world_init(&world, RAY_PEER_MEMBER);
    memcpy(world.opener_terms.peer_static, ray_key_static(stranger), RAY_KEY_SIZE);
    run(&world);
    assert_false(ray_peer_auth_is_done(world.opener));
    assert_false(ray_peer_auth_is_done(world.answerer));
    world_fini(&world);

    /* An operator reaches another node than the one he has a key of. */
    world_init(&world, RAY_PEER_OPERATOR);
    memcpy(world.opener_terms.peer_static, ray_key_static(stranger), RAY_KEY_SIZE);
    run(&world);
    assert_int_equal(world.answerer_rc, RAY_EDENIED);
    assert_int_equal(world.proven_count, 0);
    world_fini(&world);
    ray_key_destroy(stranger);
}

static void test_other_secret_or_identity(void **state)
{
    static const enum ray_peer_kind kinds[] = {RAY_PEER_JOIN, RAY_PEER_CLAIM};

    (void)state;
    for (size_t k = 0; k < RAY_ARRAY_COUNT(kinds); k++) {
        struct world world;

        /* Another token, another code, the token of another cluster. */
        world_init(&world, kinds[k]);
        world.opener_terms.psk[31] ^= 1;
        run(&world);
        assert_int_equal(world.answerer_rc, RAY_EDENIED);
        assert_int_equal(world.proven_count, 0);
        assert_false(ray_peer_auth_is_done(world.opener));
        world_fini(&world);

        /* Another node answers: the opener gives nothing away. */
        world_init(&world, kinds[k]);
        world.opener_terms.peer_identity[0] ^= 1;
        run(&world);
        assert_int_equal(world.opener_rc, RAY_EDENIED);
        assert_int_equal(world.record_count, 2);
        world_fini(&world);

        world_init(&world, kinds[k]);
        world.opener_terms.peer_identity[0] ^= 1;
        world.opener_terms.has_peer_identity = false;
        run(&world);
        assert_true(both_done(&world));
        world_fini(&world);
    }
}

/* ---- somebody in between ---- */

/* The same two keys, known in two clusters: a hello to one cannot be turned into one to the other,
 * nor to another epoch or node. */
static void test_hello_rewritten(void **state)
{
    static const struct {
        size_t offset, size;
    } fields[] = {{8, 8}, {16, RAY_ID_SIZE}, {32, RAY_ID_SIZE}, {48, RAY_ID_SIZE}};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(fields); i++) {
        struct world world;
        uint8_t record[RAY_PEER_AUTH_RECORD_SIZE_MAX];
        size_t size = 0;
        const uint8_t *bytes;

        world_init(&world, RAY_PEER_MEMBER);
        world_start(&world);
        bytes = ray_peer_auth_output(world.opener, &size);
        memcpy(record, bytes, size);
        memset(record + 2 + fields[i].offset, 0x55, fields[i].size);
        assert_int_equal(feed(world.answerer, record, size, NULL), RAY_EDENIED);
        assert_int_equal(world.hello_count, 1);
        assert_int_equal(world.proven_count, 0);
        world_fini(&world);
    }
}

/* A recorded first message gives the answerer no peer: only a confirmation does. */
static void test_replayed_member(void **state)
{
    struct world old;
    struct world world;
    uint8_t recorded[3][RAY_PEER_AUTH_RECORD_SIZE_MAX];
    size_t sizes[3] = {0};

    (void)state;
    world_init(&old, RAY_PEER_MEMBER);
    world_start(&old);
    for (int i = 0; i < 3; i++) {
        struct ray_peer_auth *from = i == 1 ? old.answerer : old.opener;
        struct ray_peer_auth *to = i == 1 ? old.opener : old.answerer;
        const uint8_t *bytes = ray_peer_auth_output(from, &sizes[i]);

        assert_non_null(bytes);
        memcpy(recorded[i], bytes, sizes[i]);
        ray_peer_auth_sent(from, sizes[i]);
        assert_int_equal(feed(to, recorded[i], sizes[i], NULL), RAY_OK);
    }
    assert_true(both_done(&old));

    world_init(&world, RAY_PEER_MEMBER);
    ray_key_destroy(world.answerer_key);
    world.answerer_key = old.answerer_key;
    world.answerer_terms = old.answerer_terms;
    world_start(&world);
    assert_int_equal(feed(world.answerer, recorded[0], sizes[0], NULL), RAY_OK);
    assert_false(ray_peer_auth_is_done(world.answerer));
    (void)ray_peer_auth_output(world.answerer, &sizes[1]);
    ray_peer_auth_sent(world.answerer, sizes[1]);
    assert_int_equal(feed(world.answerer, recorded[2], sizes[2], NULL), RAY_EDENIED);
    assert_int_equal(world.proven_count, 0);
    old.answerer_key = NULL;
    world_fini(&old);
    world_fini(&world);
}

/* What the opener says comes back to it: two ends of the same role never agree. */
static void test_reflection(void **state)
{
    struct world world;
    uint8_t record[RAY_PEER_AUTH_RECORD_SIZE_MAX];
    size_t size = 0;
    const uint8_t *bytes;

    (void)state;
    world_init(&world, RAY_PEER_MEMBER);
    world_start(&world);
    bytes = ray_peer_auth_output(world.opener, &size);
    memcpy(record, bytes, size);
    ray_peer_auth_sent(world.opener, size);
    assert_int_equal(feed(world.opener, record, size, NULL), RAY_EMALFORMED);
    world_fini(&world);
}

/* Nothing is taken while the last answer has not left: a peer that only talks costs nothing. */
static void test_pipelined_records_wait(void **state)
{
    struct world world;
    uint8_t record[RAY_PEER_AUTH_RECORD_SIZE_MAX];
    size_t size = 0;
    size_t used = 0;
    const uint8_t *bytes;

    (void)state;
    world_init(&world, RAY_PEER_OPERATOR);
    world_start(&world);
    bytes = ray_peer_auth_output(world.opener, &size);
    memcpy(record, bytes, size);
    ray_peer_auth_sent(world.opener, size);
    assert_int_equal(ray_peer_auth_wanted_size(world.answerer), 2);
    assert_int_equal(ray_peer_auth_receive(world.answerer, 1, record, size, &used, NULL), RAY_OK);
    assert_int_equal(used, size);
    assert_int_equal(ray_peer_auth_wanted_size(world.answerer), 0);
    assert_int_equal(ray_peer_auth_receive(world.answerer, 1, record, size, &used, NULL), RAY_OK);
    assert_int_equal(used, 0);
    (void)ray_peer_auth_output(world.answerer, &size);
    ray_peer_auth_sent(world.answerer, size);
    assert_int_equal(ray_peer_auth_wanted_size(world.answerer), 2);
    world_fini(&world);
}

static void test_bytes_behind_are_not_taken(void **state)
{
    struct world world;
    uint8_t record[RAY_PEER_AUTH_RECORD_SIZE_MAX + 100] = {0};
    size_t size = 0;
    size_t used = 0;
    const uint8_t *bytes;

    (void)state;
    world_init(&world, RAY_PEER_MEMBER);
    world_start(&world);
    (void)move(&world, world.opener, world.answerer, &world.answerer_rc, NULL);
    (void)move(&world, world.answerer, world.opener, &world.opener_rc, NULL);
    bytes = ray_peer_auth_output(world.opener, &size);
    memcpy(record, bytes, size);
    assert_int_equal(ray_peer_auth_receive(world.answerer, 1, record, size + 100, &used, NULL),
                     RAY_OK);
    assert_int_equal(used, size);
    assert_true(ray_peer_auth_is_done(world.answerer));
    world_fini(&world);
}

static void test_record_lengths(void **state)
{
    static const uint8_t lengths[][2] = {{0, 0}, {0xff, 0xff}, {0xff, 0x03}};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(lengths); i++) {
        struct world world;
        size_t size = 0;

        world_init(&world, RAY_PEER_MEMBER);
        world_start(&world);
        assert_int_equal(feed(world.answerer, lengths[i], 2, NULL), RAY_EMALFORMED);
        assert_int_equal(feed(world.answerer, lengths[i], 2, NULL), RAY_ECLOSED);
        /* It says why. */
        assert_non_null(ray_peer_auth_output(world.answerer, &size));
        world_fini(&world);
    }
}

/* ---- hello ---- */

static void test_hellos(void **state)
{
    (void)state;
    for (size_t k = 0; k < RAY_ARRAY_COUNT(all_kinds); k++) {
        struct ray_hello hello = make_hello(all_kinds[k]);
        struct ray_hello again = {0};
        uint8_t bytes[RAY_HELLO_SIZE];
        uint8_t encoded[RAY_HELLO_SIZE];

        hello.version = RAY_PEER_AUTH_VERSION;
        ray_hello_encode(&hello, bytes);
        assert_int_equal(ray_hello_decode(bytes, &again, NULL), RAY_OK);
        ray_hello_encode(&again, encoded);
        assert_memory_equal(bytes, encoded, sizeof bytes);
        for (size_t i = 0; i < 8; i++) {
            bytes[i] ^= 0x40;
            assert_int_equal(ray_hello_decode(bytes, &again, NULL),
                             i == 4 ? RAY_EUNSUPPORTED : RAY_EMALFORMED);
            bytes[i] ^= 0x40;
        }
    }
}

/* Fields that a kind does not have are refused, and those it needs are asked for. */
static void test_hello_fields(void **state)
{
    (void)state;
    for (size_t k = 0; k < RAY_ARRAY_COUNT(all_kinds); k++) {
        bool is_member = all_kinds[k] == RAY_PEER_MEMBER;
        bool is_join = all_kinds[k] == RAY_PEER_JOIN;
        bool is_former = all_kinds[k] == RAY_PEER_FORMER;
        struct ray_hello good = make_hello(all_kinds[k]);
        uint8_t bytes[RAY_HELLO_SIZE];
        struct ray_hello out;
        struct ray_hello bad;

        good.version = RAY_PEER_AUTH_VERSION;
        bad = good; /* the token, there or not */
        fill_id(&bad.token, is_join ? 0 : 4);
        ray_hello_encode(&bad, bytes);
        assert_int_equal(ray_hello_decode(bytes, &out, NULL), RAY_EMALFORMED);
        bad = good; /* who opens */
        fill_id(&bad.from, is_member || is_join || is_former ? 0 : 4);
        ray_hello_encode(&bad, bytes);
        assert_int_equal(ray_hello_decode(bytes, &out, NULL), RAY_EMALFORMED);
        bad = good; /* an epoch */
        bad.cluster_epoch = 1;
        ray_hello_encode(&bad, bytes);
        assert_int_equal(ray_hello_decode(bytes, &out, NULL), is_member ? RAY_OK : RAY_EMALFORMED);
        if (!is_join) { /* a cluster; joiners may know it or not */
            bad = good;
            fill_id(&bad.cluster, all_kinds[k] == RAY_PEER_CLAIM ? 1 : 0);
            ray_hello_encode(&bad, bytes);
            assert_int_equal(ray_hello_decode(bytes, &out, NULL), RAY_EMALFORMED);
        }
    }
}

/* An opener with a hello that its peer would refuse does not begin. */
static void test_incomplete_hello(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, RAY_PEER_MEMBER);
    fill_id(&world.hello.to, 0);
    assert_int_equal(ray_peer_auth_open(&world.opener, world.opener_key, &world.hello,
                                        &world.opener_terms, NULL, 0, NULL),
                     RAY_EMALFORMED);
    assert_null(world.opener);
    world_fini(&world);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (size_t k = 0; k < RAY_ARRAY_COUNT(all_kinds); k++) {
        for (unsigned n = 1;; n++) {
            struct world world;
            struct ray_peer_auth_guard guard = {.on_hello = on_hello, .arg = &world};
            int rc;

            world_init(&world, all_kinds[k]);
            ray_test_fault_arm("alloc", n);
            rc = ray_peer_auth_open(&world.opener, world.opener_key, &world.hello,
                                    &world.opener_terms, NULL, 0, NULL);
            if (rc == RAY_OK) {
                rc = ray_peer_auth_answer(&world.answerer, world.answerer_key, &guard, NULL, 0,
                                          NULL);
            }
            while (rc == RAY_OK &&
                   (move(&world, world.opener, world.answerer, &world.answerer_rc, NULL) ||
                    move(&world, world.answerer, world.opener, &world.opener_rc, NULL))) {
            }
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                assert_true(both_done(&world));
                world_fini(&world);
                break;
            }
            assert_true(rc == RAY_ENOMEM || !both_done(&world));
            world_fini(&world);
        }
    }
    ray_peer_auth_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_every_byte_flipped),
        cmocka_unit_test(test_every_byte_of_a_payload_for_one),
        cmocka_unit_test(test_replayed_answer),
        cmocka_unit_test(test_unknown_and_revoked),
        cmocka_unit_test(test_refused_after_the_proof),
        cmocka_unit_test(test_keys_of_others),
        cmocka_unit_test(test_other_secret_or_identity),
        cmocka_unit_test(test_hello_rewritten),
        cmocka_unit_test(test_replayed_member),
        cmocka_unit_test(test_reflection),
        cmocka_unit_test(test_pipelined_records_wait),
        cmocka_unit_test(test_bytes_behind_are_not_taken),
        cmocka_unit_test(test_record_lengths),
        cmocka_unit_test(test_hellos),
        cmocka_unit_test(test_hello_fields),
        cmocka_unit_test(test_incomplete_hello),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
