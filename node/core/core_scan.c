/* core_scan.c - the stream of a core file up to its notes.
 *
 * Invariant (fuzzed): what comes out does not depend on how the stream was cut into pieces. */
#include <assert.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "node/core/core_elf.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "cores are read in place");

void core_scan_init(struct core_scan *scan)
{
    *scan = (struct core_scan){.state = CORE_SCAN_HEAD};
}

void core_scan_fini(struct core_scan *scan)
{
    free(scan->notes);
    *scan = (struct core_scan){.state = CORE_SCAN_BAD};
}

static int bad(struct core_scan *scan, struct ray_err *err, const char *what)
{
    scan->state = CORE_SCAN_BAD;
    return ray_fail(err, RAY_EMALFORMED, "core file: %s", what);
}

/* Above 65,534 segments e_phnum is PN_XNUM and the true number stands at the end of the file;
 * PT_NOTE is the first all the same. */
static int find_notes(struct core_scan *scan, struct ray_err *err)
{
    Elf64_Ehdr header;

    if (scan->head_size < sizeof header) {
        return bad(scan, err, "shorter than its header");
    }
    memcpy(&header, scan->head, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_type != ET_CORE ||
        header.e_phentsize != sizeof(Elf64_Phdr)) {
        return bad(scan, err, "not a 64-bit little-endian ELF core");
    }
    if (header.e_phoff < sizeof header || header.e_phoff > scan->head_size) {
        return bad(scan, err, "program headers lie outside of its head");
    }
    for (size_t i = 0; i < header.e_phnum; i++) {
        size_t at = (size_t)header.e_phoff + i * sizeof(Elf64_Phdr);
        Elf64_Phdr segment;

        if (at + sizeof segment > scan->head_size) {
            break;
        }
        memcpy(&segment, scan->head + at, sizeof segment);
        if (segment.p_type != PT_NOTE) {
            continue;
        }
        if (segment.p_filesz == 0 || segment.p_offset < at + sizeof segment) {
            return bad(scan, err, "notes overlap its header or are empty");
        }
        scan->machine = header.e_machine;
        scan->notes_offset = segment.p_offset;
        scan->notes_size =
            segment.p_filesz < CORE_NOTES_SIZE_MAX ? (size_t)segment.p_filesz : CORE_NOTES_SIZE_MAX;
        return RAY_OK;
    }
    return bad(scan, err, "no notes in its head");
}

/* `bytes` begin at scan->position of the stream. */
static void take_notes(struct core_scan *scan, const uint8_t *bytes, size_t size)
{
    uint64_t end = scan->position + size;

    assert(scan->notes_count <= scan->notes_size);
    if (end > scan->notes_offset) {
        uint64_t wanted_at = scan->notes_offset + scan->notes_count;
        size_t skipped_size = (size_t)(wanted_at - scan->position);
        size_t missing_size = scan->notes_size - scan->notes_count;
        size_t here_size = size - skipped_size;

        assert(wanted_at >= scan->position && skipped_size <= size);
        here_size = here_size < missing_size ? here_size : missing_size;
        memcpy(scan->notes + scan->notes_count, bytes + skipped_size, here_size);
        scan->notes_count += here_size;
        scan->state = scan->notes_count == scan->notes_size ? CORE_SCAN_DONE : CORE_SCAN_NOTES;
    }
    scan->position = end;
}

/* The head is complete, or as complete as it gets. */
static int judge_head(struct core_scan *scan, struct ray_err *err)
{
    int rc = find_notes(scan, err);

    if (rc != RAY_OK) {
        return rc;
    }
    scan->notes = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(scan->notes_size);
    if (scan->notes == NULL) {
        scan->state = CORE_SCAN_BAD;
        return ray_fail(err, RAY_ENOMEM, "%zu bytes of notes", scan->notes_size);
    }
    scan->state = CORE_SCAN_SKIP;
    take_notes(scan, scan->head, scan->head_size);
    return RAY_OK;
}

int core_scan_feed(struct core_scan *scan, const uint8_t *bytes, size_t size, struct ray_err *err)
{
    assert(bytes != NULL || size == 0);
    if (scan->state == CORE_SCAN_HEAD) {
        size_t space = CORE_HEAD_SIZE - scan->head_size;
        size_t taken = size < space ? size : space;
        int rc;

        memcpy(scan->head + scan->head_size, bytes, taken);
        scan->head_size += taken;
        if (scan->head_size < CORE_HEAD_SIZE) {
            return RAY_OK;
        }
        rc = judge_head(scan, err);
        if (rc != RAY_OK) {
            return rc;
        }
        bytes += taken;
        size -= taken;
    }
    if (scan->state == CORE_SCAN_SKIP || scan->state == CORE_SCAN_NOTES) {
        take_notes(scan, bytes, size);
    }
    return RAY_OK;
}

int core_scan_end(struct core_scan *scan, struct ray_err *err)
{
    int rc = scan->state == CORE_SCAN_HEAD ? judge_head(scan, err) : RAY_OK;

    if (rc == RAY_OK && scan->state == CORE_SCAN_SKIP) {
        return bad(scan, err, "it ends before its notes");
    }
    if (rc == RAY_OK && scan->state == CORE_SCAN_NOTES) {
        scan->state = CORE_SCAN_DONE;
    }
    return rc;
}
