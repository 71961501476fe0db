/* loop.c - closed loops: each client asks again as soon as it has its answer. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "tests/bench/registry_load/load.h"

enum { WARM_UP_S = 1 };

struct closed_loop {
    struct load *load;
    bool is_reading;
    uint64_t begin_ns; /* what begins and ends between these counts */
    uint64_t end_ns;
    uint64_t running;
    uint64_t next_key; /* of a filling one */
};

static struct closed_loop *loop_of(struct load_client *client)
{
    return client->load->loop.uv.data;
}

static void ask(struct load_client *client)
{
    struct load *load = client->load;

    if (loop_of(client)->is_reading) {
        load_get(client, client->key);
    } else {
        load_put(client, RAYOS__REGISTRY__KIND__KIND_GUEST, client->key, load->value,
                 load->value_size);
    }
    client->key = (client->key + load->client_count) % load->key_count;
}

static void leave(struct closed_loop *loop)
{
    loop->running--;
    if (loop->running == 0) {
        ray_loop_stop(&loop->load->loop);
    }
}

static void on_answer(struct load_client *client, const struct ray_rpc_result *result)
{
    struct closed_loop *loop = loop_of(client);
    uint64_t now_ns = ray_clock_monotonic_ns();
    int code = loop->is_reading ? result->code : load_put_code(result);

    if (code != RAY_OK) {
        load_die(loop->is_reading ? "get" : "put",
                 result->code != RAY_OK ? result->text : ray_err_text(code));
    }
    if (client->begun_ns >= loop->begin_ns && now_ns <= loop->end_ns) {
        load_sample(loop->load, now_ns - client->begun_ns);
    }
    if (now_ns < loop->end_ns) {
        ask(client);
    } else {
        leave(loop);
    }
}

void load_loop(struct load *load, bool is_reading)
{
    struct closed_loop loop = {
        .load = load, .is_reading = is_reading, .running = load->client_count};

    if (!is_reading) {
        load_open_sessions(load);
    }
    load->loop.uv.data = &loop;
    loop.begin_ns = ray_clock_monotonic_ns() + WARM_UP_S * RAY_NS_PER_S;
    loop.end_ns = loop.begin_ns + load->length_ns;
    for (uint64_t i = 0; i < load->client_count; i++) {
        load->clients[i].on_answer = on_answer;
        ask(&load->clients[i]);
    }
    ray_loop_run(&load->loop);
    load_report(load, load->length_ns);
}

/* ---- fill ---- */

static void fill_next(struct load_client *client)
{
    struct closed_loop *loop = loop_of(client);
    struct load *load = client->load;

    if (loop->next_key == load->key_count * load->times) {
        leave(loop);
        return;
    }
    load_put(client, RAYOS__REGISTRY__KIND__KIND_GUEST, loop->next_key++ % load->key_count,
             load->value, load->value_size);
}

static void on_filled(struct load_client *client, const struct ray_rpc_result *result)
{
    int code = load_put_code(result);

    if (code != RAY_OK) {
        load_die("fill", result->code != RAY_OK ? result->text : ray_err_text(code));
    }
    fill_next(client);
}

void load_fill(struct load *load)
{
    struct closed_loop loop = {.load = load, .running = load->client_count};
    uint64_t begun_ns;

    load_open_sessions(load);
    load->loop.uv.data = &loop;
    begun_ns = ray_clock_monotonic_ns();
    for (uint64_t i = 0; i < load->client_count; i++) {
        load->clients[i].on_answer = on_filled;
        fill_next(&load->clients[i]);
    }
    if (loop.running > 0) {
        ray_loop_run(&load->loop);
    }
    (void)printf("{\"count\": %" PRIu64 ", \"ops_per_s\": %.1f}\n", loop.next_key,
                 (double)loop.next_key * 1e9 / (double)(ray_clock_monotonic_ns() - begun_ns));
}
