/* output_test.c - one tree in all four forms, hostile texts in each, and messages by their
 * descriptors. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "base/test_memory.h"
#include "clusterctl/cli/allow.h"
#include "clusterctl/cli/output.h"
#include "net/proto/node.pb-c.h"

static char *print(const char *json, enum output_form form, const struct output_view *view)
{
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    yyjson_mut_doc *copy = yyjson_doc_mut_copy(doc, NULL);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(copy);
    assert_non_null(stream);
    assert_int_equal(output_print(stream, form, yyjson_mut_doc_get_root(copy), view, NULL), RAY_OK);
    assert_int_equal(fclose(stream), 0);
    yyjson_mut_doc_free(copy);
    yyjson_doc_free(doc);
    return text;
}

static void expect(const char *json, enum output_form form, const struct output_view *view,
                   const char *wanted)
{
    char *text = print(json, form, view);

    assert_string_equal(text, wanted);
    free(text);
}

#define NODES                                                                                      \
    "{\"nodes\":[{\"name\":\"a\",\"size_bytes\":1536,\"up\":true},"                                \
    "{\"name\":\"bcd\",\"size_bytes\":0,\"up\":false}],\"count\":2}"

static void test_list(void **state)
{
    static const struct output_column columns[] = {
        {"NAME", "name", OUTPUT_AS_TEXT}, {"UP", "up", OUTPUT_AS_TEXT}, {0}};
    static const struct output_column wide[] = {{"SIZE", "size_bytes", OUTPUT_AS_SIZE}, {0}};
    struct output_view view = {.list_key = "nodes", .columns = columns};
    const struct output_view all = {.list_key = "nodes"};

    (void)state;
    expect(NODES, OUTPUT_TABLE, &view, "NAME  UP\na     yes\nbcd   no\n");
    expect(NODES, OUTPUT_TABLE, &all, "NAME  SIZE     UP\na     1.5 KiB  yes\nbcd   0 B      no\n");
    expect(NODES, OUTPUT_WIDE, &view, "NAME  UP\na     yes\nbcd   no\n");
    view.wide = wide;
    expect(NODES, OUTPUT_TABLE, &view, "NAME  UP\na     yes\nbcd   no\n");
    expect(NODES, OUTPUT_WIDE, &view, "NAME  UP   SIZE\na     yes  1.5 KiB\nbcd   no   0 B\n");
    expect(NODES, OUTPUT_NAME, &view, "a\nbcd\n");
    expect("{\"nodes\":[]}", OUTPUT_TABLE, &view, "NAME  UP\n");
    expect("{\"nodes\":[]}", OUTPUT_NAME, &view, "");
}

static void test_object(void **state)
{
    (void)state;
    expect("{\"name\":\"n\",\"cpu\":{\"count\":2,\"flags\":[\"a\",\"b\"]},\"disks\":"
           "[{\"name\":\"vda\",\"parts\":[{\"name\":\"vda1\"}]}],\"empty\":[],\"t_us\":1500000}",
           OUTPUT_TABLE, NULL,
           "name       n\ncpu.count  2\ncpu.flags  a,b\nempty\nt_us       1.5 s\n"
           "\ndisks:\nNAME  PARTS\nvda   vda1\n");
    expect("{\"name\":\"n\"}", OUTPUT_NAME, NULL, "n\n");
}

/* Wall clock times are told from spans by their name; columns reach into objects. */
static void test_times(void **state)
{
    static const struct output_column columns[] = {{"SEEN", "seen_at_us", OUTPUT_AS_TIME},
                                                   {"BOOT", "assignment.boot", OUTPUT_AS_TEXT},
                                                   {"NONE", "name.boot", OUTPUT_AS_TEXT},
                                                   {0}};
    const struct output_view view = {.list_key = "machines", .columns = columns};
    const struct output_view all = {.list_key = "machines"};
    static const char json[] =
        "{\"machines\":[{\"name\":\"a\",\"seen_at_us\":1763704143999999,"
        "\"assignment\":{\"boot\":\"hold\"}},{\"name\":\"b\",\"seen_at_us\":0}]}";
    char text[32];

    (void)state;
    expect(json, OUTPUT_TABLE, &view,
           "SEEN                  BOOT  NONE\n2025-11-21 05:49:03Z  hold\n\n");
    expect("{\"machines\":[{\"at_us\":1000000,\"first_seen_at_us\":2000000,\"took_us\":3}]}",
           OUTPUT_TABLE, &all,
           "AT                    FIRST-SEEN            TOOK\n"
           "1970-01-01 00:00:01Z  1970-01-01 00:00:02Z  0.0 s\n");
    output_time(UINT64_MAX, text, sizeof text);
    assert_true(strlen(text) < sizeof text);
    output_time(1, text, 4);
    assert_string_equal(text, "");
}

static void test_json_has_everything(void **state)
{
    const struct output_view view = {.list_key = "nodes"};
    char *text;

    (void)state;
    text = print(NODES, OUTPUT_JSON, &view);
    assert_non_null(strstr(text, "\"count\": 2"));
    free(text);
    text = print("{\"n\":18446744073709551615}", OUTPUT_JSON, NULL);
    assert_non_null(strstr(text, "18446744073709551615"));
    free(text);
}

static void test_yaml(void **state)
{
    (void)state;
    expect("{\"a\":\"plain\",\"b\":\"no\",\"c\":\"with: colon\",\"d\":[],\"e\":{},\"f\":"
           "[{\"x\":1,\"z\":[\"p\",2.5]},{\"x\":null}],\"g\":{\"h\":true},\"12\":\"12\"}",
           OUTPUT_YAML, NULL,
           "a: plain\nb: \"no\"\nc: \"with: colon\"\nd: []\ne: {}\nf:\n- x: 1\n  z:\n  - p\n"
           "  - 2.5\n- x: null\ng:\n  h: true\n\"12\": \"12\"\n");
}

static void test_hostile_text(void **state)
{
    static const char json[] = "{\"name\":\"\\u001b[31mred\\n\\u0000x\"}";

    (void)state;
    for (int form = OUTPUT_TABLE; form <= OUTPUT_NAME; form++) {
        char *text = print(json, (enum output_form)form, NULL);

        assert_null(strchr(text, 0x1b));
        assert_non_null(strstr(text, "red"));
        free(text);
    }
}

static void test_message(void **state)
{
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    Rayos__Node__Cpu cpu = RAYOS__NODE__CPU__INIT;
    Rayos__Node__Disk disk = RAYOS__NODE__DISK__INIT;
    Rayos__Node__Disk *disks[] = {&disk};
    char *features[] = {"svm", "npt"};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root;
    char *text;

    (void)state;
    facts.name = "node1";
    facts.uptime_s = UINT64_MAX;
    facts.cpu = &cpu;
    cpu.count = 3;
    cpu.n_features = 2;
    cpu.features = features;
    facts.n_disks = 1;
    facts.disks = disks;
    disk.size_bytes = 1ull << 40;
    disk.is_rotational = true;
    root = output_from_message(doc, &facts.base);
    assert_non_null(root);
    text = yyjson_mut_val_write(root, 0, NULL);
    assert_non_null(strstr(text, "\"name\":\"node1\""));
    assert_non_null(strstr(text, "\"uptime_s\":18446744073709551615"));
    assert_non_null(strstr(text, "\"features\":[\"svm\",\"npt\"]"));
    assert_non_null(strstr(text, "\"size_bytes\":1099511627776"));
    assert_non_null(strstr(text, "\"is_rotational\":true"));
    assert_non_null(strstr(text, "\"memory\":null"));
    assert_non_null(strstr(text, "\"network_cards\":[]"));
    free(text);
    yyjson_mut_doc_free(doc);
}

static void test_forms(void **state)
{
    enum output_form form;
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(output_form_parse("yaml", &form, &err), RAY_OK);
    assert_int_equal(form, OUTPUT_YAML);
    assert_int_equal(output_form_parse("xml", &form, &err), RAY_EUSAGE);
    assert_non_null(strstr(err.text, "xml"));
}

enum { SECRET_SIZE = 24 };

/* {"name":"n","token":SECRET,"list":[{"token":SECRET}]}, in memory that the caller wipes. */
static yyjson_mut_doc *make_secret(const uint8_t masked[static SECRET_SIZE],
                                   char out[static SECRET_SIZE + 1])
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *entry;

    for (size_t i = 0; i < SECRET_SIZE; i++) {
        out[i] = (char)(masked[i] ^ RAY_TEST_MASK);
    }
    out[SECRET_SIZE] = '\0';
    yyjson_mut_doc_set_root(doc, root);
    for (int i = 0; i < 40; i++) { /* so that what holds the lines would grow */
        assert_true(yyjson_mut_obj_add_str(doc, root, "name", "0123456789"));
        assert_true(i != 5 || yyjson_mut_obj_add_str(doc, root, "token", out));
    }
    entry = yyjson_mut_arr_add_obj(doc, yyjson_mut_obj_add_arr(doc, root, "list"));
    assert_true(yyjson_mut_obj_add_str(doc, entry, "token", out));
    return doc;
}

/* A token is shown once; what was made on the way there is zeroed. */
static void test_nothing_is_left(void **state)
{
    static const enum output_form forms[] = {OUTPUT_TABLE, OUTPUT_JSON};
    static char buffer[1 << 16];
    uint8_t masked[SECRET_SIZE];
    char secret[SECRET_SIZE + 1];

    (void)state;
    for (size_t i = 0; i < SECRET_SIZE; i++) { /* printable */
        masked[i] = (uint8_t)('a' + randombytes_uniform(26)) ^ RAY_TEST_MASK;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        FILE *stream = fopen("/dev/null", "we");
        yyjson_mut_doc *doc = make_secret(masked, secret);

        assert_non_null(stream);
        assert_int_equal(setvbuf(stream, buffer, _IOFBF, sizeof buffer), 0);
        assert_int_equal(output_print(stream, forms[i], yyjson_mut_doc_get_root(doc), NULL, NULL),
                         RAY_OK);
        assert_int_equal(ray_test_count_between((const uint8_t *)buffer,
                                                (const uint8_t *)buffer + sizeof buffer, masked,
                                                SECRET_SIZE),
                         2);
        assert_int_equal(fclose(stream), 0);
        yyjson_mut_doc_free(doc);
        sodium_memzero(secret, sizeof secret);
        sodium_memzero(buffer, sizeof buffer);
        assert_int_equal(ray_test_count_in_memory(masked, SECRET_SIZE), 0);
    }
}

static void test_only_what_is_allowed(void **state)
{
    static const char json[] = "{\"name\":\"a\",\"count\":3,\"secret\":\"s\",\"up\":true,"
                               "\"inner\":{\"name\":\"x\"},\"list\":[\"s\"]}";
    static const char *const fields[] = {"name", "count", "up", "inner", "list", "gone", NULL};
    yyjson_doc *read = yyjson_read(json, strlen(json), 0);
    yyjson_mut_doc *doc = yyjson_doc_mut_copy(read, NULL);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    char *text;

    (void)state;
    text = yyjson_mut_val_write(allow_object(doc, root, fields), 0, NULL);
    assert_string_equal(text, "{\"name\":\"a\",\"count\":3,\"up\":true}");
    free(text);
    assert_null(allow_object(doc, list, fields));
    assert_null(allow_list(doc, root, fields));
    assert_true(yyjson_mut_arr_append(list, root));
    text = yyjson_mut_val_write(allow_list(doc, list, fields), 0, NULL);
    assert_string_equal(text, "[{\"name\":\"a\",\"count\":3,\"up\":true}]");
    free(text);
    yyjson_mut_doc_free(doc);
    yyjson_doc_free(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_is_allowed),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_object),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_json_has_everything),
        cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_nothing_is_left),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
