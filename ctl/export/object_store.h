/* Objects in a store that speaks S3 (AWS, MinIO, Ceph, R2 and others), one after the other, over
 * blocking calls of libcurl. The address names bucket and folder in its path, which every one of
 * them understands. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html,
 * API_CreateMultipartUpload.html */
#ifndef METERLINE_CTL_OBJECT_STORE_H
#define METERLINE_CTL_OBJECT_STORE_H

#include "common/err.h"
#include "common/sigv4.h"

#include <stddef.h>
#include <stdint.h>

struct object_store;

struct object_store_config {
    const char *url; /* "https://s3.eu-central-1.amazonaws.com/bucket/folder" */
    const char *region;
    const char *key_id;
    const char *secret;
    size_t part_bytes; /* what is longer goes in parts of this size */
};

/* A check for settings: an address of that shape. */
int object_store_check_url(const char *text, struct err *e);

/* The config is borrowed until the store is closed. */
struct object_store *object_store_open(const struct object_store_config *config);
void object_store_close(struct object_store *s);

struct object_sum {
    int64_t bytes;
    char sha256[SIGV4_HASH_SIZE];
};

/* One object at a time: begin, any number of writes, and end, after which it is there whole, in
 * place of one that had its name. After a failure, and for what is not ended, it is not there, and
 * object_cancel must be called. name: of letters, digits, "-", ".", "/" and "_"; borrowed until
 * then. At most one part is held in memory. Calls that failed in a way that may pass are repeated.
 */
void object_begin(struct object_store *s, const char *name, const char *content_type);
int object_write(struct object_store *s, const char *data, size_t length, struct err *e);
int object_end(struct object_store *s, struct object_sum *sum, struct err *e);
void object_cancel(struct object_store *s);

#endif
