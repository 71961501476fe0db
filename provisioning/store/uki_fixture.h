/* provisioning/store/uki_fixture.h - for tests: a PE file with a kernel and an initramfs in it,
 * as small as one can be.
 *
 * Memory: the caller's.  Threads: any.  Blocks: never.  Trust: tests only. */
#ifndef RAY_PROVISIONING_STORE_UKI_FIXTURE_H
#define RAY_PROVISIONING_STORE_UKI_FIXTURE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    UKI_FIXTURE_SIZE = 1024,
    UKI_FIXTURE_HEADER = 0x80, /* "PE\0\0" */
    UKI_FIXTURE_TABLE = UKI_FIXTURE_HEADER + 24 + 16,
    UKI_FIXTURE_KERNEL = 512,
    UKI_FIXTURE_INITRD = 768,
    UKI_FIXTURE_RAW_SIZE = 256,
};

static inline void uki_fixture_store(uint8_t *at, uint32_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline void uki_fixture_section(uint8_t *entry, const char *name, uint32_t size,
                                       uint32_t offset)
{
    memset(entry, 0, 40);
    memcpy(entry, name, strlen(name));
    uki_fixture_store(&entry[8], size, 4);
    uki_fixture_store(&entry[16], UKI_FIXTURE_RAW_SIZE, 4);
    uki_fixture_store(&entry[20], offset, 4);
}

static inline void uki_fixture_make(uint8_t out[static UKI_FIXTURE_SIZE], const char *kernel,
                                    const char *initrd)
{
    memset(out, 0, UKI_FIXTURE_SIZE);
    memcpy(out, "MZ", 2);
    uki_fixture_store(&out[0x3C], UKI_FIXTURE_HEADER, 4);
    memcpy(&out[UKI_FIXTURE_HEADER], "PE\0\0", 4);
    uki_fixture_store(&out[UKI_FIXTURE_HEADER + 6], 3, 2);
    uki_fixture_store(&out[UKI_FIXTURE_HEADER + 20], 16, 2);
    uki_fixture_section(&out[UKI_FIXTURE_TABLE], ".text", 1, UKI_FIXTURE_KERNEL);
    /* The kernel's content may end with padding, which counts as content. */
    uki_fixture_section(&out[UKI_FIXTURE_TABLE + 40], ".linux", UKI_FIXTURE_RAW_SIZE,
                        UKI_FIXTURE_KERNEL);
    uki_fixture_section(&out[UKI_FIXTURE_TABLE + 80], ".initrd", (uint32_t)strlen(initrd),
                        UKI_FIXTURE_INITRD);
    memcpy(&out[UKI_FIXTURE_KERNEL], kernel, strlen(kernel));
    memcpy(&out[UKI_FIXTURE_INITRD], initrd, strlen(initrd));
}

#endif
