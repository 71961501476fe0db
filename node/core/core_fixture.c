#include "node/core/core_fixture.h"

#include <assert.h>
#include <elf.h>
#include <signal.h>
#include <string.h>

static void put(struct core_fixture *fixture, const void *bytes, size_t size)
{
    assert(fixture->size + size <= sizeof fixture->bytes);
    memcpy(fixture->bytes + fixture->size, bytes, size);
    fixture->size += size;
}

static void put_note(struct core_fixture *fixture, const char *name, uint32_t type,
                     const void *content, size_t size)
{
    static const uint8_t padding[4] = {0};
    const Elf64_Nhdr header = {
        .n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)size, .n_type = type};

    put(fixture, &header, sizeof header);
    put(fixture, name, header.n_namesz);
    put(fixture, padding, (4 - header.n_namesz % 4) % 4);
    put(fixture, content, size);
    put(fixture, padding, (4 - size % 4) % 4);
}

static void put_status(struct core_fixture *fixture)
{
    uint8_t status[336] = {0};
    const uint64_t pc = FIXTURE_PC;
    const uint64_t sp = 0x7ffffff0;

    status[12] = SIGSEGV;
    for (uint64_t i = 0; i < 27; i++) {
        memcpy(status + 112 + i * 8, &i, 8);
    }
    memcpy(status + 112 + 16 * sizeof pc, &pc, 8);
    memcpy(status + 112 + 19 * sizeof sp, &sp, 8);
    put_note(fixture, "CORE", NT_PRSTATUS, status, sizeof status);
}

static void put_siginfo(struct core_fixture *fixture)
{
    uint8_t info[128] = {SIGSEGV};

    info[8] = 1; /* SEGV_MAPERR */
    info[16] = 0x10;
    put_note(fixture, "CORE", NT_SIGINFO, info, sizeof info);
}

static void put_files(struct core_fixture *fixture)
{
    static const char names[] = "/usr/bin/victim\0/usr/bin/victim\0/var/data\0"
                                "/usr/lib/libc.so.6\0/usr/lib/libc.so.6";
    static const uint64_t head[] = {
        5,
        4096,
        FIXTURE_PROGRAM_AT,
        FIXTURE_PROGRAM_AT + 0x1000,
        0,
        FIXTURE_PROGRAM_AT + 0x1000,
        FIXTURE_PROGRAM_AT + 0x3000,
        1,
        0x5000000,
        0x5001000,
        0,
        FIXTURE_LIBRARY_AT,
        FIXTURE_LIBRARY_AT + 0x1000,
        0,
        FIXTURE_LIBRARY_AT + 0x1000,
        FIXTURE_LIBRARY_AT + 0x9000,
        1,
    };
    uint8_t content[sizeof head + sizeof names];

    memcpy(content, head, sizeof head);
    memcpy(content + sizeof head, names, sizeof names);
    put_note(fixture, "CORE", NT_FILE, content, sizeof content);
}

void core_fixture_make(struct core_fixture *fixture, size_t filler_count)
{
    static const uint64_t auxv[] = {AT_PHDR, FIXTURE_PROGRAM_AT + 64, AT_NULL, 0};
    static const Elf64_Phdr filler = {.p_type = PT_LOAD};
    const size_t segments_size = (filler_count + 2) * sizeof(Elf64_Phdr);
    Elf64_Ehdr header = {.e_type = ET_CORE,
                         .e_machine = EM_X86_64,
                         .e_version = EV_CURRENT,
                         .e_phoff = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = (uint16_t)(filler_count + 2)};
    Elf64_Phdr notes = {.p_type = PT_NOTE};
    size_t notes_header_at;

    memset(fixture, 0, sizeof *fixture);
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    put(fixture, &header, sizeof header);
    notes_header_at = fixture->size;
    put(fixture, &notes, sizeof notes);
    for (size_t i = 0; i < filler_count + 1; i++) {
        put(fixture, &filler, sizeof filler);
    }
    fixture->notes_at = fixture->size;
    assert(fixture->notes_at == sizeof header + segments_size);
    put_status(fixture);
    put_siginfo(fixture);
    put_note(fixture, "LINUX", NT_FILE, "other", 5); /* of another owner: not ours to read */
    put_note(fixture, "CORE", NT_AUXV, auxv, sizeof auxv);
    put_files(fixture);
    put_status(fixture); /* of a second thread */
    fixture->notes_size = fixture->size - fixture->notes_at;
    notes.p_offset = fixture->notes_at;
    notes.p_filesz = fixture->notes_size;
    memcpy(fixture->bytes + notes_header_at, &notes, sizeof notes);
    for (size_t i = 0; i < FIXTURE_MEMORY_SIZE; i++) {
        const uint8_t byte = i < FIXTURE_MEMORY_SIZE / 2 ? (uint8_t)(i % 251 + 1) : 0;

        put(fixture, &byte, 1);
    }
}

size_t core_fixture_elf(uint8_t page[static CORE_PAGE_SIZE], uint8_t fill, size_t size)
{
    const Elf64_Nhdr note = {.n_namesz = 4, .n_descsz = (uint32_t)size, .n_type = NT_GNU_BUILD_ID};
    Elf64_Ehdr header = {.e_type = ET_DYN,
                         .e_machine = EM_X86_64,
                         .e_phoff = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 2};
    const size_t notes_at = sizeof header + 2 * sizeof(Elf64_Phdr);
    const Elf64_Phdr segments[2] = {
        {.p_type = PT_LOAD},
        {.p_type = PT_NOTE, .p_offset = notes_at, .p_filesz = sizeof note + 4 + size}};

    memset(page, 0, CORE_PAGE_SIZE);
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    memcpy(page, &header, sizeof header);
    memcpy(page + sizeof header, segments, sizeof segments);
    memcpy(page + notes_at, &note, sizeof note);
    memcpy(page + notes_at + sizeof note, "GNU", 4);
    memset(page + notes_at + sizeof note + 4, fill, size);
    return notes_at + sizeof note + 4 + size;
}
