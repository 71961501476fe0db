/* command_test.c - every command that the schema has carries who and why, whatever its maker gave:
 * a new one is in the test as soon as it is in the schema. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "coordinator/api/impl.h"

static const struct member_caller ann = {.name = "ann"};

struct fixture {
    struct coord_member *member;
    unsigned tried; /* commands */
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.member = calloc(1, sizeof *f->member)};
    assert_non_null(f->member);
    ray_arena_init(&f->member->arena, MEMBER_ARENA_SIZE_MAX);
}

static void end(struct fixture *f)
{
    ray_arena_fini(&f->member->arena);
    free(f->member);
}

static void expect(const uint8_t *bytes, size_t size, const char *reason)
{
    Rayos__Registry__Command *command = rayos__registry__command__unpack(NULL, size, bytes);

    assert_non_null(command);
    assert_non_null(command->header);
    assert_string_equal(command->header->principal, "ann");
    assert_string_equal(command->header->reason, reason);
    assert_int_equal(command->header->version, COORD_FSM_COMMAND_VERSION);
    rayos__registry__command__free_unpacked(command, NULL);
}

/* As a caller packs them: with a header that says nothing, or somebody else's name, or without. */
static void try_adopted(struct fixture *f, Rayos__Registry__Command *command)
{
    static const struct {
        const char *given;
        const char *kept;
    } rows[] = {{"", "(no reason given)"}, {"moved", "moved"}};
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    struct member_command adopted;

    header.principal = (char *)(uintptr_t)"bob";
    for (int i = 0; i < 3; i++) {
        size_t size;
        uint8_t *bytes;

        header.reason = (char *)(uintptr_t)rows[i % 2].given;
        command->header = i < 2 ? &header : NULL;
        size = rayos__registry__command__get_packed_size(command);
        bytes = malloc(size + 1);
        assert_non_null(bytes);
        (void)rayos__registry__command__pack(command, bytes);
        assert_int_equal(member_command_adopt(f->member, bytes, size, &ann, &adopted, NULL),
                         RAY_OK);
        assert_int_equal(adopted.body, command->body_case);
        expect(adopted.bytes, adopted.size, rows[i % 2].kept);
        free(bytes);
    }
    command->header = NULL;
}

/* As a member makes them. */
static void try_packed(struct fixture *f, Rayos__Registry__Command *command)
{
    static const char *const reasons[] = {NULL, "", "because"};
    static const char *const kept[] = {"(no reason given)", "(no reason given)", "because"};

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        uint8_t *bytes = NULL;
        size_t size = 0;

        assert_int_equal(
            member_command_pack(f->member, command, &ann, reasons[i], &bytes, &size, NULL), RAY_OK);
        expect(bytes, size, kept[i]);
        free(bytes);
    }
}

/* The body of that field, empty. */
static void try_field(struct fixture *f, const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *descriptor = field->descriptor;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    ProtobufCMessage *body = calloc(1, descriptor->sizeof_message);

    assert_non_null(body);
    protobuf_c_message_init(descriptor, body);
    command.body_case = (Rayos__Registry__Command__BodyCase)field->id;
    command.cluster_create = (Rayos__Registry__ClusterCreate *)body; /* all share one place */
    try_adopted(f, &command);
    try_packed(f, &command);
    free(body);
    f->tried++;
}

static void test_every_command(void **state)
{
    const ProtobufCMessageDescriptor *command = &rayos__registry__command__descriptor;
    struct fixture f;

    (void)state;
    begin(&f);
    for (unsigned i = 0; i < command->n_fields; i++) {
        if ((command->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            try_field(&f, &command->fields[i]);
        } else {
            assert_string_equal(command->fields[i].name, "header");
        }
    }
    assert_true(f.tried > 30);
    assert_int_equal(f.tried, command->n_fields - 1);
    end(&f);
}

/* A result that is known is told in time, even where its effects are not seen yet. */
static void test_no_time_is_left(void **state)
{
    const uint64_t ms = UINT64_C(1000) * 1000;

    (void)state;
    assert_true(member_ask_has_time(1000 * ms, 1080 * ms));
    assert_false(member_ask_has_time(1000 * ms, 1050 * ms));
    assert_false(member_ask_has_time(1000 * ms, 1000 * ms));
    assert_false(member_ask_has_time(1000 * ms, 10 * ms)); /* that time was over already */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command),
        cmocka_unit_test(test_no_time_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
