/* smbios_test.c - tables as QEMU makes them, every truncation of one, limits at and beyond
 * their edge. */
#include "node/init/system/fake_root.h"
#include "node/init/system/smbios.h"

#define TEXT "io.systemd.credential:"
#define BINARY "io.systemd.credential.binary:"

struct table {
    uint8_t bytes[INIT_SMBIOS_TABLE_SIZE_MAX + 64];
    size_t size;
};

static void begin(struct table *table)
{
    memcpy(table->bytes, "\x0b\x05\x00\x0e\x00", 5);
    table->size = 5;
}

static void add(struct table *table, const char *text)
{
    size_t size = strlen(text) + 1;

    assert_true(table->size + size < sizeof table->bytes);
    memcpy(table->bytes + table->size, text, size);
    table->size += size;
    table->bytes[4]++;
}

static void end(struct table *table)
{
    table->bytes[table->size++] = 0;
}

static void test_parse(void **state)
{
    struct init_credentials credentials;
    const struct init_credential *found;
    struct table table;
    size_t skipped_count = 0;
    char text[32];
    struct ray_err err = {0};

    (void)state;
    begin(&table);
    add(&table, TEXT "rayos.name=node1");
    add(&table, "a vendor's own string");
    add(&table, TEXT "other.name=x");
    add(&table, BINARY "rayos.join=AAEC/w==");
    add(&table, TEXT "rayos.empty=");
    add(&table, TEXT "rayos.name=second"); /* the first one holds */
    add(&table, TEXT "rayos.no-value");
    add(&table, TEXT "rayos.BAD=x");
    add(&table, TEXT "rayos./etc=x");
    add(&table, TEXT "rayos.=x");
    add(&table, BINARY "rayos.bin2=not base64!");
    add(&table, BINARY "rayos.bin3=AAEC/w==junk");
    add(&table, BINARY "rayos.bin4=AAE");
    add(&table, TEXT "rayos.eq=a=b==");
    end(&table);
    init_credentials_init(&credentials);
    assert_int_equal(init_smbios_parse(table.bytes, table.size, &credentials, &skipped_count, &err),
                     RAY_OK);
    assert_int_equal(credentials.count, 4);
    assert_int_equal(skipped_count, 10);
    assert_int_equal(init_credentials_text(&credentials, "rayos.name", text, sizeof text, &err),
                     RAY_OK);
    assert_string_equal(text, "node1");
    found = init_credentials_find(&credentials, "rayos.join");
    assert_non_null(found);
    assert_int_equal(found->size, 4);
    assert_memory_equal(found->data, "\x00\x01\x02\xff", 5);
    assert_int_equal(init_credentials_text(&credentials, "rayos.join", text, sizeof text, &err),
                     RAY_EINVAL);
    assert_int_equal(init_credentials_text(&credentials, "rayos.empty", text, sizeof text, &err),
                     RAY_OK);
    assert_string_equal(text, "");
    assert_int_equal(init_credentials_text(&credentials, "rayos.eq", text, sizeof text, &err),
                     RAY_OK);
    assert_string_equal(text, "a=b==");
    assert_int_equal(init_credentials_text(&credentials, "rayos.eq", text, 5, &err), RAY_EINVAL);
    assert_int_equal(init_credentials_text(&credentials, "rayos.eq", text, 6, &err), RAY_OK);
    assert_int_equal(init_credentials_text(&credentials, "rayos.gone", text, 6, &err),
                     RAY_ENOTFOUND);
    init_credentials_fini(&credentials);
    init_credentials_fini(&credentials);
}

/* Texts of errors never quote a value. */
static void test_no_secret_in_errors(void **state)
{
    struct init_credentials credentials;
    struct table table;
    struct ray_err err = {0};
    char text[4];

    (void)state;
    begin(&table);
    add(&table, TEXT "rayos.join=hunter2");
    end(&table);
    init_credentials_init(&credentials);
    assert_int_equal(init_smbios_parse(table.bytes, table.size, &credentials, NULL, &err), RAY_OK);
    assert_int_equal(init_credentials_text(&credentials, "rayos.join", text, sizeof text, &err),
                     RAY_EINVAL);
    assert_null(strstr(err.text, "hunter"));
    init_credentials_fini(&credentials);
}

static void test_truncated(void **state)
{
    struct table table;

    (void)state;
    begin(&table);
    add(&table, TEXT "rayos.name=node1");
    add(&table, BINARY "rayos.join=AAEC/w==");
    end(&table);
    for (size_t size = 0; size < table.size; size++) {
        struct init_credentials credentials;
        uint8_t *exact = ray_test_copy(table.bytes, size);

        init_credentials_init(&credentials);
        (void)init_smbios_parse(exact, size, &credentials, NULL, NULL);
        assert_in_range(credentials.count, 0, 2);
        init_credentials_fini(&credentials);
        free(exact);
    }
}

static void test_header(void **state)
{
    struct init_credentials credentials;
    uint8_t bytes[] = {11, 5, 0, 0, 1, 'a', 0, 0};

    (void)state;
    init_credentials_init(&credentials);
    assert_int_equal(init_smbios_parse(bytes, sizeof bytes, &credentials, NULL, NULL), RAY_OK);
    bytes[0] = 1;
    assert_int_equal(init_smbios_parse(bytes, sizeof bytes, &credentials, NULL, NULL),
                     RAY_EMALFORMED);
    bytes[0] = 11;
    bytes[1] = 4;
    assert_int_equal(init_smbios_parse(bytes, sizeof bytes, &credentials, NULL, NULL),
                     RAY_EMALFORMED);
    bytes[1] = 9;
    assert_int_equal(init_smbios_parse(bytes, sizeof bytes, &credentials, NULL, NULL),
                     RAY_EMALFORMED);
    bytes[1] = 8; /* all header, no strings: the count lies */
    assert_int_equal(init_smbios_parse(bytes, sizeof bytes, &credentials, NULL, NULL), RAY_OK);
    assert_int_equal(credentials.count, 0);
    init_credentials_fini(&credentials);
}

static void test_limits(void **state)
{
    static char value[INIT_CREDENTIAL_SIZE_MAX + 64];
    struct init_credentials credentials;
    static struct table table;
    size_t skipped_count = 0;
    size_t prefix;

    (void)state;
    /* One more than the table takes. */
    begin(&table);
    for (int i = 0; i <= INIT_CREDENTIAL_COUNT_MAX; i++) {
        (void)snprintf(value, sizeof value, TEXT "rayos.c%d=v", i);
        add(&table, value);
    }
    end(&table);
    init_credentials_init(&credentials);
    assert_int_equal(init_smbios_parse(table.bytes, table.size, &credentials, &skipped_count, NULL),
                     RAY_OK);
    assert_int_equal(credentials.count, INIT_CREDENTIAL_COUNT_MAX);
    assert_int_equal(skipped_count, 1);
    init_credentials_fini(&credentials);
    /* The longest value and one byte more. */
    prefix = strlen(TEXT "rayos.long=");
    for (size_t more = 0; more < 2; more++) {
        memcpy(value, TEXT "rayos.long=", prefix);
        memset(value + prefix, 'v', INIT_CREDENTIAL_SIZE_MAX - 1 + more);
        value[prefix + INIT_CREDENTIAL_SIZE_MAX - 1 + more] = '\0';
        begin(&table);
        add(&table, value);
        end(&table);
        assert_int_equal(init_smbios_parse(table.bytes, table.size, &credentials, NULL, NULL),
                         RAY_OK);
        assert_int_equal(credentials.count, more == 0 ? 1 : 0);
        init_credentials_fini(&credentials);
    }
    /* Names. */
    begin(&table);
    memset(value, 0, sizeof value);
    prefix = strlen(TEXT);
    memcpy(value, TEXT "rayos.", prefix + 6);
    memset(value + prefix + 6, 'n', INIT_CREDENTIAL_NAME_SIZE_MAX - 7);
    memcpy(value + prefix + INIT_CREDENTIAL_NAME_SIZE_MAX - 1, "=v", 3);
    add(&table, value);
    memset(value + prefix + 6, 'n', INIT_CREDENTIAL_NAME_SIZE_MAX - 6);
    memcpy(value + prefix + INIT_CREDENTIAL_NAME_SIZE_MAX, "=v", 3);
    add(&table, value);
    end(&table);
    assert_int_equal(init_smbios_parse(table.bytes, table.size, &credentials, NULL, NULL), RAY_OK);
    assert_int_equal(credentials.count, 1);
    init_credentials_fini(&credentials);
}

static void test_load(void **state)
{
    struct fake_root *root = *state;
    struct init_credentials credentials;
    static struct table table;
    struct ray_err err = {0};
    size_t skipped_count = 9;

    init_credentials_init(&credentials);
    assert_int_equal(init_smbios_load(root->fd, &credentials, &skipped_count, &err), RAY_OK);
    assert_int_equal(credentials.count, 0);
    assert_int_equal(skipped_count, 0);
    assert_string_equal(err.text, "");
    begin(&table);
    add(&table, TEXT "rayos.name=node1");
    end(&table);
    fake_put_bytes(root, "sys/firmware/dmi/entries/11-0/raw", table.bytes, table.size);
    begin(&table);
    add(&table, TEXT "rayos.two=2");
    end(&table);
    fake_put_bytes(root, "sys/firmware/dmi/entries/11-1/raw", table.bytes, table.size);
    for (unsigned n = 1;; n++) {
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = init_smbios_load(root->fd, &credentials, &skipped_count, &err);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        init_credentials_fini(&credentials);
    }
    assert_int_equal(credentials.count, 2);
    init_credentials_fini(&credentials);
    table.size = INIT_SMBIOS_TABLE_SIZE_MAX + 1;
    fake_put_bytes(root, "sys/firmware/dmi/entries/11-0/raw", table.bytes, table.size);
    assert_int_equal(init_smbios_load(root->fd, &credentials, NULL, &err), RAY_ETOOBIG);
    init_credentials_fini(&credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_no_secret_in_errors),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_limits),
        cmocka_unit_test_setup_teardown(test_load, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
