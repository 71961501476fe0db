#include "base/test.h"
#include "coordinator/lease/book.h"

static const struct ray_id node_a = {{1}};
static const struct ray_id inc_a = {{0x11}};
static const struct ray_id inc_a2 = {{0x12}};
static const struct ray_id inc_b = {{0x21}};
static const struct ray_id guest = {{0x77}};
static const struct ray_id guest_2 = {{0x78}};
static const struct ray_epoch epoch_1 = {1, 5};

/* T + M = 100, no drift: W = 100. */
struct fixture {
    struct coord_lease_book *book;
    struct ray_id admitted; /* of node a */
    struct coord_lease_timing current;
    struct coord_lease_timing maxima;
    uint64_t cluster_epoch;
    bool has_unknown;
    bool is_gone;
};

static bool view_node(void *arg, const struct ray_id *node, struct ray_id *out_incarnation)
{
    const struct fixture *f = arg;

    *out_incarnation = ray_id_equal(node, &node_a) ? f->admitted : inc_b;
    return !f->is_gone;
}

static int view_pairs(void *arg, const struct ray_id *node, const struct ray_id *incarnation,
                      struct coord_lease_pair *out, size_t max, size_t *out_count)
{
    (void)arg;
    (void)incarnation;
    assert_true(max >= 2);
    *out_count = 0;
    if (ray_id_equal(node, &node_a)) {
        /* Not in order. */
        out[0] = (struct coord_lease_pair){
            .id = guest_2, .epoch = {2, 9}, .from = {1, 3}, .origin = RAY_EPOCH_START, .kind = 1};
        out[1] = (struct coord_lease_pair){
            .id = guest, .epoch = epoch_1, .origin = RAY_EPOCH_CREATED, .kind = 1};
        *out_count = 2;
    }
    return RAY_OK;
}

static uint64_t view_cluster_epoch(void *arg)
{
    return ((const struct fixture *)arg)->cluster_epoch;
}

static bool view_has_unknown(void *arg)
{
    return ((const struct fixture *)arg)->has_unknown;
}

static void view_timing(void *arg, struct coord_lease_timing *out_current,
                        struct coord_lease_timing *out_maxima)
{
    *out_current = ((const struct fixture *)arg)->current;
    *out_maxima = ((const struct fixture *)arg)->maxima;
}

static struct coord_lease_view view_of(struct fixture *f)
{
    return (struct coord_lease_view){.node = view_node,
                                     .pairs = view_pairs,
                                     .cluster_epoch = view_cluster_epoch,
                                     .has_unknown = view_has_unknown,
                                     .timing = view_timing,
                                     .arg = f};
}

static struct fixture *begin(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct coord_lease_view view = view_of(f);

    assert_non_null(f);
    f->admitted = inc_a;
    f->current = (struct coord_lease_timing){80, 20, 0};
    f->maxima = f->current;
    f->cluster_epoch = 1;
    assert_int_equal(coord_lease_book_create(&f->book, &view, NULL), RAY_OK);
    return f;
}

static void end(struct fixture *f)
{
    coord_lease_book_destroy(f->book);
    free(f);
}

static int renew(struct fixture *f, uint64_t now_ns, const struct ray_id *incarnation,
                 struct coord_lease_gate gate)
{
    const struct coord_lease_renew message = {.node = node_a,
                                              .incarnation = *incarnation,
                                              .cluster_epoch = f->cluster_epoch,
                                              .t_send_ns = now_ns - 1};
    enum coord_lease_status status = COORD_LEASE_GRANTED;
    int rc = coord_lease_book_renew(f->book, now_ns, &message, &gate, &status, NULL);

    assert_int_equal(rc == RAY_EDENIED, status != COORD_LEASE_GRANTED);
    return rc;
}

static bool may_take(const struct fixture *f, uint64_t now_ns, const struct ray_id *incarnation)
{
    return coord_lease_book_may_take_over(f->book, now_ns, incarnation, epoch_1, 0, NULL);
}

static void test_nothing_before_the_noop(void **state)
{
    struct fixture *f = begin();
    struct coord_lease_answer answer;

    (void)state;
    assert_int_equal(renew(f, 10, &inc_a, (struct coord_lease_gate){.probe = 1}), RAY_EUNAVAILABLE);
    assert_false(may_take(f, 10000, &inc_a));
    coord_lease_book_applied(f->book, 6);
    coord_lease_book_begin(f->book, 1000, 8);
    f->admitted = inc_a2; /* as far as is applied; the admission of inc_a comes with 7 */
    assert_int_equal(renew(f, 1001, &inc_a, (struct coord_lease_gate){.probe = 1}), RAY_OK);
    assert_false(coord_lease_book_next_answer(f->book, 1, &answer));
    coord_lease_book_applied(f->book, 7);
    assert_false(coord_lease_book_next_answer(f->book, 1, &answer));
    assert_false(may_take(f, 5000, &inc_b));
    f->admitted = inc_a;
    coord_lease_book_applied(f->book, 8);
    assert_true(may_take(f, 5000, &inc_b));
    assert_true(coord_lease_book_next_answer(f->book, 1, &answer));
    assert_int_equal(answer.status, COORD_LEASE_GRANTED);
    assert_true(answer.t_send_ns == 1000 && answer.grant_ns == 80 && answer.revision == 8);
    /* Sorted, without what is of another cluster epoch. */
    assert_int_equal(answer.pair_count, 1);
    assert_true(ray_id_equal(&answer.pairs[0].id, &guest));
    assert_false(coord_lease_book_next_answer(f->book, 1, &answer));
    end(f);
}

static struct fixture *lead(void)
{
    struct fixture *f = begin();

    coord_lease_book_begin(f->book, 1000, 8);
    coord_lease_book_applied(f->book, 8);
    return f;
}

static void test_gates(void **state)
{
    struct fixture *f = lead();
    struct coord_lease_answer answer;

    (void)state;
    assert_int_equal(renew(f, 1010, &inc_a, (struct coord_lease_gate){.probe = 5, .read_index = 9}),
                     RAY_OK);
    assert_false(coord_lease_book_next_answer(f->book, 4, &answer)); /* it began before */
    assert_false(coord_lease_book_next_answer(f->book, 5, &answer)); /* 9 is not applied */
    assert_int_equal(renew(f, 1011, &inc_a, (struct coord_lease_gate){.entry_index = 10}), RAY_OK);
    coord_lease_book_applied(f->book, 9);
    assert_false(coord_lease_book_next_answer(f->book, 4, &answer));
    assert_true(coord_lease_book_next_answer(f->book, 5, &answer));
    assert_int_equal(answer.t_send_ns, 1009);
    assert_false(coord_lease_book_next_answer(f->book, 5, &answer));
    coord_lease_book_applied(f->book, 10);
    assert_true(coord_lease_book_next_answer(f->book, 5, &answer));
    assert_int_equal(answer.t_send_ns, 1010);
    /* Deposed: who waits gets nothing. */
    assert_int_equal(renew(f, 1020, &inc_a, (struct coord_lease_gate){.probe = 6}), RAY_OK);
    coord_lease_book_end(f->book);
    assert_false(coord_lease_book_next_answer(f->book, 9, &answer));
    coord_lease_book_begin(f->book, 2000, 11);
    coord_lease_book_applied(f->book, 11);
    assert_false(coord_lease_book_next_answer(f->book, 9, &answer));
    end(f);
}

static void test_unchanged(void **state)
{
    struct fixture *f = lead();
    const struct coord_lease_gate gate = {.probe = 1};
    struct coord_lease_renew message = {
        .node = node_a, .incarnation = inc_a, .cluster_epoch = 1, .t_send_ns = 1};
    enum coord_lease_status status;
    struct coord_lease_answer answer;

    (void)state;
    assert_int_equal(coord_lease_book_renew(f->book, 1001, &message, &gate, &status, NULL), RAY_OK);
    assert_true(coord_lease_book_next_answer(f->book, 1, &answer));
    assert_false(answer.is_unchanged);
    message.hash = answer.hash;
    assert_int_equal(coord_lease_book_renew(f->book, 1002, &message, &gate, &status, NULL), RAY_OK);
    assert_true(coord_lease_book_next_answer(f->book, 1, &answer));
    assert_true(answer.is_unchanged && answer.pair_count == 0);
    end(f);
}

static void test_left_out_while_pending(void **state)
{
    struct fixture *f = lead();
    struct coord_lease_answer answer;

    (void)state;
    /* In its probe round when the outcome is appended. */
    assert_int_equal(renew(f, 1010, &inc_a, (struct coord_lease_gate){.probe = 1}), RAY_OK);
    assert_int_equal(coord_lease_book_outcome_appended(f->book, &guest, 20, NULL), RAY_OK);
    assert_int_equal(coord_lease_book_outcome_appended(f->book, &guest, 21, NULL), RAY_OK);
    assert_true(coord_lease_book_next_answer(f->book, 1, &answer));
    assert_int_equal(answer.pair_count, 0);
    coord_lease_book_applied(f->book, 20);
    assert_int_equal(renew(f, 1011, &inc_a, (struct coord_lease_gate){.probe = 2}), RAY_OK);
    assert_true(coord_lease_book_next_answer(f->book, 2, &answer));
    assert_int_equal(answer.pair_count, 0);
    coord_lease_book_applied(f->book, 21);
    assert_int_equal(renew(f, 1012, &inc_a, (struct coord_lease_gate){.probe = 3}), RAY_OK);
    assert_true(coord_lease_book_next_answer(f->book, 3, &answer));
    assert_int_equal(answer.pair_count, 1);
    end(f);
}

static void test_duplicate_and_removed(void **state)
{
    struct fixture *f = lead();
    struct coord_lease_answer answer;
    const struct coord_lease_renew clone = {
        .node = node_a, .incarnation = inc_a2, .cluster_epoch = 1, .t_send_ns = 7};

    (void)state;
    assert_int_equal(renew(f, 1010, &inc_a2, (struct coord_lease_gate){.probe = 1}), RAY_EDENIED);
    answer = coord_lease_book_refusal(f->book, &clone, COORD_LEASE_DUPLICATE);
    assert_true(answer.t_send_ns == 7 && answer.pair_count == 0);
    /* Admitted in its probe round. */
    assert_int_equal(renew(f, 1010, &inc_a, (struct coord_lease_gate){.probe = 1}), RAY_OK);
    f->admitted = inc_a2;
    assert_true(coord_lease_book_next_answer(f->book, 1, &answer));
    assert_int_equal(answer.status, COORD_LEASE_DUPLICATE);
    assert_int_equal(answer.pair_count, 0);
    /* A refused renewal is no sign of life; the one before is. */
    assert_int_equal(renew(f, 1090, &inc_a, (struct coord_lease_gate){.probe = 2}), RAY_EDENIED);
    assert_false(may_take(f, 1110, &inc_a));
    assert_true(may_take(f, 1111, &inc_a));
    /* A forced removal refuses from its append. */
    assert_int_equal(renew(f, 1200, &inc_a2, (struct coord_lease_gate){.probe = 2}), RAY_OK);
    assert_int_equal(coord_lease_book_removal_appended(f->book, &node_a, 30, NULL), RAY_OK);
    assert_true(coord_lease_book_next_answer(f->book, 2, &answer));
    assert_int_equal(answer.status, COORD_LEASE_REMOVED);
    assert_int_equal(renew(f, 1201, &inc_a2, (struct coord_lease_gate){.probe = 3}), RAY_EDENIED);
    assert_false(may_take(f, 1300, &inc_a2));
    assert_true(may_take(f, 1301, &inc_a2));
    end(f);
}

static void test_silence(void **state)
{
    struct fixture *f = lead();
    struct coord_lease_silence silence;

    (void)state;
    assert_false(may_take(f, 1100, &inc_a)); /* the election must be older than W */
    assert_true(may_take(f, 1101, &inc_a));
    assert_int_equal(renew(f, 1100, &inc_a, (struct coord_lease_gate){.probe = 1}), RAY_OK);
    assert_false(may_take(f, 1200, &inc_a));
    assert_true(may_take(f, 1201, &inc_a));
    assert_false(coord_lease_book_may_take_over(f->book, 1201, &inc_a, epoch_1, 50, &silence));
    assert_true(silence.wait_ns == 150 && silence.silent_ns == 101 && silence.has_heard);
    assert_true(coord_lease_book_may_take_over(f->book, 1251, &inc_a, epoch_1, 50, NULL));
    assert_true(may_take(f, 1201, &inc_b));
    end(f);
}

static void test_recovery(void **state)
{
    struct fixture *f = lead();
    const struct ray_epoch new_epoch = {2, 3};
    struct coord_lease_answer answer;

    (void)state;
    f->cluster_epoch = 2;
    f->has_unknown = true;
    assert_false(may_take(f, 9000, &inc_a));
    assert_true(coord_lease_book_may_take_over(f->book, 9000, &inc_a, new_epoch, 0, NULL));
    /* Only what was made in this cluster epoch is granted. */
    assert_int_equal(renew(f, 9001, &inc_a, (struct coord_lease_gate){.probe = 1}), RAY_OK);
    assert_true(coord_lease_book_next_answer(f->book, 1, &answer));
    assert_int_equal(answer.pair_count, 1);
    assert_true(ray_id_equal(&answer.pairs[0].id, &guest_2));
    f->has_unknown = false;
    assert_true(may_take(f, 9200, &inc_a));
    f->cluster_epoch = 3;
    {
        const struct coord_lease_renew old = {
            .node = node_a, .incarnation = inc_a, .cluster_epoch = 2, .t_send_ns = 7};
        const struct coord_lease_gate gate = {.probe = 2};
        enum coord_lease_status status;

        assert_int_equal(coord_lease_book_renew(f->book, 9300, &old, &gate, &status, NULL),
                         RAY_ECONFLICT);
    }
    end(f);
}

static void test_settings(void **state)
{
    struct fixture *f = lead();

    (void)state;
    f->maxima.grant_ns = 180; /* lowered to 80 */
    assert_false(may_take(f, 1200, &inc_a));
    assert_true(may_take(f, 1201, &inc_a));
    coord_lease_book_timing_applied(f->book, 1050);
    assert_false(coord_lease_book_may_settle(f->book, 1250));
    assert_true(coord_lease_book_may_settle(f->book, 1251));
    /* Elected after the change: from the election. */
    coord_lease_book_begin(f->book, 2000, 9);
    coord_lease_book_applied(f->book, 9);
    assert_false(coord_lease_book_may_settle(f->book, 2200));
    assert_true(coord_lease_book_may_settle(f->book, 2201));
    coord_lease_book_end(f->book);
    assert_false(coord_lease_book_may_settle(f->book, 9000));
    end(f);
}

static void test_limits(void **state)
{
    struct fixture *f = lead();
    const struct coord_lease_gate gate = {.probe = 1};
    struct coord_lease_answer answer;
    uint64_t index = 100;

    (void)state;
    for (int i = 0; i < COORD_LEASE_REQUESTS_PER_NODE_MAX; i++) {
        assert_int_equal(renew(f, 1010, &inc_a, gate), RAY_OK);
    }
    /* Heard all the same. */
    assert_int_equal(renew(f, 1090, &inc_a, gate), RAY_EUNAVAILABLE);
    assert_false(may_take(f, 1190, &inc_a));
    for (int i = 0; i < COORD_LEASE_REQUESTS_PER_NODE_MAX; i++) {
        assert_true(coord_lease_book_next_answer(f->book, 1, &answer));
    }
    assert_int_equal(renew(f, 1090, &inc_a, gate), RAY_OK);
    while (index < 100 + COORD_LEASE_PENDING_MAX) {
        struct ray_id id = {{9}};

        memcpy(id.bytes + 4, &index, sizeof index);
        assert_int_equal(coord_lease_book_outcome_appended(f->book, &id, index, NULL), RAY_OK);
        index++;
    }
    assert_int_equal(coord_lease_book_outcome_appended(f->book, &guest, index, NULL),
                     RAY_EUNAVAILABLE);
    coord_lease_book_applied(f->book, 100);
    assert_int_equal(coord_lease_book_outcome_appended(f->book, &guest, index, NULL), RAY_OK);
    coord_lease_book_applied(f->book, index);
    end(f);
}

/* More incarnations than the book has lines: those silent for W make room, others are not
 * answered, because they could not be written down. */
static void test_many_incarnations(void **state)
{
    struct fixture *f = lead();
    const struct coord_lease_gate gate = {.probe = 1};
    struct coord_lease_answer answer;
    struct ray_id id = {{5}};
    uint32_t n;

    (void)state;
    for (n = 0; n < COORD_LEASE_INCARNATIONS_MAX; n++) {
        memcpy(id.bytes + 4, &n, sizeof n);
        f->admitted = id;
        assert_int_equal(renew(f, 1010, &id, gate), RAY_OK);
        assert_true(coord_lease_book_next_answer(f->book, 1, &answer));
    }
    memcpy(id.bytes + 4, &n, sizeof n);
    f->admitted = id;
    assert_int_equal(renew(f, 1100, &id, gate), RAY_EUNAVAILABLE);
    assert_false(coord_lease_book_next_answer(f->book, 1, &answer));
    assert_int_equal(renew(f, 1111, &id, gate), RAY_OK);
    assert_true(coord_lease_book_next_answer(f->book, 1, &answer));
    end(f);
}

static void test_no_memory(void **state)
{
    struct fixture f = {0};
    struct coord_lease_view view = view_of(&f);

    (void)state;
    for (unsigned n = 1;; n++) {
        struct coord_lease_book *book = NULL;
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = coord_lease_book_create(&book, &view, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            coord_lease_book_destroy(book);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        assert_null(book);
    }
    coord_lease_book_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_before_the_noop),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_unchanged),
        cmocka_unit_test(test_left_out_while_pending),
        cmocka_unit_test(test_duplicate_and_removed),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_incarnations),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
