#include "provisioning/pxe/arch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

#define NONE PROVISION_BOOT_NONE

/* 9 is "EBC" in IANA's list, but what firmware for x64 sends that followed RFC 4578's order. */
static const struct provision_arch archs[] = {
    {0, false, "x64-bios", "BIOS", PROVISION_BOOT_BIOS},
    {6, false, "ia32-uefi", "UEFI PXE on 32-bit x86", NONE},
    {7, false, "x64-uefi-pxe", "UEFI PXE", PROVISION_BOOT_UEFI_PXE},
    {9, false, "x64-uefi-pxe", "UEFI PXE", PROVISION_BOOT_UEFI_PXE},
    {10, false, "arm32-uefi", "UEFI PXE on 32-bit Arm", NONE},
    {11, false, "arm64-uefi", "UEFI PXE on aarch64", NONE},
    {15, true, "ia32-uefi-http", "UEFI HTTP boot on 32-bit x86", NONE},
    {16, true, "x64-uefi-http", "UEFI HTTP boot", PROVISION_BOOT_UEFI_HTTP},
    {18, true, "arm32-uefi-http", "UEFI HTTP boot on 32-bit Arm", NONE},
    {19, true, "arm64-uefi-http", "UEFI HTTP boot on aarch64", NONE},
    {20, true, "x64-bios-http", "HTTP boot of a BIOS", NONE},
    {22, false, "arm64-uboot", "U-Boot on aarch64", NONE},
    {24, true, "arm64-uboot-http", "HTTP boot by U-Boot on aarch64", NONE},
    {25, false, "riscv32-uefi", "UEFI PXE on 32-bit RISC-V", NONE},
    {26, true, "riscv32-uefi-http", "UEFI HTTP boot on 32-bit RISC-V", NONE},
    {27, false, "riscv64-uefi", "UEFI PXE on RISC-V", NONE},
    {28, true, "riscv64-uefi-http", "UEFI HTTP boot on RISC-V", NONE},
    {37, false, "loong32-uefi", "UEFI PXE on 32-bit LoongArch", NONE},
    {39, false, "loong64-uefi", "UEFI PXE on LoongArch", NONE},
    {40, true, "loong64-uefi-http", "UEFI HTTP boot on LoongArch", NONE},
    {41, false, "arm64-rpi", "the boot ROM of a Raspberry Pi", NONE},
};

static const struct provision_arch unknown_pxe = {-1, false, "other", "this architecture", NONE};
static const struct provision_arch unknown_http = {-1, true, "other", "this kind of HTTP boot",
                                                   NONE};

const struct provision_arch *provision_arch_find(int number, bool is_http)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(archs); i++) {
        if (archs[i].number == number && archs[i].is_http == is_http) {
            return &archs[i];
        }
    }
    return is_http ? &unknown_http : &unknown_pxe;
}

const struct provision_arch *provision_arch_of_ipxe(const char *buildarch, const char *platform)
{
    static const struct {
        const char *buildarch;
        const char *platform;
        int number;
    } words[] = {
        /* iPXE for a BIOS is 32-bit code, whatever the processor; the kernel finds out. */
        {"i386", "pcbios", 0},  {"x86_64", "pcbios", 0}, {"i386", "efi", 6},
        {"x86_64", "efi", 7},   {"arm32", "efi", 10},    {"arm64", "efi", 11},
        {"riscv32", "efi", 25}, {"riscv64", "efi", 27},  {"loong64", "efi", 39},
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(words); i++) {
        if (strcmp(words[i].buildarch, buildarch) == 0 &&
            strcmp(words[i].platform, platform) == 0) {
            return provision_arch_find(words[i].number, false);
        }
    }
    return &unknown_pxe;
}

const struct provision_arch *provision_arch_of_word(const char *word)
{
    if (word[0] == '\0') {
        return provision_arch_find(7, false);
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(archs); i++) {
        if (strcmp(archs[i].word, word) == 0) {
            return &archs[i];
        }
    }
    return &unknown_pxe;
}

void provision_arch_put(const struct provision_arch *arch, char *out, size_t out_size)
{
    assert(strlen(arch->word) < out_size);
    memcpy(out, arch->word, strlen(arch->word) + 1);
}

const char *provision_arch_refusal(const struct provision_arch *arch, char *out, size_t out_size)
{
    char number[32] = "";

    assert(arch->path == PROVISION_BOOT_NONE);
    if (arch->number >= 0) {
        (void)snprintf(number, sizeof(number), " (architecture %d)", arch->number);
    }
    if (strstr(arch->name, "aarch64") != NULL) {
        (void)snprintf(out, out_size, "%s%s: no image for aarch64 exists yet", arch->name, number);
    } else {
        (void)snprintf(out, out_size, "%s%s has no image: only x86-64 has", arch->name, number);
    }
    return out;
}
