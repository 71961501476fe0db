/* The stream in pieces of every size, the head cut and damaged at every byte, notes of exact size
 * so that the sanitizer sees one byte too far. */
#include <elf.h>
#include <signal.h>
#include <string.h>

#include "base/test.h"
#include "node/core/core_elf.h"
#include "node/core/core_fixture.h"

static struct core_fixture *make(size_t filler_count)
{
    struct core_fixture *fixture = malloc(sizeof *fixture);

    assert_non_null(fixture);
    core_fixture_make(fixture, filler_count);
    return fixture;
}

static int scan_in_pieces(struct core_scan *scan, const uint8_t *bytes, size_t size, size_t piece)
{
    int rc = RAY_OK;

    core_scan_init(scan);
    for (size_t at = 0; at < size && rc == RAY_OK; at += piece) {
        rc = core_scan_feed(scan, bytes + at, size - at < piece ? size - at : piece, NULL);
    }
    return rc == RAY_OK ? core_scan_end(scan, NULL) : rc;
}

static void test_notes_in_pieces(void **state)
{
    static const size_t filler_counts[] = {0, 1, 60, 70, 71, 72, 100, 1000};
    static const size_t pieces[] = {1, 7, 63, 64, 65, 4095, 4096, 4097, 1 << 20};

    (void)state;
    for (size_t f = 0; f < sizeof filler_counts / sizeof filler_counts[0]; f++) {
        struct core_fixture *fixture = make(filler_counts[f]);

        for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
            struct core_scan scan;

            assert_int_equal(scan_in_pieces(&scan, fixture->bytes, fixture->size, pieces[p]),
                             RAY_OK);
            assert_int_equal(scan.state, CORE_SCAN_DONE);
            assert_int_equal(scan.machine, EM_X86_64);
            assert_int_equal(scan.notes_count, fixture->notes_size);
            assert_memory_equal(scan.notes, fixture->bytes + fixture->notes_at,
                                fixture->notes_size);
            core_scan_fini(&scan);
        }
        free(fixture);
    }
}

/* Cut anywhere, it says either that it is none or gives what came of the notes. */
static void test_cut_everywhere(void **state)
{
    struct core_fixture *fixture = make(0);

    (void)state;
    for (size_t size = 0; size <= fixture->notes_at + fixture->notes_size + 1; size++) {
        struct core_scan scan;
        int rc = scan_in_pieces(&scan, fixture->bytes, size, 4096);

        if (size <= fixture->notes_at) {
            assert_int_equal(rc, RAY_EMALFORMED);
            assert_int_equal(scan.state, CORE_SCAN_BAD);
        } else {
            size_t wanted = size - fixture->notes_at;

            assert_int_equal(rc, RAY_OK);
            assert_int_equal(scan.notes_count,
                             wanted < fixture->notes_size ? wanted : fixture->notes_size);
        }
        core_scan_fini(&scan);
    }
    free(fixture);
}

static void expect_bad_head(size_t at, uint8_t value)
{
    struct core_fixture *fixture = make(0);
    struct core_scan scan;

    fixture->bytes[at] = value;
    assert_int_equal(scan_in_pieces(&scan, fixture->bytes, fixture->size, 4096), RAY_EMALFORMED);
    /* What follows is ignored, and free is safe twice. */
    assert_int_equal(core_scan_feed(&scan, fixture->bytes, 100, NULL), RAY_OK);
    assert_int_equal(core_scan_end(&scan, NULL), RAY_OK);
    core_scan_fini(&scan);
    core_scan_fini(&scan);
    free(fixture);
}

static void test_bad_heads(void **state)
{
    (void)state;
    expect_bad_head(0, 0);
    expect_bad_head(EI_CLASS, ELFCLASS32);
    expect_bad_head(EI_DATA, ELFDATA2MSB);
    expect_bad_head(16, ET_DYN);
    expect_bad_head(39, 0xff);    /* e_phoff far away */
    expect_bad_head(54, 55);      /* e_phentsize */
    expect_bad_head(56, 0);       /* e_phnum */
    expect_bad_head(64, PT_LOAD); /* no PT_NOTE */
    expect_bad_head(64 + 8, 0);   /* notes lie in the header */
}

static void test_hostile_sizes(void **state)
{
    struct core_fixture *fixture = make(0);
    struct core_scan scan;
    const uint64_t huge = UINT64_MAX;

    (void)state;
    memcpy(fixture->bytes + 64 + 32, &huge, 8); /* p_filesz */
    assert_int_equal(scan_in_pieces(&scan, fixture->bytes, fixture->size, 4096), RAY_OK);
    assert_int_equal(scan.notes_size, CORE_NOTES_SIZE_MAX);
    assert_int_equal(scan.notes_count, fixture->size - fixture->notes_at);
    core_scan_fini(&scan);
    memcpy(fixture->bytes + 64 + 8, &huge, 8); /* p_offset */
    assert_int_equal(scan_in_pieces(&scan, fixture->bytes, fixture->size, 4096), RAY_EMALFORMED);
    core_scan_fini(&scan);
    free(fixture);
}

static void test_scan_without_memory(void **state)
{
    struct core_fixture *fixture = make(0);
    struct core_scan scan;

    (void)state;
    ray_test_fault_arm("alloc", 1);
    if (scan_in_pieces(&scan, fixture->bytes, fixture->size, 4096) == RAY_ENOMEM) {
        assert_int_equal(scan.state, CORE_SCAN_BAD);
        assert_true(ray_test_fault_disarm());
    }
    (void)ray_test_fault_disarm();
    core_scan_fini(&scan);
    free(fixture);
}

static void parse(const struct core_fixture *fixture, size_t size, struct core_notes *out)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    assert_non_null(exact);
    memcpy(exact, fixture->bytes + fixture->notes_at, size);
    core_notes_parse(exact, size, EM_X86_64, out);
    for (size_t i = 0; i < out->module_count; i++) {
        assert_true(strlen(out->modules[i].name) > 0); /* read before the bytes go */
    }
    if (size == fixture->notes_size) {
        assert_string_equal(out->modules[0].name, "/usr/bin/victim");
        assert_string_equal(out->modules[2].name, "/usr/lib/libc.so.6");
    }
    free(exact);
}

static void test_notes(void **state)
{
    struct core_fixture *fixture = make(0);
    struct core_notes *notes = malloc(sizeof *notes);

    (void)state;
    assert_non_null(notes);
    parse(fixture, fixture->notes_size, notes);
    assert_true(notes->has_status && notes->has_siginfo);
    assert_int_equal(notes->signal, SIGSEGV);
    assert_int_equal(notes->code, 1);
    assert_int_equal(notes->fault_address, 0x10);
    assert_int_equal(notes->register_count, 27);
    assert_int_equal(notes->registers[26], 26);
    assert_int_equal(notes->pc, FIXTURE_PC);
    assert_int_equal(notes->sp, 0x7ffffff0);
    assert_int_equal(notes->module_count, 3);
    assert_int_equal(notes->modules[0].end, FIXTURE_PROGRAM_AT + 0x3000);
    assert_int_equal(core_module_find(notes, notes->program_headers), 0);
    assert_int_equal(core_module_find(notes, notes->pc), 2);
    assert_int_equal(core_module_find(notes, FIXTURE_LIBRARY_AT + 0x9000), -1);
    assert_int_equal(core_module_find(notes, FIXTURE_PROGRAM_AT - 1), -1);
    for (size_t size = 0; size < fixture->notes_size; size++) {
        parse(fixture, size, notes);
    }
    free(notes);
    free(fixture);
}

static void test_registers_have_names(void **state)
{
    (void)state;
    assert_string_equal(core_register_name(EM_X86_64, 16), "rip");
    assert_string_equal(core_register_name(EM_X86_64, 19), "rsp");
    assert_string_equal(core_register_name(EM_X86_64, 26), "gs");
    assert_null(core_register_name(EM_X86_64, 27));
    assert_string_equal(core_register_name(EM_AARCH64, 32), "pc");
    assert_string_equal(core_register_name(EM_AARCH64, 33), "pstate");
    assert_null(core_register_name(EM_AARCH64, 34));
    assert_null(core_register_name(EM_NONE, 0));
    assert_string_equal(core_machine_name(EM_AARCH64), "aarch64");
    assert_string_equal(core_machine_name(EM_386), "unknown");
}

/* NT_FILE alone, with `count` files of one page. */
static size_t make_file_note(uint8_t *out, uint64_t count, uint64_t claimed_count)
{
    const Elf64_Nhdr header = {
        .n_namesz = 5, .n_descsz = (uint32_t)(16 + count * 26), .n_type = NT_FILE};
    uint8_t *at = out + sizeof header + 8;

    memcpy(out, &header, sizeof header);
    memcpy(out + sizeof header, "CORE\0\0\0", 8);
    memcpy(at, &claimed_count, 8);
    memset(at + 8, 0, 8);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t entry[3] = {(i + 1) * 4096, (i + 2) * 4096, 0};

        memcpy(at + 16 + i * 24, entry, sizeof entry);
        memcpy(at + 16 + count * 24 + i * 2, "f", 2);
    }
    return sizeof header + 8 + header.n_descsz;
}

static void test_limits_of_modules(void **state)
{
    static uint8_t bytes[32 << 10];
    struct core_notes *notes = malloc(sizeof *notes);
    size_t size;

    (void)state;
    assert_non_null(notes);
    size = make_file_note(bytes, CORE_MODULE_COUNT_MAX, CORE_MODULE_COUNT_MAX);
    core_notes_parse(bytes, size, EM_X86_64, notes);
    assert_int_equal(notes->module_count, CORE_MODULE_COUNT_MAX);
    assert_false(notes->has_more_modules);
    size = make_file_note(bytes, CORE_MODULE_COUNT_MAX + 1, CORE_MODULE_COUNT_MAX + 1);
    core_notes_parse(bytes, size, EM_X86_64, notes);
    assert_int_equal(notes->module_count, CORE_MODULE_COUNT_MAX);
    assert_true(notes->has_more_modules);
    /* A count that its note does not hold, up to one that wraps. */
    size = make_file_note(bytes, 2, 3);
    core_notes_parse(bytes, size, EM_X86_64, notes);
    assert_int_equal(notes->module_count, 0);
    size = make_file_note(bytes, 2, UINT64_MAX / 24 + 1);
    core_notes_parse(bytes, size, EM_X86_64, notes);
    assert_int_equal(notes->module_count, 0);
    free(notes);
}

static void test_build_id(void **state)
{
    uint8_t page[CORE_PAGE_SIZE];
    char text[CORE_BUILD_ID_SIZE] = "-";
    size_t size = core_fixture_elf(page, 0xa5, 20);

    (void)state;
    assert_int_equal(core_build_id(page, sizeof page, text), RAY_OK);
    assert_string_equal(text, "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5");
    for (size_t n = 0; n < size; n++) {
        uint8_t *exact = malloc(n > 0 ? n : 1);

        assert_non_null(exact);
        memcpy(exact, page, n);
        assert_int_equal(core_build_id(exact, n, text),
                         n < sizeof(Elf64_Ehdr) ? RAY_EMALFORMED : RAY_ENOTFOUND);
        free(exact);
    }
    (void)core_fixture_elf(page, 1, 32);
    assert_int_equal(core_build_id(page, sizeof page, text), RAY_OK);
    assert_int_equal(strlen(text), 64);
    (void)core_fixture_elf(page, 1, 33);
    assert_int_equal(core_build_id(page, sizeof page, text), RAY_ENOTFOUND);
    (void)core_fixture_elf(page, 1, 0);
    assert_int_equal(core_build_id(page, sizeof page, text), RAY_ENOTFOUND);
    memset(page, 'x', sizeof page);
    assert_int_equal(core_build_id(page, sizeof page, text), RAY_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notes_in_pieces),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_bad_heads),
        cmocka_unit_test(test_hostile_sizes),
        cmocka_unit_test(test_scan_without_memory),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_registers_have_names),
        cmocka_unit_test(test_limits_of_modules),
        cmocka_unit_test(test_build_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
