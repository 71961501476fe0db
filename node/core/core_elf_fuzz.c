/* All that reads bytes of others: the stream (whole and in pieces: the same result), its notes,
 * the first page of a module, the line in the kernel's log, and core.json. The first byte says
 * which, the second how large the pieces are. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/core/core_elf.h"
#include "node/core/core_line.h"
#include "node/core/core_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scan(struct core_scan *scan, const uint8_t *data, size_t size, size_t piece)
{
    core_scan_init(scan);
    for (size_t at = 0; at < size; at += piece) {
        (void)core_scan_feed(scan, data + at, size - at < piece ? size - at : piece, NULL);
    }
    (void)core_scan_end(scan, NULL);
}

static void make_report(const struct core_notes *notes)
{
    const struct core_process process = {.pid = 1, .dump_mode = CORE_DUMP_AS_USER};
    const struct core_report report = {.process = &process, .notes = notes, .reason = ""};
    struct core_summary summary;
    char *text = NULL;
    size_t size = 0;

    if (core_report_make(&report, &text, &size, NULL) == RAY_OK) {
        assert(size <= CORE_REPORT_SIZE_MAX);
        assert(core_report_read(text, size, &summary, NULL) == RAY_OK);
        free(text);
    }
}

static void run_core(const uint8_t *data, size_t size, size_t piece)
{
    static struct core_scan whole;
    static struct core_scan pieces;
    static struct core_notes notes;

    scan(&whole, data, size, size > 0 ? size : 1);
    scan(&pieces, data, size, piece);
    assert(whole.state == pieces.state && whole.notes_count == pieces.notes_count);
    assert(whole.state == CORE_SCAN_DONE || whole.state == CORE_SCAN_BAD);
    if (whole.state == CORE_SCAN_DONE) {
        assert(memcmp(whole.notes, pieces.notes, whole.notes_count) == 0);
        core_notes_parse(whole.notes, whole.notes_count, whole.machine, &notes);
        assert(notes.module_count <= CORE_MODULE_COUNT_MAX);
        make_report(&notes);
    }
    core_scan_fini(&whole);
    core_scan_fini(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[CORE_BUILD_ID_SIZE];
    struct core_line line;
    struct core_summary summary;

    if (size < 2) {
        return 0;
    }
    switch (data[0]) {
    case 'e':
        (void)core_build_id(data + 2, size - 2, text);
        break;
    case 'l':
        (void)core_line_parse((const char *)data + 2, size - 2, &line);
        break;
    case 'j':
        (void)core_report_read((const char *)data + 2, size - 2, &summary, NULL);
        break;
    default:
        run_core(data + 2, size - 2, (size_t)data[1] + 1);
        break;
    }
    return 0;
}
