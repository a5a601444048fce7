/* Keys of the API, as meterctl and the API make and know them: 256 random bits in text. Pure but
 * for these bits. */
#ifndef METERLINE_API_KEY_H
#define METERLINE_API_KEY_H

#define API_KEY_PREFIX   "mk_" /* a key */
#define API_TOKEN_PREFIX "pt_" /* a portal token */
enum { API_KEY_HASH_BYTES = 32, API_KEY_TEXT_SIZE = 48 };

/* A new one: prefix and 43 characters of base64 as in URLs. Show it once and forget it. */
void api_key_make(const char *prefix, char out[API_KEY_TEXT_SIZE]);

/* What is stored of it: BLAKE2b. A plain hash will do, as nobody can go through 256 random bits. */
void api_key_hash(const char *key, unsigned char out[API_KEY_HASH_BYTES]);

#endif
