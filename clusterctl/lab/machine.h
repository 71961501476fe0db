/* clusterctl/lab/machine.h - one machine of a lab as a QEMU command line. Pure: the same
 * spec gives the same arguments, nothing is opened or started here.
 *
 * QEMU runs with the machine's folder as working directory, so all names below it are
 * relative (and Unix socket paths stay short), and gets three connected sockets as
 * descriptors: no socket files to race for, and the end of QEMU is an end of file.
 * Memory: the argument list is the caller's.  Threads: any.  Blocks: never.
 * Trust: file names are ours; commas in them are doubled, as QEMU wants. */
#ifndef RAY_CLUSTERCTL_LAB_MACHINE_H
#define RAY_CLUSTERCTL_LAB_MACHINE_H

#include "base/err.h"
#include "clusterctl/lab/argv.h"
#include "clusterctl/lab/config.h"

/* Descriptor numbers in QEMU. */
enum { LAB_MACHINE_FD_CONSOLE = 3, LAB_MACHINE_FD_MARKER = 4, LAB_MACHINE_FD_QMP = 5 };

/* Names in the machine's folder. */
#define LAB_MACHINE_CONSOLE_LOG "console.log"
#define LAB_MACHINE_MARKER_LOG "marker.log"
#define LAB_MACHINE_QEMU_LOG "qemu.log"
#define LAB_MACHINE_DATA "data.img"
#define LAB_MACHINE_VARS "vars.fd"
#define LAB_MACHINE_TEST_SOCKET "test.sock"
#define LAB_MACHINE_SMBIOS_DIR "smbios"

#define LAB_QEMU_PATH "/usr/bin/qemu-system-x86_64"
#define LAB_OVMF_CODE "/usr/share/OVMF/OVMF_CODE_4M.fd"
#define LAB_OVMF_VARS "/usr/share/OVMF/OVMF_VARS_4M.fd"

/* The strings that the firmware tables (SMBIOS type 11) carry: one file each, named after
 * the credential, in the machine's folder smbios/. */
enum { LAB_CREDENTIAL_COUNT_MAX = 16 };

struct lab_machine_spec {
    const struct lab_config *config;
    size_t index;                   /* of the machine, from 0 */
    const char *const *accel_args;  /* "-accel", ..., ends with NULL (accel.h) */
    const char *kernel_cmdline;     /* direct boot only */
    const char *const *credentials; /* file names below smbios/ */
    size_t credential_count;
};

int lab_machine_argv(const struct lab_machine_spec *spec, struct lab_argv *out,
                     struct ray_err *err);

#endif
