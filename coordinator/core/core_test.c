/* coordinator/core/core_test.c - the log of a few members, from the first election to
 * snapshots. Every run is held against the table of cluster_fixture.h. */
#include "base/test.h"
#include "coordinator/core/cluster_fixture.h"

static int make(void **state)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);

    assert_non_null(cluster);
    *state = cluster;
    return 0;
}

static int drop(void **state)
{
    cluster_fini(*state);
    free(*state);
    return 0;
}

static void submit_many(struct cluster *cluster, size_t count, size_t size)
{
    uint64_t index = 0;

    for (size_t i = 0; i < count; i++) {
        index = cluster_submit(cluster, cluster_await_leader(cluster), size);
    }
    cluster_await_applied(cluster, index);
}

static void test_sole_voter_leads_in_a_new_term(void **state)
{
    struct cluster *cluster = *state;
    struct cluster_node *node;

    cluster_init(cluster, 1);
    node = cluster_node(cluster, 1);
    assert_int_equal(coord_core_state(node->core), COORD_LEADER);
    assert_int_equal(node->hard.term, 2);
    assert_int_equal(node->hard.vote, 1);
    assert_false(coord_core_is_ready(node->core));
    cluster_run(cluster, 2);
    assert_true(coord_core_is_ready(node->core));
    submit_many(cluster, 10, 100);
    cluster_crash(cluster, 1);
    cluster_start(cluster, 1);
    assert_int_equal(node->hard.term, 3);
    submit_many(cluster, 10, 0);
    assert_int_equal(node->applied_index, 1 + 1 + 10 + 1 + 10);
}

static void test_three_voters_replicate(void **state)
{
    struct cluster *cluster = *state;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    submit_many(cluster, 100, 256);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(cluster_node(cluster, id)->applied_index, cluster->applied_max);
    }
}

static void test_a_new_leader_after_a_crash(void **state)
{
    struct cluster *cluster = *state;
    uint64_t first;
    uint64_t second;
    uint64_t crashed_at_ms;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    submit_many(cluster, 10, 100);
    first = cluster_await_leader(cluster);
    cluster_crash(cluster, first);
    crashed_at_ms = cluster->now_ms;
    second = cluster_await_leader(cluster);
    assert_int_not_equal(first, second);
    assert_true(cluster->now_ms - crashed_at_ms < 6 * (uint64_t)CLUSTER_ELECTION_MS);
    submit_many(cluster, 10, 100);
    cluster_start(cluster, first);
    submit_many(cluster, 10, 100);
    assert_int_equal(cluster_node(cluster, first)->applied_index, cluster->applied_max);
}

/* The word that the leader is gone is worth an election time. */
static void test_leader_lost_is_faster(void **state)
{
    struct cluster *cluster = *state;
    uint64_t first;
    uint64_t lost_at_ms;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    first = cluster_await_leader(cluster);
    cluster_run(cluster, 100);
    cluster_crash(cluster, first);
    lost_at_ms = cluster->now_ms;
    for (uint64_t id = 1; id <= 3; id++) {
        struct cluster_node *node = cluster_node(cluster, id);

        if (id != first) {
            assert_int_equal(
                coord_core_leader_lost(node->core, cluster->now_ms, first, &node->out, NULL),
                RAY_OK);
            assert_true(node->out.next_timeout_ms <= lost_at_ms + CLUSTER_HEARTBEAT_MS);
            assert_true(node->out.is_role_changed);
            cluster_handle(cluster, node);
        }
    }
    (void)cluster_await_leader(cluster);
    assert_true(cluster->now_ms - lost_at_ms <= CLUSTER_HEARTBEAT_MS + 20);
}

/* What a cut-off leader took in is truncated when it comes back. */
static void test_a_cut_off_leader_is_overruled(void **state)
{
    struct cluster *cluster = *state;
    struct cluster_node *old;
    uint64_t old_last;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    submit_many(cluster, 5, 100);
    old = cluster_node(cluster, cluster_await_leader(cluster));
    cluster_cut(cluster, old->id, true);
    for (int i = 0; i < 20; i++) {
        (void)cluster_submit(cluster, old->id, 50);
    }
    old_last = coord_core_last_index(old->core);
    cluster_run(cluster, 3 * (uint64_t)CLUSTER_ELECTION_MS);
    assert_int_not_equal(coord_core_state(old->core), COORD_LEADER);
    submit_many(cluster, 0, 0);
    (void)cluster_submit(cluster, cluster_await_leader(cluster), 10);
    cluster_run(cluster, 50);
    cluster_cut(cluster, old->id, false);
    cluster_await_applied(cluster, cluster->applied_max);
    assert_true(coord_core_last_index(old->core) < old_last);
}

static void test_announce_tells_commits_at_once(void **state)
{
    struct cluster *cluster = *state;
    struct cluster_node *leader;
    uint64_t index;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    cluster_run(cluster, 500);
    leader = cluster_node(cluster, cluster_await_leader(cluster));
    index = cluster_submit(cluster, leader->id, 10);
    while (leader->applied_index < index) {
        cluster_run(cluster, 1);
    }
    assert_int_equal(coord_core_announce(leader->core, cluster->now_ms, &leader->out, NULL),
                     RAY_OK);
    assert_int_equal(leader->out.message_count, 2);
    cluster_handle(cluster, leader);
    cluster_run(cluster, 1);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(cluster_node(cluster, id)->applied_index, index);
    }
    assert_int_equal(coord_core_announce(leader->core, cluster->now_ms, &leader->out, NULL),
                     RAY_OK);
    assert_int_equal(leader->out.message_count, 0);
}

static void test_large_entries_are_cut_into_messages(void **state)
{
    struct cluster *cluster = *state;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    submit_many(cluster, 40, COORD_ENTRY_SIZE_MAX);
    submit_many(cluster, 3000, 300);
}

static void test_many_in_one_submit(void **state)
{
    struct cluster *cluster = *state;
    static const uint8_t bytes[256] = "a";
    struct coord_entry entries[COORD_CORE_SUBMIT_MAX + 1];
    struct cluster_node *leader;
    uint64_t index;

    for (size_t i = 0; i < COORD_CORE_SUBMIT_MAX + 1; i++) {
        entries[i] =
            (struct coord_entry){.type = COORD_ENTRY_COMMAND, .size = sizeof bytes, .data = bytes};
    }
    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    leader = cluster_node(cluster, cluster_await_leader(cluster));
    assert_int_equal(coord_core_submit(leader->core, cluster->now_ms, entries,
                                       COORD_CORE_SUBMIT_MAX + 1, &index, &leader->out, NULL),
                     RAY_EINVAL);
    assert_int_equal(
        coord_core_submit(leader->core, cluster->now_ms, entries, 0, &index, &leader->out, NULL),
        RAY_EINVAL);
    assert_int_equal(coord_core_submit(leader->core, cluster->now_ms, entries,
                                       COORD_CORE_SUBMIT_MAX, &index, &leader->out, NULL),
                     RAY_OK);
    assert_int_equal(leader->out.append_count, COORD_CORE_SUBMIT_MAX);
    assert_int_equal(leader->out.append_first_index, index);
    cluster_handle(cluster, leader);
    cluster_await_applied(cluster, index + COORD_CORE_SUBMIT_MAX - 1);
    entries[0].type = COORD_ENTRY_CHANGE;
    assert_int_equal(
        coord_core_submit(leader->core, cluster->now_ms, entries, 1, &index, &leader->out, NULL),
        RAY_EINVAL);
}

static void test_followers_refuse_submits(void **state)
{
    struct cluster *cluster = *state;
    struct coord_entry entry = {.type = COORD_ENTRY_COMMAND};
    struct coord_config config;
    uint64_t index;

    cluster_init(cluster, 2);
    cluster_change(cluster, 2, false, COORD_STANDBY);
    config = *coord_core_configuration(cluster_node(cluster, 2)->core);
    assert_int_equal(coord_core_submit(cluster_node(cluster, 2)->core, cluster->now_ms, &entry, 1,
                                       &index, &cluster_node(cluster, 2)->out, NULL),
                     RAY_EUNAVAILABLE);
    assert_int_equal(coord_core_change(cluster_node(cluster, 2)->core, cluster->now_ms, &config,
                                       &index, &cluster_node(cluster, 2)->out, NULL),
                     RAY_EUNAVAILABLE);
    assert_int_equal(coord_core_transfer(cluster_node(cluster, 2)->core, cluster->now_ms, 0,
                                         &cluster_node(cluster, 2)->out, NULL),
                     RAY_EUNAVAILABLE);
}

/* ---- hands over ---- */

static void test_transfer(void **state)
{
    struct cluster *cluster = *state;
    struct cluster_node *leader;
    struct coord_entry entry = {.type = COORD_ENTRY_COMMAND};
    uint64_t index;
    uint64_t target;
    uint64_t at_ms;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    cluster_run(cluster, 200);
    leader = cluster_node(cluster, cluster_await_leader(cluster));
    target = leader->id % 3 + 1;
    /* Much is under way: it waits for that. */
    for (int i = 0; i < 200; i++) {
        (void)cluster_submit(cluster, leader->id, 1000);
    }
    at_ms = cluster->now_ms;
    assert_int_equal(coord_core_transfer(leader->core, cluster->now_ms, target, &leader->out, NULL),
                     RAY_OK);
    assert_int_equal(leader->out.message_count, 0);
    cluster_handle(cluster, leader);
    assert_true(coord_core_is_transferring(leader->core));
    assert_int_equal(
        coord_core_submit(leader->core, cluster->now_ms, &entry, 1, &index, &leader->out, NULL),
        RAY_EUNAVAILABLE);
    while (coord_core_state(cluster_node(cluster, target)->core) != COORD_LEADER) {
        cluster_run(cluster, 1);
        assert_true(cluster->now_ms - at_ms < 30);
    }
    assert_int_equal(cluster_await_leader(cluster), target);
    submit_many(cluster, 3, 10);
}

static void test_transfer_to_the_silent_ends(void **state)
{
    struct cluster *cluster = *state;
    struct cluster_node *leader;
    uint64_t target;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    cluster_run(cluster, 200);
    leader = cluster_node(cluster, cluster_await_leader(cluster));
    target = leader->id % 3 + 1;
    cluster_crash(cluster, target);
    (void)cluster_submit(cluster, leader->id, 10);
    assert_int_equal(coord_core_transfer(leader->core, cluster->now_ms, target, &leader->out, NULL),
                     RAY_OK);
    cluster_handle(cluster, leader);
    cluster_run(cluster, 2 * (uint64_t)CLUSTER_ELECTION_MS);
    assert_false(coord_core_is_transferring(leader->core));
    submit_many(cluster, 3, 10);
    assert_int_equal(coord_core_transfer(leader->core, cluster->now_ms, target, &leader->out, NULL),
                     RAY_ENOTFOUND);
    assert_int_equal(
        coord_core_transfer(leader->core, cluster->now_ms, leader->id, &leader->out, NULL),
        RAY_ENOTFOUND);
    /* 0: the one that lives. */
    assert_int_equal(coord_core_transfer(leader->core, cluster->now_ms, 0, &leader->out, NULL),
                     RAY_OK);
    cluster_handle(cluster, leader);
    cluster_run(cluster, 20);
    assert_int_equal(cluster_await_leader(cluster), target % 3 + 1);
}

static void test_step_down(void **state)
{
    struct cluster *cluster = *state;
    struct cluster_node *leader;
    uint64_t term;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    leader = cluster_node(cluster, cluster_await_leader(cluster));
    term = leader->hard.term;
    assert_int_equal(coord_core_step_down(leader->core, cluster->now_ms, &leader->out, NULL),
                     RAY_OK);
    assert_int_equal(leader->out.state, COORD_FOLLOWER);
    assert_true(leader->out.is_hard_changed && leader->out.hard.term == term + 1);
    cluster_handle(cluster, leader);
    assert_int_equal(coord_core_step_down(leader->core, cluster->now_ms, &leader->out, NULL),
                     RAY_OK);
    assert_false(leader->out.is_hard_changed);
    cluster_handle(cluster, leader);
    (void)cluster_await_leader(cluster);
    submit_many(cluster, 3, 10);
}

/* ---- membership ---- */

static void test_grow_to_five_and_back(void **state)
{
    struct cluster *cluster = *state;

    cluster_init(cluster, 5);
    cluster_grow(cluster, 5);
    submit_many(cluster, 20, 100);
    for (uint64_t id = 5; id >= 4; id--) {
        cluster_change(cluster, id, false, COORD_STANDBY);
        cluster_change(cluster, id, true, COORD_STANDBY);
    }
    submit_many(cluster, 20, 100);
    assert_int_equal(coord_core_configuration(cluster_node(cluster, 1)->core)->count, 3);
}

static void test_a_leader_that_is_removed_steps_down(void **state)
{
    struct cluster *cluster = *state;
    struct cluster_node *leader;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    leader = cluster_node(cluster, cluster_await_leader(cluster));
    cluster_change(cluster, leader->id, true, COORD_STANDBY);
    cluster_run(cluster, 1000);
    assert_int_equal(coord_core_state(leader->core), COORD_FOLLOWER);
    assert_int_not_equal(cluster_await_leader(cluster), leader->id);
    submit_many(cluster, 20, 100);
}

static void test_changes_that_are_refused(void **state)
{
    struct cluster *cluster = *state;
    struct cluster_node *leader;
    struct coord_config next;
    uint64_t index;

    cluster_init(cluster, 3);
    leader = cluster_node(cluster, 1);
    /* Before the own no-op is committed. */
    next = *coord_core_configuration(leader->core);
    assert_int_equal(coord_config_add(&next, 2, COORD_STANDBY, NULL), RAY_OK);
    assert_int_equal(
        coord_core_change(leader->core, cluster->now_ms, &next, &index, &leader->out, NULL),
        RAY_EAGAIN);
    (void)cluster_await_leader(cluster);
    /* A voter that was no standby. */
    next.servers[1].role = COORD_VOTER;
    assert_int_equal(
        coord_core_change(leader->core, cluster->now_ms, &next, &index, &leader->out, NULL),
        RAY_EINVAL);
    /* Two at once. */
    next.servers[1].role = COORD_STANDBY;
    assert_int_equal(coord_config_add(&next, 3, COORD_STANDBY, NULL), RAY_OK);
    assert_int_equal(
        coord_core_change(leader->core, cluster->now_ms, &next, &index, &leader->out, NULL),
        RAY_EINVAL);
    /* A second one while the first is under way. */
    next.count = 2;
    assert_int_equal(
        coord_core_change(leader->core, cluster->now_ms, &next, &index, &leader->out, NULL),
        RAY_OK);
    assert_true(leader->out.is_config_changed);
    cluster_handle(cluster, leader);
    next.count = 1;
    assert_int_equal(
        coord_core_change(leader->core, cluster->now_ms, &next, &index, &leader->out, NULL),
        RAY_EAGAIN);
    /* A standby that lacks too much. */
    cluster_cut(cluster, 2, true);
    for (int i = 0; i < COORD_CORE_LAG_MAX + 10; i++) {
        (void)cluster_submit(cluster, 1, 1);
    }
    cluster_run(cluster, 10);
    next = *coord_core_configuration(leader->core);
    next.servers[1].role = COORD_VOTER;
    assert_int_equal(
        coord_core_change(leader->core, cluster->now_ms, &next, &index, &leader->out, NULL),
        RAY_EAGAIN);
}

/* ---- snapshots, and logs that are longer than memory ---- */

static void test_a_new_node_gets_a_snapshot(void **state)
{
    struct cluster *cluster = *state;

    cluster_init(cluster, 3);
    cluster_change(cluster, 2, false, COORD_STANDBY);
    submit_many(cluster, 500, 100);
    cluster_snapshot(cluster, 1, 10);
    submit_many(cluster, 5, 100);
    cluster_change(cluster, 3, false, COORD_STANDBY);
    submit_many(cluster, 5, 100);
    assert_int_equal(cluster_node(cluster, 3)->installed_count, 1);
    assert_int_equal(cluster_node(cluster, 2)->installed_count, 0);
    cluster_change(cluster, 3, false, COORD_VOTER);
    cluster_crash(cluster, 3);
    cluster_start(cluster, 3);
    submit_many(cluster, 5, 100);
}

/* A node that was away for long enough gets one, too, and drops what it had. */
static void test_a_straggler_gets_a_snapshot(void **state)
{
    struct cluster *cluster = *state;
    uint64_t leader_id;
    uint64_t away_id;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    submit_many(cluster, 50, 100);
    leader_id = cluster_await_leader(cluster);
    away_id = leader_id % 3 + 1;
    cluster_crash(cluster, away_id);
    submit_many(cluster, 500, 100);
    cluster_snapshot(cluster, leader_id, 0);
    submit_many(cluster, 50, 100);
    cluster_node(cluster, away_id)->is_install_held = true;
    cluster_start(cluster, away_id);
    cluster_run(cluster, 2000);
    assert_int_equal(cluster_node(cluster, away_id)->installed_count, 0);
    assert_non_null(cluster_node(cluster, away_id)->out.snapshot);
    cluster_node(cluster, away_id)->is_install_held = false;
    cluster_await_applied(cluster, cluster->applied_max);
    assert_int_equal(cluster_node(cluster, away_id)->installed_count, 1);
    submit_many(cluster, 50, 100);
}

static bool pass_no_snapshot(void *arg, const struct coord_message *message)
{
    (void)arg;
    return message->type != COORD_SNAPSHOT;
}

/* The word of the first snapshot is lost, then there is a newer one. */
static void test_a_lost_notice_is_repeated(void **state)
{
    struct cluster *cluster = *state;
    uint64_t leader_id;
    uint64_t healed_at_ms;

    cluster_init(cluster, 3);
    cluster_grow(cluster, 3);
    leader_id = cluster_await_leader(cluster);
    cluster_crash(cluster, leader_id % 3 + 1);
    submit_many(cluster, 100, 100);
    cluster_snapshot(cluster, leader_id, 0);
    cluster->filter = pass_no_snapshot;
    cluster_start(cluster, leader_id % 3 + 1);
    cluster_run(cluster, 1000);
    for (int i = 0; i < 100; i++) {
        (void)cluster_submit(cluster, leader_id, 100);
    }
    cluster_run(cluster, 100);
    cluster_snapshot(cluster, leader_id, 0);
    cluster_run(cluster, 1000);
    cluster->filter = NULL;
    healed_at_ms = cluster->now_ms;
    cluster_await_applied(cluster, cluster->applied_max);
    assert_true(cluster->now_ms - healed_at_ms < 3 * (uint64_t)CLUSTER_ELECTION_MS);
}

static void test_old_entries_come_from_the_log(void **state)
{
    struct cluster *cluster = *state;

    cluster_init(cluster, 3);
    cluster->cache_size = 4096;
    cluster_crash(cluster, 1);
    cluster_start(cluster, 1);
    cluster_change(cluster, 2, false, COORD_STANDBY);
    submit_many(cluster, 6000, 300);
    cluster_change(cluster, 3, false, COORD_STANDBY);
    submit_many(cluster, 10, 300);
    assert_int_equal(cluster_node(cluster, 3)->installed_count, 0);
}

static void test_snapshots_that_are_refused(void **state)
{
    struct cluster *cluster = *state;
    struct cluster_node *node;
    struct coord_snapshot snapshot;
    bool is_needed = true;

    cluster_init(cluster, 1);
    submit_many(cluster, 10, 10);
    node = cluster_node(cluster, 1);
    cluster_snapshot(cluster, 1, 3);
    assert_int_equal(coord_core_first_index(node->core), node->snapshot.index - 2);
    snapshot = node->snapshot;
    assert_int_equal(
        coord_core_snapshot_taken(node->core, cluster->now_ms, &snapshot, 3, &node->out, NULL),
        RAY_EINVAL);
    (void)cluster_submit(cluster, 1, 10);
    snapshot.index++;
    assert_int_equal(
        coord_core_snapshot_taken(node->core, cluster->now_ms, &snapshot, 3, &node->out, NULL),
        RAY_EINVAL);
    assert_int_equal(coord_core_snapshot_installed(node->core, cluster->now_ms, &snapshot,
                                                   &is_needed, &node->out, NULL),
                     RAY_OK);
    assert_false(is_needed);
}

static void test_boots_that_are_refused(void **state)
{
    struct coord_core_config config = {.self_id = 1, .election_ms = 200, .heartbeat_ms = 40};
    struct coord_entry entries[2] = {{.term = 1, .index = 1, .type = COORD_ENTRY_NOOP},
                                     {.term = 1, .index = 2, .type = COORD_ENTRY_NOOP}};
    struct coord_core_boot boot = {.hard = {.term = 3}, .entries = entries, .count = 2};
    struct coord_snapshot snapshot = {
        .index = 5,
        .term = 2,
        .config = {.servers = {{.id = 2, .role = COORD_VOTER}}, .count = 1},
        .config_index = 1};
    struct coord_core_out out;
    struct coord_core *core;

    (void)state;
    config.heartbeat_ms = 200;
    assert_int_equal(coord_core_create(&core, &config, NULL), RAY_EINVAL);
    config.heartbeat_ms = 40;
    config.self_id = 0;
    assert_int_equal(coord_core_create(&core, &config, NULL), RAY_EINVAL);
    config.self_id = 1;
    assert_int_equal(coord_core_create(&core, &config, NULL), RAY_OK);
    /* No configuration at the begin; a hole after the snapshot; a gap; terms that fall; terms
     * that the hard state does not know; another term than the snapshot's. */
    assert_int_equal(coord_core_start(core, 1, &boot, &out, NULL), RAY_EMALFORMED);
    boot.snapshot = &snapshot;
    entries[0].index = 7;
    assert_int_equal(coord_core_start(core, 1, &boot, &out, NULL), RAY_EMALFORMED);
    entries[0].index = 4;
    assert_int_equal(coord_core_start(core, 1, &boot, &out, NULL), RAY_EMALFORMED);
    entries[1].index = 5;
    assert_int_equal(coord_core_start(core, 1, &boot, &out, NULL), RAY_EMALFORMED);
    entries[1].term = 4;
    assert_int_equal(coord_core_start(core, 1, &boot, &out, NULL), RAY_EMALFORMED);
    entries[0].term = 3;
    entries[1].term = 2;
    assert_int_equal(coord_core_start(core, 1, &boot, &out, NULL), RAY_EMALFORMED);
    entries[0].term = 1;
    boot.hard.term = 1;
    assert_int_equal(coord_core_start(core, 1, &boot, &out, NULL), RAY_EMALFORMED);
    boot.hard.term = 2;
    assert_int_equal(coord_core_start(core, 1, &boot, &out, NULL), RAY_OK);
    assert_int_equal(coord_core_last_index(core), 5);
    assert_int_equal(out.commit_index, 5);
    assert_int_equal(coord_core_term_of(core, 4), 1);
    coord_core_destroy(core);
    coord_core_destroy(NULL);
}

static int no_cluster(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sole_voter_leads_in_a_new_term, make, drop),
        cmocka_unit_test_setup_teardown(test_three_voters_replicate, make, drop),
        cmocka_unit_test_setup_teardown(test_a_new_leader_after_a_crash, make, drop),
        cmocka_unit_test_setup_teardown(test_leader_lost_is_faster, make, drop),
        cmocka_unit_test_setup_teardown(test_a_cut_off_leader_is_overruled, make, drop),
        cmocka_unit_test_setup_teardown(test_announce_tells_commits_at_once, make, drop),
        cmocka_unit_test_setup_teardown(test_large_entries_are_cut_into_messages, make, drop),
        cmocka_unit_test_setup_teardown(test_many_in_one_submit, make, drop),
        cmocka_unit_test_setup_teardown(test_followers_refuse_submits, make, drop),
        cmocka_unit_test_setup_teardown(test_transfer, make, drop),
        cmocka_unit_test_setup_teardown(test_transfer_to_the_silent_ends, make, drop),
        cmocka_unit_test_setup_teardown(test_step_down, make, drop),
        cmocka_unit_test_setup_teardown(test_grow_to_five_and_back, make, drop),
        cmocka_unit_test_setup_teardown(test_a_leader_that_is_removed_steps_down, make, drop),
        cmocka_unit_test_setup_teardown(test_changes_that_are_refused, make, drop),
        cmocka_unit_test_setup_teardown(test_a_new_node_gets_a_snapshot, make, drop),
        cmocka_unit_test_setup_teardown(test_a_straggler_gets_a_snapshot, make, drop),
        cmocka_unit_test_setup_teardown(test_a_lost_notice_is_repeated, make, drop),
        cmocka_unit_test_setup_teardown(test_old_entries_come_from_the_log, make, drop),
        cmocka_unit_test_setup_teardown(test_snapshots_that_are_refused, make, drop),
        cmocka_unit_test_setup_teardown(test_boots_that_are_refused, make, no_cluster),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
