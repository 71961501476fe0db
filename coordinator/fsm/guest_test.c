/* guest_test.c - who may say what about a guest, and what it does: DESIGN.md section 8. */
#include "base/test.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "coordinator/mutant.h"
#include "net/proto_codec.h"

enum { GUEST = 200, OTHER_GUEST, VOLUME = 300, MIGRATION = 400 };

#define INC_A fix_incarnation(FIX_NODE_A)
#define INC_B fix_incarnation(FIX_NODE_B)
#define INC_C fix_incarnation(FIX_NODE_C)

static int outcome(struct fix *fix, enum ray_epoch_origin entry, unsigned proposer)
{
    return fix_outcome(fix, entry, GUEST, proposer, 0, 0, NULL);
}

static int take_over(struct fix *fix, unsigned node)
{
    return fix_outcome(fix, RAY_EPOCH_DEATH, GUEST, 0, node, fix_incarnation(node), NULL);
}

/* Nodes A, B, C; the guest runs on A with one volume. */
static void open_running(struct fix *fix)
{
    fix_open_cluster(fix);
    assert_int_equal(fix_add_node(fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_add_node(fix, FIX_NODE_C), RAY_OK);
    assert_int_equal(fix_put_guest(fix, GUEST, true), RAY_OK);
    assert_int_equal(fix_put_volume(fix, VOLUME), RAY_OK);
    assert_int_equal(fix_attach(fix, VOLUME, GUEST), RAY_OK);
    assert_int_equal(fix_restart(fix, GUEST, FIX_NODE_A), RAY_OK);
}

static void must_live_at(const struct fix *fix, unsigned node, enum ray_epoch_origin entry)
{
    const struct coord_guest *guest = fix_guest(fix, GUEST);
    struct ray_id id = fix_id(node);

    assert_true(ray_id_equal(&guest->home.node, &id));
    assert_int_equal(guest->has_run, node != 0);
    assert_int_equal(guest->entry, entry);
    assert_int_equal(guest->epoch.index, fix->index);
    assert_true(ray_id_is_none(&guest->migration));
    for (uint32_t i = 0; i < guest->volume_count; i++) {
        const struct coord_object *volume =
            coord_fsm_find(fix->fsm, COORD_VOLUME, &guest->volumes[i]);

        assert_non_null(volume);
        assert_int_equal(volume->volume.has_writer, node != 0);
        assert_true(node == 0 || ray_epoch_equal(volume->volume.writer_epoch, guest->epoch));
    }
}

static void test_restart_then_stopped(void **state)
{
    struct fix fix;
    struct ray_epoch first;

    (void)state;
    open_running(&fix);
    must_live_at(&fix, FIX_NODE_A, RAY_EPOCH_RESTART);
    first = fix_guest(&fix, GUEST)->epoch;
    assert_int_equal(first.cluster, 1);
    assert_int_equal(fix_restart(&fix, GUEST, FIX_NODE_B), RAY_ECONFLICT); /* it has a run */
    assert_int_equal(outcome(&fix, RAY_EPOCH_STOPPED, INC_B), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_STOPPED, INC_A), RAY_OK);
    must_live_at(&fix, 0, RAY_EPOCH_STOPPED);
    /* The epoch was raised: what was proposed for the old one finds nothing. */
    assert_int_equal(fix_outcome(&fix, RAY_EPOCH_RESTART, GUEST, 0, FIX_NODE_B, INC_B, &first),
                     RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_STOPPED, INC_A), RAY_ECONFLICT);
    assert_int_equal(fix_restart(&fix, GUEST, FIX_NODE_B), RAY_OK);
    must_live_at(&fix, FIX_NODE_B, RAY_EPOCH_RESTART);
    fix_close(&fix);
}

static void test_start_again_at_home(void **state)
{
    struct fix fix;
    struct ray_epoch old;

    (void)state;
    open_running(&fix);
    old = fix_guest(&fix, GUEST)->epoch;
    assert_int_equal(outcome(&fix, RAY_EPOCH_START, INC_B), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_START, 0), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_START, INC_A), RAY_OK);
    must_live_at(&fix, FIX_NODE_A, RAY_EPOCH_START);
    assert_true(ray_epoch_compare(old, fix_guest(&fix, GUEST)->epoch) < 0);
    /* Twice the same proposal: the second is of an old epoch. */
    assert_int_equal(fix_outcome(&fix, RAY_EPOCH_START, GUEST, INC_A, 0, 0, &old), RAY_ECONFLICT);
    fix_close(&fix);
}

static void test_take_over_by_death(void **state)
{
    struct fix fix;
    struct ray_epoch old;

    (void)state;
    open_running(&fix);
    old = fix_guest(&fix, GUEST)->epoch;
    assert_int_equal(take_over(&fix, FIX_NODE_A), RAY_EINVAL); /* of itself */
    assert_int_equal(take_over(&fix, FIX_NODE_B), RAY_OK);
    must_live_at(&fix, FIX_NODE_B, RAY_EPOCH_DEATH);
    /* Whoever lost the race, and the old home. */
    assert_int_equal(fix_outcome(&fix, RAY_EPOCH_DEATH, GUEST, 0, FIX_NODE_C, INC_C, &old),
                     RAY_ECONFLICT);
    assert_int_equal(fix_outcome(&fix, RAY_EPOCH_STOPPED, GUEST, INC_A, 0, 0, &old), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_STOPPED, INC_A), RAY_ECONFLICT);
    /* Nowhere: its home died, and it is not to start elsewhere. */
    assert_int_equal(fix_outcome(&fix, RAY_EPOCH_DEATH, GUEST, 0, 0, 0, NULL), RAY_OK);
    must_live_at(&fix, 0, RAY_EPOCH_DEATH);
    assert_int_equal(take_over(&fix, FIX_NODE_B), RAY_ECONFLICT); /* nobody died */
    fix_close(&fix);
}

/* A reboot is a death: also to the node's next incarnation it goes by take-over only. */
static void test_reboot_of_home(void **state)
{
    struct fix fix;

    (void)state;
    open_running(&fix);
    assert_int_equal(fix_admit(&fix, FIX_NODE_A, 111, 2, 1), RAY_OK);
    assert_int_equal(outcome(&fix, RAY_EPOCH_START, 111), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_START, INC_A), RAY_ECONFLICT); /* replaced */
    assert_int_equal(take_over(&fix, FIX_NODE_A), RAY_EINVAL); /* the old incarnation */
    assert_int_equal(fix_outcome(&fix, RAY_EPOCH_DEATH, GUEST, 0, FIX_NODE_A, 111, NULL), RAY_OK);
    must_live_at(&fix, FIX_NODE_A, RAY_EPOCH_DEATH);
    assert_int_equal(outcome(&fix, RAY_EPOCH_STOPPED, INC_A), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_STOPPED, 111), RAY_OK);
    fix_close(&fix);
}

static void test_targets_are_checked(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__NodeReport report = RAYOS__REGISTRY__NODE_REPORT__INIT;
    struct ray_id node = fix_id(FIX_NODE_B);
    struct ray_id incarnation = fix_id(INC_B);

    (void)state;
    open_running(&fix);
    assert_int_equal(fix_outcome(&fix, RAY_EPOCH_DEATH, GUEST, 0, FIX_NODE_B, 999, NULL),
                     RAY_ECONFLICT);
    assert_int_equal(fix_outcome(&fix, RAY_EPOCH_DEATH, GUEST, 0, 77, 999, NULL), RAY_ECONFLICT);
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REPORT;
    command.message.node_report = &report;
    command.header.incarnation = ray_proto_optional_id(&incarnation);
    report.node = ray_proto_optional_id(&node);
    report.is_fit_for_leases = false;
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    assert_int_equal(take_over(&fix, FIX_NODE_B), RAY_ECONFLICT); /* no clock to count by */
    assert_int_equal(fix_migrate(&fix, MIGRATION, GUEST, FIX_NODE_B), RAY_ECONFLICT);
    assert_int_equal(take_over(&fix, FIX_NODE_C), RAY_OK);
    fix_close(&fix);
}

static void test_migration(void **state)
{
    struct fix fix;
    const struct coord_fsm_event *event;

    (void)state;
    open_running(&fix);
    assert_int_equal(outcome(&fix, RAY_EPOCH_MIGRATION, INC_B), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_CANCEL, INC_A), RAY_ECONFLICT);
    assert_int_equal(fix_migrate(&fix, MIGRATION, GUEST, FIX_NODE_A), RAY_EINVAL);
    assert_int_equal(fix_migrate(&fix, MIGRATION, GUEST, FIX_NODE_B), RAY_OK);
    /* The volumes concern the destination from now on. */
    event = fix_event(&fix, COORD_VOLUME, VOLUME);
    assert_non_null(event);
    assert_int_equal(event->node_count, 2);
    assert_int_equal(fix_migrate(&fix, MIGRATION + 1, GUEST, FIX_NODE_C), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_MIGRATION, INC_A), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_MIGRATION, INC_C), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_MIGRATION, INC_B), RAY_OK);
    must_live_at(&fix, FIX_NODE_B, RAY_EPOCH_MIGRATION);
    assert_int_equal(fix_find(&fix, COORD_MIGRATION, MIGRATION)->migration.state,
                     COORD_MIGRATION_DONE);
    /* The event goes to the old home, too. */
    event = fix_event(&fix, COORD_GUEST, GUEST);
    assert_non_null(event);
    assert_int_equal(event->node_count, 2);
    assert_int_equal(fix_migrate(&fix, MIGRATION, GUEST, FIX_NODE_C), RAY_EEXISTS);
    fix_close(&fix);
}

static void test_cancel_against_take_over(void **state)
{
    struct fix fix;
    struct ray_epoch moved;

    (void)state;
    open_running(&fix);
    assert_int_equal(fix_migrate(&fix, MIGRATION, GUEST, FIX_NODE_B), RAY_OK);
    moved = fix_guest(&fix, GUEST)->epoch;
    assert_int_equal(outcome(&fix, RAY_EPOCH_CANCEL, INC_B), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_CANCEL, INC_A), RAY_OK);
    must_live_at(&fix, FIX_NODE_A, RAY_EPOCH_CANCEL);
    assert_int_equal(fix_find(&fix, COORD_MIGRATION, MIGRATION)->migration.state,
                     COORD_MIGRATION_CLOSED);
    assert_int_equal(fix_outcome(&fix, RAY_EPOCH_MIGRATION, GUEST, INC_B, 0, 0, &moved),
                     RAY_ECONFLICT);
    /* Also with the present epoch: the record is closed. */
    assert_int_equal(outcome(&fix, RAY_EPOCH_MIGRATION, INC_B), RAY_ECONFLICT);
    /* Every other outcome closes a migration as well. */
    assert_int_equal(fix_migrate(&fix, MIGRATION + 1, GUEST, FIX_NODE_B), RAY_OK);
    assert_int_equal(take_over(&fix, FIX_NODE_C), RAY_OK);
    must_live_at(&fix, FIX_NODE_C, RAY_EPOCH_DEATH);
    assert_int_equal(fix_find(&fix, COORD_MIGRATION, MIGRATION + 1)->migration.state,
                     COORD_MIGRATION_CLOSED);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_MIGRATION, MIGRATION), RAY_OK);
    fix_close(&fix);
}

/* The destination booted again after it loaded the copy: that copy is no more. */
static void test_destination_reboots(void **state)
{
    struct fix fix;

    (void)state;
    open_running(&fix);
    assert_int_equal(fix_migrate(&fix, MIGRATION, GUEST, FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_admit(&fix, FIX_NODE_B, 112, 2, 1), RAY_OK);
    assert_int_equal(outcome(&fix, RAY_EPOCH_MIGRATION, 112), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_MIGRATION, INC_B), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_CANCEL, INC_A), RAY_OK);
    fix_close(&fix);
}

static void test_delete_waits_for_the_run(void **state)
{
    struct fix fix;

    (void)state;
    open_running(&fix);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST), RAY_OK);
    assert_true(fix_find(&fix, COORD_GUEST, GUEST)->is_gone);
    assert_true(fix_guest(&fix, GUEST)->has_run);
    assert_int_equal(fix_put_guest(&fix, GUEST, true), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_START, INC_A), RAY_ECONFLICT);
    assert_int_equal(take_over(&fix, FIX_NODE_B), RAY_ECONFLICT);
    assert_int_equal(outcome(&fix, RAY_EPOCH_STOPPED, INC_A), RAY_OK);
    assert_null(fix_find(&fix, COORD_GUEST, GUEST));
    assert_true(fix_event(&fix, COORD_GUEST, GUEST)->is_deleted);
    assert_true(ray_id_is_none(&fix_find(&fix, COORD_VOLUME, VOLUME)->volume.guest));
    fix_close(&fix);

    /* Or for the death of its home. */
    open_running(&fix);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST), RAY_OK);
    assert_int_equal(fix_outcome(&fix, RAY_EPOCH_DEATH, GUEST, 0, 0, 0, NULL), RAY_OK);
    assert_null(fix_find(&fix, COORD_GUEST, GUEST));
    fix_close(&fix);
}

static void test_volumes_wait_for_the_run(void **state)
{
    struct fix fix;
    const struct coord_volume *volume;

    (void)state;
    open_running(&fix);
    assert_int_equal(fix_put_guest(&fix, OTHER_GUEST, true), RAY_OK);
    assert_int_equal(fix_attach(&fix, VOLUME, OTHER_GUEST), RAY_ECONFLICT);
    assert_int_equal(fix_detach(&fix, VOLUME), RAY_OK);
    volume = &fix_find(&fix, COORD_VOLUME, VOLUME)->volume;
    assert_true(volume->is_detaching && volume->has_writer);
    assert_int_equal(fix_attach(&fix, VOLUME, OTHER_GUEST), RAY_ECONFLICT);
    /* The same memory that goes on elsewhere still writes to it. */
    assert_int_equal(fix_migrate(&fix, MIGRATION, GUEST, FIX_NODE_B), RAY_OK);
    assert_int_equal(outcome(&fix, RAY_EPOCH_MIGRATION, INC_B), RAY_OK);
    volume = &fix_find(&fix, COORD_VOLUME, VOLUME)->volume;
    assert_true(volume->has_writer);
    assert_true(ray_epoch_equal(volume->writer_epoch, fix_guest(&fix, GUEST)->epoch));
    /* A start from disk is another run. */
    assert_int_equal(outcome(&fix, RAY_EPOCH_START, INC_B), RAY_OK);
    volume = &fix_find(&fix, COORD_VOLUME, VOLUME)->volume;
    assert_true(!volume->has_writer && ray_id_is_none(&volume->guest));
    assert_int_equal(fix_guest(&fix, GUEST)->volume_count, 0);
    assert_int_equal(fix_attach(&fix, VOLUME, OTHER_GUEST), RAY_OK);
    assert_false(fix_find(&fix, COORD_VOLUME, VOLUME)->volume.has_writer);
    assert_int_equal(fix_detach(&fix, VOLUME), RAY_OK); /* no run: at once */
    assert_int_equal(fix_detach(&fix, VOLUME), RAY_ECONFLICT);

    /* Attached to a run, deleted while it lasts. */
    assert_int_equal(fix_attach(&fix, VOLUME, GUEST), RAY_OK);
    assert_true(fix_find(&fix, COORD_VOLUME, VOLUME)->volume.has_writer);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_VOLUME, VOLUME), RAY_OK);
    assert_true(fix_find(&fix, COORD_VOLUME, VOLUME)->is_gone);
    assert_int_equal(outcome(&fix, RAY_EPOCH_STOPPED, INC_B), RAY_OK);
    assert_null(fix_find(&fix, COORD_VOLUME, VOLUME));
    fix_close(&fix);
}

static void test_volume_limit(void **state)
{
    struct fix fix;

    (void)state;
    open_running(&fix);
    for (unsigned i = 1; i < COORD_GUEST_VOLUMES_MAX; i++) {
        assert_int_equal(fix_put_volume(&fix, VOLUME + i), RAY_OK);
        assert_int_equal(fix_attach(&fix, VOLUME + i, GUEST), RAY_OK);
    }
    assert_int_equal(fix_put_volume(&fix, VOLUME + 50), RAY_OK);
    assert_int_equal(fix_attach(&fix, VOLUME + 50, GUEST), RAY_ECONFLICT);
    assert_int_equal(fix_migrate(&fix, MIGRATION, GUEST, FIX_NODE_B), RAY_OK);
    assert_int_equal(outcome(&fix, RAY_EPOCH_MIGRATION, INC_B), RAY_OK);
    must_live_at(&fix, FIX_NODE_B, RAY_EPOCH_MIGRATION);
    assert_int_equal(fix.outcome.event_count, 2 + COORD_GUEST_VOLUMES_MAX);
    fix_close(&fix);
}

static void test_recovery(void **state)
{
    static const unsigned survivors[] = {FIX_NODE_B};
    struct fix fix;
    struct ray_epoch before;

    (void)state;
    open_running(&fix);
    before = fix_guest(&fix, GUEST)->epoch;
    assert_int_equal(fix_recover(&fix, 2, survivors, 1), RAY_ECONFLICT);
    assert_int_equal(fix_recover(&fix, 1, survivors, 0), RAY_EINVAL);
    assert_int_equal(fix_recover(&fix, 1, survivors, 1), RAY_OK);
    assert_int_equal(fix_cluster(&fix)->cluster_epoch, 2);
    assert_int_equal(fix_cluster(&fix)->unknown_count, 2); /* A and C */
    assert_string_equal(fix_happening(&fix)->what, "cluster-recovered");
    /* Nothing gets a new home, whoever asks. */
    assert_int_equal(take_over(&fix, FIX_NODE_B), RAY_EUNAVAILABLE);
    assert_true(strlen(fix.outcome.result.next_step) > 0);
    assert_int_equal(outcome(&fix, RAY_EPOCH_START, INC_A), RAY_EUNAVAILABLE);
    assert_int_equal(fix_migrate(&fix, MIGRATION, GUEST, FIX_NODE_B), RAY_EUNAVAILABLE);
    /* C comes back, at the new cluster epoch only. */
    assert_int_equal(fix_admit(&fix, FIX_NODE_C, INC_C, 1, 1), RAY_ECONFLICT);
    assert_int_equal(fix_cluster(&fix)->unknown_count, 2);
    assert_int_equal(fix_admit(&fix, FIX_NODE_C, INC_C, 1, 2), RAY_OK);
    assert_int_equal(fix_cluster(&fix)->unknown_count, 1);
    assert_int_equal(take_over(&fix, FIX_NODE_B), RAY_EUNAVAILABLE);
    assert_int_equal(fix_confirm_off(&fix, FIX_NODE_A), RAY_OK);
    assert_int_equal(fix_cluster(&fix)->unknown_count, 0);
    assert_string_equal(fix_happening(&fix)->what, "confirmed-off");
    assert_int_equal(take_over(&fix, FIX_NODE_B), RAY_OK);
    must_live_at(&fix, FIX_NODE_B, RAY_EPOCH_DEATH);
    /* Above everything that the other world can have made. */
    assert_int_equal(fix_guest(&fix, GUEST)->epoch.cluster, 2);
    assert_true(ray_epoch_compare(before, fix_guest(&fix, GUEST)->epoch) < 0);
    fix_close(&fix);
}

static void test_reports(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__GuestReport report = RAYOS__REGISTRY__GUEST_REPORT__INIT;
    Rayos__Registry__Epoch epoch = RAYOS__REGISTRY__EPOCH__INIT;
    struct ray_id guest = fix_id(GUEST);
    struct ray_id incarnation = fix_id(INC_A);

    (void)state;
    open_running(&fix);
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_GUEST_REPORT;
    command.message.guest_report = &report;
    command.header.incarnation = ray_proto_optional_id(&incarnation);
    report.guest = ray_proto_optional_id(&guest);
    report.epoch = &epoch;
    report.state = RAYOS__REGISTRY__GUEST_STATE__GUEST_RUNNING;
    assert_int_equal(fix_apply(&fix, &command), RAY_ECONFLICT); /* of no epoch */
    epoch.cluster = 1;
    epoch.index = fix_guest(&fix, GUEST)->epoch.index;
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    assert_int_equal(fix_guest(&fix, GUEST)->state, RAYOS__REGISTRY__GUEST_STATE__GUEST_RUNNING);
    assert_int_equal(fix.outcome.event_count, 1);
    assert_int_equal(fix_apply(&fix, &command), RAY_OK); /* nothing new */
    assert_int_equal(fix.outcome.event_count, 0);
    report.state = (Rayos__Registry__GuestState)42;
    assert_int_equal(fix_apply(&fix, &command), RAY_EINVAL);
    report.state = RAYOS__REGISTRY__GUEST_STATE__GUEST_FROZEN;
    incarnation = fix_id(INC_B);
    assert_int_equal(fix_apply(&fix, &command), RAY_ECONFLICT);
    fix_close(&fix);
}

static void test_removed_node_is_a_tombstone(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__NodeRemove removal = RAYOS__REGISTRY__NODE_REMOVE__INIT;
    struct ray_id node = fix_id(FIX_NODE_B);
    const struct coord_object *at_home;

    (void)state;
    open_running(&fix);
    assert_int_equal(take_over(&fix, FIX_NODE_B), RAY_OK);
    at_home = coord_fsm_next_at_home(fix.fsm, &node, NULL);
    assert_non_null(at_home);
    assert_null(coord_fsm_next_at_home(fix.fsm, &node, at_home));
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE;
    command.message.node_remove = &removal;
    removal.node = ray_proto_optional_id(&node);
    assert_int_equal(fix_apply(&fix, &command), RAY_ECONFLICT);
    removal.is_forced = true;
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    assert_int_equal(fix_find(&fix, COORD_NODE, FIX_NODE_B)->node.state, COORD_NODE_REMOVED);
    assert_int_equal(outcome(&fix, RAY_EPOCH_START, INC_B), RAY_ECONFLICT);
    assert_int_equal(fix_admit(&fix, FIX_NODE_B, INC_B, 1, 1), RAY_EDENIED);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_ECONFLICT);
    assert_int_equal(take_over(&fix, FIX_NODE_C), RAY_OK);
    assert_null(fix_find(&fix, COORD_NODE, FIX_NODE_B)); /* its last guest has moved */
    assert_true(fix_event(&fix, COORD_NODE, FIX_NODE_B)->is_deleted);
    must_live_at(&fix, FIX_NODE_C, RAY_EPOCH_DEATH);
    fix_close(&fix);
}

static void test_invalid_outcomes(void **state)
{
    struct fix fix;

    (void)state;
    open_running(&fix);
    assert_int_equal(outcome(&fix, RAY_EPOCH_NONE, INC_A), RAY_EINVAL);
    assert_int_equal(outcome(&fix, (enum ray_epoch_origin)77, INC_A), RAY_EINVAL);
    assert_int_equal(fix_restart(&fix, OTHER_GUEST, FIX_NODE_A), RAY_ENOTFOUND);
    assert_int_equal(fix_put_guest(&fix, OTHER_GUEST, false), RAY_OK);
    assert_int_equal(fix_restart(&fix, OTHER_GUEST, FIX_NODE_A), RAY_ECONFLICT); /* not wanted */
    fix_close(&fix);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart_then_stopped),
        cmocka_unit_test(test_start_again_at_home),
        cmocka_unit_test(test_take_over_by_death),
        cmocka_unit_test(test_reboot_of_home),
        cmocka_unit_test(test_targets_are_checked),
        cmocka_unit_test(test_migration),
        cmocka_unit_test(test_cancel_against_take_over),
        cmocka_unit_test(test_destination_reboots),
        cmocka_unit_test(test_delete_waits_for_the_run),
        cmocka_unit_test(test_volumes_wait_for_the_run),
        cmocka_unit_test(test_volume_limit),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_removed_node_is_a_tombstone),
        cmocka_unit_test(test_invalid_outcomes),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
