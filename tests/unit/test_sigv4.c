/* sigv4: the signatures that AWS publishes, to the letter: of the examples for S3, and of the test
 * suite's get-vanilla. */
#include "common/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define EMPTY   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define S3_HOST "examplebucket.s3.amazonaws.com"
#define S3_TIME "20130524T000000Z"

static void assert_signature(const struct sigv4_request *r, const char *wanted)
{
    struct buf out = {0};
    sigv4_authorize(r, &out);
    const char *found = strstr(out.data, "Signature=");
    assert_non_null(found);
    assert_string_equal(found + strlen("Signature="), wanted);
    buf_done(&out);
}

static struct sigv4_request s3(const char *method, const char *path, const char *query,
                               const struct sigv4_header *headers, const char *hash)
{
    return (struct sigv4_request){.method = method,
                                  .path = path,
                                  .query = query,
                                  .headers = headers,
                                  .payload_hash = hash,
                                  .region = "us-east-1",
                                  .service = "s3",
                                  .key_id = "AKIAIOSFODNN7EXAMPLE",
                                  .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                  .time = S3_TIME};
}

/* docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
static void examples_of_s3(void **state)
{
    (void)state;
    static const struct sigv4_header GET[] = {{"host", S3_HOST},
                                              {"range", "bytes=0-9"},
                                              {"x-amz-content-sha256", EMPTY},
                                              {"x-amz-date", S3_TIME},
                                              {NULL, NULL}};
    static const struct sigv4_header LIST[] = {
        {"host", S3_HOST}, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", S3_TIME}, {NULL, NULL}};
    static const char BODY[] = "Welcome to Amazon S3.";
    char hash[SIGV4_HASH_SIZE];
    sigv4_hash(BODY, strlen(BODY), hash);
    const struct sigv4_header put[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                       {"host", S3_HOST},
                                       {"x-amz-content-sha256", hash},
                                       {"x-amz-date", S3_TIME},
                                       {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                                       {NULL, NULL}};
    struct sigv4_request r = s3("GET", "/test.txt", "", GET, EMPTY);
    assert_signature(&r, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    r = s3("PUT", "/test%24file.text", "", put, hash);
    assert_signature(&r, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    r = s3("GET", "/", "lifecycle=", LIST, EMPTY);
    assert_signature(&r, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    r = s3("GET", "/", "max-keys=2&prefix=J", LIST, EMPTY);
    assert_signature(&r, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* The suite that AWS publishes for those who write a signer. */
static void get_vanilla(void **state)
{
    (void)state;
    static const struct sigv4_header HEADERS[] = {
        {"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}, {NULL, NULL}};
    struct sigv4_request r = {.method = "GET",
                              .path = "/",
                              .query = "",
                              .headers = HEADERS,
                              .payload_hash = EMPTY,
                              .region = "us-east-1",
                              .service = "service",
                              .key_id = "AKIDEXAMPLE",
                              .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                              .time = "20150830T123600Z"};
    struct buf out = {0};
    assert_signature(&r, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    r.query = "Param1=value1&Param2=value2";
    assert_signature(&r, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    sigv4_authorize(&r, &out);
    assert_non_null(strstr(out.data,
                           "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
                           "SignedHeaders=host;x-amz-date,"));
    assert_null(strstr(out.data, r.secret));
    buf_done(&out);
}

static void times_and_letters(void **state)
{
    (void)state;
    char time[SIGV4_TIME_SIZE];
    struct buf out = {0};
    sigv4_time(1440938160, time);
    assert_string_equal(time, "20150830T123600Z");
    sigv4_encode(&out, "a-Z_0.~ /+=&%\xc3\xa9");
    assert_string_equal(out.data, "a-Z_0.~%20%2F%2B%3D%26%25%C3%A9");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples_of_s3),
                                       cmocka_unit_test(get_vanilla),
                                       cmocka_unit_test(times_and_letters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
