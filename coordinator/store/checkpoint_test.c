/* Both implementations, the same tests. */
#include <unistd.h>

#include "base/test.h"
#include "coordinator/mutant.h"
#include "coordinator/store/checkpoint.h"
#include "coordinator/store/checkpoint_lmdb.h"
#include "coordinator/store/checkpoint_mem.h"

struct fixture {
    bool is_lmdb;
    char folder[64];
    struct ray_loop loop;
    struct coord_mem_store *store;
    struct coord_checkpoint *checkpoint;
    struct coord_facts *facts;
    struct coord_checkpoint_batch batch;
};

static void ignore(void *arg)
{
    (void)arg;
}

static void open_all(struct fixture *fixture)
{
    if (fixture->is_lmdb) {
        assert_int_equal(coord_checkpoint_lmdb_create(&fixture->checkpoint, &fixture->loop,
                                                      fixture->folder, 64 << 20, NULL),
                         RAY_OK);
        assert_int_equal(coord_facts_lmdb_create(&fixture->facts, fixture->folder, NULL), RAY_OK);
        return;
    }
    assert_int_equal(
        coord_checkpoint_mem_create(&fixture->checkpoint, fixture->store, ignore, NULL, NULL),
        RAY_OK);
    assert_int_equal(coord_facts_mem_create(&fixture->facts, fixture->store, NULL), RAY_OK);
}

static void close_all(struct fixture *fixture)
{
    fixture->checkpoint->ops->destroy(fixture->checkpoint);
    fixture->facts->ops->destroy(fixture->facts);
}

static void init(struct fixture *fixture, bool is_lmdb)
{
    *fixture = (struct fixture){.is_lmdb = is_lmdb};
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/checkpoint-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    assert_int_equal(coord_mem_store_create(&fixture->store, NULL), RAY_OK);
    coord_checkpoint_batch_init(&fixture->batch);
    open_all(fixture);
}

static void fini(struct fixture *fixture)
{
    static const char *const names[] = {"checkpoint.mdb", "checkpoint.mdb-lock", "facts.mdb",
                                        "facts.mdb-lock"};

    close_all(fixture);
    coord_mem_store_destroy(fixture->store);
    coord_checkpoint_batch_fini(&fixture->batch);
    ray_loop_fini(&fixture->loop);
    for (size_t i = 0; i < 4; i++) {
        char path[128];

        (void)snprintf(path, sizeof path, "%s/%s", fixture->folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(fixture->folder), 0);
}

static void on_done(void *arg, int status)
{
    *(int *)arg = status;
}

static int commit(struct fixture *fixture, uint64_t index)
{
    const struct coord_checkpoint_head head = {
        .applied_index = index, .applied_term = 2, .state_hash = {(uint8_t)index}};
    int status = 1;

    fixture->checkpoint->ops->commit(fixture->checkpoint, &fixture->batch, &head, on_done, &status);
    assert_int_equal(status, 1);
    if (fixture->is_lmdb) {
        while (status == 1) {
            ray_loop_once(&fixture->loop);
        }
    } else {
        coord_mem_store_end(fixture->store, RAY_OK);
    }
    coord_checkpoint_batch_reset(&fixture->batch);
    return status;
}

static void put(struct fixture *fixture, const char *key, const char *value)
{
    assert_int_equal(coord_checkpoint_put(&fixture->batch, key, strlen(key), value, strlen(value)),
                     RAY_OK);
}

static void append_record(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                          size_t value_size)
{
    char *text = arg;
    size_t used = strlen(text);

    (void)snprintf(text + used, 256 - used, "%.*s=%.*s ", (int)key_size, (const char *)key,
                   (int)value_size, (const char *)value);
}

static void expect(struct fixture *fixture, uint64_t index, const char *records)
{
    struct coord_checkpoint_head head;
    char text[256] = "";
    struct ray_err err = {0};

    if (fixture->checkpoint->ops->load(fixture->checkpoint, append_record, text, &head, &err) !=
        RAY_OK) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(text, records);
    assert_int_equal(head.applied_index, index);
    assert_int_equal(head.state_hash[0], index);
}

static void records_and_index_change_together(void **state)
{
    (void)state;
    for (int is_lmdb = 0; is_lmdb < 2; is_lmdb++) {
        struct fixture fixture;

        init(&fixture, is_lmdb);
        expect(&fixture, 0, "");
        put(&fixture, "b", "2");
        put(&fixture, "a", "1");
        put(&fixture, "c", "");
        assert_int_equal(commit(&fixture, 5), RAY_OK);
        expect(&fixture, 5, "a=1 b=2 c= ");
        put(&fixture, "a", "one");
        assert_int_equal(coord_checkpoint_delete(&fixture.batch, "b", 1), RAY_OK);
        assert_int_equal(coord_checkpoint_delete(&fixture.batch, "none", 4), RAY_OK);
        assert_int_equal(commit(&fixture, 9), RAY_OK);
        expect(&fixture, 9, "a=one c= ");
        close_all(&fixture);
        open_all(&fixture);
        expect(&fixture, 9, "a=one c= ");
        put(&fixture, "lost", "before the clear");
        assert_int_equal(coord_checkpoint_clear(&fixture.batch), RAY_OK);
        put(&fixture, "z", "26");
        assert_int_equal(commit(&fixture, 12), RAY_OK);
        expect(&fixture, 12, "z=26 ");
        assert_int_equal(fixture.checkpoint->ops->wipe(fixture.checkpoint, NULL), RAY_OK);
        expect(&fixture, 0, "");
        fini(&fixture);
    }
}

static void limits_of_a_batch(void **state)
{
    static uint8_t big[COORD_CHECKPOINT_VALUE_SIZE_MAX + 1];
    struct coord_checkpoint_batch batch;

    (void)state;
    coord_checkpoint_batch_init(&batch);
    assert_int_equal(coord_checkpoint_put(&batch, big, COORD_CHECKPOINT_KEY_SIZE_MAX + 1, "", 0),
                     RAY_ETOOBIG);
    assert_int_equal(coord_checkpoint_put(&batch, "k", 1, big, sizeof big), RAY_ETOOBIG);
    assert_int_equal(batch.count, 0);
    assert_int_equal(
        coord_checkpoint_put(&batch, big, COORD_CHECKPOINT_KEY_SIZE_MAX, big, sizeof big - 1),
        RAY_OK);
    assert_int_equal(batch.count, 1);
    coord_checkpoint_batch_fini(&batch);
}

static void rot_is_found_at_the_load(void **state)
{
    struct fixture fixture;
    struct coord_checkpoint_head head;
    char text[256] = "";

    (void)state;
    init(&fixture, false);
    put(&fixture, "a", "1");
    put(&fixture, "b", "2");
    assert_int_equal(commit(&fixture, 5), RAY_OK);
    coord_mem_store_rot(fixture.store, 3);
    assert_int_equal(
        fixture.checkpoint->ops->load(fixture.checkpoint, append_record, text, &head, NULL),
        RAY_EMALFORMED);
    assert_int_equal(fixture.checkpoint->ops->wipe(fixture.checkpoint, NULL), RAY_OK);
    expect(&fixture, 0, "");
    fini(&fixture);
}

/* Flips one byte of what LMDB keeps, found by its content. */
static void file_rot(const char *folder, const char *content)
{
    char path[128];
    FILE *file;
    static char bytes[1 << 20];
    size_t size;
    size_t found = 0;

    (void)snprintf(path, sizeof path, "%s/checkpoint.mdb", folder);
    file = fopen(path, "r+b");
    assert_non_null(file);
    size = fread(bytes, 1, sizeof bytes, file);
    for (size_t at = 0; at + strlen(content) <= size; at++) {
        if (memcmp(bytes + at, content, strlen(content)) == 0) {
            assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
            assert_int_equal(fputc(content[0] ^ 1, file), content[0] ^ 1);
            found++;
        }
    }
    assert_int_equal(fclose(file), 0);
    assert_true(found > 0);
}

static void rot_of_the_file_is_found_at_the_load(void **state)
{
    static const char *const contents[] = {"a-value-of-its-own", "a-key-of-its-own", "RAYCHKP\n"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fixture fixture;
        struct coord_checkpoint_head head;
        char text[256] = "";

        init(&fixture, true);
        put(&fixture, "a-key-of-its-own", "a-value-of-its-own");
        assert_int_equal(commit(&fixture, 5), RAY_OK);
        close_all(&fixture);
        file_rot(fixture.folder, contents[i]);
        open_all(&fixture);
        assert_int_equal(
            fixture.checkpoint->ops->load(fixture.checkpoint, append_record, text, &head, NULL),
            RAY_EMALFORMED);
        assert_int_equal(fixture.checkpoint->ops->wipe(fixture.checkpoint, NULL), RAY_OK);
        expect(&fixture, 0, "");
        fini(&fixture);
    }
}

static void a_full_map_changes_nothing(void **state)
{
    static uint8_t big[512 << 10];
    struct fixture fixture;
    uint64_t index = 1;
    int rc = RAY_OK;

    (void)state;
    init(&fixture, true);
    put(&fixture, "a", "1");
    assert_int_equal(commit(&fixture, 200), RAY_OK);
    while (rc == RAY_OK && index < 200) {
        char key[16];

        (void)snprintf(key, sizeof key, "big%03u", (unsigned)index);
        assert_int_equal(coord_checkpoint_put(&fixture.batch, key, strlen(key), big, sizeof big),
                         RAY_OK);
        rc = commit(&fixture, 200 + index);
        index++;
    }
    assert_int_equal(rc, RAY_ENOSPC);
    put(&fixture, "b", "2");
    assert_int_equal(coord_checkpoint_clear(&fixture.batch), RAY_OK);
    put(&fixture, "c", "3");
    assert_int_equal(commit(&fixture, 201), RAY_OK); /* it goes on */
    expect(&fixture, 201, "c=3 ");
    fini(&fixture);
}

static void a_failed_commit_changes_nothing(void **state)
{
    struct fixture fixture;
    const struct coord_checkpoint_head head = {.applied_index = 9, .applied_term = 1};
    int status = 1;

    (void)state;
    init(&fixture, true);
    put(&fixture, "a", "1");
    assert_int_equal(commit(&fixture, 5), RAY_OK);
    put(&fixture, "a", "2");
    ray_test_fault_arm("fsync", 1);
    if (commit(&fixture, 6) != RAY_OK) {
        expect(&fixture, 5, "a=1 ");
    }
    (void)ray_test_fault_disarm();
    fini(&fixture);

    init(&fixture, false);
    put(&fixture, "a", "1");
    fixture.checkpoint->ops->commit(fixture.checkpoint, &fixture.batch, &head, on_done, &status);
    coord_mem_store_end(fixture.store, RAY_EIO);
    assert_int_equal(status, RAY_EIO);
    expect(&fixture, 0, "");
    fini(&fixture);
}

static void a_cut_takes_back_whole_transactions(void **state)
{
    struct fixture fixture;
    const struct coord_checkpoint_head head = {.applied_index = 9, .applied_term = 1};
    int status = 1;

    (void)state;
    init(&fixture, false);
    put(&fixture, "a", "1");
    assert_int_equal(commit(&fixture, 5), RAY_OK);
    put(&fixture, "a", "2");
    assert_int_equal(commit(&fixture, 6), RAY_OK);
    put(&fixture, "a", "3");
    fixture.checkpoint->ops->commit(fixture.checkpoint, &fixture.batch, &head, on_done, &status);
    close_all(&fixture);
    coord_mem_store_end(fixture.store, RAY_OK); /* nobody is there */
    assert_int_equal(status, 1);
    coord_mem_store_cut(fixture.store, false);
    open_all(&fixture);
    expect(&fixture, 6, "a=2 ");
    close_all(&fixture);
    coord_mem_store_cut(fixture.store, true);
    open_all(&fixture);
    expect(&fixture, 5, "a=1 ");
    fini(&fixture);
}

static void a_process_may_end_during_a_commit(void **state)
{
    struct fixture fixture;
    const struct coord_checkpoint_head head = {
        .applied_index = 9, .applied_term = 1, .state_hash = {9}};
    struct coord_checkpoint_head found;
    char text[256] = "";
    int status = 1;

    (void)state;
    init(&fixture, true);
    put(&fixture, "a", "3");
    fixture.checkpoint->ops->commit(fixture.checkpoint, &fixture.batch, &head, on_done, &status);
    close_all(&fixture);
    assert_int_equal(status, 1);
    open_all(&fixture);
    assert_int_equal(
        fixture.checkpoint->ops->load(fixture.checkpoint, append_record, text, &found, NULL),
        RAY_OK);
    assert_true(found.applied_index == 9 ? strcmp(text, "a=3 ") == 0 : text[0] == '\0');
    fini(&fixture);
}

/* --- facts --- */

static void append_fact(void *arg, const char *key, const uint8_t *value, size_t size)
{
    append_record(arg, (const uint8_t *)key, strlen(key), value, size);
}

static void facts_are_kept(void **state)
{
    static uint8_t big[COORD_FACTS_VALUE_SIZE_MAX + 1];

    (void)state;
    for (int is_lmdb = 0; is_lmdb < 2; is_lmdb++) {
        struct fixture fixture;
        const struct coord_facts_ops *ops;
        struct ray_buf buf;
        char text[256] = "";

        init(&fixture, is_lmdb);
        ray_buf_init(&buf, 1000);
        ops = fixture.facts->ops;
        assert_int_equal(ops->get(fixture.facts, "pin", &buf, NULL), RAY_ENOTFOUND);
        assert_int_equal(ops->put(fixture.facts, "pin", "1234", 4, NULL), RAY_OK);
        assert_int_equal(ops->put(fixture.facts, "peer/b", "2", 1, NULL), RAY_OK);
        assert_int_equal(ops->put(fixture.facts, "peer/a", "", 0, NULL), RAY_OK);
        assert_int_equal(ops->put(fixture.facts, "pin", "12345", 5, NULL), RAY_OK);
        assert_int_equal(ops->put(fixture.facts, "", "1", 1, NULL), RAY_EINVAL);
        assert_int_equal(ops->put(fixture.facts, "big", big, sizeof big, NULL), RAY_ETOOBIG);
        close_all(&fixture);
        open_all(&fixture);
        ops = fixture.facts->ops;
        assert_int_equal(ops->get(fixture.facts, "pin", &buf, NULL), RAY_OK);
        assert_string_equal(ray_buf_text(&buf), "12345");
        assert_int_equal(ops->list(fixture.facts, "peer/", append_fact, text, NULL), RAY_OK);
        assert_string_equal(text, "peer/a= peer/b=2 ");
        text[0] = '\0';
        assert_int_equal(ops->list(fixture.facts, "", append_fact, text, NULL), RAY_OK);
        assert_string_equal(text, "peer/a= peer/b=2 pin=12345 ");
        assert_int_equal(ops->remove(fixture.facts, "pin", NULL), RAY_OK);
        assert_int_equal(ops->remove(fixture.facts, "pin", NULL), RAY_ENOTFOUND);
        ray_buf_fini(&buf);
        fini(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_and_index_change_together),
        cmocka_unit_test(limits_of_a_batch),
        cmocka_unit_test(rot_is_found_at_the_load),
        cmocka_unit_test(rot_of_the_file_is_found_at_the_load),
        cmocka_unit_test(a_full_map_changes_nothing),
        cmocka_unit_test(a_failed_commit_changes_nothing),
        cmocka_unit_test(a_cut_takes_back_whole_transactions),
        cmocka_unit_test(a_process_may_end_during_a_commit),
        cmocka_unit_test(facts_are_kept),
    };

    return ray_mutant_from_env(NULL) == RAY_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
