#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/test.h"
#include "clusterctl/context/store.h"
#include "clusterctl/context/troubles.h"
#include "net/proto_codec.h"
#include "net/words.h"

static struct context sample(const char *name)
{
    struct context context = {.member_count = 2};

    (void)snprintf(context.name, sizeof context.name, "%s", name);
    (void)snprintf(context.cluster, sizeof context.cluster, "demo");
    (void)snprintf(context.key_path, sizeof context.key_path, "/home/ann/key");
    memset(context.cluster_id.bytes, 7, RAY_ID_SIZE);
    for (size_t i = 0; i < context.member_count; i++) {
        struct context_member *member = &context.members[i];

        (void)snprintf(member->address, sizeof member->address, "10.0.0.%zu:7001", i + 1);
        memset(member->identity, (int)(16 + i), RAY_KEY_SIZE);
        memset(member->link_key, (int)(32 + i), RAY_KEY_SIZE);
    }
    return context;
}

static void test_text_there_and_back(void **state)
{
    const struct context context = sample("lab");
    struct context read;
    char *text = NULL;
    size_t size = 0;

    (void)state;
    assert_int_equal(context_format(&context, &text, &size, NULL), RAY_OK);
    assert_int_equal(context_parse(text, size, &read, NULL), RAY_OK);
    assert_memory_equal(&read, &context, sizeof read);
    for (size_t cut = 0; cut + 2 < size; cut++) {
        struct context untouched = {.member_count = 99};
        char *part = malloc(cut + 1); /* its very size, for the sanitizer */

        assert_non_null(part);
        memcpy(part, text, cut);
        assert_int_equal(context_parse(part, cut, &untouched, NULL), RAY_EMALFORMED);
        assert_int_equal(untouched.member_count, 99);
        free(part);
    }
    free(text);
}

/* The sample's text with one part replaced. */
static int parse_with(const char *old, const char *new, struct ray_err *err)
{
    const struct context context = sample("lab");
    struct context read;
    char changed[8192];
    const char *at;
    char *text = NULL;
    size_t size = 0;

    assert_int_equal(context_format(&context, &text, &size, NULL), RAY_OK);
    at = strstr(text, old);
    assert_non_null(at);
    (void)snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, new,
                   at + strlen(old));
    free(text);
    return context_parse(changed, strlen(changed), &read, err);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *old, *new, *why;
    } cases[] = {
        {"\"version\": 1", "\"version\": 2", "version"},
        {"\"version\": 1", "\"version\": 1, \"more\": 1", "8 keys"},
        {"\"name\": \"lab\"", "\"name\": \"../lab\"", "name"},
        {"\"name\": \"lab\"", "\"name\": \"l\\u0000b\"", "name"},
        {"\"key\": \"/home/ann/key\"", "\"key\": \"key\"", "absolute"},
        {"\"key\": \"/home/ann/key\"", "\"kex\": \"key\"", "key"},
        {"07070707", "08080808", "fingerprint"},
        {"10.0.0.1:7001", "host:7001", "address"},
        {"10.0.0.1:7001", "10.0.0.1", "10.0.0.1"},
        {"\"link_key\": \"2020", "\"link_key\": \"20", "link_key"},
        {"\"link_key\": \"2020", "\"link_key\": \"zz20", "link_key"},
        {"2020202020202020202020202020202020202020202020202020202020202020",
         "2121212121212121212121212121212121212121212121212121212121212121", "twice"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ray_err err = {0};

        assert_int_equal(parse_with(cases[i].old, cases[i].new, &err), RAY_EMALFORMED);
        assert_non_null(strstr(err.text, cases[i].why));
    }
    assert_int_equal(parse_with("demo", "other", NULL), RAY_OK);
}

static void test_nobody_and_too_many(void **state)
{
    struct context context = sample("lab");
    struct context read;
    char *text = NULL;
    size_t size = 0;

    (void)state;
    context.member_count = CONTEXT_MEMBERS_MAX;
    for (size_t i = 0; i < CONTEXT_MEMBERS_MAX; i++) {
        context.members[i] = context.members[0];
        context.members[i].link_key[0] = (uint8_t)i;
    }
    assert_int_equal(context_format(&context, &text, &size, NULL), RAY_OK);
    assert_true(size <= CONTEXT_SIZE_MAX);
    assert_int_equal(context_parse(text, size, &read, NULL), RAY_OK);
    free(text);
    context.member_count = 0;
    assert_int_equal(context_format(&context, &text, &size, NULL), RAY_OK);
    assert_int_equal(context_parse(text, size, &read, NULL), RAY_EMALFORMED);
    free(text);
}

/* ---- what a member says ---- */

struct said {
    Rayos__Cluster__Joined joined;
    Rayos__Cluster__Member members[3];
    Rayos__Cluster__Member *pointers[3];
};

static void say(struct said *said, const struct context *context)
{
    rayos__cluster__joined__init(&said->joined);
    said->joined.cluster_id = ray_proto_id(&context->cluster_id);
    said->joined.cluster = (char *)(uintptr_t)context->cluster;
    for (size_t i = 0; i < context->member_count; i++) {
        const struct context_member *member = &context->members[i];

        rayos__cluster__member__init(&said->members[i]);
        said->members[i].identity_key = ray_proto_bytes(member->identity, RAY_KEY_SIZE);
        said->members[i].link_key = ray_proto_bytes(member->link_key, RAY_KEY_SIZE);
        said->members[i].address = (char *)(uintptr_t)member->address;
        said->pointers[i] = &said->members[i];
    }
    said->joined.n_members = context->member_count;
    said->joined.members = said->pointers;
}

static void test_new_members_are_taken_in(void **state)
{
    struct context context = sample("lab");
    struct context named = sample("lab");
    struct said said;
    bool is_new = false;

    (void)state;
    say(&said, &named);
    assert_int_equal(context_take(&context, &said.joined, &is_new, NULL), RAY_OK);
    assert_false(is_new);

    named.member_count = 3;
    named.members[2] = named.members[0];
    named.members[2].link_key[0] = 99;
    (void)snprintf(named.members[0].address, CONTEXT_ADDRESS_SIZE, "10.0.0.9:7001"); /* moved */
    assert_true(context_prefer(&context, 1));
    say(&said, &named);
    assert_int_equal(context_take(&context, &said.joined, &is_new, NULL), RAY_OK);
    assert_true(is_new);
    assert_int_equal(context.member_count, 3);
    assert_string_equal(context.members[0].address, "10.0.0.2:7001"); /* its order stays */
    assert_string_equal(context.members[1].address, "10.0.0.9:7001");

    named.member_count = 1; /* the others are members no more */
    say(&said, &named);
    assert_int_equal(context_take(&context, &said.joined, &is_new, NULL), RAY_OK);
    assert_int_equal(context.member_count, 1);
}

static void test_a_member_cannot_say_anything(void **state)
{
    struct context context = sample("lab");
    const struct context before = context;
    struct context named = sample("lab");
    struct said said;
    bool is_new = false;

    (void)state;
    named.cluster_id.bytes[0] ^= 1;
    say(&said, &named);
    assert_int_equal(context_take(&context, &said.joined, &is_new, NULL), RAY_EDENIED);
    named = context;
    (void)snprintf(named.cluster, sizeof named.cluster, "a\nb");
    say(&said, &named);
    assert_int_equal(context_take(&context, &said.joined, &is_new, NULL), RAY_EMALFORMED);
    named = context;
    (void)snprintf(named.members[0].address, CONTEXT_ADDRESS_SIZE, "x");
    say(&said, &named);
    said.members[1].link_key.len = 31;
    assert_int_equal(context_take(&context, &said.joined, &is_new, NULL), RAY_EMALFORMED);
    assert_memory_equal(&context, &before, sizeof context);
}

static void test_words(void **state)
{
    const struct context context = sample("lab");
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];
    char words[RAY_WORDS_TEXT_SIZE];

    (void)state;
    ray_cluster_fingerprint(&context.cluster_id, fingerprint);
    (void)ray_words_format(fingerprint, words);
    assert_int_equal(context_check_words(&context, words, NULL), RAY_OK);
    fingerprint[7] ^= 1;
    (void)ray_words_format(fingerprint, words);
    assert_int_equal(context_check_words(&context, words, NULL), RAY_EDENIED);
    assert_int_equal(context_check_words(&context, "zebra", NULL), RAY_EINVAL);
}

/* ---- files ---- */

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/context-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(setenv("XDG_CONFIG_HOME", folder, 1), 0);
    assert_int_equal(unsetenv("RAYOS_CONTEXT"), 0);
    return 0;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command); /* NOLINT(cert-env33-c): a path of ours */
}

static void path_of(const char *name, char out[static 128])
{
    (void)snprintf(out, 128, "%s/rayos/%s", folder, name);
}

static void test_kept_chosen_listed_removed(void **state)
{
    char names[CONTEXT_LIST_MAX][CONTEXT_NAME_SIZE];
    char chosen[CONTEXT_NAME_SIZE];
    struct context context = sample("lab");
    struct context read;
    size_t count = 99;

    (void)state;
    assert_int_equal(context_list(names, &count, NULL), RAY_OK);
    assert_int_equal(count, 0);
    assert_int_equal(context_chosen(chosen, NULL), RAY_ENOTFOUND);
    assert_int_equal(context_load("lab", &read, NULL), RAY_ENOTFOUND);
    assert_int_equal(context_load("../lab", &read, NULL), RAY_EUSAGE);

    assert_int_equal(context_save(&context, NULL), RAY_OK);
    assert_int_equal(context_load("lab", &read, NULL), RAY_OK);
    assert_memory_equal(&read, &context, sizeof read);
    context = sample("desk");
    assert_int_equal(context_save(&context, NULL), RAY_OK);
    assert_int_equal(context_list(names, &count, NULL), RAY_OK);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "desk");

    assert_int_equal(context_use("lab", NULL), RAY_OK);
    assert_int_equal(context_chosen(chosen, NULL), RAY_OK);
    assert_string_equal(chosen, "lab");
    assert_int_equal(setenv("RAYOS_CONTEXT", "desk", 1), 0);
    assert_int_equal(context_chosen(chosen, NULL), RAY_OK);
    assert_string_equal(chosen, "desk");
    assert_int_equal(unsetenv("RAYOS_CONTEXT"), 0);

    assert_int_equal(context_remove("lab", NULL), RAY_OK);
    assert_int_equal(context_remove("lab", NULL), RAY_ENOTFOUND);
    assert_int_equal(context_chosen(chosen, NULL), RAY_ENOTFOUND); /* it was that one */
}

static void test_a_file_of_others_is_refused(void **state)
{
    const struct context context = sample("lab");
    struct context read;
    struct ray_err err = {0};
    char path[128];
    char other[128];

    (void)state;
    assert_int_equal(context_save(&context, NULL), RAY_OK);
    path_of("contexts/lab.json", path);
    path_of("contexts/other.json", other);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(context_load("lab", &read, &err), RAY_EDENIED);
    assert_non_null(strstr(err.next_step, "chmod 600"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(symlink(path, other), 0);
    assert_int_equal(context_load("other", &read, NULL), RAY_EDENIED);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(context_load("other", &read, NULL), RAY_EMALFORMED); /* says another name */
}

static void test_key_is_kept_well(void **state)
{
    struct context context = sample("lab");
    struct ray_key *key = NULL;
    struct ray_key *read = NULL;

    (void)state;
    (void)snprintf(context.key_path, sizeof context.key_path, "%s/key", folder);
    assert_int_equal(context_open_key(&context, &read, NULL), RAY_ENOTFOUND);
    assert_int_equal(ray_key_generate(&key, NULL), RAY_OK);
    assert_int_equal(ray_key_save(key, AT_FDCWD, context.key_path, NULL), RAY_OK);
    assert_int_equal(context_open_key(&context, &read, NULL), RAY_OK);
    assert_memory_equal(ray_key_identity(read), ray_key_identity(key), RAY_KEY_SIZE);
    ray_key_destroy(read);
    ray_key_destroy(key);
    assert_int_equal(chmod(context.key_path, 0604), 0);
    assert_int_equal(context_open_key(&context, &read, NULL), RAY_EDENIED);
}

/* ---- troubles ---- */

static void test_troubles_are_all_told(void **state)
{
    struct context_troubles troubles = {.code = RAY_OK};
    struct ray_err err = {0};

    (void)state;
    for (int i = 0; i < 40; i++) {
        char address[32];
        struct ray_err why = {0};

        (void)snprintf(address, sizeof address, "10.0.0.%d:7001", i);
        (void)ray_fail(&why, i == 1 ? RAY_EDENIED : RAY_EUNAVAILABLE, "why %d", i);
        context_troubles_add(&troubles, address, &why);
    }
    assert_int_equal(context_troubles_fail(&troubles, "lab", &err), RAY_EDENIED);
    assert_non_null(strstr(err.text, "lab: 10.0.0.0:7001: why 0; 10.0.0.1:7001: why 1; "));
    assert_non_null(strstr(err.text, " more"));
    assert_non_null(strstr(err.next_step, "principal"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_there_and_back),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_nobody_and_too_many),
        cmocka_unit_test(test_new_members_are_taken_in),
        cmocka_unit_test(test_a_member_cannot_say_anything),
        cmocka_unit_test(test_words),
        cmocka_unit_test_setup_teardown(test_kept_chosen_listed_removed, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_a_file_of_others_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_key_is_kept_well, make_folder, remove_folder),
        cmocka_unit_test(test_troubles_are_all_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
