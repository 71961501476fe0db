/* node/init/system/boot_facts.h - what this boot is: its id and number, how the machine came
 * up, and the words of the kernel command line.
 *
 * Memory: plain structs.  Threads: PID 1's.  Blocks: sysfs, efivarfs, the disk.
 * Trust: command line and EFI variables can be set by whoever boots the machine: hints,
 * bounded, never secrets. */
#ifndef RAY_NODE_INIT_SYSTEM_BOOT_FACTS_H
#define RAY_NODE_INIT_SYSTEM_BOOT_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "node/init/system/crash.h"
#include "node/init/system/data_disk.h"
#include "node/init/system/netlink.h"

enum {
    INIT_CMDLINE_SIZE_MAX = 4096,
    INIT_CMDLINE_WORD_COUNT_MAX = 128,
};

#define INIT_BOOT_COUNTER_FILE "log/boot-counter"
#define INIT_BOOT_FACTS_FILE "run/rayos/boot.json"

/* The kernel command line as the kernel itself splits it: white space outside double
 * quotes; "key=value" or "key"; quotes around the value are dropped. */
struct init_cmdline {
    char text[INIT_CMDLINE_SIZE_MAX];
    struct {
        const char *key;   /* into text */
        const char *value; /* into text; NULL for a bare word */
    } words[INIT_CMDLINE_WORD_COUNT_MAX];
    size_t count; /* further words are ignored */
};

/* Pure; RAY_ETOOBIG above INIT_CMDLINE_SIZE_MAX - 1. Note: words point into *out, which
 * must not be copied. */
int init_cmdline_parse(const char *text, size_t size, struct init_cmdline *out,
                       struct ray_err *err);
int init_cmdline_load(int root_fd, struct init_cmdline *out, struct ray_err *err);
/* The last value of `key`; "" for a bare word; NULL when absent. '-' and '_' are equal. */
const char *init_cmdline_value(const struct init_cmdline *cmdline, const char *key);
/* As above for 0/1/no/yes/off/on; a bare word is true. */
bool init_cmdline_flag(const struct init_cmdline *cmdline, const char *key, bool fallback);

enum init_boot_path {
    INIT_BOOT_PATH_UNKNOWN,
    INIT_BOOT_PATH_PXE, /* over the network: PXE, iPXE or HTTP */
    INIT_BOOT_PATH_DISK,
    INIT_BOOT_PATH_DIRECT, /* kernel given by a hypervisor */
};
const char *init_boot_path_word(enum init_boot_path path); /* "pxe", ... */

struct init_boot_facts {
    char boot_id[INIT_BOOT_ID_SIZE];
    uint64_t boot_counter; /* 1 at the first boot; 0: not known (no data disk) */
    char image_version[64];
    int64_t image_built_s; /* 0: unknown */
    bool is_uefi;
    bool has_secure_boot;
    enum init_boot_path path;
    char loader_info[64]; /* LoaderInfo or StubInfo, "" when none */
    bool has_boot_mac;
    uint8_t boot_mac[INIT_MAC_SIZE]; /* BOOTIF= or iBFT */
    char machine_serial[64];         /* of SMBIOS, escaped; only root can read them in sysfs */
    char machine_uuid[64];
    char clocksource[32];
    bool is_clocksource_fit;
    char kernel[80];
};

/* All but boot_counter. efivarfs should be mounted; nothing here is needed to boot, so
 * what cannot be read stays unknown. */
void init_boot_facts_load(int root_fd, const struct init_cmdline *cmdline,
                          struct init_boot_facts *out);
/* Adds one to the counter on the data folder and sets boot_counter. */
int init_boot_facts_count(int data_fd, struct init_boot_facts *facts, struct ray_err *err);
/* Writes run/rayos/boot.json (see docs/reference/boot-facts.md). */
int init_boot_facts_publish(int root_fd, const struct init_boot_facts *facts,
                            const struct init_data *data, struct ray_err *err);

#endif
