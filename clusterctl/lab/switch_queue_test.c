/* switch_queue_test.c - pool, port queue and delay line at and beyond their limits. */
#include <string.h>

#include "base/clock.h"
#include "base/test.h"
#include "clusterctl/lab/switch_frame.h"
#include "clusterctl/lab/switch_queue.h"

static const uint64_t AGE_NS = RAY_SWITCH_QUEUE_AGE_MS_MAX * RAY_NS_PER_MS;
static uint8_t const zeros[RAY_SWITCH_FRAME_SIZE_MAX];

static void make_pool(struct ray_switch_pool *pool, size_t divisor)
{
    assert_int_equal(ray_switch_pool_init(pool, divisor, NULL), RAY_OK);
}

static void end_pool(struct ray_switch_pool *pool)
{
    assert_int_equal(ray_switch_pool_used_count(pool), 0);
    ray_switch_pool_fini(pool);
}

static struct ray_switch_frame *make_frame(struct ray_switch_pool *pool, size_t size)
{
    struct ray_switch_frame *frame = ray_switch_pool_copy(pool, zeros, size);

    assert_non_null(frame);
    assert_int_equal(frame->size, size);
    return frame;
}

static void push(struct ray_switch_queue *queue, struct ray_switch_pool *pool, size_t size,
                 uint64_t now_ns)
{
    struct ray_switch_frame *frame = make_frame(pool, size);

    assert_true(ray_switch_queue_push(queue, frame, now_ns));
    ray_switch_pool_unref(pool, frame);
}

static void test_pool_classes(void **state)
{
    static const size_t sizes[] = {14, 2044, 2045, 10236, 10237, RAY_SWITCH_FRAME_SIZE_MAX};
    static const uint8_t classes[] = {0, 0, 1, 1, 2, 2};
    struct ray_switch_pool pool;
    (void)state;

    make_pool(&pool, 1024);
    for (size_t i = 0; i < 6; i++) {
        struct ray_switch_frame *frame = make_frame(&pool, sizes[i]);

        assert_int_equal(frame->class_index, classes[i]);
        ray_switch_pool_ref(frame);
        ray_switch_pool_unref(&pool, frame);
        assert_int_equal(ray_switch_pool_used_count(&pool), 1);
        ray_switch_pool_unref(&pool, frame);
    }
    end_pool(&pool);
}

/* 32 small, 8 middle, 2 large slots: small frames spill into larger slots, then it is over. */
static void test_pool_exhausted(void **state)
{
    struct ray_switch_frame *frames[42];
    struct ray_switch_pool pool;
    (void)state;

    make_pool(&pool, 1024);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 42; i++) {
            frames[i] = make_frame(&pool, 60);
        }
        assert_null(ray_switch_pool_copy(&pool, zeros, 60));
        assert_null(ray_switch_pool_copy(&pool, zeros, RAY_SWITCH_FRAME_SIZE_MAX));
        for (size_t i = 0; i < 42; i++) {
            ray_switch_pool_unref(&pool, frames[i]);
        }
    }
    end_pool(&pool);
}

static void test_pool_faults(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct ray_switch_pool pool;
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = ray_switch_pool_init(&pool, 1024, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            end_pool(&pool);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
    }
}

static void test_queue_count_limit(void **state)
{
    struct ray_switch_queue queue;
    struct ray_switch_pool pool;
    struct ray_switch_frame *frame;
    (void)state;

    make_pool(&pool, 16);
    ray_switch_queue_init(&queue);
    for (size_t i = 0; i < RAY_SWITCH_QUEUE_COUNT_MAX; i++) {
        push(&queue, &pool, 60, 0);
    }
    frame = make_frame(&pool, 60);
    assert_false(ray_switch_queue_push(&queue, frame, 0));
    ray_switch_pool_unref(&pool, frame);
    ray_switch_queue_clear(&queue, &pool);
    assert_int_equal(queue.count, 0);
    end_pool(&pool);
}

static void test_queue_age(void **state)
{
    struct ray_switch_queue queue;
    struct ray_switch_pool pool;
    (void)state;

    make_pool(&pool, 16);
    ray_switch_queue_init(&queue);
    for (uint64_t i = 0; i < 10; i++) {
        push(&queue, &pool, 60, i);
    }
    assert_int_equal(ray_switch_queue_expire(&queue, &pool, AGE_NS), 0);
    assert_int_equal(ray_switch_queue_expire(&queue, &pool, AGE_NS + 4), 4); /* 0..3 */
    assert_int_equal(queue.count, 6);
    assert_int_equal(ray_switch_queue_expire(&queue, &pool, 10 * AGE_NS), 6);
    end_pool(&pool);
}

/* However far the first frame has left: it stays, those behind it go, and the stream is whole. */
static void test_partly_sent_survives(void **state)
{
    struct ray_switch_pool pool;
    (void)state;

    make_pool(&pool, 16);
    for (size_t sent = 1; sent < 64; sent++) {
        struct ray_switch_queue queue;
        struct iovec vectors[4];
        uint64_t bytes;

        ray_switch_queue_init(&queue);
        queue.head = RAY_SWITCH_QUEUE_COUNT_MAX - 1; /* the ring turns over in between */
        push(&queue, &pool, 60, 0);
        push(&queue, &pool, 70, 0);
        push(&queue, &pool, 80, 5 * AGE_NS);
        assert_int_equal(ray_switch_queue_sent(&queue, &pool, sent, &bytes), 0);
        assert_int_equal(bytes, 0);
        assert_int_equal(ray_switch_queue_expire(&queue, &pool, 5 * AGE_NS), 1);
        assert_int_equal(ray_switch_queue_peek(&queue, vectors, 4), 2);
        assert_int_equal(vectors[0].iov_len, 64 - sent);
        assert_int_equal(vectors[1].iov_len, 84);
        assert_int_equal(ray_switch_queue_sent(&queue, &pool, 64 - sent + 84, &bytes), 2);
        assert_int_equal(bytes, 140);
        assert_int_equal(queue.count, 0);
    }
    end_pool(&pool);
}

static void test_peek_many(void **state)
{
    struct ray_switch_queue queue;
    struct ray_switch_pool pool;
    struct iovec vectors[8];
    uint64_t bytes;
    (void)state;

    make_pool(&pool, 16);
    ray_switch_queue_init(&queue);
    assert_int_equal(ray_switch_queue_peek(&queue, vectors, 8), 0);
    for (size_t i = 0; i < 12; i++) {
        push(&queue, &pool, 100 + i, 0);
    }
    assert_int_equal(ray_switch_queue_peek(&queue, vectors, 8), 8);
    assert_int_equal(vectors[7].iov_len, 4 + 107);
    assert_memory_equal(vectors[7].iov_base, ((uint8_t[]){0, 0, 0, 107}), 4);
    /* Frames 0 and 1 whole, 3 bytes of 2. */
    assert_int_equal(ray_switch_queue_sent(&queue, &pool, 104 + 105 + 3, &bytes), 2);
    assert_int_equal(bytes, 201);
    assert_int_equal(ray_switch_queue_peek(&queue, vectors, 1), 1);
    assert_int_equal(vectors[0].iov_len, 103);
    ray_switch_queue_clear(&queue, &pool);
    end_pool(&pool);
}

static void line_add(struct ray_switch_line *line, struct ray_switch_pool *pool, size_t size,
                     uint64_t at_ns, bool is_held)
{
    struct ray_switch_frame *frame = make_frame(pool, size);

    assert_true(is_held ? ray_switch_line_hold(line, frame, at_ns)
                        : ray_switch_line_push(line, frame, at_ns));
    ray_switch_pool_unref(pool, frame);
}

static void expect_pop(struct ray_switch_line *line, struct ray_switch_pool *pool, uint64_t now_ns,
                       size_t size)
{
    struct ray_switch_frame *frame = ray_switch_line_pop(line, now_ns);

    if (size == 0) {
        assert_null(frame);
        return;
    }
    assert_non_null(frame);
    assert_int_equal(frame->size, size);
    ray_switch_pool_unref(pool, frame);
}

static void test_line_order(void **state)
{
    struct ray_switch_line line;
    struct ray_switch_pool pool;
    (void)state;

    make_pool(&pool, 16);
    assert_int_equal(ray_switch_line_init(&line, NULL), RAY_OK);
    assert_true(ray_switch_line_deadline_ns(&line) == UINT64_MAX);
    line_add(&line, &pool, 61, 10, false);
    line_add(&line, &pool, 62, 20, false);
    assert_int_equal(ray_switch_line_deadline_ns(&line), 10);
    expect_pop(&line, &pool, 9, 0);
    expect_pop(&line, &pool, 20, 61);
    expect_pop(&line, &pool, 20, 62);
    expect_pop(&line, &pool, UINT64_MAX, 0);
    assert_int_equal(line.size, 0);
    ray_switch_line_fini(&line, &pool);
    ray_switch_line_fini(&line, &pool); /* again: nothing to do */
    end_pool(&pool);
}

static void test_line_late(void **state)
{
    struct ray_switch_line line;
    struct ray_switch_pool pool;
    struct ray_switch_frame *frame;
    (void)state;

    make_pool(&pool, 16);
    assert_int_equal(ray_switch_line_init(&line, NULL), RAY_OK);
    /* Overtaken by its successor. */
    line_add(&line, &pool, 61, 100, true);
    frame = make_frame(&pool, 99);
    assert_false(ray_switch_line_hold(&line, frame, 100)); /* one at a time */
    ray_switch_pool_unref(&pool, frame);
    line_add(&line, &pool, 62, 20, false);
    expect_pop(&line, &pool, 20, 62);
    expect_pop(&line, &pool, 20, 61);
    /* No successor came: it leaves by its own time. */
    line_add(&line, &pool, 63, 100, true);
    assert_true(ray_switch_line_is_empty(&line));
    assert_int_equal(ray_switch_line_deadline_ns(&line), 100);
    expect_pop(&line, &pool, 99, 0);
    expect_pop(&line, &pool, 100, 63);
    /* Cleared with everything else. */
    line_add(&line, &pool, 64, 100, true);
    assert_int_equal(ray_switch_line_clear(&line, &pool), 1);
    ray_switch_line_fini(&line, &pool);
    end_pool(&pool);
}

static void test_line_limits(void **state)
{
    struct ray_switch_line line;
    struct ray_switch_pool pool;
    struct ray_switch_frame *frame;
    size_t fit = RAY_SWITCH_LINE_SIZE_MAX / RAY_SWITCH_FRAME_SIZE_MAX;
    (void)state;

    make_pool(&pool, 1);
    assert_int_equal(ray_switch_line_init(&line, NULL), RAY_OK);
    frame = make_frame(&pool, RAY_SWITCH_FRAME_SIZE_MAX);
    for (size_t i = 0; i < fit; i++) {
        assert_true(ray_switch_line_push(&line, frame, i));
    }
    assert_false(ray_switch_line_push(&line, frame, fit));
    assert_int_equal(ray_switch_line_clear(&line, &pool), fit);
    ray_switch_pool_unref(&pool, frame);
    frame = make_frame(&pool, 60);
    for (size_t i = 0; i < RAY_SWITCH_LINE_COUNT_MAX - 1; i++) {
        assert_true(ray_switch_line_push(&line, frame, i));
    }
    /* The last slot goes to the successor; the held frame keeps waiting. */
    assert_true(ray_switch_line_hold(&line, frame, UINT64_MAX));
    assert_true(ray_switch_line_push(&line, frame, RAY_SWITCH_LINE_COUNT_MAX));
    assert_false(ray_switch_line_push(&line, frame, RAY_SWITCH_LINE_COUNT_MAX));
    assert_non_null(line.late.frame);
    assert_int_equal(ray_switch_line_clear(&line, &pool), RAY_SWITCH_LINE_COUNT_MAX + 1);
    ray_switch_pool_unref(&pool, frame);
    ray_switch_line_fini(&line, &pool);
    end_pool(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_classes), cmocka_unit_test(test_pool_exhausted),
        cmocka_unit_test(test_pool_faults),  cmocka_unit_test(test_queue_count_limit),
        cmocka_unit_test(test_queue_age),    cmocka_unit_test(test_partly_sent_survives),
        cmocka_unit_test(test_peek_many),    cmocka_unit_test(test_line_order),
        cmocka_unit_test(test_line_late),    cmocka_unit_test(test_line_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
