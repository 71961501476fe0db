/* probe.c - a put every few milliseconds whether or not those before have been answered, to each
 * member in turn, and a line for each answer: begin and end in microseconds of the wall clock.
 * Whoever kills a member in between sees in them when the next put was taken. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/bench/registry_load/load.h"

struct probe {
    struct load *load;
    struct ray_timer timer;
    uint64_t end_ns;
    uint64_t next;
};

struct probe_put {
    struct load_client client; /* first: on_answer gets it */
    uint64_t begun_us;
};

static uint64_t now_us(void)
{
    return ray_clock_realtime_ns() / RAY_NS_PER_US;
}

static void on_answer(struct load_client *client, const struct ray_rpc_result *result)
{
    struct probe_put *put = (struct probe_put *)client;

    if (load_put_code(result) == RAY_OK) {
        (void)printf("%" PRIu64 " %" PRIu64 "\n", put->begun_us, now_us());
    }
    free(put);
}

static void begin_put(struct probe *probe)
{
    struct load *load = probe->load;
    struct probe_put *put = calloc(1, sizeof *put);
    uint64_t number = probe->next++;

    if (put == NULL) {
        load_die("probe", "no memory");
    }
    put->client = load->clients[number % load->client_count];
    put->client.on_answer = on_answer;
    put->begun_us = now_us();
    load_put(&put->client, RAYOS__REGISTRY__KIND__KIND_GUEST, number % load->key_count, load->value,
             load->value_size);
}

static void on_timer(void *arg)
{
    struct probe *probe = arg;
    struct load *load = probe->load;

    if (ray_clock_monotonic_ns() >= probe->end_ns) {
        ray_loop_stop(&load->loop);
        return;
    }
    /* Members that have gone are passed over. */
    for (uint64_t i = 0; i < load->client_count; i++) {
        if (load->clients[probe->next % load->client_count].conn != NULL) {
            begin_put(probe);
            return;
        }
        probe->next++;
    }
}

static void on_close(void *arg)
{
    struct load_client *client = arg;

    client->conn = NULL;
}

void load_probe(struct load *load)
{
    struct probe probe = {.load = load, .end_ns = ray_clock_monotonic_ns() + load->length_ns};
    struct ray_err err = {0};

    for (uint64_t i = 0; i < load->client_count; i++) {
        ray_rpc_client_on_close(load->clients[i].conn, on_close, &load->clients[i]);
    }
    if (ray_timer_init(&probe.timer, &load->loop, on_timer, &probe, &err) != RAY_OK) {
        load_die("timer", err.text);
    }
    ray_timer_start(&probe.timer, load->every_ms, load->every_ms);
    ray_loop_run(&load->loop);
    ray_timer_fini(&probe.timer);
}
