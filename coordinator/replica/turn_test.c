/* turn_test.c - what comes together in one turn of the loop: the disk's word and a new leader's
 * entries, a leader's own command and the end of its office, many readers. One voter of three; the
 * others are made of frames. */
#include "base/clock.h"
#include "base/test.h"
#include "coordinator/core/config.h"
#include "coordinator/core/message.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"
#include "coordinator/replica/replica_fixture.h"

enum { SELF = 7, THIRD = 3, FOURTH = 4, PEER_THIRD = 1, PEER_FOURTH = 2, ENTRIES_MAX = 6 };

struct turn_fix {
    struct replica_fix fix;
    uint8_t change[COORD_CONFIG_ENCODED_SIZE_MAX];
    uint8_t command[512];
    struct coord_entry entries[ENTRIES_MAX]; /* from index 1 */
};

/* Entries from `first` on, of the leader `from` at `term`. */
static void append(struct turn_fix *turn, unsigned peer, uint64_t from, uint64_t term,
                   uint64_t first)
{
    struct coord_message message = {.type = COORD_APPEND, .term = term};

    message.append.prev_index = first - 1;
    message.append.prev_term = first > 1 ? turn->entries[first - 2].term : 0;
    message.append.entries = &turn->entries[first - 1];
    message.append.count = ENTRIES_MAX - (first - 1);
    replica_fix_frame(&turn->fix, peer, from, &message);
}

static void disk(struct turn_fix *turn)
{
    for (int i = 0; i < 8; i++) {
        (void)coord_fake_disk_run(turn->fix.disk);
    }
}

static void settle(struct turn_fix *turn)
{
    for (int i = 0; i < 8; i++) {
        disk(turn);
        coord_replica_turn(turn->fix.replica);
    }
}

/* The configuration, a no-op and commands, not yet given to the replica. */
static void open(struct turn_fix *turn)
{
    struct coord_config config = {.servers = {{.id = THIRD, .role = COORD_VOTER},
                                              {.id = FOURTH, .role = COORD_VOTER},
                                              {.id = SELF, .role = COORD_VOTER}},
                                  .count = 3};
    size_t size = replica_fix_command(turn->command);

    replica_fix_open(&turn->fix, false);
    assert_int_equal(replica_fix_create(&turn->fix, NULL), RAY_OK);
    turn->entries[0] =
        (struct coord_entry){.term = 1,
                             .index = 1,
                             .type = COORD_ENTRY_CHANGE,
                             .size = (uint32_t)coord_config_encode(&config, turn->change),
                             .data = turn->change};
    turn->entries[1] = (struct coord_entry){.term = 2, .index = 2, .type = COORD_ENTRY_NOOP};
    for (uint64_t i = 2; i < ENTRIES_MAX; i++) {
        turn->entries[i] = (struct coord_entry){.term = 2,
                                                .index = i + 1,
                                                .type = COORD_ENTRY_COMMAND,
                                                .size = (uint32_t)size,
                                                .data = turn->command};
    }
    replica_fix_up(&turn->fix, PEER_THIRD);
    replica_fix_hello(&turn->fix, PEER_THIRD, THIRD, 1);
    replica_fix_up(&turn->fix, PEER_FOURTH);
    replica_fix_hello(&turn->fix, PEER_FOURTH, FOURTH, 1);
    coord_replica_turn(turn->fix.replica);
}

/* "6 is durable" was said of entries that a later leader replaces before the turn ends: of the new
 * ones nothing may be acknowledged that the disk has not told of. */
static void test_durable_is_what_the_log_has_now(void **state)
{
    struct turn_fix turn;
    const struct coord_replica *r;

    (void)state;
    open(&turn);
    append(&turn, PEER_THIRD, THIRD, 2, 1);
    coord_replica_turn(turn.fix.replica);
    r = turn.fix.replica;
    disk(&turn);
    assert_int_equal(coord_wal_durable_index(r->wal), ENTRIES_MAX);
    for (uint64_t i = 2; i < ENTRIES_MAX; i++) {
        turn.entries[i].term = 3;
    }
    append(&turn, PEER_FOURTH, FOURTH, 3, 3);
    coord_replica_turn(turn.fix.replica);
    assert_int_equal(coord_wal_durable_index(r->wal), 2);
    assert_int_equal(coord_core_last_index(r->core), ENTRIES_MAX);
    assert_int_equal(coord_core_stored_index(r->core), 2);
    settle(&turn);
    assert_int_equal(coord_core_stored_index(r->core), ENTRIES_MAX);
    replica_fix_close(&turn.fix);
}

static void elect(struct turn_fix *turn)
{
    uint64_t end_ns = turn->fix.now_ns + 10 * (uint64_t)RAY_NS_PER_S;

    while (turn->fix.role != COORD_REPLICA_LEADER && turn->fix.now_ns < end_ns) {
        struct coord_core *core = turn->fix.replica->core;

        turn->fix.now_ns += 10 * RAY_NS_PER_MS;
        coord_replica_on_timer(turn->fix.replica);
        settle(turn);
        for (int is_pre = 1; is_pre >= 0 && coord_core_state(core) == COORD_CANDIDATE; is_pre--) {
            struct coord_message vote = {.type = COORD_VOTE_RESULT, .term = coord_core_term(core)};

            vote.vote_result.is_granted = true;
            vote.vote_result.is_pre_vote = is_pre != 0;
            replica_fix_frame(&turn->fix, PEER_THIRD, THIRD, &vote);
            settle(turn);
        }
    }
    assert_int_equal(turn->fix.role, COORD_REPLICA_LEADER);
}

static void say_tick(struct turn_fix *turn)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Tick tick = RAYOS__REGISTRY__TICK__INIT;

    tick.now_us = turn->fix.now_ns / RAY_NS_PER_US;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_TICK;
    command.tick = &tick;
    replica_propose_office(turn->fix.replica, &command, "time passes");
}

/* A tick tells the time of the leader's own clock: the next leader must not say it for him. */
static void test_an_office_ends_with_its_words(void **state)
{
    const struct replica_requests *proposals;
    struct turn_fix turn;
    uint64_t last;

    (void)state;
    open(&turn);
    append(&turn, PEER_THIRD, THIRD, 2, 1);
    settle(&turn);
    elect(&turn);
    proposals = &turn.fix.replica->proposals;
    last = coord_core_last_index(turn.fix.replica->core);

    say_tick(&turn);
    coord_replica_turn(turn.fix.replica);
    assert_int_equal(coord_core_last_index(turn.fix.replica->core), last + 1);
    assert_int_equal(proposals->appended.count, 1);

    say_tick(&turn);
    append(&turn, PEER_FOURTH, FOURTH, coord_core_term(turn.fix.replica->core) + 1, 3);
    settle(&turn);
    assert_int_equal(turn.fix.role, COORD_REPLICA_FOLLOWER);
    assert_int_equal(proposals->queued.count, 0);
    assert_int_equal(proposals->forwarded.count, 0);
    replica_fix_close(&turn.fix);
}

struct reader {
    struct replica_fix *fix;
    int count;
};

static void on_read(void *arg, int status, uint64_t revision)
{
    struct reader *reader = arg;

    (void)revision;
    assert_int_equal(status, RAY_OK);
    reader->fix->now_ns += 6 * RAY_NS_PER_MS; /* a large answer is packed */
    reader->count++;
}

/* Answers that take long do not make one turn of all of them. */
static void test_a_crowd_of_readers_waits_for_turns(void **state)
{
    enum { READERS = 7, OF_ONE_TURN = 2 };
    struct replica_fix fix;
    struct reader reader = {.fix = &fix};

    (void)state;
    replica_fix_start(&fix, true);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(coord_replica_read(fix.replica, UINT64_MAX, on_read, &reader, NULL, NULL),
                         RAY_OK);
    }
    coord_replica_turn(fix.replica);
    assert_int_equal(reader.count, OF_ONE_TURN);
    assert_true(fix.timer_ns <= fix.now_ns); /* the next turn is asked for at once */
    for (int i = 0; i < READERS; i++) {
        coord_replica_turn(fix.replica);
    }
    assert_int_equal(reader.count, READERS);
    replica_fix_close(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durable_is_what_the_log_has_now),
        cmocka_unit_test(test_an_office_ends_with_its_words),
        cmocka_unit_test(test_a_crowd_of_readers_waits_for_turns),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return EXIT_FAILURE;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
