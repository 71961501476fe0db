#include "provisioning/machines/table_fixture.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"

static void on_problem(void *arg, const char *text)
{
    struct table_fixture *fixture = arg;

    fixture->problem_count++;
    (void)snprintf(fixture->problem, sizeof(fixture->problem), "%s", text);
}

static void on_event(void *arg, const struct provision_record *record,
                     const struct provision_record_event *event)
{
    struct table_fixture *fixture = arg;

    assert_true(event->sequence <= record->sequence);
    fixture->event_count++;
}

int table_fixture_setup(void **state)
{
    struct table_fixture *fixture = calloc(1, sizeof(*fixture));

    if (fixture == NULL) {
        return -1;
    }
    (void)snprintf(fixture->path, sizeof(fixture->path), "/tmp/ray-table-XXXXXX");
    if (mkdtemp(fixture->path) == NULL || ray_loop_init(&fixture->loop, NULL) != RAY_OK) {
        free(fixture);
        return -1;
    }
    fixture->now =
        (struct provision_time){.real_us = UINT64_C(1700000000000000), .mono_us = 1000000};
    *state = fixture;
    return 0;
}

int table_fixture_teardown(void **state)
{
    struct table_fixture *fixture = *state;
    char command[128];
    int rc;

    provision_table_destroy(fixture->table);
    ray_loop_fini(&fixture->loop);
    (void)snprintf(command, sizeof(command), "rm -rf %s", fixture->path);
    rc = system(command); /* NOLINT(bugprone-command-processor): our own mkdtemp name */
    free(fixture);
    return rc;
}

void table_open(struct table_fixture *fixture, bool with_loop)
{
    const struct provision_table_config config = {
        .dir = fixture->path, .on_problem = on_problem, .on_event = on_event, .arg = fixture};
    struct ray_err err = {0};

    assert_null(fixture->table);
    if (provision_table_create(&fixture->table, with_loop ? &fixture->loop : NULL, &config, &err) !=
        RAY_OK) {
        fail_msg("%s", err.text);
    }
}

void table_close(struct table_fixture *fixture)
{
    provision_table_destroy(fixture->table);
    fixture->table = NULL;
}

struct provision_mac table_mac(unsigned number)
{
    return (struct provision_mac){.bytes = {0x52, 0x54, (uint8_t)(number >> 24),
                                            (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                                            (uint8_t)number}};
}

const struct provision_record *table_record(const struct table_fixture *fixture, unsigned number)
{
    const struct provision_mac mac = table_mac(number);

    return provision_table_find(fixture->table, &mac);
}

int table_set_name(struct table_fixture *fixture, unsigned number, const char *word)
{
    const struct provision_mac mac = table_mac(number);

    fixture->now.real_us += 1000;
    return provision_table_set_name(fixture->table, &mac, word, &fixture->now, NULL);
}

int table_note(struct table_fixture *fixture, unsigned number, const char *detail)
{
    const struct provision_mac mac = table_mac(number);

    fixture->now.real_us += 1000;
    return provision_table_note(fixture->table, &mac, PROVISION_RECORD_EVENT_DHCP, detail,
                                &fixture->now);
}

const char *table_path(const struct table_fixture *fixture, const char *name, char out[static 128])
{
    (void)snprintf(out, 128, "%s/machines/%s", fixture->path, name);
    return out;
}

void table_put_file(const struct table_fixture *fixture, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/machines", fixture->path);
    (void)mkdir(path, 0755);
    file = fopen(table_path(fixture, name, path), "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

bool table_has_file(const struct table_fixture *fixture, const char *name)
{
    char path[128];

    return access(table_path(fixture, name, path), F_OK) == 0;
}

size_t table_count_files(const struct table_fixture *fixture, const char *suffix)
{
    char path[128];
    struct dirent *entry;
    size_t count = 0;
    DIR *dir = opendir(table_path(fixture, "", path));

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        size_t size = strlen(entry->d_name);

        count += size >= strlen(suffix) && entry->d_name[0] != '.' &&
                         strcmp(entry->d_name + size - strlen(suffix), suffix) == 0
                     ? 1
                     : 0;
    }
    (void)closedir(dir);
    return count;
}
