/* recover_test.c - one survivor becomes the only voter of a new cluster epoch; what is refused
 * leaves no trace; cut anywhere, it is done once more. */
#include "base/test.h"
#include "coordinator/core/config.h"
#include "coordinator/replica/impl.h"
#include "coordinator/replica/replica_fixture.h"

enum { CUTS_MAX = 64 };

/* A member of its own cluster that has stopped. */
static void make_member(struct replica_fix *fix)
{
    replica_fix_start(fix, true);
    replica_fix_found(fix);
    replica_fix_stop(fix);
}

static int recover(struct replica_fix *fix, unsigned survivor, struct ray_err *err)
{
    struct ray_id id = replica_fix_id(survivor);
    int status;
    int rc = replica_fix_recover(fix, &id, 1, &status, err);

    coord_fake_disk_run(fix->disk);
    return rc == RAY_OK ? status : rc;
}

static void must_lead_at(struct replica_fix *fix, uint64_t cluster_epoch)
{
    const struct coord_object *cluster;
    struct coord_replica_status status;

    assert_int_equal(replica_fix_create(fix, NULL), RAY_OK);
    replica_fix_run(fix, 0);
    assert_int_equal(fix->role, COORD_REPLICA_LEADER);
    cluster = coord_fsm_cluster(coord_replica_fsm(fix->replica));
    assert_int_equal(cluster->cluster.cluster_epoch, cluster_epoch);
    assert_int_equal(fix->replica->meta.now.cluster_epoch, cluster_epoch);
    assert_int_equal(cluster->cluster.unknown_count, 0); /* there is no other node */
    coord_replica_status(fix->replica, &status);
    assert_int_equal(coord_config_voter_count(&status.config), 1);
    assert_int_equal(status.config.servers[0].id, status.server_id);
    replica_fix_stop(fix);
}

static void test_the_only_voter(void **state)
{
    struct replica_fix fix;
    struct ray_err err = {0};
    uint64_t term;

    (void)state;
    make_member(&fix);
    assert_int_equal(recover(&fix, 0, &err), RAY_OK);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    term = fix.replica->meta.now.term;
    assert_true(term > 1000); /* above all that a lost majority may have had */
    replica_fix_stop(&fix);
    must_lead_at(&fix, 2);
    assert_int_equal(recover(&fix, 0, &err), RAY_OK); /* and lost again */
    must_lead_at(&fix, 3);
    replica_fix_close(&fix);
}

static void test_refused(void **state)
{
    struct replica_fix fix;
    struct ray_err err = {0};

    (void)state;
    make_member(&fix);
    assert_int_equal(recover(&fix, 5, &err), RAY_EINVAL);
    assert_non_null(strstr(err.text, "not among the survivors"));
    must_lead_at(&fix, 1);
    replica_fix_close(&fix);

    replica_fix_open(&fix, true); /* it never was in a cluster */
    assert_int_equal(recover(&fix, 0, &err), RAY_EDENIED);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_LEADER);
    replica_fix_close(&fix);

    replica_fix_open(&fix, true);
    coord_fake_disk_destroy(fix.disk);
    fix.disk = coord_fake_disk_create();
    assert_int_equal(recover(&fix, 0, &err), RAY_ENOTFOUND);
    replica_fix_close(&fix);
}

/* Among several survivors that one is unknown to the state machine: said before anything is
 * written. */
static void test_an_unknown_survivor(void **state)
{
    struct replica_fix fix;
    struct ray_err err = {0};
    struct ray_id survivors[2] = {replica_fix_id(0), replica_fix_id(6)};
    int status;

    (void)state;
    make_member(&fix);
    assert_int_not_equal(replica_fix_recover(&fix, survivors, 2, &status, &err), RAY_OK);
    assert_int_equal(fix.disk->op_count, 0);
    must_lead_at(&fix, 1);
    replica_fix_close(&fix);
}

static void test_not_by_who_is_quarantined(void **state)
{
    struct replica_fix fix;
    struct ray_err err = {0};

    (void)state;
    make_member(&fix);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    (void)ray_fail(&err, RAY_ECONFLICT, "others did it");
    replica_quarantine(fix.replica, &err);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    replica_fix_stop(&fix);
    assert_int_equal(recover(&fix, 0, &err), RAY_EDENIED);
    assert_non_null(strstr(err.text, "quarantined"));
    replica_fix_close(&fix);
}

/* In the meta block, each copy: of opening it, and of the new epoch. */
static void test_cut_in_the_meta_block(void **state)
{
    (void)state;
    for (int cut = 0; cut < 4; cut++) {
        for (size_t sectors = 0; sectors <= 8; sectors++) {
            struct replica_fix fix;
            struct ray_err err = {0};

            make_member(&fix);
            fix.disk->now_until_cut = cut;
            fix.disk->now_sectors = sectors;
            assert_int_equal(recover(&fix, 0, &err), RAY_EIO);
            fix.disk->is_off = false;
            fix.disk->now_until_cut = -1;
            assert_int_equal(recover(&fix, 0, &err), RAY_OK);
            must_lead_at(&fix, 2);
            replica_fix_close(&fix);
        }
    }
}

/* The power fails when `done` operations are complete; what is under way is lost, or torn, or
 * whole. False: it had ended before that. */
static bool cut_in_the_log(struct replica_fix *fix, int done, struct coord_fake_cut fate)
{
    struct coord_fake_cut cuts[COORD_FAKE_OPS_MAX];
    struct ray_id self = replica_fix_id(0);
    struct coord_fake_disk *after;
    struct coord_fake_disk *before;
    int status;

    assert_int_equal(replica_fix_recover(fix, &self, 1, &status, NULL), RAY_OK);
    for (int i = 0; i < done && fix->disk->op_count > 0; i++) {
        coord_fake_disk_complete(fix->disk, 0);
    }
    if (fix->disk->op_count == 0) {
        assert_int_equal(status, RAY_OK);
        return false;
    }
    after = coord_fake_disk_copy(fix->disk);
    for (size_t i = 0; i < COORD_FAKE_OPS_MAX; i++) {
        cuts[i] = fate;
    }
    coord_fake_disk_cut(after, cuts);
    before = fix->disk;
    coord_fake_disk_run(before); /* only so that its memory is freed */
    coord_fake_disk_destroy(before);
    fix->disk = after;
    fix->checkpoint->ops->destroy(fix->checkpoint);
    fix->checkpoint = NULL;
    return true;
}

static void test_cut_in_the_log(void **state)
{
    static const struct coord_fake_cut fates[] = {{.fate = COORD_FAKE_LOST},
                                                  {.fate = COORD_FAKE_HEAD, .sectors = 1},
                                                  {.fate = COORD_FAKE_TAIL, .sectors = 1},
                                                  {.fate = COORD_FAKE_WHOLE}};
    int cuts = 0;

    (void)state;
    for (size_t fate = 0; fate < sizeof fates / sizeof fates[0]; fate++) {
        bool is_cut = true;

        for (int done = 0; is_cut && done < CUTS_MAX; done++) {
            struct replica_fix fix;
            uint64_t epoch;

            make_member(&fix);
            is_cut = cut_in_the_log(&fix, done, fates[fate]);
            cuts += is_cut;
            assert_int_equal(recover(&fix, 0, NULL), RAY_OK);
            assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
            replica_fix_run(&fix, 0);
            epoch = fix.replica->meta.now.cluster_epoch;
            replica_fix_stop(&fix);
            assert_true(epoch == 2 || epoch == 3); /* 3: the first time it was all there */
            must_lead_at(&fix, epoch);
            replica_fix_close(&fix);
        }
        assert_false(is_cut);
    }
    assert_true(cuts >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_only_voter),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_an_unknown_survivor),
        cmocka_unit_test(test_not_by_who_is_quarantined),
        cmocka_unit_test(test_cut_in_the_meta_block),
        cmocka_unit_test(test_cut_in_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
