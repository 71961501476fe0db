/* core_elf.c - notes: twelve bytes of header, then name and content, each padded to four. */
#include "node/core/core_elf.h"

#include <assert.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum {
    /* struct elf_prstatus of a 64-bit machine: siginfo, masks, ids and four times come first. */
    STATUS_SIGNAL_AT = 12,
    STATUS_REGISTERS_AT = 112,
    SIGINFO_CODE_AT = 8,
    SIGINFO_ADDRESS_AT = 16,
    FILE_ENTRY_SIZE = 24,
};

struct note {
    uint32_t type;
    const char *name;
    size_t name_size; /* with NUL */
    const uint8_t *content;
    size_t size;
};

static uint64_t load64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static int32_t load32(const uint8_t *at)
{
    int32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

/* The note at *at, and *at behind it; false at the end, or where the rest is cut. */
static bool next_note(const uint8_t *notes, size_t size, size_t *at, struct note *out)
{
    Elf64_Nhdr header;
    size_t name_at;
    size_t content_at;
    size_t end;

    assert(*at <= size);
    if (size - *at < sizeof header) {
        return false;
    }
    memcpy(&header, notes + *at, sizeof header);
    name_at = *at + sizeof header;
    if (!ray_add_size(name_at, header.n_namesz, &content_at) ||
        !ray_align_size(content_at, 4, &content_at) || content_at > size ||
        !ray_add_size(content_at, header.n_descsz, &end) || end > size) {
        return false;
    }
    *out = (struct note){
        .type = header.n_type,
        .name = (const char *)notes + name_at,
        .name_size = header.n_namesz,
        .content = notes + content_at,
        .size = header.n_descsz,
    };
    /* The last one needs no padding. */
    *at = !ray_align_size(end, 4, &end) || end > size ? size : end;
    return true;
}

static bool is_named(const struct note *note, const char *name)
{
    size_t size = strlen(name) + 1;

    return note->name_size == size && memcmp(note->name, name, size) == 0;
}

/* ---- registers ---- */

struct machine {
    uint16_t id;
    const char *name;
    size_t register_count;
    size_t pc_index;
    size_t sp_index;
};

static const struct machine machines[] = {
    {EM_X86_64, "x86_64", 27, 16, 19},
    {EM_AARCH64, "aarch64", 34, 32, 31},
};

static const struct machine *find_machine(uint16_t id)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(machines); i++) {
        if (machines[i].id == id) {
            return &machines[i];
        }
    }
    return NULL;
}

const char *core_machine_name(uint16_t machine)
{
    const struct machine *found = find_machine(machine);

    return found != NULL ? found->name : "unknown";
}

const char *core_register_name(uint16_t machine, size_t index)
{
    static const char *const x86_64[] = {
        "r15",    "r14", "r13", "r12",     "rbp",     "rbx", "r11",      "r10", "r9",
        "r8",     "rax", "rcx", "rdx",     "rsi",     "rdi", "orig_rax", "rip", "cs",
        "eflags", "rsp", "ss",  "fs_base", "gs_base", "ds",  "es",       "fs",  "gs",
    };
    static const char *const aarch64[] = {
        "x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",     "x10", "x11",
        "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",    "x22", "x23",
        "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",  "pc",  "pstate",
    };

    if (machine == EM_X86_64 && index < RAY_ARRAY_COUNT(x86_64)) {
        return x86_64[index];
    }
    return machine == EM_AARCH64 && index < RAY_ARRAY_COUNT(aarch64) ? aarch64[index] : NULL;
}

static void take_status(struct core_notes *out, const struct note *note)
{
    const struct machine *machine = find_machine(out->machine);

    if (out->has_status || note->size < STATUS_REGISTERS_AT) {
        return; /* the first is the thread that crashed */
    }
    out->has_status = true;
    out->signal = (uint16_t)load32(note->content + STATUS_SIGNAL_AT);
    if (machine == NULL ||
        note->size < STATUS_REGISTERS_AT + machine->register_count * sizeof(uint64_t)) {
        return;
    }
    assert(machine->register_count <= CORE_REGISTER_COUNT_MAX);
    for (size_t i = 0; i < machine->register_count; i++) {
        out->registers[i] = load64(note->content + STATUS_REGISTERS_AT + i * sizeof(uint64_t));
    }
    out->register_count = machine->register_count;
    out->pc = out->registers[machine->pc_index];
    out->sp = out->registers[machine->sp_index];
}

static void take_siginfo(struct core_notes *out, const struct note *note)
{
    if (note->size < SIGINFO_ADDRESS_AT + sizeof(uint64_t)) {
        return;
    }
    out->has_siginfo = true;
    out->code = load32(note->content + SIGINFO_CODE_AT);
    /* Codes above zero come from the kernel; then there is an address, if the signal has one. */
    out->fault_address = out->code > 0 ? load64(note->content + SIGINFO_ADDRESS_AT) : 0;
}

static void take_auxv(struct core_notes *out, const struct note *note)
{
    for (size_t at = 0; at + 16 <= note->size; at += 16) {
        if (load64(note->content + at) == AT_PHDR) {
            out->program_headers = load64(note->content + at + 8);
        }
    }
}

/* ---- NT_FILE: count, page size, {start, end, offset in pages}..., name\0... ---- */

static void take_file(struct core_notes *out, uint64_t start, uint64_t end, uint64_t page,
                      const char *name)
{
    struct core_module *last = out->module_count > 0 ? &out->modules[out->module_count - 1] : NULL;

    if (start >= end) {
        return;
    }
    if (page != 0) {
        if (last != NULL && start >= last->end && strcmp(last->name, name) == 0) {
            last->end = end;
        }
        return;
    }
    if (out->module_count == CORE_MODULE_COUNT_MAX) {
        out->has_more_modules = true;
        return;
    }
    out->modules[out->module_count++] =
        (struct core_module){.start = start, .end = end, .name = name};
}

static void take_files(struct core_notes *out, const struct note *note)
{
    uint64_t count;
    const uint8_t *entry;
    const char *name;
    size_t left;

    if (out->module_count > 0 || note->size < 16) {
        return;
    }
    count = load64(note->content);
    if (count > CORE_FILE_COUNT_MAX || count > (note->size - 16) / FILE_ENTRY_SIZE) {
        return;
    }
    entry = note->content + 16;
    name = (const char *)entry + count * FILE_ENTRY_SIZE;
    left = note->size - 16 - (size_t)count * FILE_ENTRY_SIZE;
    for (uint64_t i = 0; i < count; i++, entry += FILE_ENTRY_SIZE) {
        size_t size = strnlen(name, left);

        if (size == left) {
            return; /* not terminated: the names are cut */
        }
        take_file(out, load64(entry), load64(entry + 8), load64(entry + 16), name);
        name += size + 1;
        left -= size + 1;
    }
}

void core_notes_parse(const uint8_t *notes, size_t size, uint16_t machine, struct core_notes *out)
{
    struct note note;
    size_t at = 0;

    assert(notes != NULL || size == 0);
    *out = (struct core_notes){.machine = machine};
    for (int i = 0; i < CORE_NOTE_COUNT_MAX && next_note(notes, size, &at, &note); i++) {
        if (!is_named(&note, "CORE")) {
            continue;
        }
        switch (note.type) {
        case NT_PRSTATUS:
            take_status(out, &note);
            break;
        case NT_SIGINFO:
            take_siginfo(out, &note);
            break;
        case NT_AUXV:
            take_auxv(out, &note);
            break;
        case NT_FILE:
            take_files(out, &note);
            break;
        default:
            break;
        }
    }
}

int core_module_find(const struct core_notes *notes, uint64_t address)
{
    for (size_t i = 0; i < notes->module_count; i++) {
        if (address >= notes->modules[i].start && address < notes->modules[i].end) {
            return (int)i;
        }
    }
    return -1;
}

/* ---- build ids ---- */

static bool take_build_id(const struct note *note, char out[static CORE_BUILD_ID_SIZE])
{
    if (!is_named(note, "GNU") || note->type != NT_GNU_BUILD_ID || note->size == 0 ||
        note->size > (CORE_BUILD_ID_SIZE - 1) / 2) {
        return false;
    }
    for (size_t i = 0; i < note->size; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", note->content[i]);
    }
    return true;
}

int core_build_id(const uint8_t *page, size_t size, char out[static CORE_BUILD_ID_SIZE])
{
    Elf64_Ehdr header;

    if (size < sizeof header) {
        return RAY_EMALFORMED;
    }
    memcpy(&header, page, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_phentsize != sizeof(Elf64_Phdr) ||
        header.e_phoff > size) {
        return RAY_EMALFORMED;
    }
    for (size_t i = 0; i < header.e_phnum; i++) {
        size_t segment_at = (size_t)header.e_phoff + i * sizeof(Elf64_Phdr);
        Elf64_Phdr segment;
        struct note note;
        size_t at = 0;

        if (segment_at + sizeof segment > size) {
            break;
        }
        memcpy(&segment, page + segment_at, sizeof segment);
        if (segment.p_type != PT_NOTE || segment.p_offset > size ||
            segment.p_filesz > size - segment.p_offset) {
            continue;
        }
        while (next_note(page + segment.p_offset, (size_t)segment.p_filesz, &at, &note)) {
            if (take_build_id(&note, out)) {
                return RAY_OK;
            }
        }
    }
    return RAY_ENOTFOUND;
}
