/* AWS Signature Version 4, by which object stores know who asks. Pure.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 *
 * libcurl can sign by itself (CURLOPT_AWS_SIGV4), but how it reads a query differs by version:
 * Debian 12's 7.88 signs "?uploads", which begins a multipart upload, without the "=" that has to
 * follow, and sends no x-amz-content-sha256 of its own. So requests are signed here and only sent
 * by it.
 */
#ifndef METERLINE_SIGV4_H
#define METERLINE_SIGV4_H

#include "common/str.h"

#include <stddef.h>
#include <stdint.h>

enum { SIGV4_HASH_SIZE = 65, SIGV4_TIME_SIZE = 17 };

struct sigv4_header {
    const char *name;  /* in small letters; NULL ends them */
    const char *value; /* without spaces at its ends */
};

struct sigv4_request {
    const char *method;
    const char *path;  /* as it is sent, percent-encoded */
    const char *query; /* as it is sent: names sorted, encoded, each with its "="; "" */
    const struct sigv4_header
        *headers;             /* all that are signed, sorted by name: host, x-amz-date, … */
    const char *payload_hash; /* sigv4_hash of the body */
    const char *region;       /* "us-east-1" */
    const char *service;      /* "s3" */
    const char *key_id;
    const char *secret;
    const char *time; /* sigv4_time */
};

/* SHA-256 in hexadecimal. */
void sigv4_hash(const void *data, size_t length, char out[SIGV4_HASH_SIZE]);

/* "20130524T000000Z", the value of x-amz-date. */
void sigv4_time(int64_t unix_s, char out[SIGV4_TIME_SIZE]);

/* Appends the value of the header Authorization. */
void sigv4_authorize(const struct sigv4_request *r, struct buf *out);

/* Appends text percent-encoded as the signature wants it: all but A-Z a-z 0-9 - . _ ~. */
void sigv4_encode(struct buf *out, const char *text);

#endif
