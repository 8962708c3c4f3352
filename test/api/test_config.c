/* SPDX-License-Identifier: Apache-2.0
 *
 * What lashd makes of its flags and variables, and the ids, which must be etcd's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "api/ids.h"
#include "lashd/config.h"

enum { ARGUMENTS_MAX = 16 };

/* Read a command line, given as its words; `problem` is what is said about it. */
static bool read_words(struct settings *settings, const char *words, char problem[4096]) {
    char copy[2048];
    const char *argv[ARGUMENTS_MAX] = {"lashd"};
    int argc = 1;
    char *rest = NULL;
    assert_true(strlen(words) < sizeof copy);
    memcpy(copy, words, strlen(words) + 1);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        assert_true(argc < ARGUMENTS_MAX - 1);
        argv[argc++] = word;
    }
    problem[0] = '\0';
    return settings_read(settings, argc, argv, problem, 4096);
}

static bool configure(struct config *config, const char *words, char problem[4096]) {
    struct settings settings;
    bool good = read_words(&settings, words, problem) && config_make(config, &settings, problem, 4096) &&
                config_make_cluster(config, &settings, problem, 4096);
    settings_free(&settings);
    return good;
}

static void assert_wrong(const char *words, const char *why) {
    static struct config config;
    char problem[4096];
    assert_false(configure(&config, words, problem));
    assert_string_equal(problem, why);
}

static void the_defaults_are_etcds(void **state) {
    static struct config config;
    char problem[4096];
    (void)state;
    assert_true(configure(&config, "", problem));
    assert_string_equal(config.name, "default");
    assert_string_equal(config.data_dir, "default.lash");
    assert_int_equal(config.listen_client_count, 1);
    assert_string_equal(config.listen_client[0].text, "http://localhost:2379");
    assert_string_equal(config.advertise_client[0].text, "http://localhost:2379");
    assert_int_equal(config.listen_peer.port, 2380);
    assert_int_equal(config.member_count, 1);
    assert_string_equal(config.members[0].name, "default");
    assert_string_equal(config.members[0].peer.text, "http://localhost:2380");
    assert_int_equal(config.heartbeat_ms, 100);
    assert_int_equal(config.election_ms, 1000);
    assert_int_equal(config.ops_max, 128);
    assert_int_equal(config.request_bytes_max, 1572864);
    assert_int_equal(config.log_segment_bytes, 64 << 20);
    assert_false(config.existing);
    assert_int_equal(config.log_level, LASH_LOG_INFO);
    assert_true(config.member_id == UINT64_C(0x8e9e05c52164694d)); /* every lone etcd with its defaults has these */
    assert_true(config.cluster_id == UINT64_C(0xcdf818194e3a8c32));
}

static void flags_come_in_four_forms_and_the_last_one_counts(void **state) {
    static const char *const forms[] = {"--name=a", "--name a", "-name a", "-name=a", "--name=b --name=a"};
    static struct config config;
    char problem[4096];
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        assert_true(configure(&config, forms[i], problem));
        assert_string_equal(config.name, "a");
        assert_string_equal(config.data_dir, "a.lash");
        assert_string_equal(config.members[0].name, "a");
    }
}

static void help_and_version_are_flags(void **state) {
    static const struct {
        const char *words;
        bool help, version;
    } cases[] = {{"--help", true, false},    {"-h", true, false},       {"-help", true, false},
                 {"--version", false, true}, {"-version", false, true}, {"--name=a", false, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings settings;
        char problem[4096];
        assert_true(read_words(&settings, cases[i].words, problem));
        assert_int_equal(settings.help, cases[i].help);
        assert_int_equal(settings.version, cases[i].version);
        settings_free(&settings);
    }
}

static void variables_count_where_flags_do_not(void **state) {
    static struct config config;
    char problem[4096];
    (void)state;
    setenv("LASH_NAME", "from-variable", 1);
    setenv("LASH_ELECTION_TIMEOUT", "2000", 1);
    assert_true(configure(&config, "", problem));
    assert_string_equal(config.name, "from-variable");
    assert_int_equal(config.election_ms, 2000);
    assert_true(configure(&config, "--name=from-flag", problem));
    assert_string_equal(config.name, "from-flag");
    setenv("LASH_ELECTION_TIMEOUT", "soon", 1);
    assert_wrong("", "--election-timeout=soon is not a number between 1 and 50000");
    unsetenv("LASH_NAME");
    unsetenv("LASH_ELECTION_TIMEOUT");
}

#define PEERS "--initial-advertise-peer-urls=http://a:1 "

static void what_is_unknown_or_contradictory_is_one_line(void **state) {
    static const struct {
        const char *words;
        const char *why;
    } cases[] = {
        {"--nonsense", "unknown flag --nonsense; see lashd --help"},
        {"--name", "flag --name needs a value"},
        {"extra", "unexpected argument extra; see lashd --help"},
        {"--name=a=b", "--name=a=b must be 1 to 255 characters without ',' and '='"},
        {"--election-timeout=499", "--election-timeout=499 must be at least 5 times --heartbeat-interval=100"},
        {"--election-timeout=50001", "--election-timeout=50001 is not a number between 1 and 50000"},
        {"--heartbeat-interval=0", "--heartbeat-interval=0 is not a number between 1 and 50000"},
        {"--heartbeat-interval=1x", "--heartbeat-interval=1x is not a number between 1 and 50000"},
        {"--max-txn-ops=-1", "--max-txn-ops=-1 is not a number between 1 and 1000000"},
        {"--max-request-bytes=99999999999999999999",
         "--max-request-bytes=99999999999999999999 is not a number between 1 and 536870912"},
        {"--log-level=loud", "--log-level=loud is not debug, info, warn, error, panic or fatal"},
        {"--initial-cluster-state=old", "--initial-cluster-state=old is neither 'new' nor 'existing'"},
        {"--listen-client-urls=http://127.0.0.1:1",
         "--advertise-client-urls is required when --listen-client-urls is set"},
        {"--advertise-client-urls=https://a:1",
         "--advertise-client-urls: \"https://a:1\" asks for TLS, which this version does not speak: use http"},
        {"--advertise-client-urls=http://a:1,http://a:1", "--advertise-client-urls names http://a:1 twice"},
        {"--advertise-client-urls=http://a:1,", "--advertise-client-urls: \"\" is empty"},
        {"--listen-peer-urls=http://name:1", "--listen-peer-urls: http://name:1 names a host; give an IP address of "
                                             "this machine or localhost"},
        {"--listen-peer-urls=http://127.0.0.1:1,http://127.0.0.1:2",
         "--listen-peer-urls has more than 1 URL; this version takes one"},
        {"--listen-peer-urls=http://127.0.0.1:2379",
         "--listen-client-urls and --listen-peer-urls are both http://127.0.0.1:2379"},
        {PEERS "--initial-cluster=n1=http://a:1", "--initial-cluster does not name this member, --name=default"},
        {PEERS "--initial-cluster=default=http://b:1",
         "--initial-cluster has default=http://b:1, but --initial-advertise-peer-urls is http://a:1"},
        {PEERS "--initial-cluster=default=http://a:1,default=http://b:1",
         "--initial-cluster names default twice; this version takes one peer URL for each"},
        {PEERS "--initial-cluster=default=http://a:1,n2=http://a:1",
         "--initial-cluster gives default and n2 the same peer URL http://a:1"},
        {PEERS "--initial-cluster=http://a:1", "--initial-cluster: \"http://a:1\" does not have the form NAME=URL"},
        {PEERS "--initial-cluster=default=a:1", "--initial-cluster: \"a:1\" does not have the form http://HOST:PORT"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_wrong(cases[i].words, cases[i].why);
}

static void urls_are_taken_apart_or_refused(void **state) {
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        uint16_t port;
    } cases[] = {
        {"http://localhost:2379", "localhost", 2379},
        {" http://10.0.0.1:1 ", "10.0.0.1", 1},
        {"http://[::1]:65535", "::1", 65535},
        {"http://a-b.example_c:80", "a-b.example_c", 80},
        {"http://a", NULL, 0},
        {"http://a:", NULL, 0},
        {"http://:1", NULL, 0},
        {"http://a:0", NULL, 0},
        {"http://a:65536", NULL, 0},
        {"http://a:1x", NULL, 0},
        {"http://a:1/", NULL, 0},
        {"http://a:1/path", NULL, 0},
        {"http://user@a:1", NULL, 0},
        {"http://::1:1", NULL, 0},
        {"http://[::1:1", NULL, 0},
        {"http://[name]:1", NULL, 0},
        {"unix://a:1", NULL, 0},
        {"", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct url url;
        const char *wrong = url_parse(cases[i].text, strlen(cases[i].text), &url);
        assert_int_equal(wrong == NULL, cases[i].host != NULL);
        if (!wrong) {
            assert_string_equal(url.host, cases[i].host);
            assert_int_equal(url.port, cases[i].port);
        }
    }
}

/* The ids that an etcd 3.4.23 gave itself for these flags. */
static void ids_are_those_of_etcd(void **state) {
    static struct config config;
    char problem[4096];
    (void)state;
    assert_true(configure(&config,
                          "--name=n2 --initial-advertise-peer-urls=http://127.0.0.1:12380 --initial-cluster-token=tok "
                          "--initial-cluster=n1=http://127.0.0.1:11380,n2=http://127.0.0.1:12380,"
                          "n3=http://127.0.0.1:13380",
                          problem));
    assert_true(config.cluster_id == UINT64_C(3168173679274177705));
    assert_true(config.member_id == UINT64_C(15429915573580438332));
    assert_true(config.members[0].id == UINT64_C(8488112569819749567));
    assert_string_equal(config.members[0].name, "n3"); /* members are in the order of their ids */
    assert_true(config.members[1].id == UINT64_C(11401153154561710404));
    assert_string_equal(config.members[1].name, "n1");
    assert_true(configure(&config,
                          "--initial-advertise-peer-urls=http://127.0.0.1:11380 "
                          "--initial-cluster=default=http://127.0.0.1:11380",
                          problem));
    assert_true(config.cluster_id == UINT64_C(1940665961518094200));
    assert_true(config.member_id == UINT64_C(4883755753530146457));
}

static void a_url_with_a_zero_byte_in_it_is_refused(void **state) {
    (void)state;
    static const char name[] = "http://ps\0evil:7", address[] = "http://[::1\0evil]:7";
    struct url url;
    assert_non_null(url_parse(name, sizeof name - 1, &url));
    assert_non_null(url_parse(address, sizeof address - 1, &url));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_etcds),
        cmocka_unit_test(flags_come_in_four_forms_and_the_last_one_counts),
        cmocka_unit_test(help_and_version_are_flags),
        cmocka_unit_test(variables_count_where_flags_do_not),
        cmocka_unit_test(what_is_unknown_or_contradictory_is_one_line),
        cmocka_unit_test(urls_are_taken_apart_or_refused),
        cmocka_unit_test(a_url_with_a_zero_byte_in_it_is_refused),
        cmocka_unit_test(ids_are_those_of_etcd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
