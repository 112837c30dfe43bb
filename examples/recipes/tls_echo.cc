// examples/recipes/tls_echo.cc - TLS by OpenSSL on gort's connections, as server and as client that checks the server.
// SPDX-License-Identifier: BSD-2-Clause
// needs: openssl
//
// OpenSSL never sees the socket: it reads and writes two buffers in memory (BIO pairs of its own), and the connection
// carries what they hold. So deadlines, close and ctx::bind of the connection work as ever, and no SIGPIPE comes.
// OpenSSL keeps its errors by thread: SSL_get_error and ERR_* are called at once after what failed, with the lock held
// and nothing between that parks.
#include <gort.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

namespace net = gort::net;

namespace {

template <auto F>
struct free_by {
    template <class T>
    void operator()(T* p) const {
        F(p);
    }
};
using ssl_ptr = std::unique_ptr<SSL, free_by<SSL_free>>;
using ssl_ctx_ptr = std::unique_ptr<SSL_CTX, free_by<SSL_CTX_free>>;
using cert_ptr = std::unique_ptr<X509, free_by<X509_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, free_by<EVP_PKEY_free>>;

[[noreturn]] void fail(const char* what) {
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    throw std::runtime_error(std::string(what) + ": " + text);
}

// A TLS stream on a connection: one goroutine may read while another one writes.
class tls_conn {
public:
    // host: whom a client expects to talk to; empty for a server.
    tls_conn(SSL_CTX* ctx, net::conn c, const std::string& host = {})
        : conn_(std::move(c)), ssl_(SSL_new(ctx)) {
        if (!ssl_) fail("SSL_new");
        SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        if (host.empty()) {
            SSL_set_accept_state(ssl_.get());
        } else {
            SSL_set_connect_state(ssl_.get());
            SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
            SSL_set1_host(ssl_.get(), host.c_str());
            SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER, nullptr);
        }
        drive("handshake", [&] { return SSL_do_handshake(ssl_.get()); });
    }

    // How many bytes; 0 at the end of the stream.
    size_t read(void* to, int size) {
        return static_cast<size_t>(drive("read", [&] { return SSL_read(ssl_.get(), to, size); }));
    }
    void write(std::string_view text) {
        if (!text.empty())
            drive("write", [&] { return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())); });
    }
    // Tells the other side that this was all, and closes.
    void close() {
        drive("shutdown", [&] { return SSL_shutdown(ssl_.get()) < 0 ? -1 : 1; });
        static_cast<void>(conn_.close());
    }

private:
    // Calls f, which asks OpenSSL for something, until it has it, and carries bytes to and fro meanwhile.
    template <class F>
    int drive(const char* what, F f) {
        for (;;) {
            std::unique_lock lock(mu_);
            ERR_clear_error();
            const int r = f();
            const int why = r > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), r);
            if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN)
                fail(what);
            const uint64_t seen = received_;
            lock.unlock();
            send_pending();
            if (why == SSL_ERROR_NONE) return r;
            if (why == SSL_ERROR_ZERO_RETURN || !receive(seen)) return 0;
        }
    }
    void send_pending() {
        const std::lock_guard one_writer(write_mu_);  // records must leave in their order
        char buf[16 * 1024];
        for (;;) {
            int n;
            {
                const std::lock_guard guard(mu_);
                n = BIO_read(SSL_get_wbio(ssl_.get()), buf, sizeof buf);
            }
            if (n <= 0) return;
            conn_.write({buf, static_cast<size_t>(n)}).value();
        }
    }
    // Until there is more than there was at `seen`. False: the connection has ended, without a goodbye.
    bool receive(uint64_t seen) {
        const std::lock_guard one_reader(read_mu_);
        {
            const std::lock_guard guard(mu_);
            if (received_ != seen) return true;  // another goroutine has read it
        }
        char buf[16 * 1024];
        const size_t n = conn_.read(buf).value();
        const std::lock_guard guard(mu_);
        if (n == 0) return false;
        BIO_write(SSL_get_rbio(ssl_.get()), buf, static_cast<int>(n));
        ++received_;
        return true;
    }

    net::conn conn_;
    ssl_ptr ssl_;            // with its two BIOs under mu_
    uint64_t received_ = 0;  // mu_
    gort::mutex mu_, read_mu_, write_mu_;
};

// A certificate for "localhost" that vouches for itself; a program has one of an authority, in a file.
std::pair<cert_ptr, key_ptr> make_certificate() {
    key_ptr key(EVP_RSA_gen(2048));
    cert_ptr cert(X509_new());
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1);
    X509_set_version(cert.get(), 2);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), 3600);
    X509_set_pubkey(cert.get(), key.get());
    X509_NAME* name = X509_get_subject_name(cert.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                               -1, -1, 0);
    X509_set_issuer_name(cert.get(), name);
    const std::unique_ptr<X509_EXTENSION, free_by<X509_EXTENSION_free>> alt(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost"));
    X509_add_ext(cert.get(), alt.get(), -1);
    if (!X509_sign(cert.get(), key.get(), EVP_sha256())) fail("X509_sign");
    return {std::move(cert), std::move(key)};
}

void serve(SSL_CTX* ctx, const net::conn& c) {
    try {
        tls_conn tls(ctx, c);
        char buf[4096];
        while (const size_t n = tls.read(buf, sizeof buf)) tls.write({buf, n});
        tls.close();
    } catch (const std::exception&) {  // that client's own affair
    }
}

std::string ask(SSL_CTX* ctx, uint16_t port, const std::string& host, const std::string& text) {
    tls_conn tls(ctx, net::dial("127.0.0.1:" + std::to_string(port)).value(), host);
    std::string heard(text.size(), '\0');
    gort::wait_group writer;
    writer.go([&] { tls.write(text); });
    for (size_t got = 0; got < text.size();) {
        const size_t n = tls.read(heard.data() + got, static_cast<int>(text.size() - got));
        if (n == 0) break;
        got += n;
    }
    writer.wait();
    tls.close();
    return heard;
}

}  // namespace

int main() {
    return gort::run([] {
        const auto [cert, key] = make_certificate();
        const ssl_ctx_ptr server(SSL_CTX_new(TLS_server_method())), client(SSL_CTX_new(TLS_client_method()));
        SSL_CTX_use_certificate(server.get(), cert.get());
        SSL_CTX_use_PrivateKey(server.get(), key.get());
        X509_STORE_add_cert(SSL_CTX_get_cert_store(client.get()), cert.get());

        const net::listener listener = net::listen("127.0.0.1:0").value();
        gort::wait_group all;
        all.go([&] {
            while (const auto c = listener.accept()) all.go([&, c = *c] { serve(server.get(), c); });
        });

        std::printf("%s\n", ask(client.get(), listener.port(), "localhost", "hello under TLS").c_str());
        const std::string large(1 << 20, 'x');
        std::printf("a megabyte: %s\n",
                    ask(client.get(), listener.port(), "localhost", large) == large ? "the same" : "not");
        try {
            ask(client.get(), listener.port(), "example.org", "hello");
        } catch (const std::exception& e) {
            std::printf("another name: %s\n", std::string(e.what()).find("verify failed") != std::string::npos
                                                  ? "refused"
                                                  : e.what());
        }
        static_cast<void>(listener.close());
        all.wait();
    });
}
