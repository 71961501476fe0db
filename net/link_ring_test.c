/* link_ring_test.c - four threads push, one takes: nothing lost, nothing twice, each thread's
 * events in order. */
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
    atomic_init(&ring.newest, NULL);
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
        struct link_event *event = link_ring_take(&ring);

        batches += event != NULL ? 1 : 0;
        if (event == NULL) {
            (void)sched_yield();
        }
        for (; event != NULL; event = event->next) {
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
    assert_null(link_ring_take(&ring));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
