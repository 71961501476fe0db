/* The real disk: on whatever file system the tests run, and once more where O_DIRECT is refused
 * or not, as it comes. */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "coordinator/store/disk_file.h"
#include "coordinator/store/wal.h"

struct fixture {
    char path[64];
    struct ray_loop loop;
    struct coord_disk *disk;
    uint8_t *block;
};

static struct fixture *setup_in(const char *base)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/disk-XXXXXX", base);
    assert_non_null(mkdtemp(fixture->path));
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    assert_int_equal(coord_disk_file_create(&fixture->disk, &fixture->loop, fixture->path, NULL),
                     RAY_OK);
    fixture->block = aligned_alloc(COORD_DISK_BLOCK_SIZE, 2 * (size_t)COORD_DISK_BLOCK_SIZE);
    assert_non_null(fixture->block);
    return fixture;
}

static void teardown(struct fixture *fixture)
{
    char command[128];

    if (fixture->disk != NULL) {
        fixture->disk->ops->destroy(fixture->disk);
    }
    ray_loop_fini(&fixture->loop);
    free(fixture->block);
    (void)snprintf(command, sizeof command, "%s/.lock", fixture->path);
    (void)unlink(command);
    (void)rmdir(fixture->path);
    free(fixture);
}

static void on_done(void *arg, int status)
{
    *(int *)arg = status;
}

/* Runs the loop until `status` is set. */
static int wait_for(struct fixture *fixture, const int *status)
{
    while (*status == 1) {
        ray_loop_once(&fixture->loop);
    }
    return *status;
}

static int create(struct fixture *fixture, const char *name, uint64_t size)
{
    int status = 1;

    fixture->disk->ops->create(fixture->disk, name, size, on_done, &status);
    assert_int_equal(status, 1);
    return wait_for(fixture, &status);
}

static int write_block(struct fixture *fixture, const char *name, uint64_t offset)
{
    int status = 1;

    fixture->disk->ops->write(fixture->disk, name, offset, fixture->block, COORD_DISK_BLOCK_SIZE,
                              on_done, &status);
    assert_int_equal(status, 1);
    return wait_for(fixture, &status);
}

static int rename_file(struct fixture *fixture, const char *from, const char *to)
{
    int status = 1;

    fixture->disk->ops->rename(fixture->disk, from, to, on_done, &status);
    return wait_for(fixture, &status);
}

static int remove_file(struct fixture *fixture, const char *name)
{
    int status = 1;

    fixture->disk->ops->remove(fixture->disk, name, on_done, &status);
    return wait_for(fixture, &status);
}

static int read_block(struct fixture *fixture, const char *name, uint64_t offset)
{
    return fixture->disk->ops->read(fixture->disk, name, offset,
                                    fixture->block + COORD_DISK_BLOCK_SIZE, COORD_DISK_BLOCK_SIZE,
                                    NULL);
}

static void count_file(void *arg, const char *name, uint64_t size)
{
    char *text = arg;
    size_t used = strlen(text);

    (void)snprintf(text + used, 256 - used, "%s:%llu ", name, (unsigned long long)size);
}

static void operations(struct fixture *fixture)
{
    char text[256] = "";

    memset(fixture->block, 0xab, COORD_DISK_BLOCK_SIZE);
    assert_int_equal(create(fixture, "b", 3 << 20), RAY_OK);
    assert_int_equal(create(fixture, "a", 8192), RAY_OK);
    assert_int_equal(create(fixture, "a", 4096), RAY_EEXISTS);
    assert_int_equal(fixture->disk->ops->list(fixture->disk, count_file, text, NULL), RAY_OK);
    assert_string_equal(text, "a:8192 b:3145728 ");
    assert_int_equal(write_block(fixture, "a", 4096), RAY_OK);
    assert_int_equal(write_block(fixture, "missing", 0), RAY_ENOTFOUND);
    assert_int_equal(read_block(fixture, "a", 4096), RAY_OK);
    assert_memory_equal(fixture->block, fixture->block + COORD_DISK_BLOCK_SIZE,
                        COORD_DISK_BLOCK_SIZE);
    assert_int_equal(read_block(fixture, "a", 8192), RAY_EMALFORMED);
    assert_int_equal(read_block(fixture, "missing", 0), RAY_ENOTFOUND);
    /* The writer has both open; after the rename "a" is what was "b". */
    assert_int_equal(write_block(fixture, "b", 0), RAY_OK);
    assert_int_equal(rename_file(fixture, "b", "a"), RAY_OK);
    memset(fixture->block, 0xcd, COORD_DISK_BLOCK_SIZE);
    assert_int_equal(write_block(fixture, "a", 4096), RAY_OK);
    assert_int_equal(read_block(fixture, "a", 4096), RAY_OK);
    assert_memory_equal(fixture->block, fixture->block + COORD_DISK_BLOCK_SIZE,
                        COORD_DISK_BLOCK_SIZE);
    assert_int_equal(fixture->disk->ops->write_now(fixture->disk, "a", 8192, fixture->block,
                                                   COORD_DISK_BLOCK_SIZE, NULL),
                     RAY_OK);
    assert_int_equal(read_block(fixture, "a", 8192), RAY_OK);
    assert_int_equal(fixture->block[COORD_DISK_BLOCK_SIZE], 0xcd);
    text[0] = '\0';
    assert_int_equal(fixture->disk->ops->list(fixture->disk, count_file, text, NULL), RAY_OK);
    assert_string_equal(text, "a:3145728 ");
    assert_true(fixture->disk->ops->free_size(fixture->disk) > 0);
    assert_int_equal(remove_file(fixture, "a"), RAY_OK);
    assert_int_equal(remove_file(fixture, "a"), RAY_ENOTFOUND);
}

static void it_does_what_a_disk_does(void **state)
{
    static const char *const bases[] = {"/tmp", "/dev/shm"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture *fixture;

        if (access(bases[i], W_OK) != 0) {
            continue;
        }
        fixture = setup_in(bases[i]);
        print_message("%s: O_DIRECT %s\n", bases[i],
                      coord_disk_file_is_direct(fixture->disk) ? "taken" : "refused");
        operations(fixture);
        teardown(fixture);
    }
}

static void one_process_has_it(void **state)
{
    struct fixture *fixture = setup_in("/tmp");
    struct coord_disk *other;

    (void)state;
    assert_int_equal(coord_disk_file_create(&other, &fixture->loop, fixture->path, NULL),
                     RAY_ECONFLICT);
    teardown(fixture);
}

/* Nothing is swept, and the owner is not disturbed. */
static void who_looks_changes_nothing(void **state)
{
    struct fixture *fixture = setup_in("/tmp");
    struct coord_disk *look = NULL;
    struct coord_disk *other = NULL;
    char unfinished[sizeof fixture->path + 16];
    int fd;

    (void)state;
    assert_int_equal(create(fixture, "one", COORD_DISK_BLOCK_SIZE), RAY_OK);
    assert_int_equal(coord_disk_file_look(&look, fixture->path, NULL), RAY_ECONFLICT);
    fixture->disk->ops->destroy(fixture->disk);
    (void)snprintf(unfinished, sizeof unfinished, "%s/.new-half", fixture->path);
    fd = open(unfinished, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);

    assert_int_equal(coord_disk_file_look(&look, fixture->path, NULL), RAY_OK);
    assert_int_equal(look->ops->read(look, "one", 0, fixture->block, COORD_DISK_BLOCK_SIZE, NULL),
                     RAY_OK);
    assert_int_equal(coord_disk_file_create(&other, &fixture->loop, fixture->path, NULL),
                     RAY_ECONFLICT);
    look->ops->destroy(look);
    assert_int_equal(access(unfinished, F_OK), 0);
    assert_int_equal(coord_disk_file_create(&fixture->disk, &fixture->loop, fixture->path, NULL),
                     RAY_OK);
    assert_int_equal(coord_disk_file_look(&look, "/nowhere", NULL), RAY_ENOTFOUND);
    assert_int_equal(remove_file(fixture, "one"), RAY_OK);
    teardown(fixture);
}

static void unfinished_files_are_swept(void **state)
{
    struct fixture *fixture = setup_in("/tmp");
    char path[128];
    int fd;

    (void)state;
    fixture->disk->ops->destroy(fixture->disk);
    (void)snprintf(path, sizeof path, "%s/.new-wal", fixture->path);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(coord_disk_file_create(&fixture->disk, &fixture->loop, fixture->path, NULL),
                     RAY_OK);
    assert_int_equal(access(path, F_OK), -1);
    teardown(fixture);
}

static void what_is_under_way_is_answered_at_the_end(void **state)
{
    struct fixture *fixture = setup_in("/tmp");
    int status[20];

    (void)state;
    assert_int_equal(create(fixture, "a", 1 << 20), RAY_OK);
    memset(fixture->block, 1, COORD_DISK_BLOCK_SIZE);
    for (size_t i = 0; i < 20; i++) {
        status[i] = 1;
        fixture->disk->ops->write(fixture->disk, "a", i * COORD_DISK_BLOCK_SIZE, fixture->block,
                                  COORD_DISK_BLOCK_SIZE, on_done, &status[i]);
    }
    fixture->disk->ops->destroy(fixture->disk);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(status[i], RAY_ECANCELED);
    }
    assert_int_equal(coord_disk_file_create(&fixture->disk, &fixture->loop, fixture->path, NULL),
                     RAY_OK);
    assert_int_equal(remove_file(fixture, "a"), RAY_OK);
    teardown(fixture);
}

static void many_at_once_come_back_in_order(void **state)
{
    struct fixture *fixture = setup_in("/tmp");
    int status[COORD_DISK_FILE_QUEUE_MAX];

    (void)state;
    assert_int_equal(create(fixture, "a", 1 << 20), RAY_OK);
    memset(fixture->block, 1, COORD_DISK_BLOCK_SIZE);
    for (size_t round = 0; round < 10; round++) {
        for (size_t i = 0; i < COORD_DISK_FILE_QUEUE_MAX; i++) {
            status[i] = 1;
            fixture->disk->ops->write(fixture->disk, "a", i * COORD_DISK_BLOCK_SIZE, fixture->block,
                                      COORD_DISK_BLOCK_SIZE, on_done, &status[i]);
        }
        assert_int_equal(wait_for(fixture, &status[COORD_DISK_FILE_QUEUE_MAX - 1]), RAY_OK);
        for (size_t i = 0; i < COORD_DISK_FILE_QUEUE_MAX; i++) {
            assert_int_equal(status[i], RAY_OK);
        }
    }
    assert_int_equal(remove_file(fixture, "a"), RAY_OK);
    teardown(fixture);
}

/* A probe is answered after what was asked for before it, also beside a full queue. */
static void a_probe_waits_its_turn(void **state)
{
    struct fixture *fixture = setup_in("/tmp");
    int status[COORD_DISK_FILE_QUEUE_MAX];
    int probe = 1;

    (void)state;
    assert_int_equal(create(fixture, "a", 1 << 20), RAY_OK);
    memset(fixture->block, 1, COORD_DISK_BLOCK_SIZE);
    for (size_t i = 0; i < COORD_DISK_FILE_QUEUE_MAX; i++) {
        status[i] = 1;
        fixture->disk->ops->write(fixture->disk, "a", i * COORD_DISK_BLOCK_SIZE, fixture->block,
                                  COORD_DISK_BLOCK_SIZE, on_done, &status[i]);
    }
    coord_disk_file_probe(fixture->disk, on_done, &probe);
    assert_int_equal(probe, 1);
    assert_int_equal(wait_for(fixture, &probe), RAY_OK);
    for (size_t i = 0; i < COORD_DISK_FILE_QUEUE_MAX; i++) {
        assert_int_equal(status[i], RAY_OK);
    }
    assert_int_equal(remove_file(fixture, "a"), RAY_OK);
    probe = 1;
    coord_disk_file_probe(fixture->disk, on_done, &probe);
    fixture->disk->ops->destroy(fixture->disk);
    fixture->disk = NULL;
    assert_int_equal(probe, RAY_ECANCELED);
    teardown(fixture);
}

struct beside {
    struct fixture *fixture;
    uint8_t *block;
    atomic_bool may_end;
    int rc;
};

static void read_beside(void *arg)
{
    struct beside *beside = arg;

    while (!atomic_load(&beside->may_end)) {
    }
    beside->rc = beside->fixture->disk->ops->read(beside->fixture->disk, "a", 0, beside->block,
                                                  COORD_DISK_BLOCK_SIZE, NULL);
}

/* The loop's thread goes on, reads itself, and has what the other read once they are joined. */
static void one_thing_runs_beside(void **state)
{
    struct fixture *fixture = setup_in("/tmp");
    struct beside beside = {.fixture = fixture, .rc = 1};

    (void)state;
    beside.block = aligned_alloc(COORD_DISK_BLOCK_SIZE, COORD_DISK_BLOCK_SIZE);
    assert_non_null(beside.block);
    assert_int_equal(create(fixture, "a", COORD_DISK_BLOCK_SIZE), RAY_OK);
    memset(fixture->block, 7, COORD_DISK_BLOCK_SIZE);
    assert_int_equal(write_block(fixture, "a", 0), RAY_OK);
    for (int round = 0; round < 2 * COORD_DISK_FILE_QUEUE_MAX; round++) {
        memset(beside.block, 0, COORD_DISK_BLOCK_SIZE);
        atomic_store(&beside.may_end, false);
        fixture->disk->ops->begin_beside(fixture->disk, read_beside, &beside);
        assert_int_equal(read_block(fixture, "a", 0), RAY_OK);
        atomic_store(&beside.may_end, true);
        fixture->disk->ops->join_beside(fixture->disk);
        assert_int_equal(beside.rc, RAY_OK);
        assert_memory_equal(beside.block, fixture->block, COORD_DISK_BLOCK_SIZE);
        assert_int_equal(write_block(fixture, "a", 0), RAY_OK); /* the loop runs */
    }
    assert_int_equal(remove_file(fixture, "a"), RAY_OK);
    free(beside.block);
    teardown(fixture);
}

static void on_durable(void *arg, uint64_t index)
{
    *(uint64_t *)arg = index;
}

static void on_wal_failed(void *arg, int status)
{
    (void)arg;
    fail_msg("the log failed: %s", ray_err_text(status));
}

static void on_space(void *arg, enum coord_wal_space space)
{
    (void)arg;
    (void)space;
}

static void remove_listed(void *arg, const char *name, uint64_t size)
{
    (void)size;
    assert_int_equal(remove_file(arg, name), RAY_OK);
}

static struct coord_wal *end_open(struct coord_wal_opening *opening, uint64_t *durable,
                                  struct coord_wal_recovery *recovery)
{
    const struct coord_wal_user user = {
        .on_durable = on_durable, .on_failed = on_wal_failed, .on_space = on_space, .arg = durable};
    struct coord_wal *wal;

    assert_int_equal(coord_wal_open_end(opening, 0, &user, &wal, recovery, NULL), RAY_OK);
    return wal;
}

/* Here the log is read by the other thread; on the fake disk of its own tests it is not. */
static void a_log_is_opened_beside(void **state)
{
    enum { COUNT = 50 };
    const struct coord_wal_config config = {.segment_size = COORD_WAL_SEGMENT_SIZE_MIN};
    struct fixture *fixture = setup_in("/tmp");
    struct coord_wal_opening *opening;
    struct coord_wal_recovery recovery;
    struct coord_wal_span span;
    uint64_t durable = 0;
    uint8_t data[1000];
    struct coord_wal *wal;

    (void)state;
    assert_int_equal(coord_wal_open_begin(&opening, fixture->disk, &config, NULL), RAY_OK);
    wal = end_open(opening, &durable, &recovery);
    for (uint64_t i = 1; i <= COUNT; i++) {
        const struct coord_entry entry = {
            .term = 1, .index = i, .type = COORD_ENTRY_COMMAND, .size = sizeof data, .data = data};

        memset(data, (int)i, sizeof data);
        assert_int_equal(coord_wal_append(wal, &entry, 1, NULL), RAY_OK);
        coord_wal_flush(wal);
        while (durable < i) {
            ray_loop_once(&fixture->loop);
        }
    }
    coord_wal_destroy(wal);
    fixture->disk->ops->destroy(fixture->disk);
    assert_int_equal(coord_disk_file_create(&fixture->disk, &fixture->loop, fixture->path, NULL),
                     RAY_OK);
    assert_int_equal(coord_wal_open_begin(&opening, fixture->disk, &config, NULL), RAY_OK);
    coord_wal_open_cancel(opening);
    assert_int_equal(coord_wal_open_begin(&opening, fixture->disk, &config, NULL), RAY_OK);
    wal = end_open(opening, &durable, &recovery);
    assert_int_equal(recovery.outcome, COORD_WAL_CLEAN);
    assert_int_equal(coord_wal_last_index(wal), COUNT);
    assert_int_equal(coord_wal_read(wal, 1, COUNT, SIZE_MAX, &span, NULL), RAY_OK);
    assert_int_equal(span.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(span.entries[i].size, sizeof data);
        memset(data, (int)i + 1, sizeof data);
        assert_memory_equal(span.entries[i].data, data, sizeof data);
    }
    coord_wal_span_fini(&span);
    coord_wal_destroy(wal);
    fixture->disk->ops->destroy(fixture->disk);
    assert_int_equal(coord_disk_file_create(&fixture->disk, &fixture->loop, fixture->path, NULL),
                     RAY_OK);
    assert_int_equal(fixture->disk->ops->list(fixture->disk, remove_listed, fixture, NULL), RAY_OK);
    teardown(fixture);
}

/* Each of its steps fails once: the status says so, and no file is left that a list shows. */
static void each_step_of_making_a_file_may_fail(void **state)
{
    static const char *const points[] = {"open", "write", "fsync", "rename"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (unsigned n = 1;; n++) {
            struct fixture *fixture = setup_in("/tmp");
            bool has_fired;
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = create(fixture, "a", 2 << 20);
            has_fired = ray_test_fault_disarm();
            assert_true(has_fired == (rc != RAY_OK));
            (void)remove_file(fixture, "a");
            teardown(fixture);
            if (!has_fired) {
                break;
            }
        }
    }
}

static void each_step_of_opening_may_fail(void **state)
{
    static const char *const points[] = {"open", "alloc", "write"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (unsigned n = 1;; n++) {
            struct fixture *fixture = setup_in("/tmp");
            bool has_fired;
            int rc;

            fixture->disk->ops->destroy(fixture->disk);
            fixture->disk = NULL;
            ray_test_fault_arm(points[i], n);
            rc = coord_disk_file_create(&fixture->disk, &fixture->loop, fixture->path, NULL);
            has_fired = ray_test_fault_disarm();
            assert_true(!has_fired || rc != RAY_OK || strcmp(points[i], "write") == 0);
            teardown(fixture);
            if (!has_fired) {
                break;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_does_what_a_disk_does),
        cmocka_unit_test(one_process_has_it),
        cmocka_unit_test(who_looks_changes_nothing),
        cmocka_unit_test(unfinished_files_are_swept),
        cmocka_unit_test(what_is_under_way_is_answered_at_the_end),
        cmocka_unit_test(many_at_once_come_back_in_order),
        cmocka_unit_test(a_probe_waits_its_turn),
        cmocka_unit_test(one_thing_runs_beside),
        cmocka_unit_test(a_log_is_opened_beside),
        cmocka_unit_test(each_step_of_making_a_file_may_fail),
        cmocka_unit_test(each_step_of_opening_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
