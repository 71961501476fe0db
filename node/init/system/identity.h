/* node/init/system/identity.h - who this node is: Ed25519 key, fingerprint, name.
 *
 * Files below the data folder: identity/node.key (64 bytes, 0600, Ed25519 secret key as
 * libsodium lays it out), identity/node.pub (32 bytes), identity/name.
 * Memory: the secret is held only while it is checked and is wiped.  Threads: PID 1's.
 * Blocks: on the disk.  Trust: a key file that is not a whole, matching key pair is never
 * used and never overwritten: it is renamed to identity/node.key.damaged, and the node runs
 * on a key for this boot only (below /run/rayos/identity) with state
 * INIT_IDENTITY_DAMAGED. As long as that file is there and no good node.key, every boot
 * says so again: a person decides, by putting the key back or by removing the damaged
 * file, after which a new identity is made. */
#ifndef RAY_NODE_INIT_SYSTEM_IDENTITY_H
#define RAY_NODE_INIT_SYSTEM_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/words.h"

enum {
    INIT_IDENTITY_KEY_SIZE = 32,
    INIT_IDENTITY_NAME_SIZE_MAX = 33, /* with NUL */
};

enum init_identity_state {
    INIT_IDENTITY_LOADED,
    INIT_IDENTITY_CREATED,
    INIT_IDENTITY_DAMAGED, /* see above; `reason` says what was wrong */
};

struct init_identity {
    enum init_identity_state state;
    bool is_persistent; /* the key survives a reboot */
    uint8_t public_key[INIT_IDENTITY_KEY_SIZE];
    uint8_t fingerprint[32]; /* BLAKE2b-256 of the public key */
    char fingerprint_hex[65];
    char words[RAY_WORDS_TEXT_SIZE]; /* joined by '-' */
    char name[INIT_IDENTITY_NAME_SIZE_MAX];
    const char *key_folder; /* "/var/rayos/identity" or "/run/rayos/identity" */
    char reason[160];       /* what is wrong with the key file, or was not stored; else "" */
};

/* Whether a name is [a-z0-9-]{1,32}, not beginning or ending with '-'. */
bool init_identity_is_name(const char *name);

/* Loads or makes the key in the data folder `data_fd` (disk or RAM). `name_hint` may be
 * NULL or no valid name (then ignored; without one the stored name holds, else
 * n-<8 hex digits>). Needs key-grade randomness (entropy.h) before. */
int init_identity_open(int root_fd, int data_fd, bool is_disk, const char *name_hint,
                       struct init_identity *out, struct ray_err *err);

/* Sets the hostname, writes etc/hostname, etc/machine-id (derived from the public key,
 * not equal to anything that identifies the node elsewhere) and run/rayos/identity.json
 * below `root_fd`. `sets_hostname` false in tests. */
int init_identity_publish(const struct init_identity *identity, int root_fd, bool sets_hostname,
                          struct ray_err *err);

#endif
