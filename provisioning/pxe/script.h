/* provisioning/pxe/script.h - the iPXE scripts that bring a machine from TFTP to the image.
 *
 * They carry no secret and no identity: MAC and UUID are hints that the machine itself sent.
 * Memory: appends to the caller's buffer.  Threads: any.  Blocks: never.
 * Trust: the machine's parameters come from the network; what is not of the expected form is
 * refused, and nothing of them is put into a script but the MAC. */
#ifndef RAY_PROVISIONING_PXE_SCRIPT_H
#define RAY_PROVISIONING_PXE_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "provisioning/pxe/address.h"

enum { PROVISION_SCRIPT_SIZE_MAX = 8192 };

/* What iPXE says of its machine. */
struct provision_machine {
    struct provision_mac mac;
    char uuid[37];  /* lower case; "" when it has none */
    bool is_served; /* x86_64 and UEFI */
};

/* Texts may be NULL (not given). RAY_EMALFORMED names the parameter. */
int provision_machine_parse(const char *mac, const char *uuid, const char *arch,
                            const char *platform, struct provision_machine *out,
                            struct ray_err *err);

/* autoexec.ipxe: opens the network card that iPXE came from and goes on at http://IP:PORT. */
int provision_script_autoexec(struct ray_buf *out, uint32_t address, uint16_t http_port,
                              struct ray_err *err);

struct provision_script_image {
    const char *version;
    const char *sha256;       /* 64 hexadecimal digits */
    const char *command_line; /* of the kernel */
};

/* The script of one machine: fetches the UKI with retries and starts it. The image's own
 * command line is repeated, because the options that iPXE gives to an EFI program (always at
 * least its name) take the place of the embedded one; BOOTIF tells the node which card it was. */
int provision_script_machine(struct ray_buf *out, uint32_t address, uint16_t http_port,
                             const struct provision_machine *machine,
                             const struct provision_script_image *image, struct ray_err *err);

/* The script for a machine that has no image here: says so and gives up. */
int provision_script_refusal(struct ray_buf *out, struct ray_err *err);

#endif
