/* Fetches an invoice's PDF from the URL that Stripe gives. Whoever has that URL can read it,
 * without a login, so it is not given away; and it redirects to other hosts. So each hop is judged
 * anew: https only, to public addresses only, at most HOPS_MAX of them, and never with our key.
 * What comes must begin as a PDF does, and is cut off past the limit.
 *
 *      START --> ASKING --3xx--> ASKING --200--> STREAMING --> done
 *
 * A sandbox on this machine has plain http: allow_loopback lets it, to loopback addresses alone. */
#ifndef METERLINE_API_PDF_FETCH_H
#define METERLINE_API_PDF_FETCH_H

#include "common/err.h"
#include "common/http/http_client.h"

#include <stdbool.h>
#include <stddef.h>

struct pdf_fetch;

struct pdf_rules {
    bool allow_loopback;
    size_t max_bytes;
    uint64_t timeout_ms; /* of each hop */
};

struct pdf_events {
    /* Bytes of the PDF, in order. HTTP_PAUSED: they come again after pdf_fetch_resume. */
    enum http_taken (*on_data)(void *owner, const char *data, size_t length);
    /* Exactly once, from the loop, unless it was canceled. error NULL: all of it came. ERR_INPUT:
     * the URL, a redirect or what came is not allowed; ERR_REFUSED: another status than 200. */
    void (*done)(void *owner, const struct err *error);
    void *owner;
};

/* url: copied. client: borrowed; the body is not held by it. NULL with e (ERR_INPUT): the URL is
 * not allowed, and nothing was begun. */
struct pdf_fetch *pdf_fetch_start(struct http_client *client, const char *url,
                                  const struct pdf_rules *rules, struct pdf_events events,
                                  struct err *e);
void pdf_fetch_resume(struct pdf_fetch *f);
/* done is not called any more. Not from inside on_data. */
void pdf_fetch_cancel(struct pdf_fetch *f);

#endif
