/* How fast the log is on a folder of this machine: coord_wal_bench FOLDER [SECONDS].
 *
 * Closed loops of 256 B entries: so many are under way, each begins anew when it is durable. One
 * line each, and one for reading the log back at a start. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/size.h"
#include "coordinator/store/disk_file.h"
#include "coordinator/store/wal.h"

enum { ENTRY_SIZE = 256, SAMPLES_MAX = 1 << 20, KEEP = 200000 };

struct bench {
    struct ray_loop loop;
    struct coord_disk *disk;
    struct coord_wal *wal;
    struct ray_timer end;
    uv_prepare_t turn;
    bool is_over;
    uint64_t next;
    uint64_t told;
    uint64_t begun_ns[4096]; /* by index modulo */
    uint32_t *samples_us;
    size_t sample_count;
};

static void take(struct bench *bench)
{
    static const uint8_t data[ENTRY_SIZE] = {1};
    const struct coord_entry entry = {.term = 1,
                                      .index = bench->next,
                                      .type = COORD_ENTRY_COMMAND,
                                      .size = sizeof data,
                                      .data = data};

    if (coord_wal_append(bench->wal, &entry, 1, NULL) != RAY_OK) {
        (void)fprintf(stderr, "coord_wal_bench: an entry was refused\n");
        exit(1);
    }
    bench->begun_ns[bench->next % RAY_ARRAY_COUNT(bench->begun_ns)] = ray_clock_monotonic_ns();
    bench->next++;
}

static void on_durable(void *arg, uint64_t index)
{
    struct bench *bench = arg;
    uint64_t now_ns = ray_clock_monotonic_ns();

    while (bench->told < index) {
        bench->told++;
        if (bench->sample_count < SAMPLES_MAX) {
            uint64_t begun = bench->begun_ns[bench->told % RAY_ARRAY_COUNT(bench->begun_ns)];

            bench->samples_us[bench->sample_count++] = (uint32_t)((now_ns - begun) / 1000);
        }
        if (!bench->is_over) {
            take(bench);
        }
    }
    if (index > KEEP) {
        coord_wal_compact(bench->wal, index - KEEP);
    }
    if (bench->is_over && bench->told + 1 == bench->next) {
        ray_loop_stop(&bench->loop);
    }
}

static void on_failed(void *arg, int status)
{
    (void)arg;
    (void)fprintf(stderr, "coord_wal_bench: %s\n", ray_err_text(status));
    exit(1);
}

static void on_space(void *arg, enum coord_wal_space space)
{
    (void)arg;
    (void)printf("space: %d\n", space);
}

static void on_turn(uv_prepare_t *turn)
{
    coord_wal_flush(((struct bench *)turn->data)->wal);
}

static void on_end(void *arg)
{
    ((struct bench *)arg)->is_over = true;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void run(struct bench *bench, size_t under_way, uint64_t seconds)
{
    uint64_t begun_ns = ray_clock_monotonic_ns();
    uint64_t first = bench->next;
    double elapsed;

    bench->is_over = false;
    bench->sample_count = 0;
    for (size_t i = 0; i < under_way; i++) {
        take(bench);
    }
    ray_timer_start(&bench->end, seconds * 1000, 0);
    ray_loop_run(&bench->loop);
    elapsed = (double)(ray_clock_monotonic_ns() - begun_ns) / 1e9;
    qsort(bench->samples_us, bench->sample_count, sizeof bench->samples_us[0], compare);
    (void)printf("%5zu under way: %9.0f entries/s, p50 %5u us, p99 %6u us\n", under_way,
                 (double)(bench->next - first) / elapsed,
                 bench->samples_us[bench->sample_count / 2],
                 bench->samples_us[bench->sample_count * 99 / 100]);
}

static void log_open(struct bench *bench)
{
    const struct coord_wal_config config = {.salt = {1}};
    const struct coord_wal_user user = {
        .on_durable = on_durable, .on_failed = on_failed, .on_space = on_space, .arg = bench};
    struct coord_wal_recovery recovery;
    struct ray_err err = {0};
    uint64_t begun_ns = ray_clock_monotonic_ns();

    if (coord_wal_open(&bench->wal, bench->disk, &config, &user, &recovery, &err) != RAY_OK) {
        (void)fprintf(stderr, "coord_wal_bench: %s\n", err.text);
        exit(1);
    }
    (void)printf("open: %" PRIu64 " us, %" PRIu64 " entries, %" PRIu64
                 " bytes of disk, outcome %d\n",
                 (ray_clock_monotonic_ns() - begun_ns) / 1000,
                 recovery.last_index + 1 - recovery.first_index, coord_wal_disk_size(bench->wal),
                 recovery.outcome);
    bench->next = recovery.last_index + 1;
    bench->told = recovery.last_index;
}

int main(int argc, char **argv)
{
    static const size_t under_way[] = {1, 8, 64, 256, 1000};
    struct bench bench = {.next = 1};
    struct ray_err err = {0};
    uint64_t seconds = 3;

    if (argc < 2 || (argc > 2 && ray_parse_u64(argv[2], 1, 600, &seconds) != RAY_OK)) {
        (void)fprintf(stderr, "usage: coord_wal_bench FOLDER [SECONDS]\n");
        return 2;
    }
    bench.samples_us = calloc(SAMPLES_MAX, sizeof *bench.samples_us);
    if (bench.samples_us == NULL || ray_loop_init(&bench.loop, &err) != RAY_OK ||
        ray_timer_init(&bench.end, &bench.loop, on_end, &bench, &err) != RAY_OK ||
        coord_disk_file_create(&bench.disk, &bench.loop, argv[1], &err) != RAY_OK) {
        (void)fprintf(stderr, "coord_wal_bench: %s\n", err.text);
        return 1;
    }
    (void)printf("O_DIRECT: %s\n", coord_disk_file_is_direct(bench.disk) ? "yes" : "no");
    (void)uv_prepare_init(&bench.loop.uv, &bench.turn);
    bench.turn.data = &bench;
    log_open(&bench);
    (void)uv_prepare_start(&bench.turn, on_turn);
    uv_unref((uv_handle_t *)&bench.turn);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(under_way); i++) {
        run(&bench, under_way[i], seconds);
    }
    coord_wal_destroy(bench.wal);
    log_open(&bench);
    coord_wal_destroy(bench.wal);
    bench.disk->ops->destroy(bench.disk);
    ray_timer_fini(&bench.end);
    ray_loop_fini(&bench.loop);
    free(bench.samples_us);
    return 0;
}
