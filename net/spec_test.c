#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "net/proto_codec.h"
#include "net/spec.h"

enum { WORD_SIZE = 96 };

struct fix {
    struct ray_arena arena;
    ProtobufCMessage *message;
    struct ray_err err;
};

static int open_fix(void **state)
{
    static struct fix fix;

    fix = (struct fix){.message = NULL};
    ray_arena_init(&fix.arena, RAY_SPEC_ARENA_SIZE);
    *state = &fix;
    return 0;
}

static int close_fix(void **state)
{
    struct fix *fix = *state;

    ray_arena_fini(&fix->arena);
    return 0;
}

static int check_bytes(struct fix *fix, enum ray_spec_kind kind, const void *bytes, size_t size)
{
    ray_arena_reset(&fix->arena);
    fix->message = NULL;
    fix->err = (struct ray_err){0};
    return ray_spec_check(kind, RAY_SPEC_LEVEL, bytes, size, &fix->arena, &fix->message, &fix->err);
}

static int check(struct fix *fix, enum ray_spec_kind kind, const ProtobufCMessage *spec)
{
    uint8_t bytes[8192];

    assert_true(protobuf_c_message_get_packed_size(spec) <= sizeof bytes);
    return check_bytes(fix, kind, bytes, protobuf_c_message_pack(spec, bytes));
}

static void refused(struct fix *fix, enum ray_spec_kind kind, const ProtobufCMessage *spec,
                    const char *field)
{
    assert_int_equal(check(fix, kind, spec), RAY_EINVAL);
    if (strstr(fix->err.text, field) == NULL) {
        fail_msg("%s: %s", field, fix->err.text);
    }
}

/* ---- what every spec has ---- */

static void test_nothing_is_all_defaults(void **state)
{
    struct fix *fix = *state;

    for (int kind = RAY_SPEC_GUEST; kind <= RAY_SPEC_VOLUME; kind++) {
        assert_int_equal(check_bytes(fix, (enum ray_spec_kind)kind, NULL, 0), RAY_OK);
        assert_ptr_equal(fix->message->descriptor, ray_spec_type((enum ray_spec_kind)kind));
    }
}

/* Field 1 of each is the description. */
static void test_description(void **state)
{
    struct fix *fix = *state;
    static const uint8_t text[] = {1 << 3 | 2, 3, 'a', '\n', 'b'};
    static const uint8_t control[] = {1 << 3 | 2, 3, 'a', '\0', 'b'};
    static const uint8_t twice[] = {1 << 3 | 2, 0, 1 << 3 | 2, 0};
    static const uint8_t number[] = {1 << 3, 7};
    static const uint8_t cut[] = {1 << 3 | 2, 3, 'a'};
    static const uint8_t endless[] = {1 << 3 | 2, 0x80};

    for (int i = RAY_SPEC_GUEST; i <= RAY_SPEC_VOLUME; i++) {
        enum ray_spec_kind kind = (enum ray_spec_kind)i;

        assert_int_equal(check_bytes(fix, kind, text, sizeof text), RAY_OK);
        assert_int_equal(check_bytes(fix, kind, control, sizeof control), RAY_EINVAL);
        assert_non_null(strstr(fix->err.text, "Spec.description: no UTF-8"));
        assert_int_equal(check_bytes(fix, kind, twice, sizeof twice), RAY_EINVAL);
        assert_int_equal(check_bytes(fix, kind, number, sizeof number), RAY_EINVAL);
        assert_int_equal(check_bytes(fix, kind, cut, sizeof cut), RAY_EINVAL);
        assert_int_equal(check_bytes(fix, kind, endless, sizeof endless), RAY_EINVAL);
    }
}

static void test_text_is_utf8(void **state)
{
    static const struct {
        const char *bytes;
        bool is_text;
    } cases[] = {
        {"\xc3\xa9", true},          /* e with acute */
        {"\xe2\x82\xac", true},      /* euro */
        {"\xf0\x9f\x90\xa7", true},  /* penguin */
        {"\xf4\x8f\xbf\xbf", true},  /* the last */
        {"\xf4\x90\x80\x80", false}, /* beyond it */
        {"\xc0\xaf", false},         /* too long for what it is */
        {"\xe0\x80\xaf", false},
        {"\xed\xa0\x80", false}, /* a surrogate */
        {"\xc3", false},
        {"\xe2\x82", false},
        {"\x80", false},
        {"\xc2\x85", false}, /* a control character of its own */
        {"\x1b[31m", false},
        {"\x7f", false},
        {"tab\there", true},
    };
    struct fix *fix = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Rayos__Spec__NetworkSpec spec = RAYOS__SPEC__NETWORK_SPEC__INIT;
        int rc;

        spec.description = (char *)(uintptr_t)cases[i].bytes;
        rc = check(fix, RAY_SPEC_NETWORK, &spec.base);
        assert_int_equal(rc, cases[i].is_text ? RAY_OK : RAY_EINVAL);
    }
}

/* The level decides, not what this build knows: both kinds of stranger get the same words. */
static void test_fields_that_a_level_does_not_have(void **state)
{
    struct fix *fix = *state;
    static const uint8_t unknown[] = {0xe0, 0x03, 1};          /* field 60 */
    static const uint8_t inner[] = {9 << 3 | 2, 2, 7 << 3, 1}; /* GuestSpec.display */
    static const uint8_t known[] = {3 << 3, 2};
    struct ray_err err = {0};

    assert_int_equal(check_bytes(fix, RAY_SPEC_GUEST, unknown, sizeof unknown), RAY_EUNSUPPORTED);
    assert_string_equal(fix->err.text,
                        "GuestSpec has field 60, which feature level 1 does not have");
    assert_non_null(strstr(fix->err.next_step, "feature level"));
    assert_int_equal(check_bytes(fix, RAY_SPEC_GUEST, inner, sizeof inner), RAY_EUNSUPPORTED);
    assert_non_null(strstr(fix->err.text, "Display has field 7"));
    assert_int_equal(check_bytes(fix, RAY_SPEC_GUEST, known, sizeof known), RAY_OK);
    assert_int_equal(
        ray_spec_check(RAY_SPEC_GUEST, 0, known, sizeof known, &fix->arena, &fix->message, &err),
        RAY_EUNSUPPORTED);
    assert_string_equal(err.text, "GuestSpec has field 3, which feature level 0 does not have");
}

static void test_sizes(void **state)
{
    struct fix *fix = *state;
    static uint8_t bytes[RAY_SPEC_SIZE_MAX + 1];
    size_t size = 0;

    /* A text that fills it. */
    memset(bytes, 'x', sizeof bytes);
    bytes[0] = 1 << 3 | 2;
    bytes[1] = 0xfc;
    bytes[2] = 0xff;
    bytes[3] = 0x03; /* 65532 */
    assert_int_equal(check_bytes(fix, RAY_SPEC_GUEST, bytes, RAY_SPEC_SIZE_MAX), RAY_OK);
    assert_int_equal(check_bytes(fix, RAY_SPEC_GUEST, bytes, RAY_SPEC_SIZE_MAX + 1), RAY_ETOOBIG);
    assert_int_equal(check_bytes(fix, RAY_SPEC_VOLUME, bytes, RAY_SPEC_SIZE_MAX), RAY_ETOOBIG);
    /* Many small messages would be large in memory. */
    for (size = 0; size < sizeof bytes - 1; size += 2) {
        bytes[size] = 8 << 3 | 2;
        bytes[size + 1] = 0;
    }
    assert_int_equal(check_bytes(fix, RAY_SPEC_GUEST, bytes, size), RAY_EINVAL);
    assert_non_null(strstr(fix->err.text, "more than 1024 fields"));
}

static void test_numbers_fit_their_type(void **state)
{
    struct fix *fix = *state;
    static const uint8_t vcpus[] = {3 << 3, 0x80, 0x80, 0x80, 0x80, 0x10}; /* 2^32 */
    static const uint8_t padded[] = {3 << 3, 0x82, 0x80, 0x00};
    static const uint8_t pinned[] = {6 << 3, 2}; /* a bool */

    assert_int_equal(check_bytes(fix, RAY_SPEC_GUEST, vcpus, sizeof vcpus), RAY_EINVAL);
    assert_non_null(strstr(fix->err.text, "GuestSpec.vcpus"));
    assert_int_equal(check_bytes(fix, RAY_SPEC_GUEST, padded, sizeof padded), RAY_OK);
    assert_int_equal(((Rayos__Spec__GuestSpec *)fix->message)->vcpus, 2);
    assert_int_equal(check_bytes(fix, RAY_SPEC_VOLUME, pinned, sizeof pinned), RAY_EINVAL);
}

/* ---- guests ---- */

static void test_machine_of_a_guest(void **state)
{
    struct fix *fix = *state;
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;

    spec.vcpus = RAY_SPEC_VCPUS_MAX;
    spec.memory_bytes = RAY_SPEC_MEMORY_MIN;
    spec.architecture = (char *)"x86_64";
    spec.cpu_model = (char *)"x86-64-v3";
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
    spec.vcpus++;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "vcpus: 257, at most 256");
    spec.vcpus--;
    spec.memory_bytes--;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "memory_bytes: 16777215 bytes are not whole MiB");
    spec.memory_bytes = RAY_SPEC_MEMORY_MIN - RAY_SPEC_MIB;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "memory_bytes");
    spec.memory_bytes = RAY_SPEC_MEMORY_MAX;
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
    spec.memory_bytes += RAY_SPEC_MIB;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "memory_bytes");
    spec.memory_bytes = 0;
    spec.disk_bytes = RAY_SPEC_DISK_MAX + RAY_SPEC_MIB;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "disk_bytes");
    spec.disk_bytes = RAY_SPEC_DISK_MAX;
    spec.architecture = (char *)"riscv64";
    refused(fix, RAY_SPEC_GUEST, &spec.base, "architecture: 'riscv64'");
    spec.architecture = (char *)"aarch64";
    refused(fix, RAY_SPEC_GUEST, &spec.base, "cpu_model: x86-64-v3 is none of aarch64");
    spec.architecture = (char *)"";
    spec.cpu_model = (char *)"host";
    refused(fix, RAY_SPEC_GUEST, &spec.base, "cpu_model: 'host'");
    spec.cpu_model = (char *)"";
    spec.kernel_arguments = (char *)"console=ttyS0 quiet";
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
    spec.kernel_arguments = (char *)"a\nb";
    refused(fix, RAY_SPEC_GUEST, &spec.base, "kernel_arguments");
    spec.kernel_arguments = (char *)"";
    spec.on_boot = (Rayos__Spec__OnBoot)2;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "on_boot");
    spec.on_boot = RAYOS__SPEC__ON_BOOT__ON_BOOT_HIDDEN;
    spec.restart = (Rayos__Spec__Restart)-1;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "restart");
}

static void test_names_in_a_guest(void **state)
{
    struct fix *fix = *state;
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    char name[WORD_SIZE];

    memset(name, 'n', sizeof name);
    name[RAY_SPEC_NAME_SIZE_MAX + 1] = '\0';
    spec.image = name;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "image: 64 bytes, at most 63");
    name[RAY_SPEC_NAME_SIZE_MAX] = '\0';
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
    spec.image = (char *)"debian 13";
    refused(fix, RAY_SPEC_GUEST, &spec.base, "image: only printable ASCII without spaces");
    spec.image = (char *)"";
    name[RAY_SPEC_DOMAIN_SIZE_MAX + 1] = '\0';
    spec.domain = name;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "domain");
    name[RAY_SPEC_DOMAIN_SIZE_MAX] = '\0';
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
}

static void test_networks_of_a_guest(void **state)
{
    static uint8_t mac[] = {2, 0, 0, 0, 0, 1};
    struct fix *fix = *state;
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__GuestNetwork card = RAYOS__SPEC__GUEST_NETWORK__INIT;
    Rayos__Spec__GuestNetwork *cards[RAY_SPEC_NETWORKS_MAX + 1];
    Rayos__Spec__Display display = RAYOS__SPEC__DISPLAY__INIT;

    for (size_t i = 0; i <= RAY_SPEC_NETWORKS_MAX; i++) {
        cards[i] = &card;
    }
    spec.networks = cards;
    spec.n_networks = RAY_SPEC_NETWORKS_MAX;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "networks: a card without network");
    card.network = (char *)"lan";
    card.mac = ray_proto_bytes(mac, sizeof mac);
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
    spec.n_networks++;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "networks: 9, at most 8");
    spec.n_networks = 1;
    card.mac.len--;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "mac: 5 bytes, not 6");
    card.mac.len++;
    mac[0] |= 1;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "mac: an address of a group");
    mac[0] &= 0xfe;
    spec.display = &display;
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
    display.height = RAY_SPEC_DISPLAY_SIZE_MAX + 1;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "height");
}

static void test_where_a_guest_may_be(void **state)
{
    struct fix *fix = *state;
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__Relation relation = RAYOS__SPEC__RELATION__INIT;
    Rayos__Spec__Relation *relations[RAY_SPEC_RELATIONS_MAX + 1];
    Rayos__Spec__NodeLabel label = RAYOS__SPEC__NODE_LABEL__INIT;
    Rayos__Spec__NodeLabel *labels[RAY_SPEC_NODE_LABELS_MAX + 1];

    for (size_t i = 0; i <= RAY_SPEC_RELATIONS_MAX; i++) {
        relations[i] = &relation;
    }
    for (size_t i = 0; i <= RAY_SPEC_NODE_LABELS_MAX; i++) {
        labels[i] = &label;
    }
    spec.relations = relations;
    spec.n_relations = RAY_SPEC_RELATIONS_MAX;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "relations: one names a guest or a label");
    relation.guest = (char *)"db";
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
    relation.value = ray_proto_bytes("x", 1);
    refused(fix, RAY_SPEC_GUEST, &spec.base, "relations: a value without label");
    relation.label = (char *)"app";
    refused(fix, RAY_SPEC_GUEST, &spec.base, "relations: one names a guest or a label");
    relation.guest = (char *)"";
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
    spec.n_relations++;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "relations: 33, at most 32");
    spec.n_relations = 0;

    spec.node_labels = labels;
    spec.n_node_labels = RAY_SPEC_NODE_LABELS_MAX;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "node_labels: one without key");
    label.key = (char *)"disk";
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
    spec.n_node_labels++;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "node_labels");
    spec.n_node_labels = 0;
    spec.priority = RAY_SPEC_PRIORITY_MAX + 1;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "priority");
}

static void test_long_label_value(void **state)
{
    static uint8_t value[RAY_SPEC_LABEL_VALUE_SIZE_MAX + 1];
    struct fix *fix = *state;
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__NodeLabel label = RAYOS__SPEC__NODE_LABEL__INIT;
    Rayos__Spec__NodeLabel *labels[] = {&label};

    spec.node_labels = labels;
    spec.n_node_labels = 1;
    label.key = (char *)"k";
    label.value = ray_proto_bytes(value, sizeof value - 1);
    assert_int_equal(check(fix, RAY_SPEC_GUEST, &spec.base), RAY_OK);
    label.value.len++;
    refused(fix, RAY_SPEC_GUEST, &spec.base, "node_labels: a value of 4097 bytes");
}

/* ---- the others ---- */

static void test_images(void **state)
{
    static uint8_t digest[RAY_SPEC_DIGEST_SIZE];
    struct fix *fix = *state;
    Rayos__Spec__ImageSpec spec = RAYOS__SPEC__IMAGE_SPEC__INIT;

    spec.digest = ray_proto_bytes(digest, sizeof digest);
    spec.initrd_digest = spec.digest;
    refused(fix, RAY_SPEC_IMAGE, &spec.base, "initrd_digest: an initrd without kernel");
    spec.kernel_digest = spec.digest;
    spec.size_bytes = RAY_SPEC_DISK_MAX;
    assert_int_equal(check(fix, RAY_SPEC_IMAGE, &spec.base), RAY_OK);
    spec.size_bytes++;
    refused(fix, RAY_SPEC_IMAGE, &spec.base, "size_bytes");
    spec.size_bytes = 0;
    spec.digest.len--;
    refused(fix, RAY_SPEC_IMAGE, &spec.base, "digest: 31 bytes, not 32");
    spec.digest.len++;
    spec.architecture = (char *)"x86";
    refused(fix, RAY_SPEC_IMAGE, &spec.base, "architecture");
}

static void test_networks(void **state)
{
    struct fix *fix = *state;
    Rayos__Spec__NetworkSpec spec = RAYOS__SPEC__NETWORK_SPEC__INIT;

    spec.vlan = RAY_SPEC_VLAN_MAX;
    spec.mtu = RAY_SPEC_MTU_MIN;
    assert_int_equal(check(fix, RAY_SPEC_NETWORK, &spec.base), RAY_OK);
    spec.mtu--;
    refused(fix, RAY_SPEC_NETWORK, &spec.base, "mtu: 1279, at least 1280");
    spec.mtu = RAY_SPEC_MTU_MAX + 1;
    refused(fix, RAY_SPEC_NETWORK, &spec.base, "mtu");
    spec.mtu = 0;
    spec.vlan++;
    refused(fix, RAY_SPEC_NETWORK, &spec.base, "vlan: 4095, at most 4094");
}

static void test_volumes(void **state)
{
    static uint8_t node[RAY_ID_SIZE] = {1};
    struct fix *fix = *state;
    Rayos__Spec__VolumeSpec spec = RAYOS__SPEC__VOLUME_SPEC__INIT;

    spec.size_bytes = RAY_SPEC_MIB;
    spec.serial = (char *)"12345678901234567890";
    spec.node = ray_proto_bytes(node, sizeof node);
    spec.block_size = 4096;
    assert_int_equal(check(fix, RAY_SPEC_VOLUME, &spec.base), RAY_OK);
    spec.block_size = 1024;
    refused(fix, RAY_SPEC_VOLUME, &spec.base, "block_size: 1024");
    spec.block_size = 0;
    spec.serial = (char *)"123456789012345678901";
    refused(fix, RAY_SPEC_VOLUME, &spec.base, "serial");
    spec.serial = (char *)"";
    spec.node.len--;
    refused(fix, RAY_SPEC_VOLUME, &spec.base, "node: 15 bytes");
    spec.node.len = 0;
    spec.size_bytes++;
    refused(fix, RAY_SPEC_VOLUME, &spec.base, "size_bytes");
}

static void test_cpu_levels(void **state)
{
    (void)state;
    assert_int_equal(ray_spec_cpu_level("x86-64-v1"), 1);
    assert_int_equal(ray_spec_cpu_level("x86-64-v4"), 4);
    assert_int_equal(ray_spec_cpu_level("x86-64-v5"), 0);
    assert_int_equal(ray_spec_cpu_level("x86-64-v"), 0);
    assert_int_equal(ray_spec_cpu_level("x86-64-v22"), 0);
    assert_int_equal(ray_spec_cpu_level(""), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, open_fix, close_fix)
    static const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_all_defaults),
        TEST(test_description),
        TEST(test_text_is_utf8),
        TEST(test_fields_that_a_level_does_not_have),
        TEST(test_sizes),
        TEST(test_numbers_fit_their_type),
        TEST(test_machine_of_a_guest),
        TEST(test_names_in_a_guest),
        TEST(test_networks_of_a_guest),
        TEST(test_where_a_guest_may_be),
        TEST(test_long_label_value),
        TEST(test_images),
        TEST(test_networks),
        TEST(test_volumes),
        TEST(test_cpu_levels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
