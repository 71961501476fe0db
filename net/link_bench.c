/* link_bench.c - round trips of 256 bytes between two processes over loopback, encrypted, for both
 * kinds of links: link_bench [SECONDS]. Prints a line per kind and number in flight; not a test. */
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/link_nng.h"
#include "net/link_uv.h"

enum { MESSAGE_SIZE = 256, IN_FLIGHT_MAX = 64, SAMPLES_MAX = 1 << 22, WARM_UP_MS = 300 };

typedef int (*create_link)(struct ray_link **out_link, struct ray_loop *loop,
                           const struct ray_link_config *config, struct ray_err *err);

struct end {
    struct ray_loop loop;
    struct ray_link *link;
    struct ray_id id;
    struct ray_id peer_id;
    struct ray_key *key;
    struct ray_key *peer_key;
    bool is_echo;
    unsigned in_flight;
    bool is_counting;
    uint64_t count;
    uint32_t *samples_ns;
    size_t sample_count;
};

static void die(const char *what, const struct ray_err *err)
{
    (void)fprintf(stderr, "link_bench: %s: %s\n", what, err != NULL ? err->text : "failed");
    exit(1);
}

static int known(void *arg, const struct ray_id *id, uint8_t out_static[static RAY_KEY_SIZE],
                 uint8_t out_identity[static RAY_KEY_SIZE])
{
    const struct end *end = arg;

    if (!ray_id_equal(id, &end->peer_id)) {
        return RAY_ENOTFOUND;
    }
    memcpy(out_static, ray_key_static(end->peer_key), RAY_KEY_SIZE);
    memcpy(out_identity, ray_key_identity(end->peer_key), RAY_KEY_SIZE);
    return RAY_OK;
}

static void send_one(struct end *end)
{
    uint8_t bytes[MESSAGE_SIZE] = {0};
    uint64_t now_ns = ray_clock_monotonic_ns();

    memcpy(bytes, &now_ns, sizeof now_ns);
    if (end->link->ops->send(end->link, &end->peer_id, RAY_LINK_RAFT, bytes, sizeof bytes) !=
        RAY_OK) {
        die("send", NULL);
    }
}

static void on_up(void *arg, const struct ray_id *peer, uint64_t epoch)
{
    struct end *end = arg;

    (void)peer;
    (void)epoch;
    for (unsigned i = 0; !end->is_echo && i < end->in_flight; i++) {
        send_one(end);
    }
}

static void on_down(void *arg, const struct ray_id *peer, uint64_t epoch)
{
    struct end *end = arg;

    (void)peer;
    (void)epoch;
    ray_loop_stop(&end->loop);
}

static void on_message(void *arg, const struct ray_id *peer, uint64_t epoch,
                       enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct end *end = arg;
    uint64_t sent_ns;

    (void)epoch;
    if (end->is_echo) {
        if (end->link->ops->send(end->link, peer, channel, bytes, size) != RAY_OK) {
            die("echo", NULL);
        }
        return;
    }
    memcpy(&sent_ns, bytes, sizeof sent_ns);
    if (end->is_counting) {
        end->count++;
        if (end->sample_count < SAMPLES_MAX) {
            end->samples_ns[end->sample_count++] = (uint32_t)(ray_clock_monotonic_ns() - sent_ns);
        }
    }
    send_one(end);
}

static void start(struct end *end, create_link create)
{
    struct ray_link_config config = {.listen = end->is_echo ? "127.0.0.1:0" : NULL,
                                     .key = end->key,
                                     .self = end->id,
                                     .cluster = {{1}},
                                     .cluster_epoch = 1,
                                     .known = known,
                                     .arg = end};
    struct ray_err err = {0};

    if (ray_loop_init(&end->loop, &err) != RAY_OK ||
        create(&end->link, &end->loop, &config, &err) != RAY_OK) {
        die("start", &err);
    }
    end->link->user = (struct ray_link_user){
        .on_up = on_up, .on_down = on_down, .on_message = on_message, .arg = end};
}

static void finish(struct end *end)
{
    end->link->ops->destroy(end->link);
    ray_loop_fini(&end->loop);
}

static void on_timer(void *arg)
{
    struct end *end = arg;

    ray_loop_stop(&end->loop);
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

static double microseconds(const struct end *end, size_t percent)
{
    size_t index = end->sample_count * percent / 100;

    return end->sample_count == 0 ? 0 : end->samples_ns[index] / 1e3;
}

static void report(const char *name, struct end *end, double seconds)
{
    qsort(end->samples_ns, end->sample_count, sizeof *end->samples_ns, compare);
    (void)printf("%-4s %2u in flight: %9.0f round trips/s, p50 %7.1f us, p99 %7.1f us\n", name,
                 end->in_flight, (double)end->count / seconds, microseconds(end, 50),
                 microseconds(end, 99));
    (void)fflush(stdout);
}

static void run_client(struct end *end, const char *name, create_link create, unsigned port,
                       unsigned seconds)
{
    struct ray_timer timer;
    char address[32];
    uint64_t begin_ns;

    start(end, create);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", port);
    if (end->link->ops->add_peer(end->link, &end->peer_id, address, NULL) != RAY_OK ||
        ray_timer_init(&timer, &end->loop, on_timer, end, NULL) != RAY_OK) {
        die("start", NULL);
    }
    ray_timer_start(&timer, WARM_UP_MS, 0);
    ray_loop_run(&end->loop);
    end->is_counting = true;
    begin_ns = ray_clock_monotonic_ns();
    ray_timer_start(&timer, (uint64_t)seconds * 1000, 0);
    ray_loop_run(&end->loop);
    report(name, end, (double)(ray_clock_monotonic_ns() - begin_ns) / 1e9);
    ray_timer_fini(&timer);
    finish(end);
}

static void run_echo(struct end *end, create_link create, int port_fd)
{
    uint16_t port;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    start(end, create);
    port = ray_link_port(end->link);
    if (write(port_fd, &port, sizeof port) != (ssize_t)sizeof port) {
        die("port", NULL);
    }
    ray_loop_run(&end->loop); /* until the client goes */
    finish(end);
}

static void swap_ends(struct end *end)
{
    struct ray_id id = end->id;
    struct ray_key *key = end->key;

    end->id = end->peer_id;
    end->peer_id = id;
    end->key = end->peer_key;
    end->peer_key = key;
}

static void measure(const char *name, create_link create, unsigned in_flight, unsigned seconds)
{
    struct end end = {.id = {{1}}, .peer_id = {{2}}, .in_flight = in_flight};
    uint16_t port = 0;
    int ends[2];
    pid_t child;

    end.samples_ns = calloc(SAMPLES_MAX, sizeof *end.samples_ns);
    if (end.samples_ns == NULL || ray_key_generate(&end.key, NULL) != RAY_OK ||
        ray_key_generate(&end.peer_key, NULL) != RAY_OK || pipe(ends) != 0) {
        die("setup", NULL);
    }
    child = fork();
    if (child == 0) {
        swap_ends(&end);
        end.is_echo = true;
        run_echo(&end, create, ends[1]);
        _exit(0);
    }
    if (child < 0 || read(ends[0], &port, sizeof port) != (ssize_t)sizeof port) {
        die("the other process", NULL);
    }
    run_client(&end, name, create, port, seconds);
    (void)waitpid(child, NULL, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    ray_key_destroy(end.key);
    ray_key_destroy(end.peer_key);
    free(end.samples_ns);
}

/* Each in a process of its own: NNG's threads do not outlive a fork. */
static void measure_apart(const char *name, create_link create, unsigned in_flight,
                          unsigned seconds)
{
    pid_t child = fork();

    if (child == 0) {
        measure(name, create, in_flight, seconds);
        _exit(0);
    }
    if (child < 0 || waitpid(child, NULL, 0) < 0) {
        die("fork", NULL);
    }
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;

    if (seconds == 0 || seconds > 600 || sodium_init() < 0) {
        (void)fprintf(stderr, "usage: link_bench [SECONDS]\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)printf("%d bytes each way, encrypted, two processes on loopback\n", MESSAGE_SIZE);
    (void)fflush(stdout);
    for (unsigned in_flight = 1; in_flight <= IN_FLIGHT_MAX; in_flight *= IN_FLIGHT_MAX) {
        measure_apart("uv", ray_link_uv_create, in_flight, seconds);
        measure_apart("nng", ray_link_nng_create, in_flight, seconds);
    }
    return 0;
}
