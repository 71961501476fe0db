/* provisioning/machines/table_fixture.h - a folder of its own and short words for the tests of
 * the machine table.
 *
 * Memory: the fixture is the test's.  Threads: one.  Blocks: on the disk.  Trust: tests only. */
#ifndef RAY_PROVISIONING_MACHINES_TABLE_FIXTURE_H
#define RAY_PROVISIONING_MACHINES_TABLE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "provisioning/machines/table.h"

struct table_fixture {
    char path[64];
    struct ray_loop loop;
    struct provision_table *table;
    struct provision_time now;
    unsigned problem_count;
    char problem[512]; /* the last one */
    unsigned event_count;
    unsigned sync_count;
    struct ray_err sync_err; /* of the last one */
};

int table_fixture_setup(void **state);
int table_fixture_teardown(void **state);

/* Makes the table; with_loop false: nothing is written before flush. */
void table_open(struct table_fixture *fixture, bool with_loop);
/* Writes what is left and frees. */
void table_close(struct table_fixture *fixture);

struct provision_mac table_mac(unsigned number);
/* The record, or NULL. */
const struct provision_record *table_record(const struct table_fixture *fixture, unsigned number);
/* Name is "<word>". */
int table_set_name(struct table_fixture *fixture, unsigned number, const char *word);
int table_note(struct table_fixture *fixture, unsigned number, const char *detail);

/* The path of a file of the table. */
const char *table_path(const struct table_fixture *fixture, const char *name, char out[static 128]);
void table_put_file(const struct table_fixture *fixture, const char *name, const char *text);
bool table_has_file(const struct table_fixture *fixture, const char *name);
size_t table_count_files(const struct table_fixture *fixture, const char *suffix);

#endif
