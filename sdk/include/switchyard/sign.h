/* sign.h - host extension "swy.sign/1": signatures made with a credential that the plugin never
 * sees.
 *
 * The plugin says what is to be signed and how; the host does it with the credential that is pinned
 * to the operation. A slot is "" for the credential's key, or a JSON pointer into a key that is a
 * JSON document ("/private_key"). Get the table with host->ext(host, SWY_SIGN_EXT). */
#ifndef SWITCHYARD_SIGN_H
#define SWITCHYARD_SIGN_H

#include "plugin.h"
#include "provider.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SWY_SIGN_EXT "swy.sign/1"

#define SWY_HASH_SHA1 1u
#define SWY_HASH_SHA256 2u
#define SWY_HASH_SHA512 3u
#define SWY_DIGEST_MAX 64u

#define SWY_ALG_RS256 1u /* RSASSA-PKCS1-v1_5 with SHA-256; the slot holds a PEM private key */
#define SWY_ALG_PS256 2u
#define SWY_ALG_ES256 3u /* r and s, 32 bytes each, as JWS wants them */

/* Each key but the first is the lower-case hex text of the MAC before it, not its bytes. */
#define SWY_HMAC_HEX_STEPS 1u

/* A chain of MACs: k0 = prefix + secret, k[i+1] = HMAC(k[i], step[i]). The last one is handed back.
 */
typedef struct swy_hmac {
  uint32_t size, flags; /* SWY_HMAC_* */
  uint32_t hash, nstep; /* SWY_HASH_*; nstep at least 1, at most 16 */
  swy_str slot, prefix;
  const swy_str* step;
} swy_hmac;

typedef struct swy_sign {
  uint32_t size, minor;

  /* Digest of data. digest receives *n bytes, and has room for SWY_DIGEST_MAX. [any] */
  swy_rc(SWY_CALL* digest)(uint32_t hash, swy_str data, uint8_t* digest, uint32_t* n);

  /* The last MAC of a chain. out: as given to the running op_step. mac as digest above.
   * SWY_E_ARG: no such slot, or the instance has no credential. [op, inside op_step] */
  swy_rc(SWY_CALL* hmac)(const swy_out* out, const swy_hmac* chain, uint8_t* mac, uint32_t* n);

  /* A signature over data. sig: room for *n bytes, receives *n bytes; SWY_E_LIMIT where that is too
   * little. SWY_E_ARG as above, or the slot holds no key of that kind. Takes up to a millisecond:
   * keep what it gives as long as it is valid. [op, inside op_step] */
  swy_rc(SWY_CALL* sign)(const swy_out* out, uint32_t alg, swy_str slot, swy_str data, uint8_t* sig,
                         uint32_t* n);
} swy_sign;

#ifdef __cplusplus
}
#endif
#endif
