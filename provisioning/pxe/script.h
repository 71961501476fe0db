/* provisioning/pxe/script.h - the iPXE scripts that bring a machine from TFTP to the image.
 *
 * They carry no secret and no identity: MAC and the facts of a machine are hints that it sent
 * itself, and nothing of them is put into a script but the MAC.
 * Memory: appends to the caller's buffer.  Threads: any.  Blocks: never.
 * Trust: the machine's parameters come from the network; what is not of the expected form is
 * refused. Texts that are shown pass provision_script_text. */
#ifndef RAY_PROVISIONING_PXE_SCRIPT_H
#define RAY_PROVISIONING_PXE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "provisioning/machines/record.h"
#include "provisioning/pxe/address.h"
#include "provisioning/pxe/arch.h"

enum { PROVISION_SCRIPT_SIZE_MAX = 8192, PROVISION_SCRIPT_TEXT_SIZE = 161 };

/* Where scripts and images are. */
struct provision_server_address {
    uint32_t ip;
    uint16_t http_port;
};

/* What iPXE says of its machine. */
struct provision_machine {
    struct provision_mac mac;
    const struct provision_arch *arch;
    struct provision_record_facts facts; /* arch and SMBIOS */
};

/* The query parameter of a name, or NULL. */
typedef const char *provision_query_fn(void *arg, const char *name);

/* mac, arch and platform must be there; uuid may be empty or missing; serial, vendor and product
 * may be missing and are hexadecimal digits, because SMBIOS holds any bytes. RAY_EMALFORMED
 * names the parameter. */
int provision_machine_parse(provision_query_fn *query, void *arg, struct provision_machine *out,
                            struct ray_err *err);

/* autoexec.ipxe: opens the network card that iPXE came from and asks for its script, 20 times. */
int provision_script_autoexec(struct ray_buf *out, const struct provision_server_address *server,
                              struct ray_err *err);

struct provision_script_image {
    const char *id; /* of the store: 64 hexadecimal digits */
    const char *version;
    const char *command_line; /* of the kernel */
    const char *arguments;    /* after it; "" */
};

/* The script of one machine: fetches the UKI (UEFI) or kernel and initramfs (BIOS) with retries
 * and starts them. The image's own command line is repeated, because the options that iPXE
 * gives to an EFI program (always at least its name) take the place of the embedded one;
 * BOOTIF tells the node which card it was, rayos.boot where to say hello, rayos.image what of. */
int provision_script_boot(struct ray_buf *out, const struct provision_server_address *server,
                          const struct provision_machine *machine,
                          const struct provision_script_image *image, struct ray_err *err);

/* Shows why, and asks again every 30 s. */
int provision_script_hold(struct ray_buf *out, const struct provision_server_address *server,
                          const char *reason, struct ray_err *err);

/* Hands over to the machine's own disk: the firmware's next entry, or (BIOS) the first disk. */
int provision_script_local_disk(struct ray_buf *out, enum provision_boot_path path,
                                struct ray_err *err);

/* For a machine that no image fits: says so and gives up. */
int provision_script_refusal(struct ray_buf *out, const char *reason, struct ray_err *err);

/* A text that can stand behind `echo`: letters, digits and .,:_/+()- and spaces; others become a
 * blank. Returns `out`. */
const char *provision_script_text(const char *text, char out[static PROVISION_SCRIPT_TEXT_SIZE]);

#endif
