/* A table of shared, never changed records; a commit makes a new table, and the one before stays
 * for a cut that takes the commit back. */
#include "coordinator/store/checkpoint_mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/mutant.h"
#include "coordinator/store/checkpoint_batch.h"

struct record {
    size_t users; /* tables that have it */
    size_t key_size;
    size_t value_size;
    uint8_t bytes[]; /* key, value */
};

struct table {
    struct record **records; /* sorted by key */
    size_t count;
    size_t capacity;
    struct coord_checkpoint_head head;
    struct coord_checkpoint_sum sum;
};

struct checkpoint_mem {
    struct coord_checkpoint checkpoint;
    struct coord_mem_store *store;
    void (*on_commit)(void *arg);
    void *arg;
    const struct coord_checkpoint_batch *batch; /* under way */
    struct coord_checkpoint_head head;
    coord_checkpoint_done *done;
    void *done_arg;
};

struct facts_mem {
    struct coord_facts facts;
    struct coord_mem_store *store;
};

struct coord_mem_store {
    struct table now;
    struct table before; /* the last commit */
    struct table facts;
    struct checkpoint_mem *checkpoint;
    struct facts_mem *fact_user;
};

/* --- tables --- */

static void record_drop(struct record *record)
{
    if (--record->users == 0) {
        free(record);
    }
}

static void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        record_drop(table->records[i]);
    }
    free(table->records);
    *table = (struct table){0};
}

static int table_copy(const struct table *from, struct table *out)
{
    struct table table = *from;

    table.capacity = from->count + 16;
    table.records =
        ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(table.capacity, sizeof *table.records);
    if (table.records == NULL) {
        return RAY_ENOMEM;
    }
    for (size_t i = 0; i < from->count; i++) {
        table.records[i] = from->records[i];
        table.records[i]->users++;
    }
    *out = table;
    return RAY_OK;
}

static int key_compare(const struct record *record, const void *key, size_t key_size)
{
    size_t size = record->key_size < key_size ? record->key_size : key_size;
    int order = memcmp(record->bytes, key, size);

    if (order != 0) {
        return order;
    }
    return (record->key_size > key_size) - (record->key_size < key_size);
}

/* The first record that is not before the key. */
static size_t table_find(const struct table *table, const void *key, size_t key_size,
                         bool *out_is_there)
{
    size_t from = 0;
    size_t to = table->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (key_compare(table->records[middle], key, key_size) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    *out_is_there = from < table->count && key_compare(table->records[from], key, key_size) == 0;
    return from;
}

static void table_remove_at(struct table *table, size_t at)
{
    struct record *record = table->records[at];

    coord_checkpoint_sum_subtract(&table->sum, record->bytes, record->key_size,
                                  record->bytes + record->key_size, record->value_size);
    table->count--;
    memmove(&table->records[at], &table->records[at + 1],
            (table->count - at) * sizeof(struct record *));
    record_drop(record);
}

static void table_remove(struct table *table, const void *key, size_t key_size)
{
    bool is_there;
    size_t at = table_find(table, key, key_size, &is_there);

    if (is_there) {
        table_remove_at(table, at);
    }
}

static int table_reserve(struct table *table)
{
    size_t capacity = table->capacity == 0 ? 16 : 2 * table->capacity;
    struct record **records;

    if (table->count < table->capacity) {
        return RAY_OK;
    }
    records = ray_fault(RAY_FAULT_ALLOC)
                  ? NULL
                  : realloc(table->records, capacity * sizeof(struct record *));
    if (records == NULL) {
        return RAY_ENOMEM;
    }
    table->records = records;
    table->capacity = capacity;
    return RAY_OK;
}

static int table_put(struct table *table, const void *key, size_t key_size, const void *value,
                     size_t value_size)
{
    struct record *record =
        ray_fault(RAY_FAULT_ALLOC) ? NULL : malloc(sizeof *record + key_size + value_size);
    bool is_there;
    size_t at;

    if (record == NULL || table_reserve(table) != RAY_OK) {
        free(record);
        return RAY_ENOMEM;
    }
    *record = (struct record){.users = 1, .key_size = key_size, .value_size = value_size};
    memcpy(record->bytes, key, key_size);
    if (value_size > 0) {
        memcpy(record->bytes + key_size, value, value_size);
    }
    table_remove(table, key, key_size);
    at = table_find(table, key, key_size, &is_there);
    memmove(&table->records[at + 1], &table->records[at],
            (table->count - at) * sizeof(struct record *));
    table->records[at] = record;
    table->count++;
    coord_checkpoint_sum_add(&table->sum, key, key_size, value, value_size);
    return RAY_OK;
}

/* --- the store --- */

int coord_mem_store_create(struct coord_mem_store **out, struct ray_err *err)
{
    struct coord_mem_store *store = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *store);

    if (store == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a store in memory");
    }
    *out = store;
    return RAY_OK;
}

void coord_mem_store_destroy(struct coord_mem_store *store)
{
    if (store != NULL) {
        assert(store->checkpoint == NULL && store->fact_user == NULL);
        table_fini(&store->now);
        table_fini(&store->before);
        table_fini(&store->facts);
        free(store);
    }
}

static int batch_apply(struct table *table, const struct coord_checkpoint_batch *batch)
{
    struct coord_checkpoint_op op;
    size_t at = 0;
    int rc = RAY_OK;

    while (rc == RAY_OK && coord_checkpoint_batch_next(batch, &at, &op)) {
        if (op.kind == COORD_CHECKPOINT_CLEAR) {
            table_fini(table);
        } else if (op.kind == COORD_CHECKPOINT_DELETE) {
            table_remove(table, op.key, op.key_size);
        } else {
            rc = table_put(table, op.key, op.key_size, op.value, op.value_size);
        }
    }
    return rc;
}

static int commit_apply(struct coord_mem_store *store, const struct checkpoint_mem *checkpoint)
{
    struct table next;
    int rc = table_copy(&store->now, &next);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = batch_apply(&next, checkpoint->batch);
    if (rc != RAY_OK) {
        table_fini(&next);
        return rc;
    }
    next.head = checkpoint->head;
    next.head.record_count = next.count;
    table_fini(&store->before);
    store->before = store->now;
    store->now = next;
    return RAY_OK;
}

void coord_mem_store_end(struct coord_mem_store *store, int status)
{
    struct checkpoint_mem *checkpoint = store->checkpoint;

    if (checkpoint == NULL || checkpoint->batch == NULL) {
        return;
    }
    if (status == RAY_OK) {
        status = commit_apply(store, checkpoint);
    }
    checkpoint->batch = NULL;
    checkpoint->done(checkpoint->done_arg, status);
}

void coord_mem_store_cut(struct coord_mem_store *store, bool is_last_lost)
{
    assert(store->checkpoint == NULL && store->fact_user == NULL);
    if (!is_last_lost) {
        return;
    }
    if (RAY_MUTANT(STORE_APPLIED_OUTSIDE)) {
        store->now.head = store->before.head; /* the records stay */
        return;
    }
    table_fini(&store->now);
    store->now = store->before;
    store->before = (struct table){0};
    if (table_copy(&store->now, &store->before) != RAY_OK) {
        abort(); /* tests and simulator only */
    }
}

void coord_mem_store_rot(struct coord_mem_store *store, size_t at)
{
    if (store->now.count > 0) {
        const struct record *record = store->now.records[at % store->now.count];
        struct record *copy = malloc(sizeof *copy + record->key_size + record->value_size);

        if (copy == NULL) {
            abort(); /* tests and simulator only */
        }
        memcpy(copy, record, sizeof *copy + record->key_size + record->value_size);
        copy->users = 1;
        copy->bytes[at % (copy->key_size + copy->value_size)] ^= 1;
        record_drop(store->now.records[at % store->now.count]);
        store->now.records[at % store->now.count] = copy;
    }
}

/* --- struct coord_checkpoint --- */

static struct checkpoint_mem *mem_of(struct coord_checkpoint *checkpoint)
{
    return (struct checkpoint_mem *)checkpoint;
}

static int mem_load(struct coord_checkpoint *checkpoint, coord_checkpoint_each *each, void *arg,
                    struct coord_checkpoint_head *out_head, struct ray_err *err)
{
    const struct table *table = &mem_of(checkpoint)->store->now;
    struct coord_checkpoint_sum sum = {0};

    for (size_t i = 0; i < table->count; i++) {
        const struct record *record = table->records[i];
        const uint8_t *value = record->bytes + record->key_size;

        coord_checkpoint_sum_add(&sum, record->bytes, record->key_size, value, record->value_size);
        each(arg, record->bytes, record->key_size, value, record->value_size);
    }
    if (!coord_checkpoint_sum_equal(&sum, &table->sum)) {
        return ray_fail(err, RAY_EMALFORMED, "the checkpoint's records have rotted");
    }
    *out_head = table->head;
    return RAY_OK;
}

static void mem_commit(struct coord_checkpoint *checkpoint,
                       const struct coord_checkpoint_batch *batch,
                       const struct coord_checkpoint_head *head, coord_checkpoint_done *done,
                       void *arg)
{
    struct checkpoint_mem *mem = mem_of(checkpoint);

    assert(mem->batch == NULL && batch != NULL && head->applied_index > 0);
    mem->batch = batch;
    mem->head = *head;
    mem->done = done;
    mem->done_arg = arg;
    mem->on_commit(mem->arg);
}

static int mem_wipe(struct coord_checkpoint *checkpoint, struct ray_err *err)
{
    struct checkpoint_mem *mem = mem_of(checkpoint);

    (void)err;
    assert(mem->batch == NULL);
    table_fini(&mem->store->now);
    table_fini(&mem->store->before);
    return RAY_OK;
}

static void mem_destroy(struct coord_checkpoint *checkpoint)
{
    struct checkpoint_mem *mem = mem_of(checkpoint);

    mem->store->checkpoint = NULL;
    free(mem);
}

static const struct coord_checkpoint_ops mem_ops = {
    .load = mem_load, .commit = mem_commit, .wipe = mem_wipe, .destroy = mem_destroy};

int coord_checkpoint_mem_create(struct coord_checkpoint **out, struct coord_mem_store *store,
                                void (*on_commit)(void *arg), void *arg, struct ray_err *err)
{
    struct checkpoint_mem *mem = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *mem);

    assert(store->checkpoint == NULL && on_commit != NULL);
    if (mem == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a checkpoint in memory");
    }
    *mem = (struct checkpoint_mem){
        .checkpoint = {.ops = &mem_ops}, .store = store, .on_commit = on_commit, .arg = arg};
    store->checkpoint = mem;
    *out = &mem->checkpoint;
    return RAY_OK;
}

/* --- struct coord_facts --- */

static struct table *facts_of(struct coord_facts *facts)
{
    return &((struct facts_mem *)facts)->store->facts;
}

static int key_check(const char *key, struct ray_err *err)
{
    size_t size = strlen(key);

    return size > 0 && size <= COORD_FACTS_KEY_SIZE_MAX
               ? RAY_OK
               : ray_fail(err, RAY_EINVAL, "a fact's key of %zu bytes", size);
}

static int find_fact(const struct table *table, const char *key, size_t *out_at,
                     struct ray_err *err)
{
    bool is_there;
    size_t at;
    int rc = key_check(key, err);

    if (rc != RAY_OK) {
        return rc;
    }
    at = table_find(table, key, strlen(key), &is_there);
    if (!is_there) {
        return ray_fail(err, RAY_ENOTFOUND, "no fact '%s'", key);
    }
    *out_at = at;
    return RAY_OK;
}

static int facts_get(struct coord_facts *facts, const char *key, struct ray_buf *out,
                     struct ray_err *err)
{
    const struct table *table = facts_of(facts);
    size_t at = 0;
    int rc = find_fact(table, key, &at, err);

    if (rc != RAY_OK) {
        return rc;
    }
    ray_buf_clear(out);
    rc = ray_buf_append(out, table->records[at]->bytes + table->records[at]->key_size,
                        table->records[at]->value_size);
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "the fact '%s'", key);
}

static int facts_put(struct coord_facts *facts, const char *key, const void *value, size_t size,
                     struct ray_err *err)
{
    int rc = key_check(key, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (size > COORD_FACTS_VALUE_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "the fact '%s' of %zu bytes", key, size);
    }
    rc = table_put(facts_of(facts), key, strlen(key), value, size);
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "the fact '%s'", key);
}

static int facts_remove(struct coord_facts *facts, const char *key, struct ray_err *err)
{
    struct table *table = facts_of(facts);
    size_t at = 0;
    int rc = find_fact(table, key, &at, err);

    if (rc == RAY_OK) {
        table_remove_at(table, at);
    }
    return rc;
}

static int facts_list(struct coord_facts *facts, const char *prefix,
                      void (*each)(void *arg, const char *key, const uint8_t *value, size_t size),
                      void *arg, struct ray_err *err)
{
    const struct table *table = facts_of(facts);
    size_t prefix_size = strlen(prefix);
    bool is_there;
    size_t at = table_find(table, prefix, prefix_size, &is_there);

    (void)err;
    for (; at < table->count; at++) {
        const struct record *record = table->records[at];
        char key[COORD_FACTS_KEY_SIZE_MAX + 1] = "";

        if (record->key_size < prefix_size || memcmp(record->bytes, prefix, prefix_size) != 0) {
            break;
        }
        memcpy(key, record->bytes, record->key_size);
        each(arg, key, record->bytes + record->key_size, record->value_size);
    }
    return RAY_OK;
}

static void facts_destroy(struct coord_facts *facts)
{
    struct facts_mem *mem = (struct facts_mem *)facts;

    mem->store->fact_user = NULL;
    free(mem);
}

static const struct coord_facts_ops facts_ops = {
    .get = facts_get,
    .put = facts_put,
    .remove = facts_remove,
    .list = facts_list,
    .destroy = facts_destroy,
};

int coord_facts_mem_create(struct coord_facts **out, struct coord_mem_store *store,
                           struct ray_err *err)
{
    struct facts_mem *mem = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *mem);

    assert(store->fact_user == NULL);
    if (mem == NULL) {
        return ray_fail(err, RAY_ENOMEM, "facts in memory");
    }
    *mem = (struct facts_mem){.facts = {.ops = &facts_ops}, .store = store};
    store->fact_user = mem;
    *out = &mem->facts;
    return RAY_OK;
}
