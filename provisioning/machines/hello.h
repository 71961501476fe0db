/* provisioning/machines/hello.h - what a node says of itself when it starts and when it is
 * ready: the JSON body of POST /hello.
 *
 *   {"v":1,"phase":"init|ready","mac":"..","name":"..","fingerprint":"<64 hex>","words":"..",
 *    "image":{"version":"..","digest":"<64 hex or empty>"},"boot_id":"..",
 *    "facts":{"vendor":"..","product":"..","serial":"..","uuid":"..","cpu":"..",
 *             "memory_bytes":n,"disks":n}}
 *
 * Memory: the struct is the caller's; the parser's own (12 bytes for each one read) is freed
 * before it returns.  Threads: any.  Blocks: never.
 * Trust: hostile and unauthenticated: anybody on the network can send one. A hello is a hint
 * for people and for counting tries; nothing is permitted by it. */
#ifndef RAY_PROVISIONING_MACHINES_HELLO_H
#define RAY_PROVISIONING_MACHINES_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/words.h"
#include "provisioning/pxe/address.h"

enum {
    PROVISION_HELLO_SIZE_MAX = 16384,
    PROVISION_HELLO_VERSION = 1,
    PROVISION_HELLO_NAME_SIZE = 33,        /* [a-z0-9-]{1,32} */
    PROVISION_HELLO_FINGERPRINT_SIZE = 65, /* 64 hexadecimal digits */
    PROVISION_HELLO_WORDS_SIZE = RAY_WORDS_TEXT_SIZE,
    PROVISION_HELLO_BOOT_ID_SIZE = 37, /* a UUID as the kernel writes it */
    PROVISION_HELLO_TEXT_SIZE = 96,    /* version */
    PROVISION_HELLO_HINT_SIZE = 65,    /* facts are cut to this */
    PROVISION_HELLO_DISK_COUNT_MAX = 4096,
};

enum provision_hello_phase { PROVISION_HELLO_INIT, PROVISION_HELLO_READY };

struct provision_hello {
    enum provision_hello_phase phase;
    struct provision_mac mac;
    char name[PROVISION_HELLO_NAME_SIZE];
    char fingerprint[PROVISION_HELLO_FINGERPRINT_SIZE]; /* lower case */
    char words[PROVISION_HELLO_WORDS_SIZE];     /* made from the fingerprint, not taken from JSON */
    char boot_id[PROVISION_HELLO_BOOT_ID_SIZE]; /* lower case */
    char image_version[PROVISION_HELLO_TEXT_SIZE];
    char image_digest[PROVISION_HELLO_FINGERPRINT_SIZE]; /* lower case; "" not known */
    char vendor[PROVISION_HELLO_HINT_SIZE];              /* facts: printable ASCII, "" unknown */
    char product[PROVISION_HELLO_HINT_SIZE];
    char serial[PROVISION_HELLO_HINT_SIZE];
    char uuid[PROVISION_HELLO_HINT_SIZE];
    char cpu[PROVISION_HELLO_HINT_SIZE];
    uint64_t memory_bytes;
    uint32_t disk_count;
};

/* RAY_ETOOBIG above PROVISION_HELLO_SIZE_MAX; RAY_EMALFORMED names the field that is missing or
 * wrong; RAY_EUNSUPPORTED for another version; RAY_ENOMEM. Unknown fields are ignored, `facts` and
 * each of its fields may be missing. */
int provision_hello_parse(const void *json, size_t size, struct provision_hello *out,
                          struct ray_err *err);

#endif
