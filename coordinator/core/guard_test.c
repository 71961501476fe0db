/* coordinator/core/guard_test.c - one scenario for each defect of libraft 0.22.1 that could
 * reach us. Each passes with its guard and fails without: the preset `mutants` runs this
 * program with RAYOS_MUTANT set to each CORE_* in turn. */
#include "base/test.h"
#include "coordinator/core/cluster_fixture.h"
#include "coordinator/mutant.h"

static const uint8_t some_bytes[64] = "guard";

/* ---- a lone core, spoken to by hand: member 1 of some, others are the test ---- */

struct lone {
    struct coord_core *core;
    struct coord_core_out out;
    uint64_t now_ms;
};

static void step(struct lone *lone, int rc)
{
    assert_int_equal(rc, RAY_OK);
    lone->now_ms++;
}

static struct coord_entry change_entry(uint64_t index, uint64_t term,
                                       const struct coord_config *config, uint8_t *bytes)
{
    return (struct coord_entry){.term = term,
                                .index = index,
                                .type = COORD_ENTRY_CHANGE,
                                .size = (uint32_t)coord_config_encode(config, bytes),
                                .data = bytes};
}

static struct coord_config voters(size_t count)
{
    struct coord_config config = {.count = count};

    for (size_t i = 0; i < count; i++) {
        config.servers[i] = (struct coord_server){.id = i + 1, .role = COORD_VOTER};
    }
    return config;
}

/* A member whose log is one configuration and no-ops of term 1 up to `last_index`. */
static void lone_start(struct lone *lone, const struct coord_config *config, uint64_t last_index)
{
    struct coord_core_config options = {
        .self_id = 1, .election_ms = 200, .heartbeat_ms = 40, .seed = 3};
    struct coord_core_boot boot = {.hard = {.term = 1}, .count = (size_t)last_index};
    struct coord_entry *entries = calloc((size_t)last_index + 1, sizeof *entries);
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];

    assert_non_null(entries);
    *lone = (struct lone){.now_ms = 1000};
    for (uint64_t i = 1; i <= last_index; i++) {
        entries[i - 1] = (struct coord_entry){.term = 1, .index = i, .type = COORD_ENTRY_NOOP};
    }
    if (last_index > 0) {
        entries[0] = change_entry(1, 1, config, bytes);
    }
    boot.entries = entries;
    step(lone, coord_core_create(&lone->core, &options, NULL));
    step(lone, coord_core_start(lone->core, lone->now_ms, &boot, &lone->out, NULL));
    free(entries);
}

static void hear(struct lone *lone, struct coord_message message)
{
    message.to = 1;
    step(lone, coord_core_receive(lone->core, lone->now_ms, &message, &lone->out, NULL));
}

static void hear_append(struct lone *lone, uint64_t term, uint64_t prev_index, uint64_t prev_term,
                        const struct coord_entry *entries, size_t count, uint64_t commit_index)
{
    hear(lone, (struct coord_message){.type = COORD_APPEND,
                                      .from = 2,
                                      .term = term,
                                      .append = {.prev_index = prev_index,
                                                 .prev_term = prev_term,
                                                 .commit_index = commit_index,
                                                 .entries = entries,
                                                 .count = count}});
}

static void stored(struct lone *lone)
{
    step(lone, coord_core_persisted(lone->core, lone->now_ms, coord_core_last_index(lone->core),
                                    &lone->out, NULL));
}

static const struct coord_message *sent(const struct lone *lone, enum coord_message_type type,
                                        uint64_t to)
{
    for (size_t i = 0; i < lone->out.message_count; i++) {
        if (lone->out.messages[i].type == type && lone->out.messages[i].to == to) {
            return &lone->out.messages[i];
        }
    }
    return NULL;
}

/* Makes it leader of three voters in a new term. */
static void lone_lead(struct lone *lone)
{
    while (coord_core_state(lone->core) != COORD_CANDIDATE) {
        lone->now_ms += 400;
        step(lone, coord_core_tick(lone->core, lone->now_ms, &lone->out, NULL));
    }
    for (int i = 0; i < 2; i++) {
        const struct coord_message *vote = sent(lone, COORD_VOTE, 2);

        assert_non_null(vote);
        hear(lone, (struct coord_message){
                       .type = COORD_VOTE_RESULT,
                       .from = 2,
                       .term = vote->term,
                       .vote_result = {.is_granted = true, .is_pre_vote = vote->vote.is_pre_vote}});
    }
    assert_int_equal(coord_core_state(lone->core), COORD_LEADER);
}

static void hear_result(struct lone *lone, uint64_t from, uint64_t rejected, uint64_t last_index)
{
    hear(lone,
         (struct coord_message){.type = COORD_APPEND_RESULT,
                                .from = from,
                                .term = coord_core_term(lone->core),
                                .append_result = {.rejected = rejected, .last_index = last_index}});
}

static uint64_t lone_submit(struct lone *lone)
{
    struct coord_entry entry = {
        .type = COORD_ENTRY_COMMAND, .size = sizeof some_bytes, .data = some_bytes};
    uint64_t index = 0;

    step(lone, coord_core_submit(lone->core, lone->now_ms, &entry, 1, &index, &lone->out, NULL));
    return index;
}

/* ---- the scenarios ---- */

/* R3: a change in the middle of a batch is noted at its own index, so it commits there. */
static void test_change_inside_a_batch(void **state)
{
    struct coord_config three = voters(3);
    struct coord_config four = voters(4);
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entries[3] = {
        {.term = 2, .index = 3, .type = COORD_ENTRY_NOOP},
        change_entry(4, 2, &four, bytes),
        {.term = 2, .index = 5, .type = COORD_ENTRY_NOOP},
    };
    struct lone lone;
    uint64_t index;

    (void)state;
    four.servers[3].role = COORD_STANDBY;
    entries[1] = change_entry(4, 2, &four, bytes);
    lone_start(&lone, &three, 2);
    hear_append(&lone, 2, 2, 1, entries, 3, 3);
    assert_int_equal(lone.out.append_count, 3);
    assert_int_equal(lone.out.append_first_index, 3);
    (void)coord_core_committed_configuration(lone.core, &index);
    assert_int_equal(index, 1);
    assert_int_equal(coord_core_configuration(lone.core)->count, 4);
    hear_append(&lone, 2, 5, 2, NULL, 0, 5);
    (void)coord_core_committed_configuration(lone.core, &index);
    assert_int_equal(index, 4);
    coord_core_destroy(lone.core);
}

/* R4: five nodes, a leader of an old term that may change the configuration before its own
 * entry is committed. The guard refuses; the simulator shows what comes of it without. */
static void test_change_before_the_own_noop(void **state)
{
    struct coord_config three = voters(3);
    struct coord_config next = voters(3);
    struct lone lone;
    uint64_t index;

    (void)state;
    next.count = 2;
    lone_start(&lone, &three, 1);
    lone_lead(&lone);
    assert_false(coord_core_is_ready(lone.core));
    assert_int_equal(coord_core_change(lone.core, lone.now_ms, &next, &index, &lone.out, NULL),
                     RAY_EAGAIN);
    stored(&lone);
    hear_result(&lone, 2, 0, 2);
    assert_true(coord_core_is_ready(lone.core));
    assert_int_equal(coord_core_change(lone.core, lone.now_ms, &next, &index, &lone.out, NULL),
                     RAY_OK);
    coord_core_destroy(lone.core);
}

/* R5: a refusal that was overtaken by the acceptance. */
static void test_stale_refusal(void **state)
{
    struct coord_config three = voters(3);
    struct lone lone;
    uint64_t index;

    (void)state;
    lone_start(&lone, &three, 10);
    lone_lead(&lone);
    stored(&lone);
    /* Probed at 10, which it has. */
    hear_result(&lone, 2, 0, 11);
    /* Not heard from for long: probing again, from its match on. */
    for (int i = 0; i < 10; i++) {
        lone.now_ms += 45;
        hear_result(&lone, 3, 0, 11);
        step(&lone, coord_core_tick(lone.core, lone.now_ms, &lone.out, NULL));
    }
    /* The old refusal comes now: twice, as lost order has it. */
    hear_result(&lone, 2, 11, 4);
    hear_result(&lone, 2, 4, 3);
    index = lone_submit(&lone);
    stored(&lone);
    for (int i = 0; i < 20; i++) {
        const struct coord_message *append = sent(&lone, COORD_APPEND, 2);

        if (append != NULL && append->append.count > 0) {
            assert_true(append->append.prev_index >= 11);
            assert_int_equal(append->append.prev_index + append->append.count, index);
            break;
        }
        assert_true(i < 10);
        lone.now_ms += 45;
        hear_result(&lone, 3, 0, index);
        step(&lone, coord_core_tick(lone.core, lone.now_ms, &lone.out, NULL));
    }
    coord_core_destroy(lone.core);
}

/* Fills the stack below with something else than zero. */
__attribute__((noinline)) static void dirty_stack(void)
{
    volatile uint8_t bytes[16384];

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = 0xa5;
    }
}

/* C6: what is sent is a function of what was heard. */
static void test_refusal_of_an_older_term(void **state)
{
    struct coord_config three = voters(3);
    struct lone lone;
    const struct coord_message *result;

    (void)state;
    lone_start(&lone, &three, 3);
    hear_append(&lone, 5, 3, 1, NULL, 0, 1);
    dirty_stack();
    hear_append(&lone, 4, 3, 1, NULL, 0, 1);
    result = sent(&lone, COORD_APPEND_RESULT, 2);
    assert_non_null(result);
    assert_int_equal(result->term, 5);
    assert_int_equal(result->append_result.last_index, 0);
    coord_core_destroy(lone.core);
}

/* C7: a peer that takes nothing any more gets no empty append for each of ours. */
static void test_full_pipeline_is_quiet(void **state)
{
    struct coord_config three = voters(3);
    struct lone lone;
    size_t empty_count = 0;

    (void)state;
    lone_start(&lone, &three, 1);
    lone_lead(&lone);
    stored(&lone);
    hear_result(&lone, 2, 0, 2);
    hear_result(&lone, 3, 0, 2);
    for (int i = 0; i < 20000; i++) {
        (void)lone_submit(&lone);
        lone.now_ms--;
        for (size_t j = 0; j < lone.out.message_count; j++) {
            empty_count +=
                lone.out.messages[j].type == COORD_APPEND && lone.out.messages[j].append.count == 0;
        }
    }
    assert_true(empty_count < 10);
    coord_core_destroy(lone.core);
}

/* G6: a node without a log starts, and takes its first entries. */
static void test_start_without_a_log(void **state)
{
    struct coord_config two = voters(2);
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entry = change_entry(1, 1, &two, bytes);
    struct lone lone;

    (void)state;
    lone_start(&lone, &two, 0);
    hear_append(&lone, 1, 0, 0, &entry, 1, 1);
    stored(&lone);
    assert_int_equal(coord_core_last_index(lone.core), 1);
    assert_int_equal(lone.out.commit_index, 1);
    coord_core_destroy(lone.core);
}

/* A sole voter crashes after its standby stored what it had not stored itself. In the same term
 * it would write another entry under the same index and term, and the standby keep its own. */
static void test_sole_voter_after_a_crash(void **state)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    uint64_t lost;

    (void)state;
    assert_non_null(cluster);
    cluster_init(cluster, 2);
    cluster_change(cluster, 2, false, COORD_STANDBY);
    cluster_run(cluster, 100);
    cluster_node(cluster, 1)->is_disk_stalled = true;
    lost = cluster_submit(cluster, 1, 100);
    cluster_run(cluster, 5);
    assert_int_equal(coord_core_last_index(cluster_node(cluster, 2)->core), lost);
    cluster_crash(cluster, 1);
    cluster_node(cluster, 1)->is_disk_stalled = false;
    cluster_start(cluster, 1);
    cluster_await_applied(cluster, cluster_submit(cluster, 1, 200));
    cluster_fini(cluster);
    free(cluster);
}

/* The same without a restart: the last other voter is demoted by a leader that goes on writing
 * in its term; the one who is left must not lead in that term, too. */
static void test_sole_voter_after_a_demotion(void **state)
{
    struct coord_config two = voters(2);
    struct coord_config one = voters(2);
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry change;
    struct lone lone;

    (void)state;
    one.servers[1].role = COORD_STANDBY;
    change = change_entry(3, 5, &one, bytes);
    lone_start(&lone, &two, 2);
    hear_append(&lone, 5, 2, 1, &change, 1, 2);
    stored(&lone);
    while (coord_core_state(lone.core) != COORD_LEADER) {
        lone.now_ms += 100;
        step(&lone, coord_core_tick(lone.core, lone.now_ms, &lone.out, NULL));
    }
    assert_int_equal(lone.out.hard.term, 6);
    assert_int_equal(lone.out.hard.vote, 1);
    assert_true(lone.out.is_hard_changed);
    coord_core_destroy(lone.core);
}

/* 1, 2 vote and elect with 3, who was not told yet that it votes when the leader died. */
static void test_standby_votes(void **state)
{
    struct coord_config config = voters(3);
    const struct coord_message *result;
    struct lone lone;

    (void)state;
    config.servers[0].role = COORD_STANDBY;
    lone_start(&lone, &config, 3);
    hear_append(&lone, 2, 3, 1, NULL, 0, 3);
    /* Who still hears the leader does not vote; after an election time it does. */
    for (int i = 0; i < 2; i++) {
        hear(&lone, (struct coord_message){.type = COORD_VOTE,
                                           .from = 3,
                                           .term = 3,
                                           .vote = {.last_index = 4, .last_term = 2}});
        result = sent(&lone, COORD_VOTE_RESULT, 3);
        assert_non_null(result);
        assert_int_equal(result->vote_result.is_granted, i == 1);
        lone.now_ms += 450;
        step(&lone, coord_core_tick(lone.core, lone.now_ms, &lone.out, NULL));
    }
    assert_int_equal(coord_core_configuration(lone.core)->servers[0].role, COORD_STANDBY);
    assert_int_equal(coord_core_state(lone.core), COORD_FOLLOWER);
    assert_int_equal(lone.out.hard.vote, 3);
    coord_core_destroy(lone.core);
}

/* Nor does an entry that removes us, and was never committed, take our vote from a candidate
 * that knows us as a voter. Who has no log at all has lost one, and is silent. */
static void test_stranger_votes(void **state)
{
    struct coord_config config = {
        .servers = {{.id = 2, .role = COORD_VOTER}, {.id = 3, .role = COORD_VOTER}}, .count = 2};
    struct lone lone;

    (void)state;
    for (uint64_t last_index = 0; last_index <= 3; last_index += 3) {
        const struct coord_message *result;

        lone_start(&lone, &config, last_index);
        hear(&lone, (struct coord_message){.type = COORD_VOTE,
                                           .from = 3,
                                           .term = 3,
                                           .vote = {.last_index = 4, .last_term = 2}});
        result = sent(&lone, COORD_VOTE_RESULT, 3);
        assert_non_null(result);
        assert_int_equal(result->vote_result.is_granted, last_index != 0);
        assert_int_equal(coord_core_configuration(lone.core)->count, last_index == 0 ? 0 : 2);
        lone.now_ms += 1000;
        step(&lone, coord_core_tick(lone.core, lone.now_ms, &lone.out, NULL));
        assert_int_equal(coord_core_state(lone.core), COORD_FOLLOWER);
        coord_core_destroy(lone.core);
    }
}

/* An append from far back, with the news of a commit far ahead. */
static void test_commit_index_does_not_fall(void **state)
{
    struct coord_config three = voters(3);
    struct coord_entry entries[3];
    struct lone lone;

    (void)state;
    lone_start(&lone, &three, 10);
    hear_append(&lone, 2, 10, 1, NULL, 0, 9);
    assert_int_equal(lone.out.commit_index, 9);
    for (uint64_t i = 0; i < 3; i++) {
        entries[i] = (struct coord_entry){.term = 1, .index = 4 + i, .type = COORD_ENTRY_NOOP};
    }
    hear_append(&lone, 2, 3, 1, entries, 3, 20);
    assert_int_equal(lone.out.commit_index, 9);
    /* Nobody may take committed entries away: libraft believes in its own commit index. */
    entries[0] = (struct coord_entry){.term = 2, .index = 8, .type = COORD_ENTRY_NOOP};
    {
        struct coord_message message = {
            .type = COORD_APPEND,
            .from = 2,
            .to = 1,
            .term = 2,
            .append = {.prev_index = 7, .prev_term = 1, .entries = entries, .count = 1}};

        assert_int_equal(coord_core_receive(lone.core, lone.now_ms, &message, &lone.out, NULL),
                         RAY_ECONFLICT);
        assert_int_equal(coord_core_tick(lone.core, lone.now_ms, &lone.out, NULL), RAY_EINTERNAL);
    }
    coord_core_destroy(lone.core);
}

/* Entries from the first on, doubled by the network, reach a log that begins later. */
static void test_entries_below_the_snapshot(void **state)
{
    struct coord_config three = voters(3);
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_snapshot snapshot = {.index = 8, .term = 1, .config = three, .config_index = 1};
    struct coord_entry entries[12];
    struct lone lone;

    (void)state;
    lone_start(&lone, &three, 10);
    hear_append(&lone, 2, 10, 1, NULL, 0, 9);
    step(&lone, coord_core_snapshot_taken(lone.core, lone.now_ms, &snapshot, 2, &lone.out, NULL));
    for (uint64_t i = 0; i < 12; i++) {
        entries[i] =
            (struct coord_entry){.term = i < 10 ? 1 : 2, .index = 1 + i, .type = COORD_ENTRY_NOOP};
    }
    entries[0] = change_entry(1, 1, &three, bytes);
    /* All of it known: answered like a heartbeat. */
    hear_append(&lone, 2, 0, 0, entries, 5, 9);
    assert_int_equal(lone.out.append_count, 0);
    assert_int_equal(coord_core_last_index(lone.core), 10);
    assert_non_null(sent(&lone, COORD_APPEND_RESULT, 2));
    assert_int_equal(sent(&lone, COORD_APPEND_RESULT, 2)->append_result.rejected, 0);
    assert_int_equal(sent(&lone, COORD_APPEND_RESULT, 2)->append_result.last_index, 9);
    /* Two of it are new. */
    hear_append(&lone, 2, 0, 0, entries, 12, 9);
    assert_int_equal(lone.out.append_first_index, 11);
    assert_int_equal(lone.out.append_count, 2);
    assert_int_equal(coord_core_last_index(lone.core), 12);
    coord_core_destroy(lone.core);
}

/* Who has the entries of a snapshot, committed or not, says so: it needs none. */
static void test_needless_snapshot(void **state)
{
    struct coord_config three = voters(3);
    struct coord_message notice = {
        .type = COORD_SNAPSHOT,
        .from = 2,
        .term = 2,
        .snapshot = {.index = 8, .term = 1, .config = three, .config_index = 1}};
    struct lone lone;
    const struct coord_message *result;

    (void)state;
    lone_start(&lone, &three, 10);
    hear_append(&lone, 2, 10, 1, NULL, 0, 5);
    assert_int_equal(lone.out.commit_index, 5);
    for (int i = 0; i < 2; i++) {
        hear(&lone, notice);
        assert_null(lone.out.snapshot);
        assert_int_equal(lone.out.commit_index, 8);
        result = sent(&lone, COORD_APPEND_RESULT, 2);
        assert_non_null(result);
        assert_int_equal(result->append_result.rejected, 0);
        assert_int_equal(result->append_result.last_index, 8);
    }
    notice.snapshot.index = 20;
    hear(&lone, notice);
    assert_non_null(lone.out.snapshot);
    assert_int_equal(lone.out.snapshot_from, 2);
    coord_core_destroy(lone.core);
}

/* A pre-vote asks about term + 1; its answer comes when the candidate follows again. Whether
 * libraft believes that term depends on a byte of a pointer: some allocations decide. */
static void test_late_answer_to_a_pre_vote(void **state)
{
    struct coord_config three = voters(3);

    (void)state;
    for (int i = 0; i < 64; i++) {
        struct lone lone;
        void *shift = malloc((size_t)i * 300 + 1);

        assert_non_null(shift);
        lone_start(&lone, &three, 3);
        while (coord_core_state(lone.core) != COORD_CANDIDATE) {
            lone.now_ms += 400;
            step(&lone, coord_core_tick(lone.core, lone.now_ms, &lone.out, NULL));
        }
        hear_append(&lone, 1, 3, 1, NULL, 0, 1);
        assert_int_equal(coord_core_state(lone.core), COORD_FOLLOWER);
        for (uint64_t from = 2; from <= 3; from++) {
            hear(&lone,
                 (struct coord_message){.type = COORD_VOTE_RESULT,
                                        .from = from,
                                        .term = 2,
                                        .vote_result = {.is_granted = true, .is_pre_vote = true}});
        }
        assert_int_equal(coord_core_term(lone.core), 1);
        assert_int_equal(coord_core_leader(lone.core), 2);
        /* Nor when nobody leads: then that byte is 0. */
        step(&lone, coord_core_leader_lost(lone.core, lone.now_ms, 2, &lone.out, NULL));
        hear(&lone,
             (struct coord_message){.type = COORD_VOTE_RESULT,
                                    .from = 2,
                                    .term = 2,
                                    .vote_result = {.is_granted = true, .is_pre_vote = true}});
        assert_int_equal(coord_core_term(lone.core), 1);
        coord_core_destroy(lone.core);
        free(shift);
    }
}

/* Two voters: one has the better log, the other the newer term. */
static void test_refused_pre_vote_tells_the_term(void **state)
{
    struct coord_config three = voters(3);
    const struct coord_message *result;
    struct lone lone;

    (void)state;
    lone_start(&lone, &three, 3);
    hear_append(&lone, 9, 3, 1, NULL, 0, 1);
    step(&lone, coord_core_leader_lost(lone.core, lone.now_ms, 2, &lone.out, NULL));
    hear(&lone,
         (struct coord_message){.type = COORD_VOTE,
                                .from = 3,
                                .term = 6,
                                .vote = {.last_index = 10, .last_term = 4, .is_pre_vote = true}});
    result = sent(&lone, COORD_VOTE_RESULT, 3);
    assert_non_null(result);
    assert_false(result->vote_result.is_granted);
    assert_int_equal(result->term, 9);
    coord_core_destroy(lone.core);
    /* And the other side takes it. */
    lone_start(&lone, &three, 3);
    while (coord_core_state(lone.core) != COORD_CANDIDATE) {
        lone.now_ms += 400;
        step(&lone, coord_core_tick(lone.core, lone.now_ms, &lone.out, NULL));
    }
    hear(&lone, (struct coord_message){.type = COORD_VOTE_RESULT,
                                       .from = 2,
                                       .term = 9,
                                       .vote_result = {.is_pre_vote = true}});
    assert_int_equal(lone.out.hard.term, 9);
    assert_true(lone.out.is_hard_changed);
    coord_core_destroy(lone.core);
}

/* Two changes come with one leader's log, the second is truncated by the next leader: the first
 * stays, for it was committed before the second was proposed. */
static void test_two_changes_in_a_row(void **state)
{
    struct coord_config three = voters(3);
    struct coord_config four = voters(4);
    struct coord_config five = voters(5);
    uint8_t first_bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    uint8_t second_bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entries[3];
    struct coord_entry noop = {.term = 3, .index = 4, .type = COORD_ENTRY_NOOP};
    struct lone lone;
    uint64_t index;

    (void)state;
    entries[0] = change_entry(3, 2, &four, first_bytes);
    entries[1] = change_entry(4, 2, &five, second_bytes);
    entries[2] = (struct coord_entry){.term = 2, .index = 5, .type = COORD_ENTRY_NOOP};
    lone_start(&lone, &three, 2);
    hear_append(&lone, 2, 2, 1, entries, 3, 2);
    assert_int_equal(coord_core_configuration(lone.core)->count, 5);
    hear_append(&lone, 3, 3, 2, &noop, 1, 2);
    assert_int_equal(lone.out.append_first_index, 4);
    assert_int_equal(coord_core_configuration(lone.core)->count, 4);
    (void)coord_core_committed_configuration(lone.core, &index);
    assert_int_equal(index, 3);
    coord_core_destroy(lone.core);
}

/* Of two voters the leader demotes the other, who stores it; the leader loses it in a power cut.
 * The one who is left has the shorter log: only the demoted can bring the change home. */
static void test_demoted_voter_stands_once_more(void **state)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    struct cluster_node *leader;
    struct coord_config next;
    uint64_t index;

    (void)state;
    assert_non_null(cluster);
    cluster_init(cluster, 2);
    cluster_grow(cluster, 2);
    cluster_run(cluster, 100);
    leader = cluster_node(cluster, cluster_await_leader(cluster));
    leader->is_disk_stalled = true;
    next = *coord_core_configuration(leader->core);
    assert_int_equal(coord_config_remove(&next, 3 - leader->id, NULL), RAY_OK);
    assert_int_equal(
        coord_core_change(leader->core, cluster->now_ms, &next, &index, &leader->out, NULL),
        RAY_EINVAL);
    assert_int_equal(coord_config_add(&next, 3 - leader->id, COORD_STANDBY, NULL), RAY_OK);
    assert_int_equal(
        coord_core_change(leader->core, cluster->now_ms, &next, &index, &leader->out, NULL),
        RAY_OK);
    cluster_handle(cluster, leader);
    cluster_run(cluster, 5);
    assert_int_equal(coord_core_last_index(cluster_node(cluster, 3 - leader->id)->core), index);
    cluster_crash(cluster, leader->id);
    leader->is_disk_stalled = false;
    cluster_start(cluster, leader->id);
    cluster_await_applied(cluster, index);
    assert_int_equal(coord_config_voter_count(coord_core_configuration(leader->core)), 1);
    cluster_run(cluster, 1000);
    assert_int_equal(cluster_await_leader(cluster), leader->id);
    cluster_fini(cluster);
    free(cluster);
}

static void tick_at(struct lone *lone, uint64_t now_ms)
{
    lone->now_ms = now_ms;
    step(lone, coord_core_tick(lone->core, lone->now_ms, &lone->out, NULL));
}

/* Two peers are written to at different moments, so two ticks come close to each other; entries
 * leave at once all the same. */
static void test_pipelining_goes_on(void **state)
{
    struct coord_config three = voters(3);
    struct lone lone;
    uint64_t at_ms;
    uint64_t last;

    (void)state;
    lone_start(&lone, &three, 1);
    lone_lead(&lone);
    stored(&lone);
    hear_result(&lone, 2, 0, 2);
    at_ms = lone.now_ms;
    last = lone_submit(&lone); /* to 2 at once, to 3 when it has answered */
    stored(&lone);
    lone.now_ms = at_ms + 20;
    hear_result(&lone, 3, 0, 2);
    assert_non_null(sent(&lone, COORD_APPEND, 3));
    hear_result(&lone, 2, 0, last);
    hear_result(&lone, 3, 0, last);
    tick_at(&lone, at_ms + 40);
    assert_non_null(sent(&lone, COORD_APPEND, 2));
    hear_result(&lone, 2, 0, last);
    tick_at(&lone, at_ms + 60);
    assert_non_null(sent(&lone, COORD_APPEND, 3));
    hear_result(&lone, 3, 0, last);
    (void)lone_submit(&lone);
    for (uint64_t to = 2; to <= 3; to++) {
        assert_non_null(sent(&lone, COORD_APPEND, to));
        assert_int_equal(sent(&lone, COORD_APPEND, to)->append.count, 1);
    }
    coord_core_destroy(lone.core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change_inside_a_batch),
        cmocka_unit_test(test_change_before_the_own_noop),
        cmocka_unit_test(test_stale_refusal),
        cmocka_unit_test(test_refusal_of_an_older_term),
        cmocka_unit_test(test_full_pipeline_is_quiet),
        cmocka_unit_test(test_start_without_a_log),
        cmocka_unit_test(test_sole_voter_after_a_crash),
        cmocka_unit_test(test_sole_voter_after_a_demotion),
        cmocka_unit_test(test_standby_votes),
        cmocka_unit_test(test_stranger_votes),
        cmocka_unit_test(test_commit_index_does_not_fall),
        cmocka_unit_test(test_entries_below_the_snapshot),
        cmocka_unit_test(test_needless_snapshot),
        cmocka_unit_test(test_late_answer_to_a_pre_vote),
        cmocka_unit_test(test_refused_pre_vote_tells_the_term),
        cmocka_unit_test(test_two_changes_in_a_row),
        cmocka_unit_test(test_demoted_voter_stands_once_more),
        cmocka_unit_test(test_pipelining_goes_on),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
