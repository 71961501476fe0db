/* link_ring_test.c - nothing is lost, nothing comes twice, each thread's events in order: by four
 * threads that push, and by events that are taken out of the ring while others wait in it. */
#include <pthread.h>
#include <sched.h>

#include "base/test.h"
#include "net/link_ring.h"

enum { THREADS = 4, EVENTS = 20000 };

struct numbered {
    struct link_event event; /* first */
    unsigned thread;
    unsigned number;
};

struct producer {
    struct link_ring *ring;
    struct numbered *events;
    pthread_t thread;
    unsigned woken;
};

static void *produce(void *arg)
{
    struct producer *producer = arg;

    for (unsigned i = 0; i < EVENTS; i++) {
        producer->woken += link_ring_push(producer->ring, &producer->events[i].event) ? 1 : 0;
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct link_ring ring;
    struct producer producers[THREADS];
    unsigned next[THREADS] = {0};
    unsigned taken = 0, batches = 0, woken = 0;

    (void)state;
    link_ring_init(&ring);
    for (unsigned t = 0; t < THREADS; t++) {
        producers[t] = (struct producer){.ring = &ring};
        producers[t].events = calloc(EVENTS, sizeof *producers[t].events);
        assert_non_null(producers[t].events);
        for (unsigned i = 0; i < EVENTS; i++) {
            producers[t].events[i].thread = t;
            producers[t].events[i].number = i;
        }
        assert_int_equal(pthread_create(&producers[t].thread, NULL, produce, &producers[t]), 0);
    }
    while (taken < THREADS * EVENTS) {
        struct link_event *event;

        link_ring_gather(&ring);
        event = link_ring_next(&ring);
        batches += event != NULL ? 1 : 0;
        if (event == NULL) {
            (void)sched_yield();
        }
        for (; event != NULL; event = link_ring_next(&ring)) {
            const struct numbered *numbered = (const struct numbered *)event;

            assert_int_equal(numbered->number, next[numbered->thread]);
            next[numbered->thread]++;
            taken++;
        }
    }
    for (unsigned t = 0; t < THREADS; t++) {
        assert_int_equal(pthread_join(producers[t].thread, NULL), 0);
        woken += producers[t].woken;
        free(producers[t].events);
    }
    assert_int_equal(woken, batches); /* one wake for each time it was empty */
    link_ring_gather(&ring);
    assert_null(link_ring_next(&ring));
}

static bool is_of_thread(const struct link_event *event, const void *thread)
{
    return ((const struct numbered *)event)->thread == *(const unsigned *)thread;
}

static void expect_next(struct link_ring *ring, const struct numbered *numbered)
{
    assert_ptr_equal(link_ring_next(ring), &numbered->event);
}

/* Thread 1's events go, before and while the others are worked off: those come all the same, what
 * was gathered before what was pushed after, and may be pushed again. */
static void test_drop(void **state)
{
    struct numbered events[6] = {{.thread = 0}, {.thread = 1}, {.thread = 2},
                                 {.thread = 1}, {.thread = 0}, {.thread = 2}};
    const unsigned gone = 1;
    struct link_ring ring;

    (void)state;
    link_ring_init(&ring);
    link_ring_drop(&ring, is_of_thread, &gone); /* of nothing */
    assert_null(link_ring_next(&ring));
    assert_true(link_ring_push(&ring, &events[0].event));
    assert_false(link_ring_push(&ring, &events[1].event));
    assert_false(link_ring_push(&ring, &events[2].event));
    link_ring_drop(&ring, is_of_thread, &gone); /* the loop has been woken, and has not come yet */
    assert_true(link_ring_push(&ring, &events[3].event));
    assert_false(link_ring_push(&ring, &events[4].event));
    link_ring_gather(&ring);
    expect_next(&ring, &events[0]);
    assert_true(link_ring_push(&ring, &events[5].event));
    assert_false(link_ring_push(&ring, &events[0].event));
    link_ring_drop(&ring, is_of_thread, &gone); /* while they are worked off */
    expect_next(&ring, &events[2]);
    expect_next(&ring, &events[4]);
    expect_next(&ring, &events[5]);
    expect_next(&ring, &events[0]);
    assert_null(link_ring_next(&ring));
    assert_true(link_ring_push(&ring, &events[1].event));
    link_ring_drop(&ring, is_of_thread, &gone); /* the only one */
    assert_null(link_ring_next(&ring));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
