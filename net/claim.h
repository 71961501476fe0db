/* net/claim.h - the one-time code of eight words that an unclaimed node shows, with which an
 * operator claims it over the network.
 *
 * The code is 64 random bits; the psk is Argon2id of it, so that whoever plays the node to an
 * operator cannot search for the code in what he then has.
 * Three tries are let begin; when the third has failed there is a new code.
 *
 * Memory: create/destroy, sodium_malloc.  Threads: one owner.
 * Blocks: a tenth of a second or so where a psk is computed (16 MiB of memory).
 * Trust: typed words are hostile. */
#ifndef RAY_NET_CLAIM_H
#define RAY_NET_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/words.h"

enum {
    RAY_CLAIM_TRIES_MAX = 3,
    RAY_CLAIM_PSK_SIZE = 32,
};

struct ray_claim;

int ray_claim_create(struct ray_claim **out_claim, struct ray_err *err);
void ray_claim_destroy(struct ray_claim *claim); /* NULL is fine */

/* The code to show, joined by '-'; borrowed until a try ends. */
const char *ray_claim_code(const struct ray_claim *claim);

/* A handshake begins; `out_psk` is for it. RAY_EUNAVAILABLE: as many are under way as tries are
 * left. Each successful begin is followed by one end. */
int ray_claim_begin(struct ray_claim *claim, uint8_t out_psk[static RAY_CLAIM_PSK_SIZE],
                    struct ray_err *err);
/* RAY_ECONFLICT when a new code was made (show it); RAY_ENOMEM: no new code could be made, and
 * begin refuses until ray_claim_renew makes one. */
int ray_claim_end(struct ray_claim *claim, bool is_proven, struct ray_err *err);
int ray_claim_renew(struct ray_claim *claim, struct ray_err *err);

/* The operator's side: what was typed. RAY_EINVAL names the word that is none. */
int ray_claim_psk(const char *code, uint8_t out_psk[static RAY_CLAIM_PSK_SIZE],
                  struct ray_err *err);

#endif
