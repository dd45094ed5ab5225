/* Mbed TLS, 2.28 or 3.5, as a peer on the command line.
 *
 *   mbedtls-peer server --port P --cert FILE --key FILE [--tls] [--no-cookies] [--client-ca FILE] [--mtu N] [--bind ADDRESS]
 *   mbedtls-peer client --port P --name NAME --ca FILE [--tls] [--cert FILE --key FILE] [--mtu N] [--bind ADDRESS]
 *
 * Both take [--psk HEX --psk-identity ID --suite NAME] instead of certificates: a pre-shared key with its identity, and the only
 * suite, by the library's name.
 *
 * Both take [--cid HEX|-] [--cid-next HEX], which negotiate connection IDs: the first is received, or none (`-`), the second, which
 * has the same length, after a renegotiation; and [--follow], with which datagrams go to wherever the newest came from, whatever it was: without it
 * the socket is connected.
 *
 * Both take [--resume id|ticket]: sessions are resumed in this way only, and a server serves two clients, one after the other,
 * as with `--follow`. A client takes [--session-out FILE] and [--session-in FILE], which keep a session and offer it.
 *
 * Version 3.5 takes [--tls13] with `--tls`: version 1.3 alone, where a pre-shared key comes with an exchange, or with [--psk-alone]
 * without one.
 *
 * A client takes [--max-fragment N], which it asks for by max_fragment_length. Both tell the most data that they may put into a
 * record, `most N`.
 *
 * A line of standard input is data to send, except that `R` renegotiates (a server sends a
 * HelloRequest) and `Q` closes. Received data goes to standard output as it came. Facts go to
 * standard error, one on each line: `ready PORT`, `handshake SUITE`, `cid rx=HEX|- tx=HEX|-`, `closed`, `error CODE TEXT`.
 *
 * One client is served, then the program ends, unless there is `--resume`. Everything happens in one loop around one connected socket that does not
 * block, as the library's own examples do it. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/ssl_cookie.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/timing.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
#include <psa/crypto.h>
#endif

/* The interval at which timers are checked, in milliseconds. */
#define TICK 10

/* After how long without an answer a HelloRequest is sent again, in milliseconds: the library does that when reading times
 * out. */
#define AGAIN 1000

/* The longest connection ID, in bytes. */
#define ID 32

/* The longest pre-shared key, in bytes. */
#define KEY 64

/* The longest line, and the largest piece of data. */
#define LINE 16384

/* The largest session in a file, in bytes. */
#define SESSION 16384

/* How long a ticket is good, in seconds. */
#define DAY 86400

struct options {
    int server, tls, cookies, mtu, follow, max_fragment, newer, alone;
    const char *port, *name, *cert, *key, *ca, *bind, *cid, *next_cid, *resume, *session_out, *session_in;
    const char *psk, *identity, *suite;
};

/* Everything that lives as long as the association does. */
struct peer {
    struct options options;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt chain, roots;
    mbedtls_pk_context key;
    /* The only suite, and the end of the list. */
    int suites[2];
    mbedtls_ssl_config config;
    mbedtls_ssl_cookie_ctx cookies;
    mbedtls_ssl_cache_context cache;
    mbedtls_ssl_ticket_context tickets;
    mbedtls_timing_delay_context timer;
    mbedtls_ssl_context ssl;
    mbedtls_net_context socket;
    /* The server's client, and with `--follow` anybody's peer. */
    struct sockaddr_in client;
};

/* Lines of standard input that were not carried out yet. */
struct input {
    char bytes[LINE];
    size_t length;
    int ended;
};

static void die(const char *what, int code)
{
    char text[128] = "";
    mbedtls_strerror(code, text, sizeof text);
    fprintf(stderr, "error -0x%04x %s: %s\n", (unsigned) -code, what, text);
    exit(1);
}

static void must(const char *what, int code)
{
    if (code < 0) {
        die(what, code);
    }
}

static void must_system(const char *what, int code)
{
    if (code < 0) {
        fprintf(stderr, "error %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static struct options parse(int count, char **arguments)
{
    struct options options = { .cookies = 1, .port = "0", .name = "localhost", .bind = "127.0.0.1" };
    options.server = count > 1 && strcmp(arguments[1], "server") == 0;
    for (int i = 2; i < count; i++) {
        const char *name = arguments[i];
        if (strcmp(name, "--tls") == 0) {
            options.tls = 1;
        } else if (strcmp(name, "--tls13") == 0) {
            options.newer = 1;
        } else if (strcmp(name, "--psk-alone") == 0) {
            options.alone = 1;
        } else if (strcmp(name, "--no-cookies") == 0) {
            options.cookies = 0;
        } else if (strcmp(name, "--follow") == 0) {
            options.follow = 1;
        } else if (++i == count) {
            fprintf(stderr, "error %s is unknown, or needs a value\n", name);
            exit(2);
        } else if (strcmp(name, "--port") == 0) {
            options.port = arguments[i];
        } else if (strcmp(name, "--name") == 0) {
            options.name = arguments[i];
        } else if (strcmp(name, "--cert") == 0) {
            options.cert = arguments[i];
        } else if (strcmp(name, "--key") == 0) {
            options.key = arguments[i];
        } else if (strcmp(name, "--ca") == 0 || strcmp(name, "--client-ca") == 0) {
            options.ca = arguments[i];
        } else if (strcmp(name, "--mtu") == 0) {
            options.mtu = atoi(arguments[i]);
        } else if (strcmp(name, "--max-fragment") == 0) {
            options.max_fragment = atoi(arguments[i]);
        } else if (strcmp(name, "--cid") == 0) {
            options.cid = arguments[i];
        } else if (strcmp(name, "--cid-next") == 0) {
            options.next_cid = arguments[i];
        } else if (strcmp(name, "--resume") == 0) {
            options.resume = arguments[i];
            options.follow |= options.server;
        } else if (strcmp(name, "--session-out") == 0) {
            options.session_out = arguments[i];
        } else if (strcmp(name, "--session-in") == 0) {
            options.session_in = arguments[i];
        } else if (strcmp(name, "--psk") == 0) {
            options.psk = arguments[i];
        } else if (strcmp(name, "--psk-identity") == 0) {
            options.identity = arguments[i];
        } else if (strcmp(name, "--suite") == 0) {
            options.suite = arguments[i];
        } else if (strcmp(name, "--bind") == 0) {
            options.bind = arguments[i];
        } else {
            fprintf(stderr, "error %s is unknown\n", name);
            exit(2);
        }
    }
    return options;
}

static struct sockaddr_in address(const struct options *options)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    address.sin_port = htons((unsigned short) atoi(options->port));
    if (inet_pton(AF_INET, options->bind, &address.sin_addr) != 1) {
        fprintf(stderr, "error %s is not an address\n", options->bind);
        exit(2);
    }
    return address;
}

/* The bytes that are written as `text`; none for `-`. */
static size_t hexadecimal(const char *text, unsigned char *bytes, size_t most)
{
    size_t length = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;
    for (size_t i = 0; i < length && i < most; i++) {
        unsigned value = 0;
        if (sscanf(text + 2 * i, "%2x", &value) != 1) {
            length = most + 1;
        }
        bytes[i] = (unsigned char) value;
    }
    if (length > most) {
        fprintf(stderr, "error %s is not at most %zu bytes in hexadecimal digits\n", text, most);
        exit(2);
    }
    return length;
}

/* A connection ID. */
static size_t bytes_of(const char *text, unsigned char bytes[ID])
{
    return hexadecimal(text, bytes, ID);
}

/* Chooses the connection ID of the next handshake. All those of an association have the length of the first. */
static void choose_connection_id(struct peer *peer, const char *text, int first)
{
#ifdef MBEDTLS_SSL_DTLS_CONNECTION_ID
    unsigned char bytes[ID];
    size_t length = bytes_of(text, bytes);
    if (first) {
        must("the connection ID's length",
             mbedtls_ssl_conf_cid(&peer->config, length, MBEDTLS_SSL_UNEXPECTED_CID_IGNORE));
    }
    must("the connection ID", mbedtls_ssl_set_cid(&peer->ssl, MBEDTLS_SSL_CID_ENABLED, bytes, length));
#else
    (void) peer;
    (void) first;
    (void) bytes_of;
    fprintf(stderr, "error this library has no connection IDs: %s\n", text);
    exit(2);
#endif
}

static void print_connection_id(const char *name, const unsigned char *bytes, size_t length)
{
    fprintf(stderr, " %s=", name);
    for (size_t i = 0; i < length; i++) {
        fprintf(stderr, "%02x", bytes[i]);
    }
    if (length == 0) {
        fputc('-', stderr);
    }
}

/* Says which connection IDs are in use. The library knows its own only as the setting: that is shown if the peer has negotiated
 * any. */
static void report_connection_ids(struct peer *peer, const char *own)
{
#ifdef MBEDTLS_SSL_DTLS_CONNECTION_ID
    unsigned char bytes[ID], theirs[MBEDTLS_SSL_CID_OUT_LEN_MAX];
    size_t length = bytes_of(own, bytes), their_length = 0;
    int enabled = 0;
    must("their connection ID", mbedtls_ssl_get_peer_cid(&peer->ssl, &enabled, theirs, &their_length));
    fprintf(stderr, "cid");
    print_connection_id("rx", bytes, enabled ? length : 0);
    print_connection_id("tx", theirs, enabled ? their_length : 0);
    fputc('\n', stderr);
#else
    (void) peer;
    (void) own;
    (void) print_connection_id;
#endif
}

static void report_handshake(struct peer *peer, const char *own)
{
    fprintf(stderr, "handshake %s\n", mbedtls_ssl_get_ciphersuite(&peer->ssl));
    fprintf(stderr, "most %d\n", mbedtls_ssl_get_max_out_record_payload(&peer->ssl));
    if (own != NULL) {
        report_connection_ids(peer, own);
    }
}

/* The number of a length in max_fragment_length (RFC 6066, section 4). */
static unsigned char fragment_code(int length)
{
    switch (length) {
    case 512:
        return MBEDTLS_SSL_MAX_FRAG_LEN_512;
    case 1024:
        return MBEDTLS_SSL_MAX_FRAG_LEN_1024;
    case 2048:
        return MBEDTLS_SSL_MAX_FRAG_LEN_2048;
    default:
        return MBEDTLS_SSL_MAX_FRAG_LEN_4096;
    }
}

static int parse_key(struct peer *peer)
{
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    return mbedtls_pk_parse_keyfile(&peer->key, peer->options.key, NULL);
#else
    return mbedtls_pk_parse_keyfile(&peer->key, peer->options.key, NULL, mbedtls_ctr_drbg_random,
                                    &peer->random);
#endif
}

/* Sessions are resumed by ID, or by ticket. */
static void configure_sessions(struct peer *peer)
{
    mbedtls_ssl_config *config = &peer->config;
    int by_ticket = strcmp(peer->options.resume, "ticket") == 0;
    if (!peer->options.server) {
        mbedtls_ssl_conf_session_tickets(config, by_ticket ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED
                                                           : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    } else if (by_ticket) {
        mbedtls_ssl_ticket_init(&peer->tickets);
        must("tickets", mbedtls_ssl_ticket_setup(&peer->tickets, mbedtls_ctr_drbg_random, &peer->random,
                                                 MBEDTLS_CIPHER_AES_256_GCM, DAY));
        mbedtls_ssl_conf_session_tickets_cb(config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                            &peer->tickets);
    } else {
        mbedtls_ssl_cache_init(&peer->cache);
        mbedtls_ssl_conf_session_cache(config, &peer->cache, mbedtls_ssl_cache_get,
                                       mbedtls_ssl_cache_set);
    }
}

/* Offers the session that an earlier client has kept. */
static void offer_session(struct peer *peer)
{
    static unsigned char bytes[SESSION];
    mbedtls_ssl_session session;
    FILE *file = fopen(peer->options.session_in, "rb");
    must_system("the session's file", file == NULL ? -1 : 0);
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    mbedtls_ssl_session_init(&session);
    must("the session", mbedtls_ssl_session_load(&session, bytes, length));
    must("the session", mbedtls_ssl_set_session(&peer->ssl, &session));
    mbedtls_ssl_session_free(&session);
}

static void keep_session(struct peer *peer)
{
    static unsigned char bytes[SESSION];
    mbedtls_ssl_session session;
    size_t length = 0;
    mbedtls_ssl_session_init(&session);
    must("the session", mbedtls_ssl_get_session(&peer->ssl, &session));
    must("the session", mbedtls_ssl_session_save(&session, bytes, sizeof bytes, &length));
    mbedtls_ssl_session_free(&session);
    FILE *file = fopen(peer->options.session_out, "wb");
    must_system("the session's file", file == NULL ? -1 : 0);
    must_system("the session's file", fwrite(bytes, 1, length, file) == length ? 0 : -1);
    must_system("the session's file", fclose(file));
}

/* Version 1.2 alone, or 1.3 alone. */
static void choose_version(struct peer *peer)
{
    mbedtls_ssl_config *config = &peer->config;
    int minor = MBEDTLS_SSL_MINOR_VERSION_3;
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    const struct options *options = &peer->options;
    int modes = options->psk == NULL ? MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL
                : options->alone     ? MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK
                                     : MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL;
    must("the cryptography", psa_crypto_init() == PSA_SUCCESS ? 0 : -1);
    mbedtls_ssl_conf_tls13_key_exchange_modes(config, modes);
    minor = options->newer ? MBEDTLS_SSL_MINOR_VERSION_4 : minor;
#endif
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, minor);
    mbedtls_ssl_conf_max_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, minor);
}

static void configure(struct peer *peer)
{
    struct options *options = &peer->options;
    mbedtls_ssl_config *config = &peer->config;
    mbedtls_entropy_init(&peer->entropy);
    mbedtls_ctr_drbg_init(&peer->random);
    mbedtls_x509_crt_init(&peer->chain);
    mbedtls_x509_crt_init(&peer->roots);
    mbedtls_pk_init(&peer->key);
    mbedtls_ssl_config_init(config);
    mbedtls_ssl_cookie_init(&peer->cookies);
    mbedtls_ssl_init(&peer->ssl);
    must("random numbers",
         mbedtls_ctr_drbg_seed(&peer->random, mbedtls_entropy_func, &peer->entropy, NULL, 0));
    must("configuration",
         mbedtls_ssl_config_defaults(
             config, options->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
             options->tls ? MBEDTLS_SSL_TRANSPORT_STREAM : MBEDTLS_SSL_TRANSPORT_DATAGRAM,
             MBEDTLS_SSL_PRESET_DEFAULT));
    mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, &peer->random);
    choose_version(peer);
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
    if (options->max_fragment != 0) {
        must("the length of fragments", mbedtls_ssl_conf_max_frag_len(config, fragment_code(options->max_fragment)));
    }
    /* What is under way after a HelloRequest is delivered, however much it is. */
    mbedtls_ssl_conf_renegotiation_enforced(config, MBEDTLS_SSL_RENEGOTIATION_NOT_ENFORCED);
    if (options->cert != NULL) {
        must("the certificate", mbedtls_x509_crt_parse_file(&peer->chain, options->cert));
        must("the key", parse_key(peer));
        must("the key", mbedtls_ssl_conf_own_cert(config, &peer->chain, &peer->key));
    }
    if (options->ca != NULL) {
        must("the roots", mbedtls_x509_crt_parse_file(&peer->roots, options->ca));
        mbedtls_ssl_conf_ca_chain(config, &peer->roots, NULL);
        mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    }
    if (options->psk != NULL) {
        unsigned char bytes[KEY];
        size_t length = hexadecimal(options->psk, bytes, KEY);
        must("the pre-shared key",
             mbedtls_ssl_conf_psk(config, bytes, length, (const unsigned char *) options->identity,
                                  strlen(options->identity)));
    }
    if (options->suite != NULL) {
        peer->suites[0] = mbedtls_ssl_get_ciphersuite_id(options->suite);
        if (peer->suites[0] == 0) {
            fprintf(stderr, "error this library has no suite %s\n", options->suite);
            exit(2);
        }
        mbedtls_ssl_conf_ciphersuites(config, peer->suites);
    }
    if (options->server && !options->tls) {
        if (options->cookies) {
            must("cookies", mbedtls_ssl_cookie_setup(&peer->cookies, mbedtls_ctr_drbg_random,
                                                     &peer->random));
            mbedtls_ssl_conf_dtls_cookies(config, mbedtls_ssl_cookie_write, mbedtls_ssl_cookie_check,
                                          &peer->cookies);
        } else {
            mbedtls_ssl_conf_dtls_cookies(config, NULL, NULL, NULL);
        }
    }
    if (options->resume != NULL) {
        configure_sessions(peer);
    }
    mbedtls_ssl_conf_read_timeout(config, AGAIN);
    must("the association", mbedtls_ssl_setup(&peer->ssl, config));
    if (!options->server) {
        must("the name", mbedtls_ssl_set_hostname(&peer->ssl, options->name));
    }
    if (options->cid != NULL) {
        choose_connection_id(peer, options->cid, 1);
    }
    if (options->session_in != NULL) {
        offer_session(peer);
    }
    if (options->mtu != 0) {
        mbedtls_ssl_set_mtu(&peer->ssl, (uint16_t) options->mtu);
    }
    mbedtls_ssl_set_timer_cb(&peer->ssl, &peer->timer, mbedtls_timing_set_delay,
                             mbedtls_timing_get_delay);
}

static int receive_from_anywhere(void *context, unsigned char *bytes, size_t size)
{
    struct peer *peer = context;
    struct sockaddr_in source;
    socklen_t length = sizeof source;
    ssize_t got = recvfrom(peer->socket.fd, bytes, size, 0,
                           (struct sockaddr *) &source, &length);
    if (got < 0) {
        /* Also where a datagram was sent to nobody. */
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    peer->client = source;
    return (int) got;
}

static int send_there(void *context, const unsigned char *bytes, size_t size)
{
    struct peer *peer = context;
    ssize_t sent = sendto(peer->socket.fd, bytes, size, 0,
                          (struct sockaddr *) &peer->client, sizeof peer->client);
    return sent < 0 ? MBEDTLS_ERR_SSL_WANT_WRITE : (int) sent;
}

/* Waits for a server's client, and connects the socket with it unless that may move. */
static void await_client(struct peer *peer, int fd)
{
    struct pollfd file = { .fd = fd, .events = POLLIN };
    socklen_t length = sizeof peer->client;
    char byte;
    must_system("poll", poll(&file, 1, -1));
    must_system("recvfrom", (int) recvfrom(fd, &byte, 1, MSG_PEEK, (struct sockaddr *) &peer->client,
                                           &length));
    if (!peer->options.follow) {
        must_system("connect", connect(fd, (struct sockaddr *) &peer->client, length));
    }
}

/* Opens the socket and connects it, unless peers may move: a server waits for its client first. */
static void join(struct peer *peer)
{
    struct options *options = &peer->options;
    struct sockaddr_in own = address(options);
    socklen_t length = sizeof own;
    int fd = socket(AF_INET, options->tls ? SOCK_STREAM : SOCK_DGRAM, 0);
    must_system("socket", fd);
    if (!options->server && options->follow) {
        peer->client = own;
    } else if (!options->server) {
        must_system("connect", connect(fd, (struct sockaddr *) &own, sizeof own));
    } else {
        must_system("bind", bind(fd, (struct sockaddr *) &own, sizeof own));
        must_system("getsockname", getsockname(fd, (struct sockaddr *) &own, &length));
        if (options->tls) {
            must_system("listen", listen(fd, 1));
        }
        fprintf(stderr, "ready %d\n", ntohs(own.sin_port));
        length = sizeof peer->client;
        if (options->tls) {
            fd = accept(fd, (struct sockaddr *) &peer->client, &length);
            must_system("accept", fd);
        } else {
            await_client(peer, fd);
        }
    }
    if (options->tls) {
        int now = 1;
        must_system("TCP_NODELAY", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now));
    }
    must_system("fcntl", fcntl(fd, F_SETFL, O_NONBLOCK));
    peer->socket.fd = fd;
    if (options->follow) {
        mbedtls_ssl_set_bio(&peer->ssl, peer, send_there, receive_from_anywhere, NULL);
    } else {
        mbedtls_ssl_set_bio(&peer->ssl, &peer->socket, mbedtls_net_send, mbedtls_net_recv, NULL);
    }
}

/* The client's address goes into the cookies. */
static void identify(struct peer *peer)
{
    if (peer->options.server && !peer->options.tls) {
        must("the client's address",
             mbedtls_ssl_set_client_transport_id(&peer->ssl, (unsigned char *) &peer->client,
                                                 sizeof peer->client));
    }
}

static int waits(int code)
{
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    /* A ticket has come. */
    if (code == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
        return 1;
    }
#endif
    return code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE ||
           code == MBEDTLS_ERR_SSL_CRYPTO_IN_PROGRESS;
}

static void wait_for_something(struct peer *peer, const struct input *input)
{
    struct pollfd files[2] = {
        { .fd = peer->socket.fd, .events = POLLIN },
        { .fd = input->ended ? -1 : STDIN_FILENO, .events = POLLIN },
    };
    poll(files, 2, TICK);
}

static void shake_hands(struct peer *peer)
{
    struct input nothing = { .ended = 1 };
    int code;
    identify(peer);
    while ((code = mbedtls_ssl_handshake(&peer->ssl)) != 0) {
        if (code == MBEDTLS_ERR_SSL_HELLO_VERIFY_REQUIRED) {
            must("a new start", mbedtls_ssl_session_reset(&peer->ssl));
            identify(peer);
        } else if (waits(code)) {
            wait_for_something(peer, &nothing);
        } else {
            die("the handshake", code);
        }
    }
    report_handshake(peer, peer->options.cid);
    if (peer->options.session_out != NULL) {
        keep_session(peer);
    }
    if (peer->options.next_cid != NULL) {
        choose_connection_id(peer, peer->options.next_cid, 0);
    }
}

static void read_input(struct input *input)
{
    struct pollfd file = { .fd = STDIN_FILENO, .events = POLLIN };
    if (input->ended || input->length == LINE || poll(&file, 1, 0) != 1) {
        return;
    }
    ssize_t got = read(STDIN_FILENO, input->bytes + input->length, LINE - input->length);
    if (got > 0) {
        input->length += (size_t) got;
    } else {
        input->ended = 1;
    }
}

/* Carries out the first waiting line. A write that has to wait is tried again with the same line. */
static int obey(struct peer *peer, struct input *input)
{
    char *end = memchr(input->bytes, '\n', input->length);
    int code = 0;
    if (end == NULL) {
        return input->ended ? MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY : 0;
    }
    size_t length = (size_t) (end - input->bytes) + 1;
    if (length == 2 && input->bytes[0] == 'Q') {
        return MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
    }
    if (length == 2 && input->bytes[0] == 'R') {
        code = mbedtls_ssl_renegotiate(&peer->ssl);
        if (!waits(code)) {
            must("renegotiation", code);
        }
        /* A call that has to wait has begun: reading continues it. */
        code = 0;
    } else {
        code = mbedtls_ssl_write(&peer->ssl, (unsigned char *) input->bytes, length);
    }
    if (waits(code)) {
        return 0;
    }
    must("sending", code);
    input->length -= length;
    memmove(input->bytes, end + 1, input->length);
    return 0;
}

static void converse(struct peer *peer)
{
    static struct input input;
    static unsigned char data[LINE];
    for (;;) {
        int code = mbedtls_ssl_read(&peer->ssl, data, sizeof data);
        if (code > 0) {
            fwrite(data, 1, (size_t) code, stdout);
            fflush(stdout);
        } else if (code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || code == 0) {
            fprintf(stderr, "closed\n");
            break;
        } else if (!waits(code) && code != MBEDTLS_ERR_SSL_TIMEOUT) {
            die("reading", code);
        }
        read_input(&input);
        if (obey(peer, &input) != 0) {
            break;
        }
        if (code < 0 && memchr(input.bytes, '\n', input.length) == NULL) {
            wait_for_something(peer, &input);
        }
    }
    mbedtls_ssl_close_notify(&peer->ssl);
}

/* The next client may come from anywhere. */
static void await_another(struct peer *peer)
{
    must("a new start", mbedtls_ssl_session_reset(&peer->ssl));
    if (peer->options.next_cid != NULL) {
        peer->options.cid = peer->options.next_cid;
        choose_connection_id(peer, peer->options.cid, 0);
    }
    await_client(peer, peer->socket.fd);
}

int main(int count, char **arguments)
{
    static struct peer peer;
    peer.options = parse(count, arguments);
    configure(&peer);
    join(&peer);
    shake_hands(&peer);
    converse(&peer);
    if (peer.options.server && peer.options.resume != NULL) {
        await_another(&peer);
        shake_hands(&peer);
        converse(&peer);
    }
    return 0;
}
