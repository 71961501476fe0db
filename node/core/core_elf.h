/* node/core/core_elf.h - what the head of a core file says: the thread that crashed, the signal
 * and the mapped files; and the build id of an ELF file from its first page.
 *
 * The kernel writes a core as ELF header, program headers (the first is PT_NOTE), notes, memory.
 * core_scan takes it as a stream and keeps only the notes, so nothing is sought and memory is
 * bounded whatever the process had mapped. Of the notes only the beginning counts: those of the
 * crashing thread and of the process come first.
 *
 * Memory: core_scan owns its copy of the notes; module names borrow from it.
 * Threads: any.  Blocks: never.
 * Trust: every byte was chosen by the process that crashed: all offsets and sizes are checked. */
#ifndef RAY_NODE_CORE_CORE_ELF_H
#define RAY_NODE_CORE_CORE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    CORE_HEAD_SIZE = 4096,         /* PT_NOTE must be described within */
    CORE_NOTES_SIZE_MAX = 1 << 20, /* more is not kept */
    CORE_NOTE_COUNT_MAX = 4096,    /* more are not looked at */
    CORE_FILE_COUNT_MAX = 65536,   /* mappings of files that are looked at */
    CORE_MODULE_COUNT_MAX = 256,   /* mapped files that are kept */
    CORE_REGISTER_COUNT_MAX = 34,
    CORE_BUILD_ID_SIZE = 65, /* hex of at most 32 bytes, with NUL */
    CORE_PAGE_SIZE = 4096,   /* of an ELF file's beginning; what the kernel dumps, too */
};

/* ---- the stream ---- */

enum core_scan_state {
    CORE_SCAN_HEAD,  /* collecting the head */
    CORE_SCAN_SKIP,  /* on the way to the notes */
    CORE_SCAN_NOTES, /* in the notes */
    CORE_SCAN_DONE,  /* have them; further bytes are ignored */
    CORE_SCAN_BAD,   /* this is no core file that we understand */
};

struct core_scan {
    enum core_scan_state state;
    uint16_t machine; /* EM_*; valid from SKIP on */
    uint64_t position;
    uint64_t notes_offset;
    size_t notes_size;  /* to be collected */
    uint8_t *notes;     /* owned */
    size_t notes_count; /* bytes collected */
    uint8_t head[CORE_HEAD_SIZE];
    size_t head_size;
};

void core_scan_init(struct core_scan *scan);
void core_scan_fini(struct core_scan *scan);
/* The next bytes. RAY_EMALFORMED (state BAD) or RAY_ENOMEM: there will be no notes; further
 * calls are ignored and succeed. */
int core_scan_feed(struct core_scan *scan, const uint8_t *bytes, size_t size, struct ray_err *err);
/* The stream is over: a short head is judged as it is, and what there is of the notes counts. */
int core_scan_end(struct core_scan *scan, struct ray_err *err);

/* ---- the notes ---- */

struct core_module {
    uint64_t start; /* where offset 0 of the file is mapped */
    uint64_t end;   /* behind the last mapping of the same file in a row */
    const char *name;
    char build_id[CORE_BUILD_ID_SIZE]; /* "" until somebody looked; see core_collect.c */
};

struct core_notes {
    uint16_t machine;
    bool has_status; /* the next ones are known */
    int signal;
    uint64_t registers[CORE_REGISTER_COUNT_MAX];
    size_t register_count; /* 0: the machine is not one we know */
    uint64_t pc;
    uint64_t sp;
    bool has_siginfo;
    int code;                 /* SI_*, SEGV_MAPERR, ... */
    uint64_t fault_address;   /* for SIGSEGV and its like; 0 otherwise */
    uint64_t program_headers; /* AT_PHDR: lies in the main program; 0: unknown */
    struct core_module modules[CORE_MODULE_COUNT_MAX];
    size_t module_count;
    bool has_more_modules;
};

/* Never fails: what is cut or makes no sense is left out. Names borrow from `notes`. */
void core_notes_parse(const uint8_t *notes, size_t size, uint16_t machine, struct core_notes *out);
/* "rip" for index 16 on x86-64; NULL beyond the last. */
const char *core_register_name(uint16_t machine, size_t index);
const char *core_machine_name(uint16_t machine); /* "x86_64", "aarch64", "unknown" */
/* The module that an address lies in; -1: none. */
int core_module_find(const struct core_notes *notes, uint64_t address);

/* ---- an ELF file's beginning ---- */

/* The hex text of NT_GNU_BUILD_ID. RAY_EMALFORMED: no ELF file of ours; RAY_ENOTFOUND: it has
 * none within `size` bytes. */
int core_build_id(const uint8_t *page, size_t size, char out[static CORE_BUILD_ID_SIZE]);

#endif
