/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes valid inputs for every fuzz target, for the fuzzer to begin with:
 * usage: fuzz_seeds DIRECTORY, where each target gets a folder.
 */
#include "seeds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/buf.h"
#include "fuzz.h"

static const char *directory;
static unsigned number;

void seed_write(const char *target, const void *data, size_t size) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory, target);
    LASH_ASSERT(mkdir(path, 0777) == 0 || errno == EEXIST);
    (void)snprintf(path, sizeof path, "%s/%s/seed-%03u", directory, target, number++);
    FILE *file = fopen(path, "wbe");
    LASH_ASSERT(file);
    LASH_ASSERT(size == 0 || fwrite(data, size, 1, file) == 1);
    LASH_ASSERT(fclose(file) == 0);
}

void seed_write_behind(const char *target, const uint8_t *head, size_t head_size, const void *data, size_t size) {
    uint8_t *bytes = mem_alloc(head_size + size + 1);
    LASH_ASSERT(bytes);
    memcpy(bytes, head, head_size);
    if (size > 0)
        memcpy(bytes + head_size, data, size);
    seed_write(target, bytes, head_size + size);
    mem_free(bytes);
}

/* ---- Texts --------------------------------------------------------------------------------------- */

static void seed_texts(void) {
    static const struct {
        uint8_t kind;
        const char *text;
    } texts[] = {
        {0, "http://127.0.0.1:2379"},
        {0, " http://[::1]:65535 "},
        {0, "http://localhost:1"},
        {0, "https://a.example:2380"},
        {0, "http://host_name-1.example:2380/path"},
        {1, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"},
        {1, "GET /version?x=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
        {1, "POST / HTTP/1.1\r\nContent-Length: 4\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {2, "100m"},
        {2, "99999999H"},
        {2, "application/grpc+proto"},
        {2, "etcdserver: 100 % \xc3\xa4\n"},
        {3, "value(\"key\") = \"v\\x41\\u00e4\\101\\n\""},
        {3, "mod(\"key\") > \"0\""},
        {3, "create(\"k\\\"\") != \"12\""},
        {3, "lease(\"k\") < \"7f\""},
        {3, "put \"a b\" 'c d' --prev-kv"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        seed_write_behind("text", &texts[i].kind, 1, texts[i].text, strlen(texts[i].text));
}

static void seed_flags(void) {
    static const char two_members[] =
        "-name\nn2\n--initial-advertise-peer-urls=http://127.0.0.1:12380\n--listen-peer-urls=http://127.0.0.1:12380\n"
        "--initial-cluster=n1=http://127.0.0.1:2380,n2=http://127.0.0.1:12380\n--initial-cluster-token=tok\n";
    static const char *const lines[] = {
        "--name=n1\n--data-dir=d\n",
        two_members,
        "--listen-client-urls=http://127.0.0.1:1,http://[::1]:1\n--advertise-client-urls=http://localhost:1\n",
        "--heartbeat-interval=50\n--election-timeout=500\n--log-level=debug\n--initial-cluster-state=existing\n",
        "--max-txn-ops=7\n--max-request-bytes=1024\n--version\n",
        "--help\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        seed_write("flags", lines[i], strlen(lines[i]));
}

static void seed_histories(void) {
#define LINE(client, op, rest) "{\"client\":" client ",\"op\":\"" op "\",\"start_ns\":1,\"end_ns\":9," rest "}\n"
    static const char put_get[] = LINE("1", "put", "\"key\":\"a\",\"value\":\"x\",\"outcome\":\"ok\",\"revision\":2")
        LINE("2", "get", "\"key\":\"a\",\"value\":\"x\",\"outcome\":\"ok\"");
    static const char absent[] = LINE("1", "get", "\"key\":\"a\",\"value\":null,\"outcome\":\"ok\"") "\n" LINE(
        "2", "get", "\"key\":\"b\",\"outcome\":\"unknown\"");
    static const char cas[] =
        LINE("1", "cas", "\"key\":\"a\",\"expected\":null,\"value\":\"y\",\"swapped\":true,\"outcome\":\"ok\"")
            LINE("2", "cas",
                 "\"key\":\"a\",\"expected\":\"x\",\"value\":\"z\",\"seen\":\"y\",\"swapped\":false,\"outcome\":\"ok\"")
                LINE("3", "put", "\"key\":\"a\",\"value\":\"w\",\"outcome\":\"fail\"");
    static const char txn[] =
        LINE("1", "txn",
             "\"compare\":[{\"key\":\"a\",\"range_end\":\"c\",\"target\":\"version\",\"result\":\"<\",\"value\":1}],"
             "\"success\":[{\"op\":\"put\",\"key\":\"a\",\"value\":\"x\"},{\"op\":\"delete\",\"key\":\"b\"},"
             "{\"op\":\"txn\",\"compare\":[],\"success\":[],\"failure\":[]}],\"failure\":[],\"succeeded\":true,"
             "\"answers\":[{},{\"deleted\":0},{\"succeeded\":true,\"answers\":[]}],\"outcome\":\"ok\",\"revision\":2")
            LINE("2", "range",
                 "\"key\":\"a\",\"range_end\":\"\\u0000\",\"at\":2,\"limit\":1,\"kvs\":[{\"key\":\"a\",\"value\":\"x\","
                 "\"create\":2,\"mod\":2,\"version\":1}],\"count\":1,\"outcome\":\"ok\",\"revision\":2")
                LINE("3", "delete", "\"key\":\"a\",\"range_end\":\"b\",\"outcome\":\"unknown\"");
#undef LINE
    seed_write("history", txn, strlen(txn));
    seed_write("history", put_get, strlen(put_get));
    seed_write("history", absent, strlen(absent));
    seed_write("history", cas, strlen(cas));
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "usage: fuzz_seeds DIRECTORY\n");
        return 2;
    }
    directory = argv[1];
    LASH_ASSERT(mkdir(directory, 0777) == 0 || errno == EEXIST);
    seed_texts();
    seed_flags();
    seed_histories();
    seed_storage();
    seed_peers();
    seed_requests();
    return 0;
}
