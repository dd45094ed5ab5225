/* Botan 2 as a peer on the command line. Its own program cannot make a server renegotiate.
 *
 *   botan-peer server --port P --cert FILE --key FILE [--tls] [--client-ca FILE] [--mtu N] [--bind ADDRESS]
 *   botan-peer client --port P --name NAME --ca FILE [--tls] [--cert FILE --key FILE] [--mtu N] [--bind ADDRESS]
 *
 * A line of standard input is data to send, except that `R` renegotiates (a server sends a
 * HelloRequest), `r` does so with the old session, and `Q` closes. Received data goes to standard
 * output as it came. Facts go to standard error, one on each line: `ready PORT`, `handshake SUITE`,
 * `alert NAME`, `closed`, `error TEXT`.
 *
 * One client is served, then the program ends. Botan does not ask for cookies on its own, so there are none. */

#include <botan/auto_rng.h>
#include <botan/certstor.h>
#include <botan/credentials_manager.h>
#include <botan/data_src.h>
#include <botan/pkcs8.h>
#include <botan/tls_client.h>
#include <botan/tls_policy.h>
#include <botan/tls_server.h>
#include <botan/tls_session_manager.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

/* The interval at which timers are checked, in milliseconds. */
constexpr int TICK = 10;

struct Options {
    bool server = false, tls = false;
    uint16_t port = 0;
    size_t mtu = 1400;
    std::string name = "localhost", cert, key, ca, bind = "127.0.0.1";
};

Options parse(int count, char** arguments)
{
    Options options;
    options.server = count > 1 && std::string(arguments[1]) == "server";
    for (int i = 2; i < count; i++) {
        const std::string name = arguments[i];
        if (name == "--tls") {
            options.tls = true;
            continue;
        }
        if (++i == count) {
            throw std::runtime_error(name + " is unknown, or needs a value");
        }
        const std::string value = arguments[i];
        if (name == "--port") {
            options.port = static_cast<uint16_t>(std::stoi(value));
        } else if (name == "--mtu") {
            options.mtu = std::stoul(value);
        } else if (name == "--name") {
            options.name = value;
        } else if (name == "--cert") {
            options.cert = value;
        } else if (name == "--key") {
            options.key = value;
        } else if (name == "--ca" || name == "--client-ca") {
            options.ca = value;
        } else if (name == "--bind") {
            options.bind = value;
        } else {
            throw std::runtime_error(name + " is unknown");
        }
    }
    return options;
}

class Policy : public Botan::TLS::Policy {
public:
    explicit Policy(const Options& options) : m_options(options) {}
    bool allow_client_initiated_renegotiation() const override { return true; }
    bool allow_server_initiated_renegotiation() const override { return true; }
    bool require_client_certificate_authentication() const override
    {
        return m_options.server && !m_options.ca.empty();
    }
    /* The certificates of the tests have none. */
    bool require_cert_revocation_info() const override { return false; }
    size_t dtls_default_mtu() const override { return m_options.mtu; }

private:
    const Options& m_options;
};

class Credentials : public Botan::Credentials_Manager {
public:
    Credentials(const Options& options, Botan::RandomNumberGenerator& rng)
    {
        if (!options.ca.empty()) {
            m_roots.reset(new Botan::Certificate_Store_In_Memory(Botan::X509_Certificate(options.ca)));
        }
        if (!options.cert.empty()) {
            Botan::DataSource_Stream chain(options.cert);
            while (!chain.end_of_data()) {
                try {
                    m_chain.emplace_back(chain);
                } catch (const Botan::Exception&) {
                    if (m_chain.empty()) {
                        throw;
                    }
                    // White space after the last one.
                    break;
                }
            }
            m_key.reset(Botan::PKCS8::load_key(options.key, rng));
        }
    }

    std::vector<Botan::Certificate_Store*> trusted_certificate_authorities(
        const std::string&, const std::string&) override
    {
        return m_roots ? std::vector<Botan::Certificate_Store*>{m_roots.get()}
                       : std::vector<Botan::Certificate_Store*>{};
    }

    std::vector<Botan::X509_Certificate> cert_chain(
        const std::vector<std::string>& types, const std::string&, const std::string&) override
    {
        for (const std::string& type : types) {
            if (m_key && type == m_key->algo_name()) {
                return m_chain;
            }
        }
        return {};
    }

    Botan::Private_Key* private_key_for(
        const Botan::X509_Certificate&, const std::string&, const std::string&) override
    {
        return m_key.get();
    }

private:
    std::unique_ptr<Botan::Certificate_Store> m_roots;
    std::vector<Botan::X509_Certificate> m_chain;
    std::unique_ptr<Botan::Private_Key> m_key;
};

class Callbacks : public Botan::TLS::Callbacks {
public:
    explicit Callbacks(int fd) : m_fd(fd) {}

    void tls_emit_data(const uint8_t data[], size_t length) override
    {
        while (length > 0) {
            const ssize_t sent = ::send(m_fd, data, length, MSG_NOSIGNAL);
            if (sent < 0) {
                // A datagram that cannot be sent is lost.
                return;
            }
            data += sent;
            length -= static_cast<size_t>(sent);
        }
    }

    void tls_record_received(uint64_t, const uint8_t data[], size_t length) override
    {
        std::fwrite(data, 1, length, stdout);
        std::fflush(stdout);
    }

    void tls_alert(Botan::TLS::Alert alert) override
    {
        if (alert.type() == Botan::TLS::Alert::CLOSE_NOTIFY) {
            std::cerr << "closed" << std::endl;
            closed = true;
        } else {
            std::cerr << "alert " << alert.type_string() << std::endl;
        }
    }

    bool tls_session_established(const Botan::TLS::Session& session) override
    {
        std::cerr << "handshake TLS_" << session.ciphersuite().to_string() << std::endl;
        return true;
    }

    bool closed = false;

private:
    int m_fd;
};

void must(const char* what, int code)
{
    if (code < 0) {
        throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
    }
}

/* Opens the socket and connects it: a server waits for its client first. */
int join(const Options& options)
{
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_port = htons(options.port);
    if (::inet_pton(AF_INET, options.bind.c_str(), &own.sin_addr) != 1) {
        throw std::runtime_error(options.bind + " is not an address");
    }
    auto* const address = reinterpret_cast<sockaddr*>(&own);
    socklen_t length = sizeof own;
    int fd = ::socket(AF_INET, options.tls ? SOCK_STREAM : SOCK_DGRAM, 0);
    must("socket", fd);
    if (!options.server) {
        must("connect", ::connect(fd, address, length));
    } else {
        must("bind", ::bind(fd, address, length));
        must("getsockname", ::getsockname(fd, address, &length));
        if (options.tls) {
            must("listen", ::listen(fd, 1));
        }
        std::cerr << "ready " << ntohs(own.sin_port) << std::endl;
        if (options.tls) {
            fd = ::accept(fd, nullptr, nullptr);
            must("accept", fd);
        } else {
            char byte = 0;
            length = sizeof own;
            must("recvfrom",
                 static_cast<int>(::recvfrom(fd, &byte, 1, MSG_PEEK, address, &length)));
            must("connect", ::connect(fd, address, length));
        }
    }
    if (options.tls) {
        const int now = 1;
        must("TCP_NODELAY", ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now));
    }
    return fd;
}

/* Carries out the lines that have come so far; data waits for the end of the first handshake. */
void obey(Botan::TLS::Channel& channel, std::string& input)
{
    size_t end = 0;
    while (channel.is_active() && (end = input.find('\n')) != std::string::npos) {
        const std::string line = input.substr(0, end + 1);
        input.erase(0, end + 1);
        if (line == "R\n" || line == "r\n") {
            channel.renegotiate(line == "R\n");
        } else if (line == "Q\n") {
            channel.close();
        } else {
            channel.send(line);
        }
    }
}

void converse(Botan::TLS::Channel& channel, const Callbacks& callbacks, int fd, bool tls)
{
    std::vector<uint8_t> data(1 << 16);
    std::string input;
    pollfd files[2] = {{fd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    while (!callbacks.closed && !channel.is_closed()) {
        ::poll(files, 2, TICK);
        if (files[0].revents != 0) {
            const ssize_t length = ::recv(fd, data.data(), data.size(), MSG_DONTWAIT);
            if (length > 0) {
                channel.received_data(data.data(), static_cast<size_t>(length));
            } else if (tls && length == 0) {
                throw std::runtime_error("the stream has ended");
            }
        }
        if (files[1].fd >= 0 && files[1].revents != 0) {
            const ssize_t length = ::read(STDIN_FILENO, data.data(), data.size());
            if (length > 0) {
                input.append(reinterpret_cast<char*>(data.data()), static_cast<size_t>(length));
            } else {
                files[1].fd = -1;
            }
        }
        obey(channel, input);
        if (files[1].fd < 0 && input.empty()) {
            channel.close();
        }
        if (!tls) {
            channel.timeout_check();
        }
    }
}

void run(const Options& options)
{
    Botan::AutoSeeded_RNG rng;
    const Policy policy(options);
    Credentials credentials(options, rng);
    Botan::TLS::Session_Manager_In_Memory sessions(rng);
    const int fd = join(options);
    Callbacks callbacks(fd);
    std::unique_ptr<Botan::TLS::Channel> channel;
    if (options.server) {
        channel.reset(new Botan::TLS::Server(
            callbacks, sessions, credentials, policy, rng, !options.tls));
    } else {
        channel.reset(new Botan::TLS::Client(
            callbacks, sessions, credentials, policy, rng,
            Botan::TLS::Server_Information(options.name),
            options.tls ? Botan::TLS::Protocol_Version::TLS_V12
                        : Botan::TLS::Protocol_Version::DTLS_V12));
    }
    converse(*channel, callbacks, fd, options.tls);
}

} // namespace

int main(int count, char** arguments)
{
    try {
        run(parse(count, arguments));
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "error " << error.what() << std::endl;
        return 1;
    }
}
